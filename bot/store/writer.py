"""The one thread that writes: it takes whatever is waiting, runs it as one transaction, and answers after the commit.

Under load one commit (and its fsync) serves many units; at rest a unit commits at once. Units only decide in memory, so
one that raises costs the others nothing. Should the transaction itself fail (two replicas used one idempotency key, a
deadlock), the units run again one by one, and only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from bot.domain.errors import Unavailable
from bot.domain.request import Request
from bot.store.engine import for_writing
from bot.store.transaction import Batch, SqlTransaction

log = structlog.get_logger(__name__)

MAX_BATCH = 256
"""Units in one transaction; more would only lengthen the wait of the first."""

TRIES = 4
"""How often a unit that met another replica (deadlock, serialisation, unique key) runs again."""


@dataclass(slots=True)
class _Unit:
    work: Callable[[SqlTransaction], Any] | None
    direct: Callable[[Connection], Any] | None
    locks: Sequence[str]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Runs units in its own thread. `committed` is called there after each commit, with the requests it
    changed and the works it may have made something to do for."""

    def __init__(
        self, engine: Engine, committed: Callable[[dict[str, Request], frozenset[str]], None]
    ) -> None:
        self._engine = for_writing(engine)
        self._notifies = engine.dialect.name == "postgresql"
        self._committed = committed
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="assent-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was handed in, then end; blocks."""
        self._queue.put(None)
        self._thread.join()

    async def decide(self, work: Callable[[SqlTransaction], Any], locks: Sequence[str]) -> Any:
        """Run a unit together with others."""
        return await self._hand_in(work, None, locks)

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Run plain statements in a transaction of their own."""
        return await self._hand_in(None, work, ())

    async def _hand_in(self, work: Any, direct: Any, locks: Sequence[str]) -> Any:
        loop = asyncio.get_running_loop()
        unit = _Unit(work, direct, locks, loop.create_future(), loop)
        self._queue.put(unit)
        return await unit.future

    def _loop(self) -> None:
        running = True
        while running:
            units: list[_Unit] = []
            item = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                units.append(item)
                if len(units) >= MAX_BATCH or self._queue.empty():
                    break
                item = self._queue.get()
            self._run(units)

    def _run(self, units: list[_Unit]) -> None:
        together = [u for u in units if u.work]
        answers: list[tuple[_Unit, Any, BaseException | None]] = []
        if together:
            try:
                answers += self._commit(together)
            except SQLAlchemyError as error:
                answers += self._one_by_one(together, error)
        for unit in units:
            if unit.direct:
                answers.append(self._direct(unit, unit.direct))
        _answer(answers)

    def _commit(self, units: list[_Unit]) -> list[tuple[_Unit, Any, BaseException | None]]:
        answers: list[tuple[_Unit, Any, BaseException | None]] = []
        with self._engine.begin() as connection:
            batch = Batch(connection)
            batch.lock(i for u in units for i in u.locks)
            for unit in units:
                transaction = batch.unit()
                try:
                    result = unit.work(transaction) if unit.work else None
                except SQLAlchemyError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a unit raises is its caller's to see
                    answers.append((unit, None, error))
                else:
                    batch.absorb(transaction)
                    answers.append((unit, result, None))
            if batch.flush() is not None and self._notifies:
                batch.notify()
        self._committed(batch.committed, batch.topics)
        return answers

    def _one_by_one(
        self, units: list[_Unit], error: SQLAlchemyError
    ) -> list[tuple[_Unit, Any, BaseException | None]]:
        if len(units) > 1:
            log.warning(
                "batch failed, running its units one by one", action="store.batch", error=type(error).__name__
            )
        return [self._retry(unit) for unit in units]

    def _retry(self, unit: _Unit) -> tuple[_Unit, Any, BaseException | None]:
        for attempt in range(TRIES):
            try:
                return self._commit([unit])[0]
            except SQLAlchemyError as error:
                if attempt == TRIES - 1 or not _passing(error):
                    log.error("a transaction failed", action="store.failed", error=type(error).__name__)
                    return unit, None, _unavailable(error)
        raise AssertionError("unreachable")

    def _direct(
        self, unit: _Unit, work: Callable[[Connection], Any]
    ) -> tuple[_Unit, Any, BaseException | None]:
        try:
            with self._engine.begin() as connection:
                return unit, work(connection), None
        except SQLAlchemyError as error:
            log.error("a transaction failed", action="store.failed", error=type(error).__name__)
            return unit, None, _unavailable(error)
        except Exception as error:  # noqa: BLE001 - whatever a unit raises is its caller's to see
            return unit, None, error


def _passing(error: SQLAlchemyError) -> bool:
    """Whether the same unit may well succeed if it runs again: it met another writer, or lost its connection."""
    return isinstance(error, IntegrityError | OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _unavailable(error: SQLAlchemyError) -> Unavailable:
    refusal = Unavailable("The database does not take the change just now. Nothing was recorded; try again.")
    refusal.__cause__ = error
    return refusal


def _answer(answers: list[tuple[_Unit, Any, BaseException | None]]) -> None:
    """Hand the results over, one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Unit, Any, BaseException | None]]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].loop, []).append(answer)
    for loop, mine in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, mine)


def _settle(answers: list[tuple[_Unit, Any, BaseException | None]]) -> None:
    for unit, result, error in answers:
        if unit.future.done():
            continue
        if error is None:
            unit.future.set_result(result)
        else:
            unit.future.set_exception(error)
