"""Work handed from the event loop to a thread, and its result handed back: many at once, one wake-up a loop."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.exc import SQLAlchemyError


@dataclass(slots=True)
class Unit:
    """`work` on something the thread has, over the requests `ids`; `plain` work wants the bare connection."""

    work: Callable[[Any], Any]
    ids: Sequence[str]
    plain: bool
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Answer:
    """What became of a unit."""

    unit: Unit
    result: Any = None
    error: BaseException | None = None


class Intake:
    """The queue between the event loop and the threads that work it off."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()

    async def hand_in(self, work: Callable[[Any], Any], ids: Sequence[str], *, plain: bool) -> Any:
        """Have `work` done; its result, or what it raised."""
        loop = asyncio.get_running_loop()
        unit = Unit(work, ids, plain, loop.create_future(), loop)
        self._queue.put(unit)
        return await unit.future

    def close(self) -> None:
        """Let one thread end after what was handed in before."""
        self._queue.put(None)

    def take(self) -> tuple[list[Unit], bool]:
        """Wait for work, then take all that is there; and whether this thread goes on after it."""
        units: list[Unit] = []
        item = self._queue.get()
        while item is not None:
            units.append(item)
            if len(units) >= self._most:
                return units, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return units, True
        return units, False


def hand_back(answers: list[Answer]) -> None:
    """Settle the futures, each in its own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer.unit.loop, []).append(answer)
    for loop, mine in by_loop.items():
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(answers: list[Answer]) -> None:
    for answer in answers:
        future = answer.unit.future
        if future.done():
            continue
        if answer.error is None:
            future.set_result(answer.result)
        else:
            future.set_exception(answer.error)


def unavailable(error: SQLAlchemyError) -> Unavailable:
    """What a person reads when the database fails; the cause is kept for the log."""
    refusal = Unavailable("The database does not answer just now. Nothing was recorded; try again.")
    refusal.__cause__ = error
    return refusal
