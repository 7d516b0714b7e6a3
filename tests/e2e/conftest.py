"""A Slack and a mail relay of this machine for whole journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.sandbox.mail import Mailbox
from bot.sandbox.slack import SlackSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A new, empty database; crashes and races are tried on both kinds."""
    return sqlite_url


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    """A workspace; whatever the product sends that Slack would not take fails the test."""
    async with SlackSandbox() as sandbox:
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A relay that takes everything until it is told not to."""
    async with Mailbox() as relay:
        yield relay
