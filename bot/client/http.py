"""Calls over HTTP, by httpx: blocking, and in asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from bot import __version__
from bot.client.flows import Answer, Call, Lost


class Transport:
    """Makes calls and blocks until they are answered."""

    def __init__(self, url: str, key: str, surface: str) -> None:
        self._url = url
        self._http = httpx.Client(**_options(url, key, surface))

    def make(self, call: Call) -> Answer | Lost:
        time.sleep(call.delay)
        try:
            return _answer(self._url, self._http.request(**_arguments(call)))
        except httpx.TransportError as error:
            return _lost(self._url, error)

    def close(self) -> None:
        self._http.close()


class AsyncTransport:
    """Makes calls in the running event loop."""

    def __init__(self, url: str, key: str, surface: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(**_options(url, key, surface))

    async def make(self, call: Call) -> Answer | Lost:
        await asyncio.sleep(call.delay)
        try:
            return _answer(self._url, await self._http.request(**_arguments(call)))
        except httpx.TransportError as error:
            return _lost(self._url, error)

    async def aclose(self) -> None:
        await self._http.aclose()


def _options(url: str, key: str, surface: str) -> dict[str, Any]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"assent/{__version__}",
        "X-Assent-Surface": surface,
    }
    if key:
        headers["Authorization"] = f"Bearer {key}"
    # Each waiter holds a connection for as long as it waits, so their number has no limit.
    return {"base_url": url, "headers": headers, "limits": httpx.Limits(max_keepalive_connections=20)}


def _arguments(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.path,
        "params": call.query,
        "content": call.content,
        "headers": call.headers,
        "timeout": httpx.Timeout(call.patience, connect=5.0),
    }


def _answer(url: str, response: httpx.Response) -> Answer:
    return Answer(url=url, status=response.status_code, content=response.content, headers=response.headers)


def _lost(url: str, error: httpx.TransportError) -> Lost:
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return Lost(url=url, reason=str(error) or type(error).__name__, sent=sent)
