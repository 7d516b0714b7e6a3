"""`Idempotency-Key` on every call that changes something, in one place: a call again is answered, not carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bot.approvals.idempotency import under_way
from bot.approvals.offload import aside
from bot.web.api.requests import idempotency
from bot.web.calls.json_body import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

    from bot.web.calls.auth import Auth

ITS_OWN = frozenset({"/v1/requests"})
"""A submission keeps its key with the request that it opens."""


def once(routes: Iterable[web.RouteDef], auth: Auth) -> list[web.RouteDef]:
    """The same routes; those that change something heed an `Idempotency-Key`, each for itself."""
    return [_heeding(route, auth) if _changes(route) else route for route in routes]


def _changes(route: web.RouteDef) -> bool:
    return route.method == "POST" and route.path.startswith("/v1/") and route.path not in ITS_OWN


def _heeding(route: web.RouteDef, auth: Auth) -> web.RouteDef:
    handler: Handler = route.handler

    async def keyed(http: web.Request) -> web.StreamResponse:
        if "Idempotency-Key" not in http.headers:
            return await handler(http)
        caller = await auth.caller(http, None)
        body = await read_json(http, empty=True)
        call = await aside(lambda: idempotency(http, f"{caller.id}:{http.path}", body), body)
        if call is None:
            return await handler(http)
        with under_way(call):
            return await handler(http)

    return web.RouteDef(route.method, route.path, keyed, route.kwargs)
