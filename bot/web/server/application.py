"""The aiohttp application: request ids, errors in words, health, and every surface's routes mounted in one place."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from bot.domain.errors import AssentError, Malformed, NotFound, TooLarge
from bot.web.calls.json_body import MAX_BODY, problem
from bot.web.calls.operation import routes_of
from bot.web.calls.trusted_proxies import Proxies
from bot.web.server import connections
from bot.web.server.health import HealthCalls
from bot.web.server.response_headers import new_id, on_prepare

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from bot.web.server.health import Check

log = structlog.get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID = web.RequestKey("request_id", str)
_LOGGED_ID = ContextVar[str](f"{STRUCTLOG_KEY_PREFIX}request_id")
"""What every log line of a call carries; set here because `bind_contextvars` takes ten times as long."""
_GOOD_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")

Answered = Callable[[web.Request, int, float], None]
"""Hears of every answer: what was asked, the status, and the seconds it took."""


def build(
    routes: Iterable[web.RouteDef],
    checks: Mapping[str, Check],
    answered: Answered | None = None,
    notes: Mapping[str, Check] | None = None,
    proxies: Iterable[str] = (),
) -> web.Application:
    """The application with `routes`; `/readyz` runs `checks`, and `notes` that leave it ready whatever they find."""
    application = web.Application(middlewares=[_edge(answered, Proxies(proxies))], client_max_size=MAX_BODY)
    application.add_routes([*routes, *routes_of(HealthCalls(checks, notes or {}))])
    application.on_response_prepare.append(on_prepare)
    return application


def _edge(answered: Answered | None, proxies: Proxies) -> Middleware:
    """Gives every answer a request id, and lets no exception reach a person as a traceback."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        request = proxies.seen_through(request)
        given = request.headers.get(REQUEST_ID_HEADER)
        request_id = given if given and _GOOD_ID.fullmatch(given) else new_id()
        request[REQUEST_ID] = request_id
        before = _LOGGED_ID.set(request_id)
        connection = connections.of(request)
        if connection:
            connection.begin(request)
        try:
            response = await _answer(request, handler, request_id)
        finally:
            _LOGGED_ID.reset(before)
            if connection:
                connection.end()
        if request.content.exception():
            request.content.feed_eof()  # else aiohttp reads on after the answer, and logs the same again
            response.force_close()
        response.headers[REQUEST_ID_HEADER] = request_id
        if answered:
            answered(request, response.status, time.perf_counter() - began)
        return response

    return edge


async def _answer(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    """What `handler` answers, or the error in words."""
    try:
        return await handler(request)
    except AssentError as error:
        return problem(error, request_id)
    except web.HTTPException as error:
        return _http_problem(error, request_id)
    except Exception as error:
        if error is request.content.exception():
            told = "The body broke off, or is not encoded as its headers say."
            return problem(Malformed(told), request_id)
        log.exception("unexpected error", action="http.error", method=request.method, route=_route(request))
        told = f"Something went wrong on our side. Report it with the request id {request_id}."
        return problem(AssentError(told), request_id)


def _http_problem(error: web.HTTPException, request_id: str) -> web.StreamResponse:
    if error.status < 400:
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem(TooLarge(f"A body may have {MAX_BODY} bytes."), request_id)
    if isinstance(error, web.HTTPNotFound):
        return problem(
            NotFound("There is nothing at this address; GET /openapi.json lists what there is."), request_id
        )
    response = problem(_Refused(error), request_id)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


class _Refused(AssentError):
    """What aiohttp itself refuses: a wrong method, an expectation it does not meet."""

    def __init__(self, error: web.HTTPException) -> None:
        super().__init__(f"{error.reason}.")
        self.status = error.status  # type: ignore[misc]  # one class for every status aiohttp may answer
        self.title = error.reason  # type: ignore[misc]  # likewise
        self.code = "method_not_allowed" if error.status == 405 else "refused"  # type: ignore[misc]  # likewise


def _route(request: web.Request) -> str:
    """The route's pattern, which holds no token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "?"
