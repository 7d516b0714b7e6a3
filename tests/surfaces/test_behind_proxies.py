"""Proxies on both sides: one that publishes the server under a path, one that leads to Slack."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import ClientSession, web

from bot.sandbox.mail.certificate import server_context
from bot.sandbox.mail.relay import Mailbox
from bot.slack.inbound import socket_mode
from tests.support.ports import free_port
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.sandbox.slack.sandbox import SlackSandbox

LOGIN = "robot:pa%20ss"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@contextlib.asynccontextmanager
async def stripping(port: int, target: str, prefix: str) -> AsyncIterator[None]:
    """A reverse proxy that serves `target` under `prefix` and nothing beside it."""

    async def forward(http: web.Request) -> web.Response:
        if not http.raw_path.startswith(prefix + "/"):
            return web.Response(status=502)
        url = target + http.raw_path.removeprefix(prefix)
        headers = {k: v for k, v in http.headers.items() if k in {"Content-Type", "Authorization"}}
        async with (
            ClientSession() as session,
            session.request(
                http.method, url, data=await http.read(), headers=headers, allow_redirects=False
            ) as answer,
        ):
            kept = {k: v for k, v in answer.headers.items() if k in {"Content-Type", "Location"}}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_under_a_path_that_a_proxy_takes_off_everything_works(
    sqlite_url: str, mailbox: Mailbox
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}/assent"
    async with (
        running(sqlite_url, mailbox=mailbox, assent_base_url=base) as product,
        stripping(port, product.assent.url, "/assent"),
        ClientSession(headers={"Authorization": f"Bearer {product.key}"}) as http,
    ):
        created = await http.post(
            f"{base}/v1/requests", json={"title": "Refund", "audience": ["email:ana@example.com"]}
        )
        request = await created.json()
        assert (await http.get(urljoin(str(created.url), created.headers["Location"]))).status == 200
        link = (await mailbox.next_message("ana@example.com")).link
        assert link.startswith(f"{base}/r/")
        for page in (link, f"{base}/docs"):
            text = await (await http.get(page)).text()
            for sheet in [part.split('"')[0] for part in text.split('<link rel="stylesheet" href="')[1:]]:
                assert (await http.get(urljoin(page, sheet))).status == 200
        answered = await http.post(
            link, data={"revision": "1", "decision": "approve"}
        )  # follows the redirect
        assert answered.status == 200
        assert "recorded" in await answered.text()
        assert (await product.get(request))["status"] == "approved"
        document = await (await http.get(f"{base}/openapi.json")).json()
        assert document["servers"] == [{"url": base}]
        assert 'href="/assent/openapi.json"' in await (await http.get(f"{base}/docs")).text()


class ConnectProxy:
    """An HTTP proxy that lets the right user through, to Slack alone; `to` is where that name leads."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.asked: list[str] = []
        self.refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            login = base64.b64encode(b"robot:pa ss").decode()
            if f"Proxy-Authorization: Basic {login}\r\n" not in head:
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif method != "CONNECT" or target not in {"slack.test:443", "wss.slack.test:443"}:
                self.refused += 1
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                self.asked.append(target)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await pipe(reader, writer, self.to)
        writer.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry bytes both ways until either side ends."""
    reader2, writer2 = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

    ways = [asyncio.create_task(copy(reader, writer2)), asyncio.create_task(copy(reader2, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        writer2.close()


@pytest.fixture
async def through_proxy(
    slack: SlackSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ConnectProxy]:
    """Slack at https://slack.test and wss://wss.slack.test, which only the proxy knows the way to."""
    host = slack.api_url.removeprefix("http://").partition("/")[0]
    monkeypatch.setattr(socket_mode, "PING_SECONDS", 0.1)
    context, _ = server_context(tmp_path)
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", anybody)
    backend = slack.api.backend
    opened = backend.open_socket
    monkeypatch.setattr(
        backend, "open_socket", lambda: opened().replace(f"ws://{host}", "wss://wss.slack.test")
    )

    async def tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pipe(reader, writer, int(host.partition(":")[2]))
        writer.close()

    front = await asyncio.start_server(tls, "127.0.0.1", 0, ssl=context)
    proxy = ConnectProxy(front.sockets[0].getsockname()[1])
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://{LOGIN}@127.0.0.1:{port}")
    yield proxy
    server.close()
    front.close()


async def test_every_leg_to_slack_goes_through_the_proxy(
    sqlite_url: str, slack: SlackSandbox, through_proxy: ConnectProxy
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    async with running(
        sqlite_url, slack=slack, socket_mode=True, slack_api_url="https://slack.test/api/"
    ) as product:
        await slack.wait_for(lambda: len(slack.sockets.connections) == 1)
        await product.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
        assert (await slack.click(ana, card, "Approve")).ack.ok
        await slack.wait_for(lambda: "Approved by Ana" in card.words)
    assert set(through_proxy.asked) == {"slack.test:443", "wss.slack.test:443"}
    assert through_proxy.refused == 0
