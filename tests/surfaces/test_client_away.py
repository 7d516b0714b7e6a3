"""The client while the server is away, and while answers get lost: nothing is asked, told or decided twice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import AsyncClient, Client, Unanswered
from tests.support import command
from tests.support.dropping import Dropping, dropping
from tests.support.process import serving
from tests.support.product import KEY, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ANA, BEN = "email:ana@example.com", "email:ben@example.com"
MAIL = {"assent_smtp_url": "smtp://127.0.0.1:1", "assent_mail_from": "a@example.com"}
ASKED: dict[str, Any] = {
    "title": "Deploy 4.2",
    "audience": [ANA, BEN],
    "quorum": 2,
    "payload": {"version": "4.2"},
    "escalation": [
        {"name": "manager", "after_seconds": 900, "audience": ["email:boss@example.com"]},
        {"name": "board", "after_seconds": 900, "audience": ["email:board@example.com"]},
    ],
}


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url, **MAIL) as product:
        yield product


@pytest.fixture
async def proxy(product: Product) -> AsyncIterator[Dropping]:
    async with dropping(product.url) as proxy:
        yield proxy


ACTS: dict[str, tuple[Callable[[AsyncClient, str], Awaitable[Any]], str]] = {
    "approve": (lambda client, id: client.approve(id, respondent=ANA), "response"),
    "operate": (lambda client, id: client.approve(id), "resolved"),
    "reject": (lambda client, id: client.reject(id, reason="no"), "resolved"),
    "respond_to_all": (lambda client, id: client.respond_to_all([id], "approve"), "resolved"),
    "cancel": (lambda client, id: client.cancel(id, reason="sold out"), "resolved"),
    "remind": (lambda client, id: client.remind(id), "reminded"),
    "escalate": (lambda client, id: client.escalate(id), "escalated"),
    "delegate": (lambda client, id: client.delegate(id, ANA, "email:cyd@example.com"), "delegated"),
    "comment": (lambda client, id: client.comment(id, text="Checked."), "updated"),
    "ask back": (lambda client, id: client.comment(id, text="Why?", respondent=ANA), "updated"),
    "revise": (lambda client, id: client.revise(id, payload={"version": "4.3"}), "updated"),
}


@pytest.mark.parametrize("act", ACTS)
async def test_what_was_done_is_not_done_again_when_its_answers_get_lost(
    act: str, product: Product, proxy: Dropping
) -> None:
    request = await product.submit(**ASKED)
    before = await product.call("GET", f"/v1/requests/{request['id']}/audit")
    does, kind = ACTS[act]
    async with AsyncClient(proxy.url, KEY) as client:
        proxy.drops = 2
        await does(client, request["id"])
    after = await product.call("GET", f"/v1/requests/{request['id']}/audit")
    events = [event["type"] for event in after.json["items"][len(before.json["items"]) :]]
    assert len(proxy.calls) == 3
    assert events.count(f"request.{kind}") == 1, events
    assert len(events) == len(set(events)), events


async def test_a_request_is_opened_once_and_an_answer_taken_back_once(
    product: Product, proxy: Dropping
) -> None:
    async with AsyncClient(proxy.url, KEY) as client:
        proxy.drops = 2
        request = await client.submit(**ASKED)
        await client.approve(request.id, respondent=ANA)
        proxy.drops = 1
        assert (await client.withdraw(request.id, respondent=ANA)).quorum["approved"] == 0
    assert len((await product.call("GET", "/v1/requests")).json["items"]) == 1


async def test_people_are_told_once(product: Product, proxy: Dropping) -> None:
    async with AsyncClient(proxy.url, KEY) as client:
        proxy.drops = 2
        await client.notify("Deployed", audience=[ANA])
    assert len(proxy.calls) == 3
    told = await product.assent.store.run_write(
        lambda c: c.exec_driver_sql("SELECT count(*) FROM deliveries").scalar_one()
    )
    assert told == 1


async def test_a_key_is_of_one_call(product: Product) -> None:
    request = await product.submit(**ASKED)
    one, other = await product.submit(**ASKED), {"Idempotency-Key": "k"}
    path = "/v1/requests/{}/comments".format

    async def say(id: str, text: str, **headers: str) -> int:
        return (await product.call("POST", path(id), json={"text": text}, headers=other | headers)).status

    assert await say(request["id"], "first") == 200
    assert await say(request["id"], "first") == 200
    assert await say(request["id"], "second") == 409
    assert await say(one["id"], "second") == 200
    assert await say(request["id"], "second", **await product.new_key("submit", "operate")) == 200
    assert await say(request["id"], "x", **{"Idempotency-Key": " "}) == 422
    assert [c["text"] for c in (await product.get(request))["comments"]] == ["first", "second"]
    assert [c["text"] for c in (await product.get(one))["comments"]] == ["second"]


async def test_a_refused_call_may_be_made_again_with_its_key(product: Product) -> None:
    request = await product.submit(**ASKED)
    headers = {"Idempotency-Key": "k"}
    for text, status in (("", 422), ("", 422)):
        answer = await product.call(
            "POST", f"/v1/requests/{request['id']}/comments", json={"text": text}, headers=headers
        )
        assert answer.status == status


async def test_calls_last_out_a_deployment(sqlite_url: str) -> None:
    environ = {name.upper(): value for name, value in MAIL.items()}
    async with serving(sqlite_url, **environ) as server, AsyncClient(server.url, KEY) as client:
        request = await client.submit(title="before", audience=[ANA])
        waiting = asyncio.create_task(client.wait(request.id, 60))
        await server.kill()
        asking = asyncio.create_task(client.submit(title="meanwhile", audience=[ANA]))
        telling = asyncio.create_task(client.notify("Deployed", audience=[ANA]))
        by_command = asyncio.create_task(
            command.run(
                "submit", "--title", "by hand", "--audience", ANA, ASSENT_URL=server.url, ASSENT_API_KEY=KEY
            )
        )
        done, _ = await asyncio.wait({asking, telling, by_command}, timeout=3)
        assert done == set()
        await server.start()
        async with asyncio.timeout(20):
            assert (await asking).status == "pending"
            await telling
            shown = await by_command
            await client.approve(request.id)
            assert (await waiting).status == "approved"
        assert shown.status == 0
        assert "Assent does not answer" in shown.err
        titles = [r["title"] for r in (await server.call("GET", "/v1/requests")).json["items"]]
        assert sorted(titles) == ["before", "by hand", "meanwhile"]


def test_a_server_that_stays_away_is_given_up_in_time(unused_tcp_port: int) -> None:
    began = time.monotonic()
    with (
        Client(f"http://127.0.0.1:{unused_tcp_port}", retry_for=1) as client,
        pytest.raises(Unanswered, match=r"was tried \d+ times in 1 s"),
    ):
        client.submit(title="Deploy", audience=[ANA])
    assert 1 <= time.monotonic() - began < 3


async def test_the_command_says_what_it_tried(unused_tcp_port: int) -> None:
    env = {"ASSENT_URL": f"http://127.0.0.1:{unused_tcp_port}", "ASSENT_RETRY_FOR": "1"}
    for arguments, status in ((["pending"], 1), (["submit", "--title", "t", "--audience", ANA, "--wait"], 2)):
        done = await command.run(*arguments, **env)
        assert done.status == status
        assert "times in 1 s" in done.err
        assert "serve` running there" in done.err
    once = await command.run("pending", "--retry-for", "0", **env)
    assert "tried" not in once.err


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="retry_for"):
        Client("http://127.0.0.1:1", retry_for=seconds)
