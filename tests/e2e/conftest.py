"""A Slack and a mail relay of this machine for whole journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.sandbox.mail.relay import Mailbox
from bot.sandbox.slack.sandbox import SlackSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.workspace import User


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


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")
