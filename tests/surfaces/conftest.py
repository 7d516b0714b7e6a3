"""The product beside a Slack of this machine, on both databases, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.sandbox.slack import SlackSandbox
from tests.support.product import Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    """A workspace; whatever the product sends that Slack would not take fails the test."""
    async with SlackSandbox() as sandbox:
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
async def product(database_url: str, slack: SlackSandbox) -> AsyncIterator[Product]:
    """The running product, with that workspace."""
    async with running(database_url, slack=slack) as product:
        yield product
