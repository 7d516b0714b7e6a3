"""Statements of the hot path, compiled once a database and handed to the driver as they are.

SQLAlchemy Core writes the SQL; its per-row work on parameters, which costs more than SQLite itself, is left out.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ARRAY, Text, any_, bindparam, func, select
from sqlalchemy.exc import DBAPIError

from bot.store.tables import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection
    from sqlalchemy.sql.expression import Executable

    Maker = Callable[[dict[str, Any]], Any]


class Prepared:
    """One statement; its parameters are plain values in dicts, all with the same keys."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, dict[str, Any], Maker | None]] = {}

    def run(self, connection: Connection, rows: list[dict[str, Any]]) -> Any:
        """Execute it once for every row; the driver's cursor. Raises SQLAlchemy's errors."""
        text, constants, positional = self._for(connection, rows[0])
        full = [constants | row for row in rows] if constants else rows
        parameters: Any = [positional(row) for row in full] if positional else full
        cursor = connection.connection.cursor()
        errors = connection.dialect.loaded_dbapi.Error
        try:
            if len(parameters) == 1:
                cursor.execute(text, parameters[0])
            else:
                cursor.executemany(text, parameters)
        except errors as error:
            raise DBAPIError.instance(text, None, error, errors, dialect=connection.dialect) from error
        return cursor

    def _for(self, connection: Connection, row: dict[str, Any]) -> tuple[str, dict[str, Any], Maker | None]:
        name = connection.dialect.name
        if name not in self._compiled:
            compiled: Any = self._statement.compile(  # type: ignore[attr-defined]  # every Core statement has it
                dialect=connection.dialect, column_keys=list(row)
            )
            constants = {k: v for k, v in compiled.params.items() if k not in row}
            order = compiled.positiontup
            maker = None if order is None else _tuples(order)
            self._compiled[name] = (compiled.string, constants, maker)
        return self._compiled[name]


class ByIds:
    """The `spec` and `state` of many requests by one statement, in the order of their ids; with `lock`, locked."""

    def __init__(self, *, lock: bool) -> None:
        statement = select(requests.c.spec, requests.c.state).order_by(requests.c.id)
        if lock:
            statement = statement.with_for_update()
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        self._sqlite = Prepared(statement.where(requests.c.id.in_(select(listed.c.value))))
        self._postgresql = Prepared(
            statement.where(requests.c.id == any_(bindparam("ids", type_=ARRAY(Text))))
        )

    def run(self, connection: Connection, ids: Iterable[str]) -> list[tuple[str, str]]:
        """The rows of those that there are."""
        wanted = list(ids)
        if connection.dialect.name == "sqlite":
            cursor = self._sqlite.run(connection, [{"ids": orjson.dumps(wanted).decode()}])
        else:
            cursor = self._postgresql.run(connection, [{"ids": wanted}])
        rows: list[tuple[str, str]] = cursor.fetchall()
        return rows


def _tuples(order: list[str]) -> Maker:
    get: Any = itemgetter(*order)
    return get if len(order) > 1 else lambda row: (get(row),)
