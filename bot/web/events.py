"""Server-sent events: what happens to one request, or to all, as it happens (HTML Living Standard, §9.2).

Whoever follows is woken by commits and reads on from the number of the last event it has sent, so nothing is kept in
memory for a slow reader, and nothing is lost for one that comes back with `Last-Event-ID`. Followers that stand at the
same number share one read.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from bot.domain.errors import AssentError, Fault, Invalid
from bot.web.application import REQUEST_ID, REQUEST_ID_HEADER
from bot.web.auth import Auth, Scope
from bot.wire.answers import event_json

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.ports import AuditEvent, Reader, Store

HEARTBEAT_SECONDS = 15.0
"""How often a stream says that it is alive, looks for itself, and checks that its key still works."""

RETRY_MILLISECONDS = 2000
"""How long a client waits before it connects again."""

MAX_EVENTS = 32
"""Events read at once, and at most kept for a reader that is slow."""

RESOLVED = "request.resolved"
"""The last event of the stream of one request."""

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events as they are sent; `last` is the number of the last, `more` whether there may be others already."""

    text: bytes
    last: int
    more: bool
    resolved: bool


class Events:
    """The two streams. It belongs to one event loop."""

    def __init__(self, approvals: Approvals, store: Store, auth: Auth) -> None:
        self._approvals = approvals
        self._store = store
        self._auth = auth
        self._reads: dict[tuple[int, str | None], asyncio.Task[Batch]] = {}
        self._draining = False

    def routes(self) -> list[web.RouteDef]:
        """Both streams."""
        return [
            web.get("/v1/requests/{id}/events", self.of_request),
            web.get("/v1/events", self.of_all),
        ]

    def drain(self) -> None:
        """End every stream: the process is about to end, and clients go on elsewhere or after its next start."""
        self._draining = True
        self._store.wake()

    async def of_request(self, http: web.Request) -> web.StreamResponse:
        """`GET /v1/requests/{id}/events`: from its first event to `request.resolved`."""
        await self._check_key(http)
        request = await self._approvals.get(http.match_info["id"])
        after = await self._resumed(http) or 0
        if request.status.final:
            history = await self._approvals.audit(request.id)
            if not any(event.type == RESOLVED and event.seq > after for event in history):
                return web.Response(status=204)  # tells a client not to connect again
        return await self._stream(http, after, request.id)

    async def of_all(self, http: web.Request) -> web.StreamResponse:
        """`GET /v1/events`: from now on, or from where the client was."""
        await self._check_key(http)
        after = await self._resumed(http)
        if after is None:
            after = await self._store.read(_last_event)
        return await self._stream(http, after, None)

    async def _check_key(self, http: web.Request) -> None:
        await self._auth.caller(http, Scope.READ)

    async def _resumed(self, http: web.Request) -> int | None:
        """The number of the last event the client has seen; the header is newer than what stands in its URL."""
        text = http.headers.get("Last-Event-ID", http.query.get("last_event_id"))
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise Invalid([Fault("/Last-Event-ID", "must be the `id` of an event, a whole number")])
        last = await self._store.read(_last_event)
        if int(text) > last:
            raise Invalid([Fault("/Last-Event-ID", f"is not an event's id yet: the last event is {last}")])
        return int(text)

    async def _stream(self, http: web.Request, after: int, request_id: str | None) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                REQUEST_ID_HEADER: http[REQUEST_ID],
            }
        )
        with suppress(AssentError, ConnectionResetError):  # the client connects again, and then learns why
            await response.prepare(http)
            if http.method != "HEAD":
                await response.write(b"retry: %d\nid: %d\n\n" % (RETRY_MILLISECONDS, after))
                await self._follow(http, response, after, request_id)
        return response

    async def _follow(
        self, http: web.Request, response: web.StreamResponse, after: int, request_id: str | None
    ) -> None:
        now = asyncio.get_running_loop().time
        beat_at = now() + HEARTBEAT_SECONDS
        with self._store.watch(request_id) as watch:
            while not self._draining:
                batch = await self._since(after, request_id)
                if batch.text:
                    await response.write(batch.text)
                if batch.resolved and request_id:
                    return
                after = batch.last
                if now() >= beat_at:
                    await self._check_key(http)
                    await response.write(b": alive\n\n")
                    beat_at = now() + HEARTBEAT_SECONDS
                if not (batch.more or self._draining):
                    await watch.changed(beat_at - now())

    async def _since(self, after: int, request_id: str | None) -> Batch:
        """The events after `after`, by a read that begins after this call."""
        place = after, request_id
        if place not in self._reads:
            self._reads[place] = asyncio.create_task(self._read(after, request_id))
        return await asyncio.shield(self._reads[place])

    async def _read(self, after: int, request_id: str | None) -> Batch:
        del self._reads[after, request_id]  # who comes from now on may know of commits that this read misses
        events = await self._store.read(lambda tx: tx.events_since(after, request_id, MAX_EVENTS))
        ends = [i for i, event in enumerate(events, 1) if event.type == RESOLVED]
        sent = events[: ends[0]] if ends and request_id else events
        return Batch(
            text=b"".join(map(_written, sent)),
            last=events[-1].seq if events else after,
            more=len(events) == MAX_EVENTS,
            resolved=bool(ends),
        )


def _last_event(tx: Reader) -> int:
    return tx.last_event()


def _written(event: AuditEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.seq,
        event.type.encode(),
        orjson.dumps(event_json(event)),
    )
