"""The product with nothing connected: people answer over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Product


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url) as product:
        yield product
