"""Hears what other processes commit: by `LISTEN` on PostgreSQL, by a slow look at the end of the chain behind both."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, Engine, select

from bot.domain.errors import Unavailable
from bot.store.database.engine import postgres_of
from bot.store.database.tables import chain, events
from bot.store.queries.batch_sql import CHANNEL
from bot.store.queries.unit_of_work import TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.store.database.postgres import Postgres
    from bot.store.notify.wakeups import Wakeups

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How late a waiter learns of another process's commit when no notification comes (SQLite never sends one)."""

POOLED_POLL_SECONDS = 0.25
"""The same where a pooler lends connections for a transaction, so that no notification can come."""

RECONNECT_SECONDS = 2.0


class Tail:
    """Follows the event chain and hints the waiters."""

    def __init__(
        self,
        engine: Engine,
        wakeups: Wakeups,
        read: Callable[[Callable[[Connection], Any]], Awaitable[Any]],
        origin: str,
    ) -> None:
        self._engine = engine
        self._wakeups = wakeups
        self._read = read
        self._origin = origin
        self._seen = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin at the end of the chain."""
        self._seen = await self._read(lambda c: c.scalar(select(chain.c.seq)) or 0)
        reached = postgres_of(self._engine)
        heard = bool(reached and not reached.by_transaction)
        poll = POLL_SECONDS if heard or reached is None else POOLED_POLL_SECONDS
        self._tasks.append(asyncio.create_task(self._poll(poll), name="assent-tail"))
        if reached and heard:
            self._tasks.append(asyncio.create_task(self._listen(reached), name="assent-listen"))

    async def stop(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def committed_here(self, before: int, last: int) -> None:
        """Skip what this process committed itself, unless others' events lie in between."""
        if before == self._seen:
            self._seen = last

    async def look(self) -> None:
        """Hint the waiters of every request that has new events."""
        new, last = await self._read(lambda c: _since(c, self._seen))
        if last > self._seen:
            self._seen = last
            self._wakeups.elsewhere(new, TOPICS)

    async def _poll(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._wakeups.forget()
            with contextlib.suppress(Unavailable):
                await self.look()

    async def _listen(self, reached: Postgres) -> None:
        import psycopg  # noqa: PLC0415 - 9 MiB that a server on SQLite does without

        while True:
            try:
                async with await reached.listening() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    async for notice in connection.notifies():
                        origin, topics, ids = notice.payload.split("|")
                        if origin != self._origin:
                            self._wakeups.elsewhere(_listed(ids), frozenset(_listed(topics)))
            except psycopg.Error as error:
                log.warning(
                    "lost the listening connection", action="store.listen", error=type(error).__name__
                )
            await asyncio.sleep(RECONNECT_SECONDS)


def _listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _since(connection: Connection, seen: int) -> tuple[list[str], int]:
    """The requests with events after `seen`, and the number of the last event."""
    last = connection.scalar(select(chain.c.seq)) or 0
    if last <= seen:
        return [], seen
    rows = connection.scalars(
        select(events.c.request_id).where(events.c.seq > seen, events.c.seq <= last).distinct()
    )
    return list(rows), last
