"""Which processes live: each holds a lock that its death lets go, however it dies.

On PostgreSQL it is an advisory lock, on SQLite a lock on a file beside the database.
"""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import LiteralString, TextIO


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
        self._folder = database.with_name(f"{database.name}.executors")
        self._own: TextIO | None = None

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
        self._suspects: set[str] = set()

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
        """See `Executors`. Only the second look in a row counts: a lost connection is soon there again."""
        connection = self._connection
        if connection is None or not _ask(connection, TRY, executor):
            self._suspects.discard(executor)
            yield False
            return
        try:
            yield executor in self._suspects
        finally:
            self._suspects ^= {executor}
            _ask(connection, RELEASE, executor)

    def close(self) -> None:
        """See `Executors`."""
        if self._connection:
            self._connection.close()


def _ask(connection: psycopg.Connection, query: LiteralString, executor: str) -> bool:
    row = connection.execute(query, (f"assent:{executor}",)).fetchone()
    return bool(row and row[0])
