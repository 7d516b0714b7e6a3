"""BASE-SQLITE: the least a durable gate on SQLite has to do, on sqlite3.

`python -m bench.base_sqlite --port PORT --database FILE`. One writer thread commits whatever has queued up
as one transaction (WAL, synchronous=FULL) and acknowledges it after the commit; a second connection reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from bench import base_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SCHEMA = """
CREATE TABLE requests (id TEXT PRIMARY KEY, status TEXT NOT NULL, body BLOB NOT NULL,
    created_at REAL NOT NULL, resolved_at REAL);
CREATE TABLE respondents (request_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (request_id, address));
CREATE TABLE audit (id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, event TEXT NOT NULL, actor TEXT,
    at REAL NOT NULL);
CREATE TABLE deliveries (id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, address TEXT NOT NULL,
    due_at REAL);
"""

BATCH = 256
"""Most transactions of callers that share one commit."""


class Job(NamedTuple):
    """One caller's statements, and where to tell it that they are committed."""

    statements: Callable[[sqlite3.Connection], Any]
    committed: asyncio.Future[Any]


class SqliteStore:
    """A writer thread with group commit, and a reader."""

    def __init__(self, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._writer = _connect(path)
        self._writer.executescript(SCHEMA)
        self._reader = _connect(path)
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    async def submit(self, request_id: str, body: dict[str, Any]) -> None:
        """Insert four rows: request, respondent, audit event, delivery."""
        address, now = body["audience"][0], time.time()

        def insert(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO requests (id, status, body, created_at) VALUES (?, 'pending', ?, ?)",
                (request_id, orjson.dumps(body), now),
            )
            db.execute("INSERT INTO respondents VALUES (?, ?)", (request_id, address))
            db.execute(
                "INSERT INTO audit (request_id, event, at) VALUES (?, 'created', ?)", (request_id, now)
            )
            db.execute(
                "INSERT INTO deliveries (request_id, address, due_at) VALUES (?, ?, ?)",
                (request_id, address, now),
            )

        await self._commit(insert)

    async def answer(self, request_id: str, respondent: str, status: str) -> bool:
        """Update the request if it is pending and its respondent answers, and append the audit event."""
        now = time.time()

        def update(db: sqlite3.Connection) -> bool:
            updated = db.execute(
                "UPDATE requests SET status = ?, resolved_at = ? WHERE id = ? AND status = 'pending'"
                " AND EXISTS (SELECT 1 FROM respondents WHERE request_id = ? AND address = ?)",
                (status, now, request_id, request_id, respondent),
            )
            if updated.rowcount:
                db.execute(
                    "INSERT INTO audit (request_id, event, actor, at) VALUES (?, ?, ?, ?)",
                    (request_id, status, respondent, now),
                )
            return bool(updated.rowcount)

        won: bool = await self._commit(update)
        return won

    async def status(self, request_id: str) -> str | None:
        """Read on the event loop's thread: one look into an index costs less than handing it over."""
        for (status,) in self._reader.execute("SELECT status FROM requests WHERE id = ?", (request_id,)):
            return str(status)
        return None

    def close(self) -> None:
        """Commit what is queued and stop."""
        self._jobs.put(None)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    def _commit(self, statements: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        committed: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put(Job(statements, committed))
        return committed

    def _write(self) -> None:
        while first := self._jobs.get():
            batch, last = [first], False
            with contextlib.suppress(queue.Empty):
                while len(batch) < BATCH and not last:
                    job = self._jobs.get_nowait()
                    last = job is None
                    if job:
                        batch.append(job)
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                results = [job.statements(self._writer) for job in batch]
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                self._writer.rollback()
                results = [error] * len(batch)
            self._loop.call_soon_threadsafe(_acknowledge, batch, results)
            if last:
                return


def _acknowledge(batch: list[Job], results: list[Any]) -> None:
    for job, result in zip(batch, results, strict=True):
        if job.committed.done():
            continue
        if isinstance(result, Exception):
            job.committed.set_exception(result)
        else:
            job.committed.set_result(result)


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


@contextlib.asynccontextmanager
async def open_store(path: str) -> AsyncIterator[SqliteStore]:
    """Open a new database at `path`."""
    with contextlib.closing(SqliteStore(path)) as store:
        yield store


if __name__ == "__main__":
    base_http.main(open_store)
