"""The `Idempotency-Key` that a call may bring: with it, a call again is answered, not carried out."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.approvals.offload import aside
from bot.domain.errors import Fault, Invalid
from bot.ports.store import Idempotency
from bot.web.calls.json_body import read_json

if TYPE_CHECKING:
    from aiohttp import web

    from bot.domain.model.request import Json

MAX_IDEMPOTENCY_KEY = 255
_UNDECODED = re.compile(r"[\udc80-\udcff]")
"""What a byte of a header becomes that is not UTF-8 (PEP 383)."""


async def idempotency(http: web.Request, within: str) -> Idempotency | None:
    """The call's key, if it has one, which is known `within` an API key, or of an answer within a request, too."""
    sent = await sent_with(http)
    return sent and known_within(sent, within)


def known_within(sent: Idempotency, place: str) -> Idempotency:
    """A key that was sent, as it is known within one place."""
    return replace(sent, key=f"{place}:{sent.key}")


async def sent_with(http: web.Request) -> Idempotency | None:
    """The key that a call brings, as it was sent; raises `Invalid`."""
    key = http.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key.strip()) <= MAX_IDEMPOTENCY_KEY:
        raise Invalid([Fault("/Idempotency-Key", f"must have 1 to {MAX_IDEMPOTENCY_KEY} characters")])
    if _UNDECODED.search(key):
        raise Invalid([Fault("/Idempotency-Key", "is not UTF-8; send it as UTF-8, or in ASCII only")])
    body = await read_json(http, empty=True)
    return Idempotency(key=key.strip(), digest=await aside(lambda: _digest(body), body))


def _digest(body: Json) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
