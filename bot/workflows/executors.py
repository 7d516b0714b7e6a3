"""Which processes live: each holds a lock that its death lets go, however it dies.

On PostgreSQL it is an advisory lock, on SQLite a lock on a file beside the database. A process that a handler forks
does not hold it, as it may outlive its parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import LiteralString, TextIO


SUSPICION_SECONDS = 30.0
"""How long a look that found nobody counts on PostgreSQL, where a lost connection looks like a death."""


class Executors(Protocol):
    """The locks of all executors of one database."""

    def live(self, executor: str) -> None:
        """Take the lock of this process, or take it again where it was lost; raises RuntimeError if it is taken."""

    def bury(self, executor: str) -> AbstractContextManager[bool]:
        """Tell whether an executor is dead; if so, nobody else is told the same meanwhile."""

    def close(self) -> None:
        """Let the lock of this process go."""


def executors_of(database_url: str) -> Executors:
    """Return the locks beside, or in, a database."""
    if database_url.startswith("sqlite"):
        return FileLocks(sqlite_path(database_url))
    return AdvisoryLocks(database_url)


def sqlite_path(database_url: str) -> Path:
    """Return the file of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    return Path(database_url.partition(":///")[2])


class FileLocks:
    """Locks of files in the folder `DATABASE.executors`."""

    def __init__(self, database: Path) -> None:
        database = database.resolve()  # however a process calls it
        self._folder = database.with_name(f"{database.name}.executors")
        self._own: TextIO | None = None
        os.register_at_fork(after_in_child=self._disown)

    def live(self, executor: str) -> None:
        """See `Executors`."""
        if self._own:
            return
        self._folder.mkdir(exist_ok=True)
        self._own = self._lock(self._path(executor))
        if self._own is None:
            raise RuntimeError(f"another process runs as {executor!r}: give each an executor_id of its own")

    @contextlib.contextmanager
    def bury(self, executor: str) -> Iterator[bool]:
        """See `Executors`."""
        path = self._path(executor)
        lock = self._lock(path)
        if lock is None:
            yield False
            return
        with lock:
            yield True
            path.unlink()

    def close(self) -> None:
        """See `Executors`."""
        if self._own:
            Path(self._own.name).unlink()
            self._own.close()

    def _disown(self) -> None:
        if self._own:
            self._own.close()

    def _path(self, executor: str) -> Path:
        return self._folder / quote(executor, safe="")

    def _lock(self, path: Path) -> TextIO | None:
        file = path.open("a", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file


TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
RELEASE = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


class AdvisoryLocks:
    """Advisory locks of one connection, which never stands in a transaction."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None
        self._suspects: dict[str, float] = {}
        os.register_at_fork(after_in_child=self._disown)

    def live(self, executor: str) -> None:
        """See `Executors`."""
        if self._connection:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.OperationalError:
                self._connection = None
            else:
                return
        connection = psycopg.connect(self._url, autocommit=True, application_name=executor)
        if not _ask(connection, TRY, executor):
            connection.close()
            raise RuntimeError(f"another process runs as {executor!r}: give each an executor_id of its own")
        self._connection = connection

    @contextlib.contextmanager
    def bury(self, executor: str) -> Iterator[bool]:
        """See `Executors`. Only the second look within some seconds counts: a lost connection is soon there again."""
        connection, suspected = self._connection, self._suspects.pop(executor, None)
        if connection is None or not _ask(connection, TRY, executor):
            yield False
            return
        now = time.monotonic()
        try:
            dead = suspected is not None and now - suspected < SUSPICION_SECONDS
            if not dead:
                self._suspects[executor] = now
            yield dead
        finally:
            _ask(connection, RELEASE, executor)

    def close(self) -> None:
        """See `Executors`."""
        if self._connection:
            self._connection.close()

    def _disown(self) -> None:
        """Let go of the socket without a word to the server, which would end the session of the parent."""
        if self._connection and not self._connection.closed:
            with Path(os.devnull).open("rb") as nothing:
                os.dup2(nothing.fileno(), self._connection.fileno(), inheritable=False)


def _ask(connection: psycopg.Connection, query: LiteralString, executor: str) -> bool:
    row = connection.execute(query, (f"assent:{executor}",)).fetchone()
    return bool(row and row[0])
