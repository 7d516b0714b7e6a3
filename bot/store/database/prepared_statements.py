"""Statements of the hot path, compiled once a database and handed to the driver as they are.

SQLAlchemy Core writes the SQL; its work on parameters and results, which costs more than SQLite itself, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    Integer,
    Text,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from bot.store.database.tables import requests

if TYPE_CHECKING:
    from sqlalchemy import Column, Dialect, PoolProxiedConnection, Table
    from sqlalchemy.sql.expression import Executable

Row = dict[str, Any]
Build = Callable[[Any, Any], Any]
"""From the dialect's `insert` and the columns of the given rows to a statement."""


class Source(Protocol):
    """Where statements run: SQLAlchemy's connection, or a `Driver`."""

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""

    @property
    def connection(self) -> PoolProxiedConnection:
        """The driver's connection."""


class Prepared:
    """One statement; its parameters are plain values, always of the same names."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, Row, Callable[[Row], Any] | None]] = {}

    def run(self, source: Source, **parameters: Any) -> Any:
        """Execute it; the driver's cursor. Raises SQLAlchemy's errors."""
        text, bound = self._bound(source.dialect, [parameters])
        with errors_of(source.dialect):
            return source.connection.cursor().execute(text, bound[0])

    def run_each(self, source: Source, rows: list[Row]) -> None:
        """Execute it once for every row."""
        text, bound = self._bound(source.dialect, rows)
        with errors_of(source.dialect):
            source.connection.cursor().executemany(text, bound)

    def _bound(self, dialect: Dialect, rows: list[Row]) -> tuple[str, list[Any]]:
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect, list(rows[0]))
        text, constants, positional = self._compiled[dialect.name]
        bound: list[Any] = [constants | row for row in rows] if constants else rows
        return text, list(map(positional, bound)) if positional else bound

    def _compile(self, dialect: Dialect, names: list[str]) -> tuple[str, Row, Callable[[Row], Any] | None]:
        compiled: Any = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every Core statement has it
        constants = {k: v for k, v in compiled.params.items() if k.removeprefix(_GIVEN) not in names}
        order = compiled.positiontup
        return compiled.string, constants, None if order is None else _tuples(order)


class ManyRows:
    """A statement over any number of rows: step by step on SQLite, one JSON text and round trip on PostgreSQL."""

    def __init__(self, columns: Iterable[Column[Any]], build: Build) -> None:
        columns = list(columns)
        stepwise = {c.name: bindparam(_GIVEN + c.name, type_=c.type) for c in columns}
        rowset = (
            func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
            .table_valued(*(column(c.name, c.type) for c in columns), name="given")
            .render_derived(name="given", with_types=True)
        )
        self._each = Prepared(build(sqlite.insert, stepwise))
        self._at_once = Prepared(build(postgresql.insert, rowset.c))

    def run(self, source: Source, rows: list[Row]) -> None:
        """Execute it; raises SQLAlchemy's errors."""
        if source.dialect.name == "sqlite":
            self._each.run_each(source, rows)
        else:
            self._at_once.run(source, rows=orjson.dumps(rows).decode())


def inserted(table: Table, *, unless_there: bool = False) -> ManyRows:
    """Insert the rows; with `unless_there`, those whose key is not in use yet."""

    def build(insert: Any, row: Any) -> Any:
        values = select(*(row[c.name] for c in table.c)).where(true())
        statement = insert(table).from_select([c.name for c in table.c], values)
        return statement.on_conflict_do_nothing() if unless_there else statement

    return ManyRows(table.c, build)


def changed(table: Table, *names: str) -> ManyRows:
    """Set the columns `names` of the rows by their `id`."""

    def build(_insert: Any, row: Any) -> Any:
        return update(table).where(table.c.id == row["id"]).values({n: row[n] for n in names})

    return ManyRows([table.c.id, *(table.c[n] for n in names)], build)


class ByIds:
    """The `spec` and `state` of many requests by one statement, in the order of their ids."""

    def __init__(self) -> None:
        statement = select(requests.c.spec, requests.c.state).order_by(requests.c.id)
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        self._sqlite = Prepared(statement.where(requests.c.id.in_(select(listed.c.value))))
        self._postgresql = Prepared(
            statement.where(requests.c.id == any_(bindparam("ids", type_=ARRAY(Text))))
        )

    def run(self, source: Source, ids: Iterable[str]) -> list[tuple[str, str]]:
        """The rows of those that there are."""
        wanted = list(ids)
        with errors_of(source.dialect):
            if source.dialect.name == "sqlite":
                rows = self._sqlite.run(source, ids=orjson.dumps(wanted).decode()).fetchall()
            else:
                rows = self._postgresql.run(source, ids=wanted).fetchall()
        return rows  # type: ignore[no-any-return]  # the driver has no types


class Lock:
    """Locks many requests by one statement, in the order of their ids.

    It brings the `spec` and `state` of those only that are not of the version that is known, a number by id.
    """

    def __init__(self) -> None:
        known = bindparam("known", type_=Text)
        self._sqlite = self._locking(func.json_each(known))
        self._postgresql = self._locking(func.json_each_text(cast(known, JSON)))

    @staticmethod
    def _locking(pairs: Any) -> Prepared:
        given = pairs.table_valued("key", "value")
        is_known = requests.c.version == cast(given.c.value, Integer)
        read = (case((is_known, null()), else_=column) for column in (requests.c.spec, requests.c.state))
        statement = select(requests.c.id, *read).join_from(given, requests, requests.c.id == given.c.key)
        return Prepared(statement.order_by(requests.c.id).with_for_update(of=requests))

    def run(self, source: Source, known: dict[str, int]) -> list[tuple[str, str | None, str | None]]:
        """Each id that there is with its `spec` and `state`, or None twice."""
        statement = self._sqlite if source.dialect.name == "sqlite" else self._postgresql
        with errors_of(source.dialect):
            return statement.run(source, known=orjson.dumps(known).decode()).fetchall()  # type: ignore[no-any-return]  # the driver has no types


@contextmanager
def errors_of(dialect: Dialect) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy's."""
    errors = dialect.loaded_dbapi.Error
    try:
        yield
    except errors as error:
        raise DBAPIError.instance("", None, error, errors, dialect=dialect) from error


_GIVEN = "given_"
"""Before the names of parameters, which may not be those of columns."""


def _tuples(order: list[str]) -> Callable[[Row], Any]:
    get: Any = itemgetter(*(name.removeprefix(_GIVEN) for name in order))
    return get if len(order) > 1 else lambda row: (get(row),)
