"""Work that takes longer than the event loop can spare."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FEW = 100
"""So many people take less than a millisecond or two."""


async def aside(work: Callable[[], T], people: int) -> T:
    """What `work`, which is pure, comes to: done at once for a few people, beside the event loop for many."""
    return work() if people <= FEW else await asyncio.to_thread(work)
