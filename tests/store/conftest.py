"""Stores on both kinds of database; whatever takes one of these fixtures runs once on each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from bot.store import SqlStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from structlog.typing import EventDict


@contextlib.asynccontextmanager
async def opened(url: str, *secrets: str) -> AsyncIterator[SqlStore]:
    """A running store; without secret keys it seals nothing."""
    store = SqlStore(url, secrets)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def store(migrated_url: str) -> AsyncIterator[SqlStore]:
    async with opened(migrated_url) as store:
        yield store


@pytest.fixture
async def other(migrated_url: str) -> AsyncIterator[SqlStore]:
    """A second store on the same database: another replica, or a client straight on the file."""
    async with opened(migrated_url) as store:
        yield store


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What was logged meanwhile."""
    with capture_logs() as entries:
        yield entries
