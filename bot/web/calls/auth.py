"""API keys: who calls, and what they may do; and that nobody tries them out."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from typing import TYPE_CHECKING

from bot.domain.access.authority import Scope
from bot.domain.errors import ForbiddenScope, Malformed, RateLimited, Unauthenticated
from bot.ports.store import ApiKey
from bot.web.calls.limits import submissions
from bot.web.calls.trusted_proxies import limited_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

CACHE_SECONDS = 5.0
"""How long a key that was looked up is remembered; a revoked one works no longer than that."""


MAX_FAILURES = 300
"""Calls in a row without a valid key from one address; then one a second."""

MAX_ADDRESSES = 10_000
"""Addresses whose failures are remembered; of one more, all are forgotten."""


BOOTSTRAP = ApiKey(id="bootstrap", name="bootstrap key", scopes=frozenset(Scope))


class Auth:
    """Knows the bootstrap key, and asks `lookup` (by the key's SHA-256, hex) for every other."""

    def __init__(self, bootstrap: str | None, lookup: Callable[[str], Awaitable[ApiKey | None]]) -> None:
        self._bootstrap = bootstrap.encode() if bootstrap else None
        self._lookup = lookup
        self._known: dict[str, tuple[float, ApiKey]] = {}
        self._failures = Failures()
        self.submissions = submissions()

    async def caller(self, http: web.Request, scope: Scope | None) -> ApiKey:
        """Whose key came with a call; raises `Unauthenticated`, `ForbiddenScope`, `RateLimited` or `Malformed`."""
        key = _sent(http)
        caller = await self._find(key.encode(errors="surrogateescape")) if key else None
        if caller is None:
            self._failures.add(limited_as(http.remote or ""))
            raise Unauthenticated(
                "The API key is not known, or was revoked."
                if key
                else "Send an API key: Authorization: Bearer KEY."
            )
        if scope is not None:
            require(caller, scope)
        if "%00" in http.raw_path:
            raise Malformed("The address holds a NUL character (%00); leave it out.")
        return caller

    def forget(self, key_id: str) -> None:
        """Remember nothing of a key that was looked up."""
        self._known = {digest: known for digest, known in self._known.items() if known[1].id != key_id}

    async def _find(self, key: bytes) -> ApiKey | None:
        if self._bootstrap and hmac.compare_digest(key, self._bootstrap):
            return BOOTSTRAP
        digest = hashlib.sha256(key).hexdigest()
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


ROUNDING = 1e-6
"""Seconds; sums of fractions are not exact."""


class Failures:
    """Limits how often one address may fail: a bucket of `MAX_FAILURES` tokens, filled with one a second.

    What is kept of a bucket is when it will be full again (the generic cell rate algorithm).
    """

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}

    def add(self, address: str) -> None:
        """Take a token; raises `RateLimited` where there is none."""
        now = time.monotonic()
        full_at = max(now, self._full_at.get(address, now))
        missing = math.ceil(full_at - now + 1 - MAX_FAILURES - ROUNDING)
        if missing > 0:
            raise RateLimited(
                "Too many calls without a valid API key came from your address. Wait, and check the key.",
                missing,
            )
        if len(self._full_at) >= MAX_ADDRESSES:
            self._full_at.clear()
        self._full_at[address] = full_at + 1


def _sent(http: web.Request) -> str:
    """The key in the header `Authorization: Bearer KEY`, or in `X-API-Key`, where other clients send it."""
    kind, _, key = http.headers.get("Authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else http.headers.get("X-API-Key", "").strip()


def require(caller: ApiKey, scope: Scope) -> None:
    """Raise `ForbiddenScope` unless the key has `scope`."""
    if scope not in caller.scopes:
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise ForbiddenScope(f"This call needs the scope `{scope}`; the key {caller.name!r} has: {has}.")


def require_one(caller: ApiKey, *scopes: Scope) -> None:
    """Raise `ForbiddenScope` unless the key has one of `scopes`."""
    if len(scopes) == 1:
        require(caller, scopes[0])
    elif not any(scope in caller.scopes for scope in scopes):
        has = ", ".join(sorted(caller.scopes)) or "none"
        wanted = " or ".join(f"`{s}`" for s in scopes)
        raise ForbiddenScope(f"This call needs the scope {wanted}; the key {caller.name!r} has: {has}.")
