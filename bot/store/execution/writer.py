"""The one thread that writes: it takes whatever is waiting, runs it as one transaction, and answers after the commit.

Under load one commit (and its fsync) serves many units; at rest a unit commits at once. Units only decide in memory, so
one that raises costs the others nothing. Should the transaction itself fail (two replicas used one idempotency key, a
deadlock), the units run again one by one, and only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from bot.store.database import errors
from bot.store.database.engine import Driver, KeptConnection, for_writing
from bot.store.execution.work_queue import Exchange, Unit, WorkResult, unavailable
from bot.store.queries.unit_of_work import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from bot.domain.model.request import Request
    from bot.store.audit.seals import Sealer
    from bot.store.queries.unit_of_work import SqlTransaction

log = structlog.get_logger(__name__)

MAX_BATCH = 256
"""Units in one transaction; more would only lengthen the wait of the first."""

TRIES = 4
"""How often a unit that met another replica (deadlock, serialisation, unique key) runs again."""


class Writer:
    """Runs units in its own thread.

    `committed` is called in the event loop after each commit, before its callers are answered. `recent` are requests as
    they were committed last: whoever locks one that nobody has changed since need not read it.
    """

    def __init__(
        self,
        engine: Engine,
        committed: Callable[[Batch], None],
        recent: Mapping[str, Request],
        origin: str,
        sealer: Sealer | None = None,
    ) -> None:
        self._driver = Driver(engine)
        self._connection = KeptConnection(for_writing(engine))
        self._notifies = engine.dialect.name == "postgresql"
        self._committed = committed
        self._origin = origin
        self._recent = recent
        self._sealer = sealer
        self._exchange = Exchange(MAX_BATCH)
        self._thread = threading.Thread(target=self._loop, name="assent-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._exchange.open()
        self._thread.start()

    async def stop(self) -> None:
        """Finish what was handed in, then end."""
        self._exchange.close(threads=1)
        await asyncio.to_thread(self._thread.join)

    async def decide(self, work: Callable[[SqlTransaction], Any], ids: Sequence[str]) -> Any:
        """Run a unit together with others; the requests `ids` are locked together."""
        return await self._exchange.hand_in(work, ids, plain=False)

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Run plain statements, together with others' where several wait."""
        return await self._exchange.hand_in(work, (), plain=True)

    def _loop(self) -> None:
        running = True
        while running:
            units, running = self._exchange.take()
            if together := [u for u in units if not u.plain]:
                self._together(together)
            if plain := [u for u in units if u.plain]:
                self._exchange.hand_back(self._plainly(plain))
        self._driver.close()
        self._connection.close()

    def _together(self, units: list[Unit]) -> None:
        try:
            self._commit(units)
        except Exception as error:  # noqa: BLE001 - a thread that ends would leave every later caller waiting
            if len(units) > 1:
                log.warning(
                    "batch failed, running its units one by one",
                    action="store.batch",
                    error=type(error).__name__,
                )
            for unit in units:
                self._retry(unit)

    def _commit(self, units: list[Unit]) -> None:
        batch = Batch(self._driver, self._recent, self._sealer)
        with self._driver.transaction():
            batch.lock(i for unit in units for i in unit.ids)
            answers = [_decide(batch, unit) for unit in units]
            batch.flush()
            if batch.committed and self._notifies:
                batch.notify(self._origin)
        self._exchange.hand_back(answers, partial(self._committed, batch))

    def _retry(self, unit: Unit) -> None:
        for attempt in range(TRIES):
            try:
                return self._commit([unit])
            except SQLAlchemyError as error:
                if attempt == TRIES - 1 or not _passing(error):
                    _complain(error)
                    return self._exchange.hand_back([WorkResult(unit, error=unavailable(error))])
            except Exception as error:  # noqa: BLE001 - what a unit wants written may be what cannot be written
                return self._exchange.hand_back([WorkResult(unit, error=error)])
        raise AssertionError("unreachable")

    def _plainly(self, units: list[Unit], left: int = TRIES - 1) -> list[WorkResult]:
        """Run plain statements of several callers in one transaction; where one of them fails, each in its own."""
        try:
            with self._connection.transaction() as connection:
                return [WorkResult(unit, unit.work(connection)) for unit in units]
        except Exception as error:  # noqa: BLE001 - as above: this thread must go on
            if len(units) > 1:
                return [answer for unit in units for answer in self._plainly([unit])]
            if not isinstance(error, SQLAlchemyError):
                return [WorkResult(units[0], error=error)]
            if left and _passing(error):
                return self._plainly(units, left - 1)
            _complain(error)
            return [WorkResult(units[0], error=unavailable(error))]


def _decide(batch: Batch, unit: Unit) -> WorkResult:
    transaction = batch.unit()
    try:
        result = unit.work(transaction)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a unit raises is its caller's to see
        return WorkResult(unit, error=error)
    batch.absorb(transaction)
    return WorkResult(unit, result)


def _complain(error: SQLAlchemyError) -> None:
    """Log what no try mended: in words where they say it all, else whole."""
    if (why := errors.cause(error)) == errors.UNKNOWN:
        log.error("a transaction failed", action="store.failed", exc_info=error)
    else:
        log.error("a transaction failed", action="store.failed", why=why)


def _passing(error: SQLAlchemyError) -> bool:
    """Whether the same unit may well succeed if it runs again: it met another writer, or lost its connection."""
    return isinstance(error, IntegrityError | OperationalError) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or errors.is_read_only(error))
    )
