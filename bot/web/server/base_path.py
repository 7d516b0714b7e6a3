"""Where a proxy publishes the server under a path and takes it off: what we send back needs it put on again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web


def published_under(root: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal that puts `root` (`/assent`, or empty) before the path of every `Location`."""

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        location = response.headers.get(hdrs.LOCATION, "")
        if root and location.startswith("/") and not location.startswith("//"):
            response.headers[hdrs.LOCATION] = root + location

    return prepare
