"""The two clients: they differ only in who carries the calls of a flow."""

from __future__ import annotations

import os
import threading
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from bot.client.terminal.spinner import Waiting
from bot.client.transport.operations import RETRY_FOR, Operations
from bot.keyfile import api_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from bot.client.transport.database_server import LocalServer
    from bot.client.transport.events import Event, Following
    from bot.client.transport.http import Endpoint
    from bot.client.transport.protocol import Call, Flow, HttpResponse, Lost

T = TypeVar("T")

DATABASES = frozenset({"sqlite", "postgresql", "postgresql+psycopg", "postgres"})
"""Schemes of URLs that name a database."""


class Transport(Protocol):
    """Makes calls, and listens to streams until something ends them."""

    def make(self, call: Call) -> HttpResponse | Lost: ...
    def listen(self, call: Call) -> Generator[bytes | HttpResponse | Lost]: ...
    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """The same for asyncio."""

    async def make(self, call: Call) -> HttpResponse | Lost: ...
    def listen(self, call: Call) -> AsyncGenerator[bytes | HttpResponse | Lost]: ...
    async def aclose(self) -> None: ...


class _Connected(Operations):
    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        surface: str = "api",
        retry_for: float = RETRY_FOR,
    ) -> None:
        """Take the server's `url` and an API `key`, or else those of ASSENT_URL and ASSENT_API_KEY.

        ASSENT_API_KEY_FILE names a file with the key instead.

        A database's URL (`sqlite:///assent.db`, `postgresql://…`) needs no server and no key: the same calls are then
        answered in this process, and an `assent serve` on that database tells the people (needs `assent[server]`).
        `surface` is where its answers are recorded as coming from, such as `cli`. While the server is away, each call
        is made again for up to `retry_for` seconds (0: it is made once); `wait` and `events` go on for as long as their
        own time lasts. Raises ValueError where one of them cannot be used.
        """
        if not retry_for >= 0:
            raise ValueError(f"retry_for must be 0 or more seconds, not {retry_for!r}")
        self.retry_for = retry_for
        address = (url or os.environ.get("ASSENT_URL") or "http://127.0.0.1:8080").rstrip("/")
        self._connecting = threading.Lock()
        self._local = _local(address)
        self.url = self._local.url if self._local else address
        self._surface = surface
        self._key = (key or api_key(os.environ) or "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("the API key has characters that no key has; copy it again")

    def _place(self) -> Endpoint:
        from bot.client.transport.http import Endpoint  # noqa: PLC0415 - httpx takes longer to import than all of this

        if self._local:
            socket, key = self._local.start()
            return Endpoint(self.url, key, self._surface, socket)
        return Endpoint(self.url, self._key, self._surface)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


def _local(address: str) -> LocalServer | None:
    """What answers for a database; None for the address of a server. Raises ValueError for anything else."""
    parts = urlsplit(address)
    if parts.scheme in DATABASES:
        from bot.client.transport.database_server import LocalServer  # noqa: PLC0415 - as above

        return LocalServer(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"{address!r} is not a server's address, such as https://assent.example.com")
    return None


class Client(_Connected):
    """Assent for blocking code. Threads may share one; as a context manager it closes its connections."""

    _transport: Transport | None = None

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow through to its result."""
        transport = self._connected()
        with Waiting() as waiting:
            try:
                call = next(flow)
                while True:
                    waiting.say(call.about)
                    call = flow.send(transport.make(call))
            except StopIteration as end:
                result: T = end.value
                return result

    def iterate(self, following: Following) -> Generator[Event]:
        """Follow a stream; give its events as they come."""
        transport = self._connected()
        while not following.done:
            with closing(transport.listen(following.call())) as arriving:
                for part in arriving:
                    yield from following.take(part)

    def _connected(self) -> Transport:
        from bot.client.transport.http import HttpTransport  # noqa: PLC0415 - as above

        with self._connecting:
            if self._transport is None:
                self._transport = HttpTransport(self._place())
            return self._transport

    def close(self) -> None:
        """Close the connections; over a database, also the part of Assent that answers in this process."""
        transport, self._transport = self._transport, None
        if transport:
            transport.close()
        if self._local:
            self._local.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Connected):
    """Assent for asyncio. As an asynchronous context manager it closes its connections."""

    _transport: AsyncTransport | None = None

    async def run(self, flow: Flow[T]) -> T:
        """Carry a flow through to its result."""
        transport = await self._connected()
        with Waiting() as waiting:
            try:
                call = next(flow)
                while True:
                    waiting.say(call.about)
                    call = flow.send(await transport.make(call))
            except StopIteration as end:
                result: T = end.value
                return result

    async def iterate(self, following: Following) -> AsyncGenerator[Event]:
        """Follow a stream; give its events as they come."""
        transport = await self._connected()
        while not following.done:
            async with aclosing(transport.listen(following.call())) as arriving:
                async for part in arriving:
                    for event in following.take(part):
                        yield event

    async def _connected(self) -> AsyncTransport:
        from asyncio import to_thread  # noqa: PLC0415 - blocking programs need not load it

        from bot.client.transport.http import AsyncHttpTransport  # noqa: PLC0415 - as above

        if self._transport is None:
            place = await to_thread(self._place)
            self._transport = self._transport or AsyncHttpTransport(place)
        return self._transport

    async def aclose(self) -> None:
        """Close the connections; over a database, also the part of Assent that answers in this process."""
        transport, self._transport = self._transport, None
        if transport:
            await transport.aclose()
        if self._local:
            from asyncio import to_thread  # noqa: PLC0415 - as above

            await to_thread(self._local.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
