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
from typing import TYPE_CHECKING, Annotated, NamedTuple

import orjson
from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from bot.domain.access.authority import only_own
from bot.domain.errors import AssentError, Fault, Invalid, NotFound
from bot.schemas.answers import described
from bot.schemas.responses import event_json
from bot.web.calls.door import READING
from bot.web.calls.operation import operation
from bot.web.calls.parameters import ID, header, query
from bot.web.server.application import REQUEST_ID, REQUEST_ID_HEADER

if TYPE_CHECKING:
    from bot.ports.store import AuditEvent, Reader, Store
    from bot.web.calls.door import Door, Visit

HEARTBEAT_SECONDS = 15.0
"""How often a stream says that it is alive, looks for itself, and checks that its key still works."""

RETRY_MILLISECONDS = 2000
"""How long a client waits before it connects again."""

MAX_EVENTS = 32
"""Events read at once, and at most kept for a reader that is slow."""

RESOLVED = "request.resolved"
"""The last event of the stream of one request."""

_NUMBER = re.compile(r"[0-9]{1,18}")

LAST_EVENT_ID = (
    header(
        "Last-Event-ID",
        "Go on after this event; browsers send it by themselves when they connect again.",
        pattern=f"^{_NUMBER.pattern}$",
    ),
    query(
        "last_event_id", "The same, for the first connection.", type="string", pattern=f"^{_NUMBER.pattern}$"
    ),
)
TEXT = f"""\
Server-sent events, named `request.created`, `.response`, `.updated`, `.reminded`, `.escalated`, `.delegated` and
`.resolved`. A comment every {HEARTBEAT_SECONDS:g} seconds says that the stream is alive.

"""


@described
class StreamedEvent(TypedDict):
    """One event of a stream."""

    id: str
    """What to go on after, a number."""
    event: str
    """The event's type."""
    data: Annotated[
        str,
        Field(
            json_schema_extra={
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/EventOut"},
            }
        ),
    ]
    """An `EventOut` on one line."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events as they are sent; `last` is the number of the last, `more` whether there may be others already."""

    text: bytes
    last: int
    more: bool
    resolved: bool


class Place(NamedTuple):
    """Where a reader stands: after which event, of which request or of all, and of which key's requests or of all."""

    after: int
    request_id: str | None
    key_id: str | None = None

    def read(self, tx: Reader) -> tuple[tuple[AuditEvent, ...], int, bool]:
        """The next events, the number up to which was looked, and whether there may be others already."""
        if self.key_id is None:
            events = tx.events_since(self.after, self.request_id, MAX_EVENTS)
            return events, events[-1].seq if events else self.after, len(events) == MAX_EVENTS
        events, last = tx.events_of_key(self.after, self.key_id, MAX_EVENTS)
        return events, last, last < tx.last_event()


class Events:
    """The two streams. It belongs to one event loop."""

    def __init__(self, door: Door, store: Store) -> None:
        self._door = door
        self._store = store
        self._reads: dict[Place, asyncio.Task[Batch]] = {}
        self._draining = False

    def drain(self) -> None:
        """End every stream: the process is about to end, and clients go on elsewhere or after its next start."""
        self._draining = True
        self._store.wake()

    @operation(
        method="GET",
        path="/v1/requests/{id}/events",
        id="request_events",
        tag="events",
        summary="Follow a request",
        text=f"{TEXT}The stream begins with the request's first event and ends after `request.resolved`.",
        scopes=READING,
        parameters=(ID, *LAST_EVENT_ID),
        media="text/event-stream",
        answers={
            200: ("Its events, each as it happens.", StreamedEvent),
            204: ("It was resolved, and you have seen all of it: do not connect again.", None),
        },
        refusals=(NotFound, Invalid),
    )
    async def of_request(self, http: web.Request, call: Visit) -> web.StreamResponse:
        """From its first event to `request.resolved`."""
        request = await call.approvals.get(http.match_info["id"])
        after = await self._resumed(http) or 0
        if request.status.final:
            history = await call.approvals.audit(request.id)
            if not any(event.type == RESOLVED and event.seq > after for event in history):
                return web.Response(status=204)  # tells a client not to connect again
        return await self._stream(http, Place(after, request.id))

    @operation(
        method="GET",
        path="/v1/events",
        id="events",
        tag="events",
        summary="Follow every request",
        text=f"{TEXT}A key with `submit` alone follows what it submitted itself. "
        "The stream begins with what happens next; its first `id` comes at once, without an "
        "event, so that whoever connects again with it misses nothing.",
        scopes=READING,
        parameters=LAST_EVENT_ID,
        media="text/event-stream",
        answers={200: ("All events, each as it happens.", StreamedEvent)},
        refusals=(Invalid,),
    )
    async def of_all(self, http: web.Request, call: Visit) -> web.StreamResponse:
        """From now on, or from where the client was."""
        after = await self._resumed(http)
        if after is None:
            after = await self._store.read(_last_event)
        return await self._stream(http, Place(after, None, only_own(call.caller)))

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

    async def _stream(self, http: web.Request, place: Place) -> web.StreamResponse:
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
                await response.write(b"retry: %d\nid: %d\n\n" % (RETRY_MILLISECONDS, place.after))
                await self._follow(http, response, place)
        return response

    async def _follow(self, http: web.Request, response: web.StreamResponse, place: Place) -> None:
        now = asyncio.get_running_loop().time
        beat_at = now() + HEARTBEAT_SECONDS
        with self._store.watch(place.request_id) as watch:
            while not self._draining:
                batch = await self._since(place)
                if batch.text:
                    await response.write(batch.text)
                if batch.resolved and place.request_id:
                    return
                place = place._replace(after=batch.last)
                if now() >= beat_at:
                    await self._door.enter(http, *READING)
                    await response.write(b": alive\n\n")
                    beat_at = now() + HEARTBEAT_SECONDS
                if not (batch.more or self._draining):
                    await watch.changed(beat_at - now())

    async def _since(self, place: Place) -> Batch:
        """The events after a place, by a read that begins after this call."""
        if place not in self._reads:
            self._reads[place] = asyncio.create_task(self._read(place))
        return await asyncio.shield(self._reads[place])

    async def _read(self, place: Place) -> Batch:
        del self._reads[place]  # who comes from now on may know of commits that this read misses
        events, last, more = await self._store.read(place.read)
        ends = [i for i, event in enumerate(events, 1) if event.type == RESOLVED]
        sent = events[: ends[0]] if ends and place.request_id else events
        return Batch(text=b"".join(map(_written, sent)), last=last, more=more, resolved=bool(ends))


def _last_event(tx: Reader) -> int:
    return tx.last_event()


def _written(event: AuditEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.seq,
        event.type.encode(),
        orjson.dumps(event_json(event)),
    )
