"""Bytes ↔ JSON at the edge: strict on the way in, `application/problem+json` for what goes wrong."""

from __future__ import annotations

import asyncio
import json
import math
import re
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from bot.domain.errors import AlreadyResolved, AssentError, Fault, Invalid, Malformed, RateLimited, TooLarge
from bot.schemas.members import RepeatedMember, distinct
from bot.schemas.responses import brief_json, request_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.model.request import Json, Request
    from bot.schemas.answers import Problem, ProblemOut

MAX_BODY = 1024 * 1024
"""Bytes of a request body."""
RETRY_SECONDS = "5"
"""After which it may work again, where it does not just now (`Retry-After`)."""
LARGE_BODY = 32 * 1024
"""Bytes of a body that is read in a thread, so that other calls go on."""
MAX_NESTING = 512
"""Levels of a request body: what calls itself once a level, as `repr` and `json` do, ends at about 1000."""


async def read_json(request: web.Request, *, empty: bool = False) -> Json:
    """The body as JSON; raises `Malformed` or `TooLarge`. With `empty`, no body means `{}`."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    if coding := request.headers.get("Content-Encoding", "").strip().lower().removeprefix("identity"):
        raw = await asyncio.to_thread(unpacked, raw, coding)
    if empty and not raw.strip():
        return {}
    return await asyncio.to_thread(loads, raw) if len(raw) > LARGE_BODY else loads(raw)


def unpacked(raw: bytes, coding: str) -> bytes:
    """The body that was sent compressed, never more of it than a body may have; raises `Malformed` or `TooLarge`."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise Malformed(
            f"The body is compressed as {coding[:40]!r}; send it as it is, or compressed as gzip."
        )
    reader = zlib.decompressobj(_EITHER_HEAD)
    try:
        body = reader.decompress(raw, MAX_BODY + 1)
    except zlib.error:
        raise Malformed(f"The body is not compressed as its Content-Encoding says ({coding}).") from None
    if len(body) > MAX_BODY:
        raise _too_large()
    if not reader.eof or reader.unused_data:
        raise Malformed("The compressed body broke off, or has more after its end.")
    return body


_EITHER_HEAD = zlib.MAX_WBITS + 32
"""That of gzip (RFC 1952) or of zlib (RFC 1950), which HTTP calls deflate."""


def _too_large() -> TooLarge:
    return TooLarge(f"A body may have {MAX_BODY} bytes; send less, or a link to it.")


def loads(raw: bytes) -> Json:
    """Strict JSON: UTF-8, no NaN, no lone surrogates, no NUL; raises `Malformed` with where."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise Malformed("The body is nested too deep.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_NESTING and _nesting(value) > MAX_NESTING:
        raise Malformed("The body is nested too deep.")
    if b"\\u0000" in raw and _holds_nul(value):
        raise Malformed("The body holds a NUL character (\\u0000); leave it out.")
    return _exact(raw) if _LONG_NUMBER.search(raw) or _may_repeat(raw, value) else value


_LONG_NUMBER = re.compile(rb"[0-9]{17}")


def _exact(raw: bytes) -> Json:
    """The same value with integers of any size: orjson makes floats of those beyond 64 bits."""
    try:
        return json.loads(raw, object_pairs_hook=distinct)
    except RepeatedMember as error:
        raise Malformed(f"In the body {error}.") from None
    except (ValueError, RecursionError):
        raise Malformed("The body holds a number that is too long, or is nested too deep.") from None


def _may_repeat(raw: bytes, value: Json) -> bool:
    """Whether a member's name may stand twice in an object: there are more colons than names, or within texts.

    Every member has its own colon, so a body with no more colons than its objects have members repeats none.
    """
    colons = raw.count(b":")
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            colons -= len(item)
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return colons > 0


def _nesting(value: Json) -> int:
    """How many levels of lists and objects there are."""
    levels, inner = 0, [value]
    while inner := [item for item in inner if isinstance(item, list | dict)]:
        levels += 1
        inner = [part for item in inner for part in (item.values() if isinstance(item, dict) else item)]
    return levels


def _holds_nul(value: Json) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str) and "\x00" in item:
            return True
        if isinstance(item, dict):
            pending += [*item, *item.values()]
        elif isinstance(item, list):
            pending += item
    return False


def respond(value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as a JSON answer."""
    return _json(orjson.dumps(value), status, headers)


def respond_request(
    request: Request, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A request as a JSON answer. Its id and version say all of its state, so small ones are written out once."""
    key = request.id, request.version
    body = _WRITTEN.get(key)
    if body is None:
        body = orjson.dumps(request_json(request))
        if len(body) <= MAX_WRITTEN:
            if len(_WRITTEN) >= MOST_WRITTEN:
                _WRITTEN.clear()
            _WRITTEN[key] = body
    return _json(body, status, headers)


MAX_WRITTEN, MOST_WRITTEN = 16 * 1024, 1024
"""Bytes of a request whose JSON is kept for the next who asks, and how many are kept: at most 16 MiB."""
_WRITTEN: dict[tuple[str, int], bytes] = {}


def _json(body: bytes, status: int, headers: Mapping[str, str] | None) -> web.Response:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return web.Response(body=body, status=status, headers=kind | dict(headers) if headers else kind)


def problem_json(error: AssentError) -> ProblemOut:
    """An error as RFC 9457 says it, with our stable `code` and every fault."""
    body: ProblemOut = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if isinstance(error, Invalid):
        body["errors"] = [{"pointer": f.pointer, "detail": f.detail} for f in error.faults]
    if isinstance(error, AlreadyResolved):
        body["request"] = brief_json(error.request) if error.withheld else request_json(error.request)
    return body


def problem(error: AssentError, request_id: str) -> web.Response:
    """The answer to a call that was refused; `request_id` is the call's, as in the log."""
    body: Problem = {**problem_json(error), "request_id": request_id}
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.seconds)
    elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_SECONDS
    return web.Response(
        body=orjson.dumps(body), status=error.status, content_type="application/problem+json", headers=headers
    )


_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")


def positive_number(query: Mapping[str, str], name: str, default: float, most: float) -> float:
    """A query parameter above zero, lowered to `most`; raises `Invalid` for anything else."""
    text = query.get(name)
    if text is None:
        return default
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not number > 0:
        raise Invalid([Fault(f"/{name}", f"must be a number above 0, at most {most:g}")])
    return min(number, most)


def positive_whole(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """As `positive_number`, for whole numbers."""
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,100}", text) or int(text) == 0:
        raise Invalid([Fault(f"/{name}", f"must be a whole number above 0, at most {most}")])
    return min(int(text), most)
