"""The product beside a Slack of this machine, over HTTP, on SQLite.

What a surface says is the same on every database: the suites of the store and the API, and the journeys, run on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.sandbox.slack.sandbox import SlackSandbox
from bot.store import migrations
from tests.support.product import Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A new, empty database."""
    return sqlite_url


@pytest.fixture
def migrated_url(sqlite_url: str) -> str:
    """A database with the current schema and nothing in it."""
    migrations.upgrade(sqlite_url)
    return sqlite_url


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
