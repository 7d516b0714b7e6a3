"""Whether anything can be written: a scratch row, put down and taken away again, at most every two seconds."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from bot.store import migrations
from bot.store.database import errors
from bot.store.database.engine import KeptConnection, for_writing
from bot.store.database.tables import probes

if TYPE_CHECKING:
    from sqlalchemy import Engine

CACHED_SECONDS = 2.0
"""How long what was found counts."""

PATIENCE = 3.5
"""Seconds after which a database that has not answered is said to take nothing."""

SIZE = {"sqlite": 32 * 1024, "postgresql": 1024}
"""Characters of a scratch row: on SQLite it needs pages of its own, as a request does."""

BEHIND = "the schema is behind: run `assent db upgrade`"
LATE = f"the database did not take a write within {PATIENCE:g} s"


class Probe:
    """Looks at one database, once for however many ask meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._id = secrets.token_hex(8)
        self._known: tuple[float, str | None] = (0.0, None)
        self._looking: asyncio.Future[str | None] | None = None

    async def check(self) -> str | None:
        """None where a row can be written and the schema is up to date, else what is wrong, in words."""
        until, fault = self._known
        if self._looking is None:
            if asyncio.get_running_loop().time() < until:
                return fault
            self._looking = self._begin()
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return LATE

    def _begin(self) -> asyncio.Future[str | None]:
        """Look in a thread that does not keep the process alive, however long the database takes."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()

        def run() -> None:
            fault = self._look()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._found, future, fault)

        threading.Thread(target=run, name="assent-probe", daemon=True).start()
        return future

    def _found(self, future: asyncio.Future[str | None], fault: str | None) -> None:
        self._known = asyncio.get_running_loop().time() + CACHED_SECONDS, fault
        self._looking = None
        if not future.done():
            future.set_result(fault)

    def _look(self) -> str | None:
        kept = KeptConnection(for_writing(self._engine))
        try:
            with kept.transaction() as connection:
                if not migrations.current(connection):
                    return BEHIND
                filler = "x" * SIZE[connection.dialect.name]
                connection.execute(probes.insert().values(id=self._id, filler=filler))
                connection.execute(probes.delete().where(probes.c.id == self._id))
        except SQLAlchemyError as error:
            return errors.cause(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, this thread has to answer
            return f"the database cannot be used: {type(error).__name__}"
        else:
            kept.close()
        return None
