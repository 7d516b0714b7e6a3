"""What the client says to Assent, without I/O.

A flow is a generator that yields the calls it wants made and is sent the answers. `Client` and `AsyncClient`
only carry the calls, so that every rule exists once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any, TypeVar

from bot.client.errors import ApiError, Unreachable, Unsendable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call: made after `delay` seconds, given up after `patience` seconds without an answer.

    `repeatable` says that making it twice does no more than making it once; `about` what a person at the terminal
    waits for meanwhile.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 20.0
    delay: float = 0.0
    repeatable: bool = True
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an HTTP server answered; header names in lower case."""

    url: str
    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """No answer came; `sent` tells whether the server may have received the call."""

    url: str
    reason: str
    sent: bool


Flow = Generator[Call, Answer | Lost, T]


def get(path: str, query: Mapping[str, Any] | None = None, **options: Any) -> Call:
    return Call(method="GET", path=path, query=_pairs(query or {}), **options)


def post(path: str, body: Mapping[str, Any], **options: Any) -> Call:
    """Post the members of `body` that are not None; raises Unsendable where it is not JSON."""
    try:
        content = json.dumps(_given(body), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unsendable(f"this cannot be sent as JSON: {error}") from None
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    return Call(method="POST", path=path, content=content, headers=headers, **options)


def put(path: str, body: Mapping[str, Any]) -> Call:
    """As `post`; a PUT again is the same PUT."""
    return replace(post(path, body), method="PUT")


def exchange(call: Call, retries: int) -> Flow[Any]:
    """Make a call, up to `retries` times again while the trouble may pass, and return the JSON answered."""
    for pause in islice(pauses(), retries):
        reply = yield call
        if not may_pass(call, reply):
            return decode(reply)
        call = replace(call, delay=max(pause, _retry_after(reply)))
    return decode((yield call))


def pauses(shortest: float = 0.25, longest: float = 10.0) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, with up to half taken off at random."""
    for attempt in count():
        yield min(longest, shortest * 2 ** min(attempt, 20)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def may_pass(call: Call, reply: Answer | Lost) -> bool:
    """Tell whether making the call again may do better, and does no harm if the first one got through."""
    if isinstance(reply, Lost):
        return call.repeatable or not reply.sent
    return reply.status in {429, 503} or (reply.status in {502, 504} and call.repeatable)


def decode(reply: Answer | Lost) -> Any:
    """Return the JSON answered, or raise `ApiError` or `Unreachable`."""
    if isinstance(reply, Lost):
        raise Unreachable(reply.url, reply.reason)
    if reply.status == 204:
        return None
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = None
    if 200 <= reply.status < 300 and body is not None:
        return body
    if reply.status >= 400 and isinstance(body, dict):
        raise ApiError(reply.status, body)
    raise Unreachable(reply.url, f"it answered {reply.status}, and not as Assent does")


def _retry_after(reply: Answer | Lost) -> float:
    seconds = "" if isinstance(reply, Lost) else reply.headers.get("retry-after", "")
    return min(float(seconds), 60.0) if seconds.isdecimal() else 0.0


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _pairs(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, str(value))
        for name, values in _given(query).items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )
