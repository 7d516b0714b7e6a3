"""What a person reads when a database cannot be used."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from bot.domain.errors import Unavailable
from bot.store.database.engine import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_ONLY = ("SQLITE_READONLY", "25006")

_WORDS = {
    READ_ONLY: "the database is read-only just now: nothing can be written to it",
    ("SQLITE_FULL", "53100"): "the disk of the database is full",
    ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03"): "another program holds the database",
    ("SQLITE_IOERR",): "the disk of the database does not take what is written (I/O error)",
    ("SQLITE_CANTOPEN", "SQLITE_PERM"): "the file of the database cannot be opened",
    ("SQLITE_CORRUPT", "SQLITE_NOTADB"): "the file of the database is damaged, or is no database",
    ("53300",): "the database has no connection left",
    ("57P01", "57P02", "57P03"): "the database is shutting down or starting",
    ("57014",): "the database did not answer in time",
    ("28",): "the database refuses the user or the password",
    ("3D000",): "there is no such database",
}
"""By the names and numbers that errors of SQLite and PostgreSQL begin with."""


UNKNOWN = "the database does not answer just now"


def cause(error: BaseException) -> str:
    """Why a database refused, in words that hold no secret."""
    code = _code(error)
    found = (words for codes, words in _WORDS.items() if code.startswith(codes))
    return next(found, UNKNOWN)


def is_read_only(error: BaseException) -> bool:
    """Whether the connection is to a database that takes nothing: after a failover another one may."""
    return _code(error).startswith(READ_ONLY)


def _code(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None) or "?")


@contextmanager
def errors_in_words(url: str) -> Iterator[None]:
    """Raise `Unavailable`, which names the database without its password, for whatever keeps it from being used."""
    try:
        yield
    except DBAPIError as error:
        why = " ".join(str(error.orig).split())
        raise Unavailable(f"the database {shown(url)} cannot be used: {why}") from error
