"""Work that may take more than a few milliseconds is done in a thread, so that other calls go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.model.request import Json

T = TypeVar("T")

LARGE_VALUES, LARGE_TEXT = 500, 32 * 1024
"""Values and characters of what is large."""


FEW = 100
"""So many people take less than a millisecond or two."""


async def aside(work: Callable[[], T], *about: Json, people: int = 0) -> T:
    """What `work`, which is pure, gives; in a thread where what it is about is large, or about many people."""
    return await asyncio.to_thread(work) if people > FEW or is_large(list(about)) else work()


def is_large(value: Json) -> bool:
    """Whether a JSON value holds more than is looked at in a few milliseconds; itself told after a few of them."""
    values = characters = 0
    pending = [value]
    while pending:
        item = pending.pop()
        values += 1
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, list):
            values += len(item)
            pending += item[:LARGE_VALUES]
        elif isinstance(item, dict):
            values += len(item)
            pending += list(item.values())[:LARGE_VALUES]
        if values > LARGE_VALUES or characters > LARGE_TEXT:
            return True
    return False
