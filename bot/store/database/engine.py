"""Connections: how each database is opened, so that what is committed stays and nobody waits for ever."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InternalError, OperationalError

from bot.private_files import private_database
from bot.store.database import postgres
from bot.store.database.postgres import Postgres
from bot.store.database.prepared_statements import errors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import PoolProxiedConnection

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-16000",
)
"""How every connection to SQLite is set."""

BUSY_SECONDS = 10
"""How long one process waits for another that writes to the same SQLite file."""


def check_url(text: str) -> None:
    """Raise `ValueError`, with how to write it, unless `text` is `sqlite:///path.db` or `postgresql://…`."""
    if text.partition("://")[0] in postgres.SCHEMES:
        postgres.parameters(text)
    else:
        _file(text)


def _file(text: str) -> str:
    """The path of a SQLite URL; raises `ValueError`."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(
            "is no database URL; write sqlite:///assent.db or postgresql://USER:PW@HOST/DB"
        ) from None
    if url.drivername != "sqlite":
        raise ValueError(
            f"names {url.drivername!r}; Assent stores in sqlite:///PATH or postgresql://USER:PW@HOST/DB"
        )
    if not url.database or url.database == ":memory:":
        raise ValueError("needs a file, because several connections share it; write sqlite:///assent.db")
    return str(Path(url.database).expanduser())


def sqlite_file(text: str) -> Path | None:
    """The file behind a SQLite URL; None for PostgreSQL."""
    return None if text.partition("://")[0] in postgres.SCHEMES else Path(_file(text))


def shown(text: str) -> str:
    """Which database a URL names, without its password."""
    file = sqlite_file(text)
    return f"sqlite:///{file}" if file else postgres.shown(text)


def open_engine(text: str, *, readers: int = 4) -> Engine:
    """An engine whose transactions are begun as each database needs it."""
    if file := sqlite_file(text):
        private_database(file)
        return _sqlite(URL.create("sqlite", database=str(file)), readers)
    return _postgres(Postgres(postgres.parameters(text)), readers)


def postgres_of(engine: Engine) -> Postgres | None:
    """How this engine reaches PostgreSQL; None for SQLite."""
    found: Postgres | None = engine.get_execution_options().get("postgres")
    return found


def _postgres(reached: Postgres, readers: int) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://",
        creator=reached.connect,
        pool_size=readers + 2,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=BUSY_SECONDS,
        execution_options={"postgres": reached},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        if reached.by_transaction:
            connection.exec_driver_sql(postgres.configuring(postgres.SETTINGS, local=True))

    return engine


def _sqlite(url: URL, readers: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=readers + 2,
        max_overflow=4,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def for_writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write: on SQLite they take the write lock at once, never half way."""
    return engine.execution_options(sqlite_begin="IMMEDIATE")


class Driver:
    """One thread's connection to the database driver itself, kept between transactions and replaced after any failure.

    It is a `prepared.Source`. On PostgreSQL statements are queued (pipeline mode) until somebody fetches a result.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dialect = engine.dialect
        self.connection: Any = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that writes: committed at the end of the block, rolled back if it raises."""
        try:
            with errors_of(self.dialect):
                self.connection = self.connection or self._open()
                with self._queued():
                    self._run(_BEGIN[self.dialect.name])
                    if self._shared:
                        self._run(postgres.configuring(postgres.SETTINGS | postgres.BY_KEYS, local=True))
                    yield
                    self._run("COMMIT")
        except BaseException:
            self.close()
            raise

    def _open(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        if self.dialect.name == "postgresql":
            driver: Any = connection.driver_connection
            driver.autocommit = True  # BEGIN and COMMIT are ours
            if not self._shared:
                driver.execute(postgres.configuring(postgres.BY_KEYS, local=False))
        return connection

    @property
    def _shared(self) -> bool:
        """Whether the connection is lent by a pooler, for one transaction."""
        reached = postgres_of(self._engine)
        return bool(reached and reached.by_transaction)

    def _queued(self) -> AbstractContextManager[Any]:
        connection = self.connection.driver_connection
        return connection.pipeline() if self.dialect.name == "postgresql" else nullcontext()

    def _run(self, text: str) -> None:
        self.connection.cursor().execute(text)

    def close(self) -> None:
        """Close the connection, and so undo what was not committed."""
        if self.connection is not None:
            self.connection.invalidate()
            self.connection = None


_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}


class KeptConnection:
    """One thread's connection, kept between transactions and replaced after any failure.

    Opening one costs more than a small transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back if it raises."""
        connection, self._connection = self._connection or self._engine.connect(), None
        try:
            with connection.begin():
                yield connection
        except BaseException as error:
            if isinstance(error, InternalError | OperationalError):
                connection.invalidate()  # another server may be the one that takes writes by now
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
