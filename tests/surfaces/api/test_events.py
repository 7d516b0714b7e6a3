"""Streams of events: complete, in order, live, resumable, and cheap for the server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from datetime import UTC, datetime
from json import loads
from typing import TYPE_CHECKING, Any, Self

from bot.store.queries import api_keys
from bot.web.api import events
from bot.web.calls import auth
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest
    from aiohttp import ClientResponse

    from tests.support.product import Json, Product

ANA, BEN = "email:ana@example.com", "email:ben@example.com"


class Stream:
    """An open stream, as a client reads it."""

    def __init__(self, response: ClientResponse) -> None:
        self.headers = response.headers
        self.comments: list[str] = []
        self._lines = response.content

    async def block(self) -> dict[str, str] | None:
        """The fields up to the next empty line; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(20):
            async for line in self._lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if not line.strip():
                    return fields
                if name:
                    fields[name] = value
                else:
                    self.comments.append(value)
        return None

    async def event(self) -> Json:
        """The next event's data, which agrees with its other fields."""
        fields: dict[str, str] | None = {}
        while fields is not None and "data" not in fields:
            fields = await self.block()
        assert fields
        data = loads(fields["data"])
        assert (fields["id"], fields["event"]) == (str(data["id"]), data["type"])
        return data

    async def rest(self) -> list[Json]:
        """Every event up to the end of the stream."""
        found = []
        while (fields := await self.block()) is not None:
            if "data" in fields:
                found.append(loads(fields["data"]))
        return found

    async def until(self, met: Callable[[Self], bool]) -> None:
        """Read on until something is so."""
        while not met(self):
            assert await self.block() is not None


@contextlib.asynccontextmanager
async def following(
    product: Product, request: Json | None = None, after: int | None = None, **options: Any
) -> AsyncIterator[Stream]:
    """A stream whose first block, which says when to retry and where it begins, has been read."""
    path = f"/v1/requests/{request['id']}/events" if request else "/v1/events"
    if after is not None:
        options["headers"] = {"Last-Event-ID": str(after)}
    async with product.http.get(path, **options) as response:
        assert response.status == 200, await response.text()
        stream = Stream(response)
        first = await stream.block()
        assert first
        assert first["retry"] == "2000"
        assert after is None or first["id"] == str(after)
        yield stream


async def history(product: Product, request: Json) -> list[Json]:
    items: list[Json] = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
    return items


async def test_a_request_is_followed_from_its_first_event_to_its_last(product: Product) -> None:
    request = await product.submit(audience=[ANA, BEN], quorum=2)
    async with following(product, request) as stream:
        assert (await stream.event())["type"] == "request.created"
        await product.submit(title="Another")
        await product.answer(request, "approve", "ana@example.com")
        response = await stream.event()
        assert (response["type"], response["data"]["name"]) == ("request.response", "ana@example.com")
        await product.answer(request, "approve", "ben@example.com")
        rest = await stream.rest()
    assert [e["type"] for e in rest] == ["request.response", "request.resolved"]
    assert [response, *rest] == (await history(product, request))[1:]
    assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["X-Request-ID"]


async def test_every_request_is_followed_from_now_on_whichever_replica_changes_it(database_url: str) -> None:
    async with running(database_url) as product, running(database_url) as replica:
        earlier = await product.submit()
        async with following(product) as stream:
            later = await replica.submit(level="info")
            await replica.answer(earlier, "reject", "ana@example.com")
            found = [await stream.event() for _ in range(4)]
            here = await product.submit()
            assert (await stream.event())["request_id"] == here["id"]
    assert [(e["type"], e["request_id"]) for e in found] == [
        ("request.created", later["id"]),
        ("request.resolved", later["id"]),
        ("request.response", earlier["id"]),
        ("request.resolved", earlier["id"]),
    ]


async def test_nothing_is_lost_or_told_twice_over_a_restart(database_url: str) -> None:
    async with running(database_url) as product:
        request = await product.submit(audience=[ANA, BEN], quorum=2)
        async with following(product) as everything, following(product, request) as one:
            seen = (await one.event())["id"]
            await product.assent.stop()
            assert await everything.rest() == await one.rest() == []
    async with running(database_url) as product:
        await product.answer(request, "approve", "ana@example.com")
        await product.answer(request, "approve", "ben@example.com")
        events = await history(product, request)
        async with following(product, request, after=seen) as one:
            assert await one.rest() == events[1:]
        async with following(product, after=seen, params={"last_event_id": 0}) as everything:
            assert [await everything.event() for _ in events[1:]] == events[1:]
        async with following(product, params={"last_event_id": seen + 1}) as everything:
            assert await everything.event() == events[2]


async def test_who_has_seen_the_end_is_told_not_to_come_back(product: Product) -> None:
    request = await product.submit(level="info")
    path, last = f"/v1/requests/{request['id']}/events", (await history(product, request))[-1]["id"]
    answer = await product.call("GET", path, headers={"Last-Event-ID": str(last)})
    assert (answer.status, answer.text) == (204, "")


async def test_what_cannot_be_followed_is_refused_in_words(product: Product) -> None:
    request = await product.submit()
    path = f"/v1/requests/{request['id']}/events"
    for where in ("/v1/events", path):
        for wrong in ("x", "-1", "1.5", "", "2", "9" * 30, "٣"):
            answer = await product.call("GET", where, params={"last_event_id": wrong})
            assert (answer.status, answer.json["code"]) == (422, "invalid"), wrong
            assert [e["pointer"] for e in answer.json["errors"]] == ["/Last-Event-ID"]
        no_scope = await product.new_key("respond")
        assert (await product.call("GET", where, headers=no_scope)).status == 403
        assert (await product.call("GET", where, headers={"Authorization": ""})).status == 401
        assert (await product.call("HEAD", where)).status == 200
    assert (await product.call("GET", "/v1/requests/req_nope/events")).status == 404


async def test_a_quiet_stream_shows_that_it_lives_until_its_key_is_revoked(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.0)
    headers = await product.new_key("read")
    async with following(product, headers=headers) as stream:
        await stream.until(lambda s: len(s.comments) > 2)
        store = product.assent.store
        (key,) = await store.run_read(api_keys.every)
        await store.run_write(lambda c: api_keys.revoke(c, key.id, datetime.now(UTC)))
        assert await stream.rest() == []


async def test_many_followers_share_one_read(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(product)) for _ in range(40)]
        store, reads = product.assent.store, 0
        read = store.read

        async def counted(*args: Any, **options: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(*args, **options)

        monkeypatch.setattr(store, "read", counted)
        request = await product.submit()
        assert {(await s.event())["request_id"] for s in streams} == {request["id"]}
        assert reads < len(streams) / 2


async def test_a_slow_reader_costs_no_memory_and_misses_nothing(product: Product) -> None:
    server = product.assent._runner._server
    assert server
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(product.assent._runner.addresses[0])
        client.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(
            client, f"GET /v1/events?last_event_id=0 HTTP/1.0\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
        )
        requests = [await product.submit(title="x" * 200_000) for _ in range(60)]
        buffered = max(c.transport.get_write_buffer_size() for c in server.connections if c.transport)
        assert 0 < buffered < 12_000_000 / 2
        reader, writer = await asyncio.open_connection(sock=client, limit=2**20)
        ids: list[str] = []
        async with asyncio.timeout(20):
            while len(ids) < len(requests):
                line = await reader.readline()
                if line.startswith(b"data:"):
                    ids.append(loads(line[5:])["request_id"])
        writer.close()
        await writer.wait_closed()
    assert ids == [request["id"] for request in requests]
