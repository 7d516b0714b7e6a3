"""Relays that say later, never, or nothing at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest

from bot.sandbox.mail.relay import Mailbox
from tests.support.product import ManualClock, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Json

ANA, BEN = "ana@example.com", "ben@example.com"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def product(sqlite_url: str, mailbox: Mailbox, clock: ManualClock) -> AsyncIterator[Product]:
    async with running(sqlite_url, mailbox=mailbox, clock=clock) as product:
        yield product


async def delivery(product: Product, request: Json, to: str) -> Json:
    sent = await product.call("GET", f"/v1/requests/{request['id']}/deliveries")
    (row,) = [row for row in sent.json["items"] if (row["address"], row["notice"]) == (to, "ask")]
    return row


async def until_delivery(product: Product, request: Json, to: str, state: str) -> Json:
    """The delivery once it has come to this state; each look is a call, at most for ten seconds."""
    async with asyncio.timeout(10):
        while (row := await delivery(product, request, to))["state"] != state:
            pass
        return row


async def test_451_is_tried_again_and_arrives_once(product: Product, mailbox: Mailbox) -> None:
    mailbox.fail("rcpt", "451 4.3.0 Try again later", times=2)
    request = await product.submit(audience=[f"email:{ANA}"])
    row = await until_delivery(product, request, ANA, "retrying")
    assert (row["attempts"], "451 4.3.0 Try again later" in row["error"]) == (1, True)
    assert mailbox.messages() == []
    product.advance(10)
    async with asyncio.timeout(10):
        while (await delivery(product, request, ANA))["attempts"] != 2:
            pass
    product.advance(60)
    await mailbox.next_message(ANA)
    row = await until_delivery(product, request, ANA, "sent")
    assert row["error"] is None
    assert len(mailbox.messages()) == 1
    assert (await product.get(request))["unreachable"] == []


@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_550_shows_on_the_request_and_others_get_theirs(
    product: Product, mailbox: Mailbox, stage: Literal["rcpt", "data"]
) -> None:
    mailbox.fail(stage, "550 5.1.1 No such user", to=ANA, times=None)
    request = await product.submit(audience=[f"email:{ANA}", f"email:{BEN}"])
    ask = await mailbox.next_message(BEN)
    row = await until_delivery(product, request, ANA, "failed")
    assert "550 5.1.1 No such user" in row["error"]
    stored = await product.get(request)
    (missed,) = stored["unreachable"]
    assert missed["target"] == f"email:{ANA}"
    assert "No such user" in missed["reason"]
    states = {r["email"]: r["state"] for r in stored["respondents"]}
    assert states == {ANA: "unreachable", BEN: "waiting"}
    assert "No such user" in (await product.call("GET", ask.link)).text
    product.advance(3600)
    assert (await product.answer(request, "approve", BEN)).status == 200
    assert mailbox.messages(ANA) == []


async def test_a_relay_that_is_down_spends_no_attempts_and_then_gets_all(
    product: Product, mailbox: Mailbox
) -> None:
    await mailbox.go_down()
    requests = [await product.submit(audience=[f"email:p{i}@example.com"]) for i in range(30)]
    for _ in range(20):
        product.advance(60)
        await until_delivery(product, requests[0], "p0@example.com", "retrying")
    rows = [await delivery(product, each, f"p{i}@example.com") for i, each in enumerate(requests)]
    assert {row["attempts"] for row in rows} == {0}
    assert {row["state"] for row in rows} <= {"queued", "retrying"}
    await mailbox.come_up()
    product.advance(60)
    for number in range(30):
        await mailbox.next_message(f"p{number}@example.com")
    assert len(mailbox.messages()) == 30
    assert [(await product.get(each))["unreachable"] for each in requests] == [[]] * 30


async def test_a_connection_lost_after_the_dot_may_double_a_mail_but_not_its_id(
    product: Product, mailbox: Mailbox
) -> None:
    mailbox.fail("stored", None)
    request = await product.submit(audience=[f"email:{ANA}"])
    first = await mailbox.next_message(ANA)
    await until_delivery(product, request, ANA, "retrying")
    product.advance(10)
    second = await mailbox.next_message(ANA)
    assert first.raw == second.raw
    await until_delivery(product, request, ANA, "sent")


async def test_whoever_answered_elsewhere_is_not_asked_by_a_late_mail(
    product: Product, mailbox: Mailbox
) -> None:
    await mailbox.go_down()
    request = await product.submit(audience=[f"email:{ANA}", f"email:{BEN}"])
    await product.answer(request, "approve", ANA)
    await mailbox.come_up()
    product.advance(60)
    told = await mailbox.next_message(BEN)
    assert "You need not answer any more" in told.text
    assert [mail.recipient for mail in mailbox.messages()] == [BEN]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_relay_with_tls_and_a_login(sqlite_url: str, tls: Literal["starttls", "implicit"]) -> None:
    async with (
        Mailbox(tls=tls, credentials=("assent", "p@ss:w/rd%")) as relay,
        running(sqlite_url, mailbox=relay) as product,
    ):
        request = await product.submit(audience=[f"email:{ANA}"])
        asked = await relay.next_message(ANA)
        assert asked.user == "assent"
        answer = await product.call("POST", asked.link, data={"revision": "1", "decision": "approve"})
        assert "Your answer is recorded" in answer.text
        await relay.next_message(ANA, where=lambda mail: "You approved this at" in mail.text)
        assert (await product.get(request))["status"] == "approved"
        assert relay.connections <= 3


async def test_a_wrong_password_is_named_and_loses_nothing(
    sqlite_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with Mailbox(tls="starttls", credentials=("assent", "right")) as relay:
        wrong = relay.url.replace("right", "a-wrong-password")
        async with running(sqlite_url, mailbox=relay, clock=clock, assent_smtp_url=wrong) as product:
            request = await product.submit(audience=[f"email:{ANA}"])
            row = await until_delivery(product, request, ANA, "retrying")
            assert "refuses the user name or password in ASSENT_SMTP_URL" in row["error"]
            assert "a-wrong-password" not in row["error"]
            assert row["attempts"] == 0
        async with running(sqlite_url, mailbox=relay, clock=clock) as product:
            product.advance(60)
            await relay.next_message(ANA)
        assert "a-wrong-password" not in caplog.text
