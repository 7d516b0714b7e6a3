"""What every answer carries, whoever made it."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_PROCESS, _COUNT = secrets.token_hex(6), itertools.count(1)
"""Request ids: the process, and the request's number in it."""


def new_id() -> str:
    """The id of a request that brings none."""
    return f"{_PROCESS}-{next(_COUNT):x}"


def harden(response: web.StreamResponse) -> None:
    """Nothing is kept by caches that does not say so, and nothing is taken for another media type."""
    headers = response.headers
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"


async def on_prepare(_request: web.Request, response: web.StreamResponse) -> None:
    """Harden an answer just before it is sent, streams and errors included."""
    harden(response)
