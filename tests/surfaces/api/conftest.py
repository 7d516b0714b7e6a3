"""The product with nothing connected: people answer over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Product


@pytest.fixture(params=["sqlite_url", "postgres_url"], ids=["sqlite", "postgresql"])
async def product(request: pytest.FixtureRequest) -> AsyncIterator[Product]:
    """Once on each kind of database."""
    async with running(request.getfixturevalue(request.param)) as product:
        yield product


@pytest.fixture
async def sqlite_product(sqlite_url: str) -> AsyncIterator[Product]:
    """On SQLite only: for what no database has a part in."""
    async with running(sqlite_url) as product:
        yield product
