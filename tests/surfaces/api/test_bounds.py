"""Limits of what one call may bring, and of who makes it, on the running product."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from bot.web.calls import auth
from bot.web.server import application
from bot.web.server.connections import Patience, Runner
from tests.support.product import running

if TYPE_CHECKING:
    from tests.support.product import Answer, Product

ASKED: dict[str, Any] = {"title": "Refund", "audience": ["email:ana@example.com"]}
BODY = json.dumps(ASKED).encode()
MIB = 2**20
MANY = 20_000
"""Values that a payload may have."""


async def submitted(product: Product, **fields: Any) -> Answer:
    return await product.call("POST", "/v1/requests", json=ASKED | fields)


async def packed(product: Product, body: bytes, coding: str) -> Answer:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    return await product.call("POST", "/v1/requests", data=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "X-GZIP"),
        (zlib.compress(BODY), "deflate"),
        (BODY, "identity"),
        (gzip.compress(BODY + b" " * (MIB - len(BODY))), "gzip"),
    ],
    ids=["gzip", "x-gzip", "zlib", "as it is", "of the largest size"],
)
async def test_a_body_may_be_compressed(product: Product, body: bytes, coding: str) -> None:
    assert (await packed(product, body, coding)).status == 201


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (gzip.compress(BODY + b" " * MIB), "gzip", 413, "too_large"),
        (gzip.compress(b" " * 100 * MIB), "gzip", 413, "too_large"),
        (zlib.compress(b" " * 100 * MIB), "deflate", 413, "too_large"),
        (gzip.compress(BODY)[:-9], "gzip", 400, "malformed"),
        (gzip.compress(BODY) + b"{}", "gzip", 400, "malformed"),
        (gzip.compress(BODY), "deflate, gzip", 400, "malformed"),
        (BODY, "gzip", 400, "malformed"),
        (BODY, "br", 400, "malformed"),
        (BODY, "zstd", 400, "malformed"),
    ],
    ids=["1 MiB", "100 MiB", "zlib", "broken off", "more", "twice", "not at all", "brotli", "zstd"],
)
async def test_a_compressed_body_is_never_unpacked_further_than_a_body_may_be_long(
    product: Product, body: bytes, coding: str, status: int, code: str
) -> None:
    answer = await packed(product, body, coding)
    assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    "payload",
    [
        [0] * MANY,
        {f"m{n}": n for n in range(MANY)},
        {"x": [[n] for n in range(MANY // 2)]},
    ],
    ids=["list", "members", "lists"],
)
async def test_a_payload_has_a_largest_number_of_values(product: Product, payload: Any) -> None:
    refused = await submitted(product, payload=payload)
    fault = {"pointer": "/payload", "detail": "has more than 20,000 values; send fewer, or a link to them"}
    assert (refused.status, refused.json["errors"]) == (422, [fault])
    request = (await submitted(product, payload=[0] * (MANY - 1))).json
    revised = await product.call("POST", f"/v1/requests/{request['id']}/revise", json={"payload": payload})
    assert (revised.status, revised.json["errors"]) == (422, [fault])


async def test_values_that_are_filled_in_have_a_largest_number_too(product: Product) -> None:
    form = {"type": "object", "properties": {"amounts": {"type": "string"}}}
    request = await product.submit(form=form, payload={"amounts": "1"})
    refused = await product.answer(request, "approve", "ana@example.com", values={"amounts": [1] * MANY})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/values")


async def test_a_phrase_of_any_length_is_compared_at_once(product: Product) -> None:
    long = "e\u0301 " * 100_000
    began = time.process_time()
    refused = await submitted(product, level="verify", verification_phrase=long)
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/verification_phrase")
    request = (await submitted(product, level="verify", verification_phrase="delete é")).json
    for typed in (long, "delete é" + " " * 100_000 + "x"):
        wrong = await product.answer(request, "approve", "ana@example.com", phrase=typed)
        assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "/phrase")
    assert time.process_time() - began < 2
    right = await product.answer(request, "approve", "ana@example.com", phrase=" delete   e\u0301 ")
    assert right.json["status"] == "approved"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("cancel", {}),
        ("remind", {}),
        ("escalate", {}),
        ("revise", {"title": "Refund less"}),
        ("delegate", {"from": "email:ana@example.com", "to": "email:ben@example.com"}),
    ],
)
async def test_a_reason_has_a_largest_length(product: Product, call: str, said: dict[str, str]) -> None:
    request = await product.submit()
    path = f"/v1/requests/{request['id']}/{call}"
    refused = await product.call("POST", path, json={**said, "reason": "x" * 3001})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/reason")


@pytest.mark.parametrize("known", ["9" * 5000, str(2**63), "-1", "1e9", "٣", " ", "1 2"])
async def test_an_event_that_nobody_was_told_is_refused(product: Product, known: str) -> None:
    request = await product.submit()
    for path in ("/v1/events", f"/v1/requests/{request['id']}/events"):
        answer = await product.call("GET", path, headers={"Last-Event-ID": known})
        assert (answer.status, answer.json["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    "query",
    [
        [("q", "%a_b" * 1000)],
        [("q", "w o r d " * 700)],
        [("q", "\\" * 2000)],
        [("label", f"key{n}:value") for n in range(20)],
        [("label", "a:" + "b" * 5000)],
    ],
    ids=["wildcards", "words", "backslashes", "many labels", "a long label"],
)
async def test_a_search_for_anything_takes_no_time(product: Product, query: list[tuple[str, str]]) -> None:
    await product.submit(title="w" * 100_000, labels={"a": "b"})
    began = time.process_time()
    answer = await product.call("GET", "/v1/requests", params=query)
    assert (answer.status, answer.json["items"]) == (200, [])
    assert time.process_time() - began < 0.5


async def test_a_search_names_a_few_labels(product: Product) -> None:
    labels = [("label", f"key{n}:value") for n in range(21)]
    answer = await product.call("GET", "/v1/requests", params=labels)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/label")


async def test_a_stream_may_not_be_kept_and_is_what_it_says(product: Product) -> None:
    request = await product.submit()
    for path in ("/v1/events", f"/v1/requests/{request['id']}/events"):
        async with product.http.get(path) as stream:
            assert (stream.status, stream.content_type) == (200, "text/event-stream")
            assert "no-store" in stream.headers["Cache-Control"]
            assert stream.headers["X-Content-Type-Options"] == "nosniff"


async def _failed(product: Product, said: str) -> int:
    """The status of a call without a key, that says it comes for somebody else."""
    headers = {"X-Forwarded-For": said, "Authorization": ""}
    return (await product.call("GET", "/v1/pending", headers=headers)).status


async def test_failures_behind_a_trusted_proxy_are_those_of_the_caller(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "MAX_FAILURES", 2)
    monkeypatch.setattr(auth.time, "monotonic", lambda: 1000.0)
    async with running(sqlite_url, assent_trusted_proxies="127.0.0.0/8") as product:
        statuses = [await _failed(product, "1.1.1.1, 198.51.100.9") for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert (
            await _failed(product, "2.2.2.2, 198.51.100.9") == 429
        )  # what the caller made up counts for nothing
        assert await _failed(product, "198.51.100.10") == 401
        assert await _failed(product, "198.51.100.9, 127.0.0.2") == 429
        assert (await product.call("GET", "/v1/pending")).status == 200


async def test_what_an_unknown_peer_says_of_its_address_is_not_believed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "MAX_FAILURES", 2)
    monkeypatch.setattr(auth.time, "monotonic", lambda: 1000.0)
    async with running(sqlite_url, assent_trusted_proxies="10.0.0.0/8") as product:
        statuses = [await _failed(product, f"198.51.100.{n}") for n in range(3)]
        assert statuses == [401, 401, 429]


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def test_six_hundred_connections_with_half_a_head_are_closed_and_hold_nobody_up() -> None:
    patience = Patience(head=1.0, body=1.0, reading=1.0, idle=30.0)
    application_ = application.build([web.get("/here", _healthy)], {})
    runner = Runner(application_, patience=patience, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    port = runner.addresses[0][1]
    try:
        held = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(600)))
        for _, writer in held:
            writer.write(b"GET /here HTTP/1.1\r\nHost: x")
        async with ClientSession() as http, http.get(f"http://127.0.0.1:{port}/here") as answer:
            assert answer.status == 200
        async with asyncio.timeout(15):
            rests = await asyncio.gather(*(_rest(reader) for reader, _ in held))
        assert rests == [b""] * 600
    finally:
        for _, writer in held:
            writer.close()
        await runner.cleanup()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""
