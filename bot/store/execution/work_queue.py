"""Work handed from the event loop to a thread, and its result handed back: many at once, one wake-up a loop."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.store.database import errors

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


@dataclass(slots=True)
class WorkResult:
    """What became of a unit."""

    unit: Unit
    result: Any = None
    error: BaseException | None = None


class Exchange:
    """Between one event loop and the threads that work for it.

    What the loop's callbacks hand in during one turn of it arrives together, and so commits together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn: list[Unit] = []
        self._queue: queue.SimpleQueue[list[Unit] | None] = queue.SimpleQueue()

    def open(self) -> None:
        """Belong to the event loop that runs now."""
        self._loop = asyncio.get_running_loop()

    async def hand_in(self, work: Callable[[Any], Any], ids: Sequence[str], *, plain: bool) -> Any:
        """Have `work` done; its result, or what it raised."""
        unit = Unit(work, ids, plain, self._loop.create_future())
        if not self._turn:
            self._loop.call_soon(self._pass_on)
        self._turn.append(unit)
        return await unit.future

    def _pass_on(self) -> None:
        units, self._turn = self._turn, []
        self._queue.put(units)

    def close(self, threads: int) -> None:
        """Let so many threads end after what was handed in before."""
        self._pass_on()
        for _ in range(threads):
            self._queue.put(None)

    def take(self) -> tuple[list[Unit], bool]:
        """Wait for work, then take all that is there; and whether this thread goes on after it."""
        units: list[Unit] = []
        handed_in = self._queue.get()
        while handed_in is not None:
            units += handed_in
            if len(units) >= self._most:
                return units, True
            try:
                handed_in = self._queue.get_nowait()
            except queue.Empty:
                return units, True
        return units, False

    def hand_back(self, answers: list[WorkResult], first: Callable[[], None] | None = None) -> None:
        """In the loop: call `first`, then settle the futures."""
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, answers, first)


def _settle(answers: list[WorkResult], first: Callable[[], None] | None) -> None:
    if first:
        first()
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
    why = errors.cause(error)
    refusal = Unavailable(f"{why[0].upper()}{why[1:]}. Nothing was recorded; try again.")
    refusal.__cause__ = error
    return refusal
