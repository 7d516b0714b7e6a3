"""What a hostile client may send: it is refused in words, echoes nothing, and holds nobody else up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot import logs
from bot.domain.errors import RateLimited
from bot.web.calls import limits
from bot.web.calls.trusted_proxies import Proxies, limited_as
from bot.web.server.connections import Patience, Runner
from tests.support.product import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Product

SHORT = Patience(head=0.3, body=0.3, body_rate=1000, reading=0.3, idle=30.0)
TOKEN = "ab2cd" * 7 + "abcd"


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def _wait(_request: web.Request) -> web.Response:
    await asyncio.sleep(0.8)
    return web.Response(text="waited")


async def _flood(_request: web.Request) -> web.Response:
    return web.Response(body=b"x" * 50_000_000)


async def _beats(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(4):
        await answer.write(b": alive\n\n")
        await asyncio.sleep(0.2)
    return answer


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that has little patience, with the middleware of the product."""
    from bot.web.server import application  # noqa: PLC0415 - only here

    routes = [
        web.post("/echo", _echo),
        web.get("/wait", _wait),
        web.get("/flood", _flood),
        web.get("/beats", _beats),
    ]
    runner = Runner(application.build(routes, {}), patience=SHORT, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def _closed_after(port: int, *parts: bytes, pause: float = 0.1) -> float:
    """Seconds until the server closes a connection on which these parts were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(10):
            with_rest = asyncio.create_task(_drip(writer, parts, pause))
            try:
                while await reader.read(65536):
                    pass
            except ConnectionError:
                pass
            with_rest.cancel()
    finally:
        writer.close()
    return loop.time() - began


async def _drip(writer: asyncio.StreamWriter, parts: tuple[bytes, ...], pause: float) -> None:
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET /wait HTTP/1.1\r\nHost:",),
        (b"GET /wait HTTP/1.1\r\nHost: x\r\n", *[b"X: y\r\n"] * 60),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nx",),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n", *[b"x"] * 60),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",),
    ],
    ids=["nothing", "head", "slow head", "body", "slow body", "chunk"],
)
async def test_who_sends_half_or_too_slowly_is_closed(port: int, parts: tuple[bytes, ...]) -> None:
    assert 0.2 < await _closed_after(port, *parts) < 5


async def test_who_does_not_read_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(1.5)
    assert await _rest(reader) < 50_000_000
    writer.close()


async def _rest(reader: asyncio.StreamReader) -> int:
    """How many bytes still come before the connection ends."""
    got = 0
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(65536):
            got += len(part)
    return got


async def test_waits_streams_and_idle_connections_owe_nothing(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path, last in (("wait", b"waited"), ("beats", b"0\r\n\r\n"), ("wait", b"waited")):
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head
            await reader.readuntil(last)
        await asyncio.sleep(0.6)
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        f"GET /R/{TOKEN.upper()} HTP/1.1\r\n\r\n",
        f"GET %2Fr%2F{TOKEN} HTTP/1.1 x\r\n\r\n",
        f"GET /r//{TOKEN}\x01 HTTP/9\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\x01\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nX: {'y' * 9000}{KEY}\r\n\r\n",
    ],
)
async def test_a_malformed_head_is_one_line_of_the_log_and_echoes_nothing(
    product: Product, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(product.url.rpartition(":")[2]))
    writer.write(head.encode())
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    assert answer.startswith(("HTTP/1.0 400", "HTTP/1.1 400"))
    assert '"malformed"' in answer
    assert "no-store" in answer
    assert "nosniff" in answer
    said = answer + caplog.text
    assert TOKEN.lower() not in said.lower()
    assert KEY not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "text",
    [
        f"/R/{TOKEN.upper()}",
        f"%2Fr%2F{TOKEN}",
        f"%252Fr%252F{TOKEN}?x=1",
        f"/r//{TOKEN}",
        "/r/" + "%61" + TOKEN[1:],
        "Authorization: Bearer another-key-of-somebody",
        "key=my%2Dconfigured%2Dsecret",
        "my-configured-secret\x01",
    ],
)
def test_no_spelling_of_a_secret_stays_in_a_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_KEPT", set())
    logs.keep_secret(["my-configured-secret", "short"])
    told = logs.redact(
        None, "", {"event": f"no {text} here", "deep": [{"url": text}], "error": ValueError(text)}
    )
    for secret in (TOKEN[1:], "another-key", "configured"):
        assert secret.lower() not in str(told).lower()
    assert "no " in told["event"]
    assert " here" in told["event"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"title": "x", "payload": {"amount": 1, "amount": 1000000}}', 400),
        ('{"title": "x", "payload": {"a": [{"b": {"c": 1, "d": "a:b", "c": 2}}]}}', 400),
        ('{"title": "x", "title": "y"}', 400),
        ('{"title": "x", "payload": {"a": {"b": "http://x:1"}, "c": {"b": 1}}}', 201),
    ],
)
async def test_a_member_stands_once(product: Product, body: str, status: int) -> None:
    full = body[:-1] + ', "audience": ["ana@example.com"]}'
    headers = {"Content-Type": "application/json"}
    answer = await product.call("POST", "/v1/requests", data=full, headers=headers)
    assert (answer.status, answer.json.get("code")) == (status, "malformed" if status == 400 else None)
    if status == 400:
        assert "more than once" in answer.json["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/requests", "/nowhere", "/metrics", "/v1/pending", "/openapi.json"]
)
async def test_every_answer_says_what_may_be_kept_and_that_its_type_is_meant(
    product: Product, method: str, path: str
) -> None:
    answer = await product.call(method, path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] in {"no-store", "public, max-age=300"}
    assert (await product.call("GET", path, headers={"Authorization": ""})).headers["Cache-Control"]


async def test_a_request_is_reminded_once_a_minute(product: Product) -> None:
    path = f"/v1/requests/{(await product.submit())['id']}/remind"
    assert (await product.call("POST", path, json={})).status == 200
    again = await product.call("POST", path, json={}, headers=await product.new_key("operate"))
    assert (again.status, again.json["code"]) == (429, "rate_limited")
    assert 0 < int(again.headers["Retry-After"]) <= 60


async def test_one_key_comments_thirty_times_an_hour(product: Product) -> None:
    path = f"/v1/requests/{(await product.submit())['id']}/comments"
    statuses = [(await product.call("POST", path, json={"text": f"{n}"})).status for n in range(31)]
    assert statuses == [200] * 30 + [429]
    asked = await product.call("POST", path, json={"text": "?", "respondent": "email:ana@example.com"})
    assert asked.status == 200


def test_submissions_are_two_hundred_a_second_with_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    buckets = limits.submissions()
    for _ in range(2000):
        buckets.take("a")
    with pytest.raises(RateLimited):
        buckets.take("a")
    buckets.take("b")
    now += 1
    for _ in range(200):
        buckets.take("a")
    with pytest.raises(RateLimited):
        buckets.take("a")


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.1.1.1", "198.51.100.9", "198.51.100.9"),
        ("10.1.1.1", "1.1.1.1, 198.51.100.9, 10.2.2.2", "198.51.100.9"),
        ("10.1.1.1", "1.1.1.1, nonsense, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "198.51.100.9:4711", "198.51.100.9"),
        ("10.1.1.1", "[2001:db8::1]:80", "2001:db8::1"),
        ("198.51.100.1", "1.1.1.1", "198.51.100.1"),
    ],
)
def test_only_trusted_proxies_say_who_calls(peer: str, said: str, client: str) -> None:
    from aiohttp.test_utils import make_mocked_request  # noqa: PLC0415 - only here

    headers = {"X-Forwarded-For": said, "X-Forwarded-Proto": "https"}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)
    seen = Proxies(["10.0.0.0/8"]).seen_through(request)
    assert (seen.remote, seen.scheme) == (client, "https" if peer.startswith("10.") else "http")


def test_one_line_has_one_limit() -> None:
    assert limited_as("2001:db8::1") == limited_as("2001:db8::ffff:1") != limited_as("2001:db8:0:1::1")
    assert limited_as("::ffff:192.0.2.1") == "192.0.2.1"
