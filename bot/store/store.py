"""`ports.Store` on SQLAlchemy: one thread writes, a few read, waiters are woken after each commit."""

from __future__ import annotations

from collections import Counter
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, TypeVar

import structlog

from bot.domain.errors import Unavailable
from bot.store.audit.seals import Sealer, Seals
from bot.store.database import errors
from bot.store.database.engine import open_engine, postgres_of
from bot.store.execution.reader_pool import Readers
from bot.store.execution.writer import Writer
from bot.store.notify.commit_listener import Tail
from bot.store.notify.wakeups import Wakeups, Watch
from bot.store.probe import Probe
from bot.store.queries.groups_and_stand_ins import Registry
from bot.store.trail import seal_at_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from bot.ports.store import Reader, Transaction
    from bot.store.database.postgres import Postgres
    from bot.store.queries.unit_of_work import Batch

log = structlog.get_logger(__name__)

T = TypeVar("T")


class SqlStore:
    """The store of one process; it belongs to the event loop in which it was started.

    `secrets` are the signing keys, newest first, that seal the audit trail; without them it is only chained.
    `happened`: how often each type of audit event was committed here, by the status that it led to.
    """

    def __init__(self, url: str, secrets: Sequence[str] = ()) -> None:
        self.wakeups = Wakeups()
        self.registry = Registry(self)
        self.happened: Counter[tuple[str, str]] = Counter()
        self._engine = open_engine(url)
        self._probe = Probe(self._engine)
        self._readers = Readers(self._engine)
        origin = token_hex(4)
        self._secrets = secrets
        self._sealer = Sealer(Seals(secrets)) if secrets else None
        self._writer = Writer(self._engine, self._committed, self.wakeups.recent, origin, self._sealer)
        self._tail = Tail(self._engine, self.wakeups, self.run_read, origin)

    async def start(self) -> None:
        """Begin to read and write, and to listen for what others commit."""
        if reached := postgres_of(self._engine):
            await self._reach(reached)
        self._readers.start()
        self._writer.start()
        if self._sealer:
            await self.run_write(partial(seal_at_start, secrets=self._secrets, sealer=self._sealer))
        await self._tail.start()

    async def _reach(self, reached: Postgres) -> None:
        import psycopg  # noqa: PLC0415 - 9 MiB that a server on SQLite does without

        try:
            await reached.look()
        except psycopg.Error as error:
            raise Unavailable(f"the database cannot be used: {errors.cause(error)}") from error
        if reached.by_transaction:
            log.warning(
                "the database is reached through a pooler that lends connections for one transaction: what other "
                "processes commit is found by looking, every quarter of a second; a pooler in session mode, or the "
                "database itself, tells at once",
                action="store.pooled",
            )

    async def stop(self) -> None:
        """Finish what was handed in, then close every connection."""
        await self._tail.stop()
        await self._writer.stop()
        await self._readers.stop()
        self._engine.dispose()

    async def read(self, work: Callable[[Reader], T], *, ids: Sequence[str] = ()) -> T:
        """Run `work` on a snapshot; raises what it raises, or `Unavailable`."""
        result: T = await self._readers.read(work, ids)
        return result

    async def write(self, work: Callable[[Transaction], T], *, ids: Sequence[str] = ()) -> T:
        """Run `work` in a transaction that is committed when this returns; raises what it raises, or `Unavailable`."""
        result: T = await self._writer.decide(work, ids)
        return result

    async def run_read(self, work: Callable[[Connection], T]) -> T:
        """Run plain statements on a snapshot."""
        result: T = await self._readers.run(work)
        return result

    async def run_write(self, work: Callable[[Connection], T]) -> T:
        """Run plain statements in a transaction that is committed when this returns; they may run more than once."""
        result: T = await self._writer.run(work)
        return result

    def watch(self, request_id: str | None) -> AbstractContextManager[Watch]:
        """Be told of commits to one request, or to any, from now on."""
        return self.wakeups.watch(request_id)

    async def check(self) -> str | None:
        """None where the database takes what is written and its schema is up to date, else what is wrong, in words."""
        return await self._probe.check()

    def wake(self) -> None:
        """Hint every waiter."""
        self.wakeups.elsewhere((), frozenset())

    def _committed(self, batch: Batch) -> None:
        for what, times in batch.happened.items():
            self.happened[what] += times
        self._tail.committed_here(*batch.events)
        self.wakeups.committed(batch.committed, batch.topics)
