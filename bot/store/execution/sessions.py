"""One transaction straight on a database, for commands that run beside a server or without one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from bot.store import migrations
from bot.store.database import errors
from bot.store.database.engine import for_writing, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """A transaction that is committed at the end of the block, on a schema that is made where there is none.

    Raises `Unavailable` where the database cannot be used, or its schema is not this version's.
    """
    with errors.errors_in_words(url):
        if not migrations.exists(url):
            migrations.upgrade(url)
        with _opened(url) as engine, for_writing(engine).begin() as connection:
            yield connection


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A transaction that only reads, and holds up nobody who writes; raises `Unavailable` as `writing` does."""
    with errors.errors_in_words(url), _opened(url) as engine, engine.connect() as connection:
        yield connection


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    if not migrations.check(url):
        raise Unavailable(
            "the schema is missing or behind: look at ASSENT_DATABASE_URL, or run `assent db upgrade`"
        )
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
