"""The client's streams, its handler and `assent watch` against a running server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from bot.client import (
    AsyncClient,
    Client,
    Handler,
    Request,
    Response,
    Unreachable,
    Unverified,
    require_approval,
)
from tests.support import command
from tests.support.process import serving
from tests.support.product import KEY, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.client import Event

ANA = "email:ana@example.com"


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(
        sqlite_url, assent_smtp_url="smtp://127.0.0.1:1", assent_mail_from="a@example.com"
    ) as product:
        yield product


async def test_no_event_is_missed_or_told_twice_when_the_server_dies(sqlite_url: str) -> None:
    environ = {"ASSENT_SMTP_URL": "smtp://127.0.0.1:1", "ASSENT_MAIL_FROM": "a@example.com"}
    async with serving(sqlite_url, **environ) as server, AsyncClient(server.url, KEY) as client:
        happened: asyncio.Queue[Event] = asyncio.Queue()

        async def follow() -> None:
            async with contextlib.aclosing(client.events(after=0)) as events:
                async for event in events:
                    await happened.put(event)

        async def seen(count: int) -> list[tuple[str, str]]:
            async with asyncio.timeout(20):
                events = [await happened.get() for _ in range(count)]
            return [(event.request_id, event.type) for event in events]

        following = asyncio.create_task(follow())
        first = await client.submit(title="before", audience=[ANA])
        assert await seen(1) == [(first.id, "request.created")]
        await server.kill()
        with Client(sqlite_url) as on_database:
            await asyncio.to_thread(on_database.approve, first.id)
        await server.start()
        second = await client.submit(title="after", audience=[ANA])
        assert await seen(2) == [(first.id, "request.resolved"), (second.id, "request.created")]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def test_events_end_with_the_outcome_for_blocking_code_too(sqlite_url: str) -> None:
    with Client(sqlite_url) as client:
        request = client.submit(title="Refund", audience=[ANA])
        events = client.events(request.id)
        assert next(events).type == "request.created"
        client.reject(request.id, reason="too much")
        assert [(event.type, event.status) for event in events] == [("request.resolved", "rejected")]


async def test_a_gated_function_runs_with_the_values_that_a_respondent_filled_in(product: Product) -> None:
    client = AsyncClient(product.url, product.key)
    form = {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 1000}}}

    @require_approval(audience=[ANA], client=client, form=form)
    async def refund(customer: str, amount: int) -> str:
        return f"{amount} to {customer}"

    async with client:
        refunding = asyncio.create_task(refund("8841", 1250))
        async with asyncio.timeout(20):
            while not (waiting := await client.pending()):
                assert not refunding.done()
            await client.approve(waiting[0].id, respondent=ANA, values={"amount": 900})
            assert await refunding == "900 to 8841"
        receipt = await client.receipt(waiting[0].id)
        assert (await client.verify(receipt, {"customer": "8841", "amount": 900}))["status"] == "approved"
        with pytest.raises(Unverified):
            await client.verify(receipt, {"customer": "8841", "amount": 1250})


async def test_a_receipt_proves_what_people_decided_about_that_request(product: Product) -> None:
    payload = {"amount": 1250}
    choices = [{"id": "pay", "label": "Pay"}, {"id": "keep", "label": "Do not pay"}]
    async with AsyncClient(product.url, product.key) as client:
        told, late, mine, again, chosen = [
            await client.submit(title="Refund", audience=[ANA], payload=payload, **fields)
            for fields in (
                {"level": "info"},
                {"timeout_seconds": 0.1, "on_timeout": "approve"},
                {},
                {},
                {"kind": "choice", "choices": choices},
            )
        ]
        for request, decision in ((mine, "approve"), (again, "approve"), (chosen, "keep")):
            await client.respond(request.id, decision, respondent=ANA)
        assert await client.wait(late.id, 20)
        receipts = [await client.receipt(r.id) for r in (told, late, mine, chosen)]
        for receipt, by in zip(receipts, ("policy", "timeout"), strict=False):
            with pytest.raises(Unverified, match=f"approved by {by}"):
                await client.verify(receipt, payload)
            assert (await client.verify(receipt, payload, allow=(by,)))["resolved_by"] == by
        claims = await client.verify(receipts[2], payload, request=mine)
        with pytest.raises(Unverified, match="another request"):
            await client.verify(receipts[2], payload, request=again.id)
        with pytest.raises(Unverified, match="pass choice="):
            await client.verify(receipts[3], payload)
        assert (await client.verify(receipts[3], payload, choice="keep"))["choice"] == "keep"
        events = await client.audit(mine.id)
    assert (claims["seq"], claims["chain"]) == (events[-1]["id"], events[-1]["hash"])


async def test_a_handler_answers_what_waits_and_what_comes(product: Product) -> None:
    def decide(request: Request) -> Response:
        return Response("approve" if request.payload["amount"] <= 100 else "reject", "by the rules")

    async with AsyncClient(product.url, product.key) as client:
        before = await client.submit(
            title="before", audience=[ANA], payload={"amount": 50}, labels={"env": "ci"}
        )
        other = await client.submit(title="other", audience=[ANA], payload={"amount": 50})
        handler = Handler(decide, client=AsyncClient(product.url, product.key), label="env:ci")
        thread = threading.Thread(target=handler.run)
        thread.start()
        async with asyncio.timeout(20):
            assert (await client.wait(before.id)).reason == "by the rules"
            after = await client.submit(
                title="after", audience=[ANA], payload={"amount": 500}, labels={"env": "ci"}
            )
            assert (await client.wait(after.id)).status == "rejected"
        handler.stop()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()
        assert (await client.get(other.id)).status == "pending"


async def test_watch_shows_a_line_an_event(product: Product) -> None:
    env = {"ASSENT_URL": product.url, "ASSENT_API_KEY": product.key}
    request = await product.submit(title="Refund \u001b[2J")
    plain = await command.start("watch", request["id"], **env)
    lines = await command.start("watch", "--after", "0", "--json", **env)
    await product.answer(request, "approve", "ana@example.com", reason="seen")
    shown = await command.finish(plain)
    assert (shown.status, shown.err) == (0, "")
    created, response, resolved = shown.out.splitlines()
    assert created.endswith("created    pending    Refund \\u001b[2J")
    assert "response" in response
    assert resolved.endswith("resolved   approved   by ana@example.com · seen")
    assert lines.stdout
    async with asyncio.timeout(20):
        told = [json.loads(await lines.stdout.readline()) for _ in range(3)]
    assert [event["type"] for event in told] == ["request.created", "request.response", "request.resolved"]
    assert all(event["request_id"] == request["id"] and event["at"].endswith("Z") for event in told)
    lines.send_signal(signal.SIGINT)
    assert (await command.finish(lines)).status == 130


async def test_nobody_answers(unused_tcp_port: int) -> None:
    blocking, asynchronous = (kind(f"http://127.0.0.1:{unused_tcp_port}") for kind in (Client, AsyncClient))
    for client in (blocking, asynchronous):
        client.retry_for = 0
    with pytest.raises(Unreachable, match=f"http://127.0.0.1:{unused_tcp_port}"), blocking:
        blocking.pending()
    async with asynchronous:
        with pytest.raises(Unreachable):
            await asynchronous.pending()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), contextlib.aclosing(asynchronous.events()) as events:
                await anext(events)
