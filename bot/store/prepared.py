"""Statements of the hot path, compiled once a database and handed to the driver as they are.

SQLAlchemy Core writes the SQL; its per-row work on parameters, which costs more than SQLite itself, is left out.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, CursorResult
    from sqlalchemy.sql.expression import Executable

    Maker = Callable[[dict[str, Any]], Any]


class Prepared:
    """One statement; its parameters are plain values in dicts, all with the same keys."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, dict[str, Any], Maker | None]] = {}

    def run(self, connection: Connection, rows: list[dict[str, Any]]) -> CursorResult[Any]:
        """Execute it once for every row."""
        text, constants, positional = self._for(connection, rows[0])
        full = [constants | row for row in rows] if constants else rows
        parameters: Any = [positional(row) for row in full] if positional else full
        return connection.exec_driver_sql(text, parameters[0] if len(parameters) == 1 else parameters)

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


def _tuples(order: list[str]) -> Maker:
    get: Any = itemgetter(*order)
    return get if len(order) > 1 else lambda row: (get(row),)
