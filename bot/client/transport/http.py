"""Calls over HTTP, by httpx: blocking, and in asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from bot import __version__
from bot.client.transport.protocol import Call, HttpResponse, Lost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

ENDED = "the stream ended"
LIMITS = httpx.Limits(max_keepalive_connections=20)
"""Each waiter holds a connection for as long as it waits, so their number has no limit."""


class Endpoint(NamedTuple):
    """Where calls go: `url` as people see it, the API key, and the Unix socket that answers instead of a host."""

    url: str
    key: str
    surface: str
    socket: str | None = None

    def options(self, carrier: type[httpx.HTTPTransport | httpx.AsyncHTTPTransport]) -> dict[str, Any]:
        """What both of httpx's clients are made with."""
        headers = {
            "Accept": "application/json",
            "User-Agent": f"assent/{__version__}",
            "X-Assent-Surface": self.surface,
        }
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if self.socket:
            carried = carrier(uds=self.socket, limits=LIMITS)
            return {"base_url": "http://localhost", "headers": headers, "transport": carried}
        return {"base_url": self.url, "headers": headers, "limits": LIMITS}


class HttpTransport:
    """Makes calls and blocks until they are answered."""

    def __init__(self, place: Endpoint) -> None:
        self._url = place.url
        self._http = httpx.Client(**place.options(httpx.HTTPTransport))

    def make(self, call: Call) -> HttpResponse | Lost:
        time.sleep(call.delay)
        try:
            return _answer(self._url, self._http.request(**_arguments(call)))
        except httpx.TransportError as error:
            return _lost(self._url, error)

    def listen(self, call: Call) -> Generator[bytes | HttpResponse | Lost]:
        """Give the bytes of an answer as they arrive, and then what ended it."""
        time.sleep(call.delay)
        try:
            with self._http.stream(**_arguments(call)) as response:
                if not _streams(response):
                    response.read()
                    yield _answer(self._url, response)
                    return
                yield from response.iter_bytes()
            yield Lost(url=self._url, reason=ENDED, sent=True)
        except httpx.TransportError as error:
            yield _lost(self._url, error)

    def close(self) -> None:
        self._http.close()


class AsyncHttpTransport:
    """Makes calls in the running event loop."""

    def __init__(self, place: Endpoint) -> None:
        self._url = place.url
        self._http = httpx.AsyncClient(**place.options(httpx.AsyncHTTPTransport))

    async def make(self, call: Call) -> HttpResponse | Lost:
        await asyncio.sleep(call.delay)
        try:
            return _answer(self._url, await self._http.request(**_arguments(call)))
        except httpx.TransportError as error:
            return _lost(self._url, error)

    async def listen(self, call: Call) -> AsyncGenerator[bytes | HttpResponse | Lost]:
        """Give the bytes of an answer as they arrive, and then what ended it."""
        await asyncio.sleep(call.delay)
        try:
            async with self._http.stream(**_arguments(call)) as response:
                if not _streams(response):
                    await response.aread()
                    yield _answer(self._url, response)
                    return
                async for chunk in response.aiter_bytes():
                    yield chunk
            yield Lost(url=self._url, reason=ENDED, sent=True)
        except httpx.TransportError as error:
            yield _lost(self._url, error)

    async def aclose(self) -> None:
        await self._http.aclose()


def _streams(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("text/event-stream")


def _arguments(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.path,
        "params": call.query,
        "content": call.content,
        "headers": call.headers,
        "timeout": httpx.Timeout(call.patience, connect=5.0),
    }


def _answer(url: str, response: httpx.Response) -> HttpResponse:
    return HttpResponse(
        url=url, status=response.status_code, content=response.content, headers=response.headers
    )


def _lost(url: str, error: httpx.TransportError) -> Lost:
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return Lost(url=url, reason=str(error) or type(error).__name__, sent=sent)
