"""Bearer keys: who calls, and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import ForbiddenScope, Unauthenticated
from bot.ports import ApiKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CACHE_SECONDS = 5.0
"""How long a key that was looked up is remembered; a revoked one works no longer than that."""


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    READ = "read"
    RESPOND = "respond"
    OPERATE = "operate"
    LINKS = "links"
    ADMIN = "admin"


BOOTSTRAP = ApiKey(id="bootstrap", name="bootstrap key", scopes=frozenset(Scope))


class Auth:
    """Knows the bootstrap key, and asks `lookup` (by the key's SHA-256, hex) for every other."""

    def __init__(self, bootstrap: str | None, lookup: Callable[[str], Awaitable[ApiKey | None]]) -> None:
        self._bootstrap = _digest(bootstrap) if bootstrap else None
        self._lookup = lookup
        self._known: dict[str, tuple[float, ApiKey]] = {}

    async def caller(self, authorization: str | None, scope: Scope | None) -> ApiKey:
        """The key behind an `Authorization` header; raises `Unauthenticated` or `ForbiddenScope`."""
        kind, _, key = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise Unauthenticated("Send an API key: Authorization: Bearer KEY.")
        caller = await self._find(_digest(key.strip()))
        if caller is None:
            raise Unauthenticated("The API key is not known, or was revoked.")
        if scope is not None:
            require(caller, scope)
        return caller

    async def _find(self, digest: str) -> ApiKey | None:
        if self._bootstrap and hmac.compare_digest(digest, self._bootstrap):
            return BOOTSTRAP
        now = time.monotonic()
        until, known = self._known.get(digest, (0.0, None))
        if known and now < until:
            return known
        found = await self._lookup(digest)
        if found:
            self._known[digest] = (now + CACHE_SECONDS, found)
        else:
            self._known.pop(digest, None)
        return found


def require(caller: ApiKey, scope: Scope) -> None:
    """Raise `ForbiddenScope` unless the key has `scope`."""
    if scope not in caller.scopes:
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise ForbiddenScope(f"This call needs the scope `{scope}`; the key {caller.name!r} has: {has}.")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
