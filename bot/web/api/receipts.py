"""Receipts of outcomes, and the public keys that they are checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bot.web.calls.door import READING
from bot.web.calls.json_body import respond

if TYPE_CHECKING:
    from bot.ports import Clock
    from bot.receipts import Receipts
    from bot.web.calls.door import Door

RESOLVED = "request.resolved"
"""The audit event of an outcome, whose place in the chain its receipt names."""

CACHED = {"Cache-Control": "public, max-age=300"}


def routes(door: Door, receipts: Receipts, clock: Clock) -> list[web.RouteDef]:
    """`GET /v1/requests/{id}/receipt`, and `GET /.well-known/jwks.json`, which needs no key."""

    async def receipt(http: web.Request) -> web.Response:
        call = await door.enter(http, *READING)
        request = await call.approvals.get(http.match_info["id"])
        events = await call.approvals.audit(request.id)
        resolved = next((event for event in events if event.type == RESOLVED), events[-1])
        return respond({"receipt": receipts.sign(request, resolved, clock.now())})

    async def jwks(_http: web.Request) -> web.Response:
        return respond(receipts.jwks(), headers=CACHED)

    return [web.get("/v1/requests/{id}/receipt", receipt), web.get("/.well-known/jwks.json", jwks)]
