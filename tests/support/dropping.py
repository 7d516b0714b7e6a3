"""A proxy in front of a server that loses answers: the call was carried out, and its caller hears nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Dropping:
    """Hands calls on, one a connection; the answers of the next `drops` get lost, and each call is in `calls`."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.drops = 0
        self.calls: list[str] = []
        self.url = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            call = await _message(reader)
            self.calls.append(call.split(b"\r\n", 1)[0].decode())
            answer = await self._answer(call)
            if self.drops:
                self.drops -= 1
                writer.transport.abort()
                return
            writer.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            await writer.drain()

    async def _answer(self, call: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        with contextlib.closing(writer):
            writer.write(call)
            return await _message(reader)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with the length that it says."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    return head + (await reader.readexactly(int(lengths[0])) if lengths else b"")


@contextlib.asynccontextmanager
async def dropping(upstream: str) -> AsyncIterator[Dropping]:
    """A proxy before the server at `upstream`."""
    proxy = Dropping(upstream)
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    async with server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
