"""The process dies at the worst moments: nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from yarl import URL

from tests.support.cards import decided, is_final
from tests.support.process import LEASE_SECONDS, serving
from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.process import Server
    from tests.support.product import Json, Product

CARA, DAN = "cara@example.com", "dan@example.com"


class LaterClock(ManualClock):
    """Time goes on as ever, but every lease of a dead process has run out."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)


async def decided_everywhere(slack: SlackSandbox, person: User, said: str) -> None:
    """A card says so. A copy that nobody knew of says it as well, once somebody tries to answer there."""
    await slack.wait_for(lambda: any(is_final(m) for m in slack.messages(person)), timeout=20)
    for card in slack.messages(person):
        if not is_final(card):
            await slack.click(person, card, "Approve")
        assert said in await decided(slack, card)


@contextlib.asynccontextmanager
async def asked(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox
) -> AsyncIterator[tuple[Server, Json, User, Message]]:
    """A server that has asked Ana by a card, and Cara and Dan by mail."""
    ana = slack.add_user("Ana", email="ana@example.com")
    async with serving(database_url, slack=slack, mailbox=mailbox) as server:
        request = await server.submit(audience=[f"slack:{ana.id}", f"email:{CARA}", f"email:{DAN}"])
        yield server, request, ana, await slack.next_message(ana)


@contextlib.asynccontextmanager
async def next_life(database_url: str, slack: SlackSandbox, mailbox: Mailbox) -> AsyncIterator[Product]:
    """The product started again on what a dead one left."""
    slack.faults.clear()
    mailbox.heal()
    async with running(database_url, slack=slack, mailbox=mailbox, clock=LaterClock()) as product:
        yield product


async def everybody_knows(mailbox: Mailbox, said: str) -> None:
    for to in (CARA, DAN):
        await mailbox.next_message(to, where=lambda mail: said in mail.text)


async def test_kill_9_right_after_a_201(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox, ana: User
) -> None:
    async with serving(database_url, slack=slack, mailbox=mailbox) as server:
        request = await server.submit(audience=[f"slack:{ana.id}", f"email:{CARA}"])
        await server.kill()
    async with next_life(database_url, slack, mailbox) as product:
        card = await slack.next_message(ana)
        await mailbox.next_message(CARA)
        assert (await product.get(request))["status"] == "pending"
        await slack.click(ana, card, "Approve")
        await decided_everywhere(slack, ana, "Approved by Ana")
        await mailbox.next_message(CARA, where=lambda mail: "Approved by Ana" in mail.text)


async def test_kill_9_amid_submissions_loses_none_that_was_accepted_and_doubles_none(
    database_url: str, mailbox: Mailbox
) -> None:
    bodies = [{"title": f"Refund {i}", "audience": [f"email:p{i}@example.com"]} for i in range(40)]

    async def submit(server: Server, number: int) -> tuple[int, str]:
        headers = {"Idempotency-Key": f"refund-{number}"}
        answer = await server.call("POST", "/v1/requests", json=bodies[number], headers=headers)
        return answer.status, answer.json["id"]

    async with serving(database_url, mailbox=mailbox) as server:
        under_way = [asyncio.create_task(submit(server, number)) for number in range(40)]
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        await server.kill()
        first = await asyncio.gather(*under_way, return_exceptions=True)
        await server.start()
        again = await asyncio.gather(*(submit(server, number) for number in range(40)))

        accepted = [
            (one, two) for one, two in zip(first, again, strict=True) if not isinstance(one, BaseException)
        ]
        assert accepted
        assert [(200, made[1]) for made, _ in accepted] == [known for _, known in accepted]
        listed = await server.call("GET", "/v1/requests", params={"limit": 200})
        assert sorted(item["id"] for item in listed.json["items"]) == sorted(i for _, i in again)


async def test_kill_9_right_after_an_acknowledged_click(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    async with asked(database_url, slack, mailbox) as (server, request, ana, card):
        click = await slack.click(ana, card, "Approve")
        await server.kill()
        assert click.ack.ok
    async with next_life(database_url, slack, mailbox) as product:
        await decided_everywhere(slack, ana, "Approved by Ana")
        await everybody_knows(mailbox, "Approved by Ana")
        assert len((await product.get(request))["responses"]) == 1


async def test_kill_9_right_after_an_acknowledged_form(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    async with asked(database_url, slack, mailbox) as (server, request, ana, card):
        modal = await (await slack.click(ana, card, "Reject")).view()
        submitted = await slack.submit(modal, {"Reason": "Too much"})
        await server.kill()
        assert submitted.ack.ok
    async with next_life(database_url, slack, mailbox) as product:
        await decided_everywhere(slack, ana, "Too much")
        await everybody_knows(mailbox, "Rejected by Ana")
        assert len((await product.get(request))["responses"]) == 1


async def test_kill_9_right_after_a_303(database_url: str, slack: SlackSandbox, mailbox: Mailbox) -> None:
    async with asked(database_url, slack, mailbox) as (server, request, ana, _card):
        link = URL((await mailbox.next_message(CARA)).link)
        form = {"revision": "1", "decision": "reject", "reason": "Too much"}
        answer = await server.call("POST", link, data=form, allow_redirects=False)
        await server.kill()
        assert answer.status == 303
    async with next_life(database_url, slack, mailbox) as product:
        await decided_everywhere(slack, ana, f"Rejected by {CARA}")
        await mailbox.next_message(CARA, where=lambda mail: "You rejected this at" in mail.text)
        await mailbox.next_message(DAN, where=lambda mail: f"Rejected by {CARA}" in mail.text)
        (response,) = (await product.get(request))["responses"]
        assert (response["decision"], response["reason"]) == ("reject", "Too much")
        page = await product.call("GET", link.path)
        assert "Your answer is recorded" in page.text


async def test_kill_9_amid_deliveries(database_url: str, slack: SlackSandbox, mailbox: Mailbox) -> None:
    people = [slack.add_user(f"Person {i}") for i in range(12)]
    addresses = [f"p{i}@example.com" for i in range(12)]
    slack.faults.next("chat.postMessage", delay=60, times=3)
    async with serving(database_url, slack=slack, mailbox=mailbox) as server:
        mailbox.pause()  # what was handed over is there, but the server never hears of it
        audience = [f"slack:{person.id}" for person in people] + [f"email:{to}" for to in addresses]
        request = await server.submit(audience=audience)
        await slack.wait_for(lambda: len(slack.messages()) >= 3)
        handed_over = await mailbox.next_message()
        await server.kill()
    async with next_life(database_url, slack, mailbox) as product:
        for person in people:
            await slack.next_message(person)
        for to in addresses:
            again = await mailbox.next_message(to)
            if to == handed_over.recipient:
                assert again.message["Message-ID"] == handed_over.message["Message-ID"]
        await product.answer(request, "approve")
        for person in people:
            await decided_everywhere(slack, person, "Approved by operator")
        for to in addresses:
            await mailbox.next_message(to, where=lambda mail: "Approved by operator" in mail.text)
        assert (await product.get(request))["responses"] == []


async def test_a_card_that_was_posted_when_it_died_is_adopted_and_not_posted_again(
    sqlite_url: str, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    slack.faults.next("chat.postMessage", drop="after")
    slack.faults.next("conversations.history", delay=8, times=None)
    async with serving(sqlite_url, slack=slack, mailbox=mailbox) as server:
        await server.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
        await server.kill()
    async with next_life(sqlite_url, slack, mailbox):
        await slack.wait_for(lambda: slack.calls("conversations.history"), timeout=20)
        await slack.click(ana, card, "Approve")
        assert "Approved by Ana" in await decided(slack, card)
    assert slack.messages(ana) == [card]
