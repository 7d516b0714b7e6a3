"""A small table that nearly never changes, kept at hand for a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

KEPT_SECONDS = 2.0
"""How late another process's change may be seen."""


class Recent(Generic[T]):
    """What `read` gave at most `KEPT_SECONDS` ago."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._kept: tuple[float, T] | None = None

    async def value(self) -> T:
        """The value, read again where it is too old."""
        now = asyncio.get_running_loop().time()
        if self._kept is None or now - self._kept[0] > KEPT_SECONDS:
            self._kept = now, await self._read()
        return self._kept[1]

    def forget(self) -> None:
        """Read it again next time: this process has changed it."""
        self._kept = None
