"""`ports.Store` on SQLAlchemy: one thread writes, a small pool of threads reads, waiters are woken after each commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.errors import Unavailable
from bot.domain.request import Request
from bot.ports import Reader, Transaction
from bot.store import migrations
from bot.store.engine import open_engine
from bot.store.reader import SqlReader
from bot.store.tail import Tail
from bot.store.wakeups import Wakeups, Watch
from bot.store.writer import Writer

T = TypeVar("T")

READERS = 4
"""Threads that read side by side."""


class SqlStore:
    """The store of one process; it belongs to the event loop in which it was started."""

    def __init__(self, url: str) -> None:
        self.wakeups = Wakeups()
        self._engine = open_engine(url, readers=READERS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="assent-reader")
        self._writer = Writer(self._engine, self._committed)
        self._tail = Tail(self._engine, self.wakeups, self.run_read)

    async def start(self) -> None:
        """Begin to write, and to listen for what others commit."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        await self._tail.start()

    async def stop(self) -> None:
        """Finish what was handed in, then close every connection."""
        await self._tail.stop()
        await asyncio.to_thread(self._writer.stop)
        self._readers.shutdown()
        self._engine.dispose()

    async def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` on a snapshot; raises what it raises, or `Unavailable`."""
        return await self.run_read(lambda connection: work(SqlReader(connection)))

    async def write(self, work: Callable[[Transaction], T], *, locks: Sequence[str] = ()) -> T:
        """Run `work` in a transaction that is committed when this returns; raises what it raises, or `Unavailable`."""
        result: T = await self._writer.decide(work, locks)
        return result

    async def run_read(self, work: Callable[[Connection], T]) -> T:
        """Run plain statements on a snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def run_write(self, work: Callable[[Connection], T]) -> T:
        """Run plain statements in a transaction of their own."""
        result: T = await self._writer.run(work)
        return result

    def watch(self, request_id: str) -> AbstractContextManager[Watch]:
        """Be told of commits to one request from now on."""
        return self.wakeups.watch(request_id)

    async def check(self) -> str | None:
        """None where the database answers and its schema is up to date, else what is wrong, in words."""
        try:
            current = await self.run_read(migrations.current)
        except Unavailable as error:
            return error.detail
        return None if current else "the schema is behind: run `assent db upgrade`"

    def wake(self) -> None:
        """Hint every waiter."""
        self.wakeups.elsewhere((), frozenset())

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise Unavailable("The database does not answer just now; try again.") from error

    def _committed(self, changed: dict[str, Request], topics: frozenset[str]) -> None:
        """In the writer's thread, after a commit."""
        if (changed or topics) and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.wakeups.committed, changed, topics)
