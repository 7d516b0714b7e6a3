"""The streams of events, without I/O: what to ask for, and what the answers mean."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from bot.client.errors import Unreachable
from bot.client.transport.protocol import Call, HttpResponse, Lost, backoff_delays, decode, get, is_retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENCE = 40.0
"""Seconds after which a silent stream counts as lost: the server says every 15 s that it is alive."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a request: `type` is `request.created`, `.response`, …, `.resolved`.

    `status` and `version` are those that it led to, `data` says more. Events are numbered by `id`, oldest first.
    """

    id: int
    type: str
    request_id: str
    status: str
    version: int
    at: datetime
    data: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read an event as the API answers it."""
        same = ("id", "type", "request_id", "status", "version")
        return cls(
            at=datetime.fromisoformat(document["at"]),
            data=document.get("data") or {},
            **{name: document[name] for name in same},
        )


class Following:
    """One stream, through any number of connections; `done` once the server says that nothing more will come.

    It begins after the event `after`.
    """

    def __init__(self, path: str, after: int | None = None) -> None:
        self.done = False
        self._path = path
        self._seen = "" if after is None else str(after)
        self._delay, self._backoff = 0.0, backoff_delays()
        self._rest, self._id, self._data = b"", "", ""

    def call(self) -> Call:
        """The call that opens the stream, after what was seen already."""
        self._rest, self._id, self._data = b"", self._seen, ""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._seen} if self._seen else {})
        return get(self._path, headers=headers, patience=SILENCE, delay=self._delay)

    def take(self, part: bytes | HttpResponse | Lost) -> Iterator[Event]:
        """Read what arrived, or what ended the stream; raises `ApiError` or `Unreachable` where it is refused."""
        if isinstance(part, bytes):
            self._delay, self._backoff = 0.0, backoff_delays()
            yield from self._read(part)
        elif isinstance(part, HttpResponse) and part.status == 204:
            self.done = True
        elif is_retryable(self.call(), part):
            if self._delay:
                log.warning("Assent does not answer; asking for its events again in %.1f s", self._delay)
            self._delay = next(self._backoff)
        else:
            decode(part)
            raise Unreachable(part.url, "it answered, but not with events")

    def _read(self, part: bytes) -> Iterator[Event]:
        """Server-sent events (HTML Living Standard §9.2.6), as far as Assent sends them."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            field, _, value = line.decode().rstrip("\r").partition(":")
            if field == "id":
                self._id = value.strip()
            elif field == "data":
                self._data += value
            elif not field and not value:  # only now the event is complete, and its id seen
                self._seen, data, self._data = self._id, self._data, ""
                if data:
                    yield Event.of(json.loads(data))
