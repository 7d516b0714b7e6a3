"""The Web API over HTTP: read a call as any Slack client sends it, check it, run it, answer as Slack does."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.slack.faults import Faults, RateLimits
from bot.sandbox.slack.web_api import chat, directory, views  # noqa: F401  they register themselves
from bot.sandbox.slack.web_api.method import METHODS, Backend, Method, content, need_scope
from bot.sandbox.slack.workspace import SlackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.slack.faults import Fault
    from bot.sandbox.slack.workspace import Json

_MISTAKES = frozenset(
    {
        "duplicate_external_id",
        "invalid_arguments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_limit",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "push_limit_reached",
        "unknown_method",
        "view_too_large",
    }
)
"""Errors that only a faulty app gets; the others can happen to any."""


@dataclass(frozen=True)
class Call:
    """One call of the Web API. `answer` is None where a planned fault left the app without one."""

    method: str
    arguments: Json
    at: float
    answer: Json | None = None

    @property
    def error(self) -> str | None:
        return (self.answer or {}).get("error")


@dataclass(frozen=True)
class Violation:
    """Something the app sent that Slack would not take, with Slack's messages."""

    where: str
    error: str
    messages: list[str] = field(default_factory=list)


class WebApi:
    """`on_change` is called after everything that may have changed what somebody sees."""

    def __init__(self, backend: Backend, faults: Faults, on_change: Callable[[], None]) -> None:
        self.backend = backend
        self.faults = faults
        self.log: list[Call] = []
        self.violations: list[Violation] = []
        self.enforce_limits = False
        self._limits = RateLimits(backend.workspace.clock)
        self._on_change = on_change

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer `/api/METHOD`."""
        name = request.match_info["method"]
        try:
            arguments, token = await _read(request)
        except ValueError:
            return self._answer(name, {}, {"ok": False, "error": "invalid_json"})
        fault = self.faults.take(name, arguments)
        if fault:
            self._on_change()
            await asyncio.sleep(fault.delay)
        if fault and _prevents(fault):
            return self._fail(request, name, arguments, fault)
        if wait := self._seconds_to_wait(name, arguments):
            return self._answer(name, arguments, _RATE_LIMITED, status=429, retry_after=wait)
        answer = self._call(name, arguments, token)
        response = self._answer(name, arguments, answer)
        if fault and fault.drop == "after":
            hang_up(request)
        return response

    async def handle_response_url(self, request: web.Request) -> web.StreamResponse:
        """Answer a post to a response URL: `ok`, or 404 with Slack's error."""
        try:
            answer = json.loads(await request.text())
        except ValueError:
            return self._answer("response_url", {}, {"ok": False, "error": "invalid_payload"}, status=400)
        fault = self.faults.take("response_url", answer)
        if fault and _prevents(fault):
            return self._fail(request, "response_url", answer, fault)
        try:
            text, blocks = ("", None) if answer.get("delete_original") else content(answer)
            self.backend.tickets.respond(request.match_info["secret"], answer, text, blocks)
        except SlackError as error:
            shown = self.refuse("response_url", error)
            return self._answer("response_url", answer, shown, status=404)
        return self._answer("response_url", answer, {"ok": True})

    def refuse(self, where: str, error: SlackError) -> Json:
        """The answer to something refused; the app's own mistakes are recorded as violations."""
        if error.code in _MISTAKES:
            messages = error.members.get("response_metadata", {}).get("messages", [])
            self.violations.append(Violation(where, error.code, messages))
        return {"ok": False, "error": error.code, **error.members}

    def _call(self, name: str, arguments: Json, token: str | None) -> Json:
        try:
            method = _known(name)
            self._authorize(method, token)
            _require(arguments, *method.required)
            return {"ok": True, **method.run(self.backend, arguments)}
        except SlackError as error:
            return self.refuse(name, error)

    def _authorize(self, method: Method, token: str | None) -> None:
        if method.kind == "none":
            return
        if token is None:
            raise SlackError("not_authed")
        if token in self.backend.revoked:
            raise SlackError("token_revoked")
        kind = self.backend.tokens.get(token)
        if kind is None:
            raise SlackError("invalid_auth")
        if kind != method.kind:
            raise SlackError("not_allowed_token_type")
        if method.scopes:
            need_scope(self.backend.workspace, *method.scopes)

    def _seconds_to_wait(self, name: str, arguments: Json) -> int:
        method = METHODS.get(name)
        if not self.enforce_limits or method is None:
            return 0
        if name == "chat.postMessage":
            return self._limits.wait(f"{name} {arguments.get('channel')}", most=1, seconds=1)
        return self._limits.wait(name, most=method.per_minute, seconds=60) if method.per_minute else 0

    def _answer(
        self, name: str, arguments: Json, answer: Json, *, status: int = 200, retry_after: int | None = None
    ) -> web.Response:
        self.log.append(Call(name, arguments, self.backend.workspace.clock(), answer))
        self._on_change()
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.backend.workspace.scopes))}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return web.json_response(answer, status=status, headers=headers)

    def _fail(self, request: web.Request, name: str, arguments: Json, fault: Fault) -> web.Response:
        if fault.error or fault.status == 429:
            answer = {"ok": False, "error": fault.error} if fault.error else _RATE_LIMITED
            return self._answer(name, arguments, answer, status=fault.status, retry_after=fault.retry_after)
        self.log.append(Call(name, arguments, self.backend.workspace.clock()))
        self._on_change()
        if fault.drop:
            hang_up(request)
        return web.Response(status=fault.status, text="<h1>Server Error</h1>", content_type="text/html")


_RATE_LIMITED = {"ok": False, "error": "ratelimited"}


def hang_up(request: web.Request) -> None:
    """Close the connection so that no answer arrives."""
    if request.transport:
        request.transport.abort()


def _prevents(fault: Fault) -> bool:
    return fault.drop == "before" or fault.error is not None or fault.status != 200


def _known(name: str) -> Method:
    if name not in METHODS:
        raise SlackError("unknown_method", req_method=name)
    return METHODS[name]


def _require(arguments: Json, *names: str) -> None:
    missing = [f"[ERROR] missing required field: {name}" for name in names if not arguments.get(name)]
    if missing:
        raise SlackError("invalid_arguments", response_metadata={"messages": missing})


async def _read(request: web.Request) -> tuple[Json, str | None]:
    """The arguments of a call and its token, from JSON, a form or the query. Raises ValueError."""
    arguments: Json = dict(request.query)
    if request.content_type == "application/json":
        arguments |= json.loads(await request.text() or "{}")
    else:
        arguments |= await request.post()
    in_body = arguments.pop("token", None)
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":  # oauth.v2.access takes the client's credentials so
        client_id, _, secret = base64.b64decode(credentials).decode().partition(":")
        arguments |= {"client_id": client_id, "client_secret": secret}
    return arguments, credentials if scheme == "Bearer" and credentials else in_body
