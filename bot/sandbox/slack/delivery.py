"""How Slack reaches the app: signed HTTP posts, or Socket Mode.

https://docs.slack.dev/authentication/verifying-requests-from-slack and
https://docs.slack.dev/apis/events-api/using-socket-mode.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.slack.workspace import Json, Workspace

ACK_SECONDS = 3.0
"""How long an app may take to acknowledge what Slack sends."""
MOST_CONNECTIONS = 10
Kind = Literal["interactive", "slash_commands", "events_api"]


@dataclass(frozen=True)
class Delivery:
    """Something on its way to the app. `retry` counts repeats of an event."""

    kind: Kind
    payload: Json
    retry: int = 0


@dataclass(frozen=True)
class Ack:
    """What the app answered. `status` is None when no answer came in time."""

    status: int | None
    body: Json | str | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == 200


def signed_headers(secret: str, body: str, timestamp: float) -> dict[str, str]:
    """The headers by which the app knows that a post of `body` comes from Slack."""
    base = f"v0:{int(timestamp)}:{body}".encode()
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(int(timestamp)), "X-Slack-Signature": f"v0={digest}"}


class HttpDelivery:
    """Posts to the app's URL, signed, between `start` and `stop`."""

    def __init__(self, signing_secret: str, clock: Callable[[], float], ack_seconds: float) -> None:
        self.url: str | None = None
        self._secret = signing_secret
        self._clock = clock
        self._ack_seconds = ack_seconds
        self._session: ClientSession | None = None

    def start(self) -> None:
        self._session = ClientSession(timeout=ClientTimeout(total=self._ack_seconds))

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    async def send(self, delivery: Delivery) -> Ack:
        if delivery.kind == "events_api":
            body, content_type = json.dumps(delivery.payload), "application/json"
        else:
            commanded = delivery.kind == "slash_commands"
            fields = delivery.payload if commanded else {"payload": json.dumps(delivery.payload)}
            body, content_type = urlencode(fields), "application/x-www-form-urlencoded"
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            **signed_headers(self._secret, body, self._clock()),
        }
        if delivery.retry:
            headers |= {"X-Slack-Retry-Num": str(delivery.retry), "X-Slack-Retry-Reason": "http_error"}
        return await self._post(body, headers)

    async def _post(self, body: str, headers: dict[str, str]) -> Ack:
        if self.url is None or self._session is None:
            return Ack(None)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with self._session.post(self.url, data=body.encode(), headers=headers) as response:
                text = await response.text()
                is_json = response.content_type == "application/json" and text
                answer = json.loads(text) if is_json else text
                return Ack(response.status, answer or None, loop.time() - started)
        except (ClientError, TimeoutError, ValueError):
            return Ack(None, seconds=loop.time() - started)


@dataclass
class _Connection:
    socket: web.WebSocketResponse
    waiting: dict[str, asyncio.Future[Ack]] = field(default_factory=dict)


class SocketDelivery:
    """The Socket Mode connections of the app; a delivery goes to one of them, in turn.

    `on_change` is called when one opens or closes.
    """

    def __init__(self, workspace: Workspace, ack_seconds: float, on_change: Callable[[], None]) -> None:
        self.connections: list[_Connection] = []
        self.origin = ""
        self._workspace = workspace
        self._ack_seconds = ack_seconds
        self._on_change = on_change
        self._tickets: set[str] = set()
        self._turns = itertools.count()

    def open_url(self) -> str:
        """The URL of a new connection; it opens one only."""
        ticket = str(uuid.uuid4())
        self._tickets.add(ticket)
        return f"{self.origin.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={self._workspace.app_id}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer `/link/` and stay on the line."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPNotFound
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return socket
        connection = _Connection(socket)
        self.connections.append(connection)
        try:
            await socket.send_json(self._hello())
            self._on_change()
            async for frame in socket:
                if frame.type == WSMsgType.TEXT:
                    _acknowledge(connection, json.loads(frame.data))
        finally:
            self._forget(connection)
        return socket

    async def send(self, delivery: Delivery) -> Ack:
        if not self.connections:
            return Ack(None)
        connection = self.connections[next(self._turns) % len(self.connections)]
        envelope_id = str(uuid.uuid4())
        envelope = {
            "envelope_id": envelope_id,
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            envelope |= {"retry_attempt": delivery.retry, "retry_reason": "timeout" if delivery.retry else ""}
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer: asyncio.Future[Ack] = loop.create_future()
        connection.waiting[envelope_id] = answer
        try:
            await connection.socket.send_json(envelope)
            ack = await asyncio.wait_for(answer, self._ack_seconds)
        except (TimeoutError, ConnectionError):
            ack = Ack(None)
        finally:
            connection.waiting.pop(envelope_id, None)
        return Ack(ack.status, ack.body, loop.time() - started)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell every connection to go, as Slack does: `warning`, `refresh_requested` or `link_disabled`."""
        for connection in list(self.connections):
            await connection.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            if reason != "warning":
                await connection.socket.close()

    async def drop(self) -> None:
        """Close every connection without a word."""
        for connection in list(self.connections):
            await connection.socket.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "connection_info": {"app_id": self._workspace.app_id},
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
        }

    def _forget(self, connection: _Connection) -> None:
        self.connections.remove(connection)
        self._on_change()
        for answer in connection.waiting.values():
            if not answer.done():
                answer.set_result(Ack(None))


def _acknowledge(connection: _Connection, frame: Json) -> None:
    answer = connection.waiting.get(frame.get("envelope_id", ""))
    if answer and not answer.done():
        answer.set_result(Ack(200, frame.get("payload") or None))
