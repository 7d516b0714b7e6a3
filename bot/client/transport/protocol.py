"""What the client says to Assent, without I/O.

A flow is a generator that yields the calls it wants made and is sent the answers. `Client` and `AsyncClient`
only carry the calls, so that every rule exists once.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar

from bot.client.errors import ApiError, Unanswered, Unreachable, Unsendable

T = TypeVar("T")

LONGEST_PAUSE = 3.0
"""Seconds between two tries of a call at most: a server that is back is found soon."""

SHORTEST_PATIENCE = 1.0
"""Seconds that the last try has for its answer, however little of its time is left."""

log = logging.getLogger(__name__)


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
class HttpResponse:
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


Flow = Generator[Call, HttpResponse | Lost, T]


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


def exchange(call: Call, retry_for: float, now: Callable[[], float] = time.monotonic) -> Flow[Any]:
    """Make a call, again for up to `retry_for` seconds while the trouble may pass, and return the JSON answered.

    With `retry_for` 0 it is made once. Raises `Unanswered` once the time is over, and says what was tried.
    """
    began = now()
    backoff = backoff_delays(longest=LONGEST_PAUSE)
    for tries in count(1):
        reply = yield call
        left = began + retry_for - now()
        if not is_retryable(call, reply) or not left > 0 or _busy_for_longer(reply, left):
            return _decoded(call, reply, tries, now() - began)
        if tries == 1:
            log.warning("Assent does not answer (%s); trying again for up to %.0f s", _trouble(reply), left)
        delay = min(left, max(next(backoff), _retry_after(reply)))
        patience = min(call.patience, max(left - delay, SHORTEST_PATIENCE))
        call = replace(
            call, delay=delay, patience=patience, about=f"no answer from {reply.url}, trying again"
        )
    raise AssertionError  # pragma: no cover - count() has no end


def _decoded(call: Call, reply: HttpResponse | Lost, tries: int, seconds: float) -> Any:
    """The JSON answered; what is raised after several tries says how many, and how long they took."""
    try:
        return decode(reply)
    except Unreachable as error:
        if tries == 1:
            raise
        tried = f"{call.method} {call.path} was tried {tries} times in {seconds:.0f} s"
        raise Unanswered(error.url, f"{error.reason} ({tried})") from None
    except ApiError as error:
        if tries > 1 and is_retryable(call, reply):
            error.add_note(f"It was tried {tries} times in {seconds:.0f} s.")
        raise


def _busy_for_longer(reply: HttpResponse | Lost, left: float) -> bool:
    """Whether there is no use in asking again: the server limits our calls for longer than there is time."""
    return isinstance(reply, HttpResponse) and reply.status == 429 and _retry_after(reply) > left


def _trouble(reply: HttpResponse | Lost) -> str:
    return reply.reason if isinstance(reply, Lost) else f"it answered {reply.status}"


def backoff_delays(shortest: float = 0.25, longest: float = 10.0) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, with up to half taken off at random."""
    for attempt in count():
        yield min(longest, shortest * 2 ** min(attempt, 20)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def is_retryable(call: Call, reply: HttpResponse | Lost) -> bool:
    """Tell whether making the call again may do better, and does no harm if the first one got through."""
    if isinstance(reply, Lost):
        return call.repeatable or not reply.sent
    return reply.status == 429 or (reply.status in {502, 503, 504} and call.repeatable)


def decode(reply: HttpResponse | Lost) -> Any:
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


def _retry_after(reply: HttpResponse | Lost) -> float:
    """The seconds, or the date, of the header Retry-After (RFC 9110 §10.2.3); 0 where there is none."""
    headers = {} if isinstance(reply, Lost) else reply.headers
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(
            0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
        )
    except (KeyError, ValueError, TypeError):
        return 0.0


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _pairs(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, str(value))
        for name, values in _given(query).items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )
