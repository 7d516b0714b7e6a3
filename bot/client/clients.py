"""The two clients: they differ only in who carries the calls of a flow."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from bot.client.operations import Operations

if TYPE_CHECKING:
    from bot.client.flows import Flow
    from bot.client.http import AsyncTransport, Transport

T = TypeVar("T")


class _Connected(Operations):
    def __init__(self, url: str | None = None, key: str | None = None, *, surface: str = "api") -> None:
        """Take the server's `url` and an API `key`, or else those of ASSENT_URL and ASSENT_API_KEY.

        `surface` is where its answers are recorded as coming from, such as `cli`. Raises ValueError where one
        of them cannot be used.
        """
        self.url = (url or os.environ.get("ASSENT_URL") or "http://127.0.0.1:8080").rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError(f"{self.url!r} is not a server's address, such as https://assent.example.com")
        self._surface = surface
        self._key = (key or os.environ.get("ASSENT_API_KEY") or "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("the API key has characters that no key has; copy it again")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


class Client(_Connected):
    """Assent for blocking code. Threads may share one; as a context manager it closes its connections."""

    @cached_property
    def _transport(self) -> Transport:
        from bot.client.http import Transport  # noqa: PLC0415 - httpx takes longer to import than all of this

        return Transport(self.url, self._key, self._surface)

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow through to its result."""
        try:
            call = next(flow)
            while True:
                call = flow.send(self._transport.make(call))
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Connected):
    """Assent for asyncio. As an asynchronous context manager it closes its connections."""

    @cached_property
    def _transport(self) -> AsyncTransport:
        from bot.client.http import AsyncTransport  # noqa: PLC0415 - as above

        return AsyncTransport(self.url, self._key, self._surface)

    async def run(self, flow: Flow[T]) -> T:
        """Carry a flow through to its result."""
        try:
            call = next(flow)
            while True:
                call = flow.send(await self._transport.make(call))
        except StopIteration as end:
            result: T = end.value
            return result

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
