"""The threads that read: each takes whatever waits and answers it from one snapshot.

The snapshot is taken after the work was handed in, so it holds every commit the caller knows of. Requests that several
callers want are loaded by one statement.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.store.database.engine import KeptConnection
from bot.store.execution.work_queue import Exchange, Unit, WorkResult, unavailable
from bot.store.queries.snapshot import SqlReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

THREADS = 3
"""A long list holds up one of them, not the others."""

MAX_BATCH = 32
"""Reads answered from one snapshot."""


class Readers:
    """A few threads over one exchange."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._exchange = Exchange(MAX_BATCH)
        self._threads = [
            threading.Thread(target=self._loop, name=f"assent-reader-{n}", daemon=True)
            for n in range(THREADS)
        ]

    def start(self) -> None:
        """Begin to work."""
        self._exchange.open()
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Finish what was handed in, then end."""
        self._exchange.close(threads=len(self._threads))
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    async def read(self, work: Callable[[SqlReader], Any], ids: Sequence[str]) -> Any:
        """Run `work` on a snapshot, the requests `ids` loaded together with others'."""
        return await self._exchange.hand_in(work, ids, plain=False)

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Run plain statements on a snapshot."""
        return await self._exchange.hand_in(work, (), plain=True)

    def _loop(self) -> None:
        kept, running = KeptConnection(self._engine), True
        while running:
            units, running = self._exchange.take()
            if units:
                self._exchange.hand_back(self._answer(kept, units))
        kept.close()

    def _answer(self, kept: KeptConnection, units: list[Unit], *, again: bool = True) -> list[WorkResult]:
        try:
            with kept.transaction() as connection:
                reader = SqlReader(connection, {i for unit in units for i in unit.ids})
                return [_run(unit, connection if unit.plain else reader) for unit in units]
        except Exception as error:  # noqa: BLE001 - a thread that ends would leave every later caller waiting
            if len(units) > 1:
                return [answer for unit in units for answer in self._answer(kept, [unit])]
            if again and isinstance(error, OperationalError):
                return self._answer(kept, units, again=False)
            refusal = unavailable(error) if isinstance(error, SQLAlchemyError) else error
            return [WorkResult(units[0], error=refusal)]


def _run(unit: Unit, source: Connection | SqlReader) -> WorkResult:
    try:
        return WorkResult(unit, unit.work(source))
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a unit raises is its caller's to see
        return WorkResult(unit, error=error)
