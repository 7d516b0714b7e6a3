"""The API alone, inside a program that uses the client straight on a database.

It stores, decides and waits. What people are to be told, who they are in Slack, and what deadlines do is left to those
who serve the same database.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import Never

from aiohttp import web

from bot import logs
from bot.approvals import Approvals
from bot.bootstrap import Assent
from bot.clock_and_ids import RandomIds
from bot.domain.access.authority import Scope
from bot.domain.errors import NotFound, Unavailable
from bot.domain.model.request import Surface
from bot.links import Links
from bot.ports.directory import DirectoryUnavailableError
from bot.ports.store import ApiKey
from bot.settings import SIGNING_KEY, SettingsError, load
from bot.store.database import errors
from bot.store.database.engine import sqlite_file
from bot.web.calls.auth import Auth
from bot.web.server import application

RECEIPT = "/v1/requests/{id}/receipt"


class Embedded(Assent):
    """Answers the API over `database` on the Unix socket at the path `socket`, for one `key` that may do everything.

    The other settings are those of the environment. The signing keys are shared with the server by ASSENT_SECRET_KEYS,
    or by the file beside a SQLite database, made with it. A database without that file is a server's that has its keys
    from its settings: without them there are no links and no receipts, which nobody could verify.
    """

    def __init__(self, database: str, socket: str, key: str) -> None:
        logs.join()
        try:
            super().__init__(load({**os.environ, "ASSENT_DATABASE_URL": database}))
        except SettingsError as error:
            raise Unavailable(f"these settings cannot be used:\n{error}") from None
        self._socket = socket
        self._digest = hashlib.sha256(key.encode()).hexdigest()
        self._signs = bool(self.settings.assent_secret_keys or self._has_key_file(database))
        self._keys = super()._signing_keys() if self._signs else [secrets.token_hex()]

    async def _start(self) -> None:
        with errors.errors_in_words(self.settings.assent_database_url):
            await self._open()
        links = Links(self.settings.base_url, self._signing_keys())
        self.approvals = Approvals(self.store, self.clock, RandomIds(), UnavailableDirectory(), self._rules())
        routes = self._api(links, Auth(None, self._caller))
        if not self._signs:
            routes = [*(r for r in routes if r.path != RECEIPT), web.get(RECEIPT, _no_receipt)]
        await self._set_up(application.build(routes, {}))
        await web.UnixSite(self._runner, self._socket).start()

    def _has_key_file(self, database: str) -> bool:
        """Whether the signing key is beside the SQLite file, or can be: it is made before the database is."""
        file = sqlite_file(database)
        return file is not None and (not file.exists() or (file.parent / SIGNING_KEY).exists())

    def _signing_keys(self) -> list[str]:
        return self._keys

    def _sealing_keys(self) -> list[str]:
        return self._keys if self._signs else []

    def _surfaces(self) -> frozenset[Surface]:
        return frozenset({Surface.SLACK, Surface.EMAIL})

    async def _caller(self, digest: str) -> ApiKey | None:
        scopes = frozenset(Scope) - (frozenset() if self._signs else {Scope.LINKS})
        return ApiKey(id="local", name="local client", scopes=scopes) if digest == self._digest else None


class UnavailableDirectory:
    """A directory for where Slack cannot be asked: those who serve the database look the people up afterwards."""

    async def _later(self, *_: object, **__: object) -> Never:
        raise DirectoryUnavailableError

    user = user_now = user_by_email = group_members = check_channel = is_member = _later


async def _no_receipt(_http: web.Request) -> Never:
    raise NotFound("Set ASSENT_SECRET_KEYS, as the server has them, to get receipts from the database.")
