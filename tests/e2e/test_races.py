"""Fifty people answer one request at the same moment, everywhere at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.product import Json, Product

EACH = 17
"""People on each surface: 51 in all."""


@pytest.fixture
async def product(database_url: str, slack: SlackSandbox, mailbox: Mailbox) -> AsyncIterator[Product]:
    async with running(database_url, slack=slack, mailbox=mailbox) as product:
        yield product


Told = tuple[bool, str]
"""Whether an answer was recorded, and what the person read."""


async def by_click(slack: SlackSandbox, who: User, card: Message, final: Callable[[], bool]) -> Told:
    click = await slack.click(who, card, "Approve")
    assert click.ack.ok
    ephemeral = asyncio.create_task(click.ephemeral(20))
    redrawn = asyncio.create_task(slack.wait_for(final, timeout=20))
    await redrawn
    if f"Approved by {who.name} " in card.text:
        ephemeral.cancel()
        return True, card.text
    return False, (await ephemeral).words


async def by_link(product: Product, link: str) -> Told:
    answer = await product.call("POST", link, data={"revision": "1", "decision": "reject", "reason": "No"})
    return answer.status == 200, answer.text


async def by_api(product: Product, request: Json, who: str) -> Told:
    answer = await product.answer(request, "approve", who)
    return answer.status == 200, answer.text if answer.status == 200 else answer.json["detail"]


async def test_fifty_answers_on_all_surfaces_have_one_outcome(
    product: Product, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    people = [slack.add_user(f"Person {i}") for i in range(EACH)]
    ops = slack.add_channel("ops", people)
    mailed = [f"m{i}@example.com" for i in range(EACH)]
    called = [f"a{i}@example.com" for i in range(EACH)]
    request = await product.submit(
        audience=[f"slack:{ops.id}", *(f"email:{to}" for to in (*mailed, *called))],
    )
    card = await slack.next_message(ops)
    links = [(await mailbox.next_message(to)).link for to in mailed]
    for to in called:  # who is decided for before they are asked is not asked any more
        await mailbox.next_message(to)
    waiter = asyncio.create_task(product.get(request, wait=60))

    told = await asyncio.gather(
        *(by_click(slack, who, card, lambda: not card.buttons) for who in people),
        *(by_link(product, link) for link in links),
        *(by_api(product, request, who) for who in called),
    )

    outcome = await waiter
    assert len(outcome["responses"]) == 1
    said = f"{outcome['status'].capitalize()} by {outcome['outcome']['by']} at "
    assert [recorded for recorded, _ in told].count(True) == 1
    losers = [words for recorded, words in told if not recorded]
    assert all(f"Already {said[0].lower()}{said[1:]}" in words for words in losers)
    assert said in card.text
    await the_record_is_whole(product, request, mailbox, (*mailed, *called))


async def the_record_is_whole(
    product: Product, request: Json, mailbox: Mailbox, asked: tuple[str, ...]
) -> None:
    """One answer and one end in the audit trail, a chain that verifies, one outcome mail for everybody else."""
    events = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
    assert [event["type"] for event in events] == [
        "request.created",
        "request.response",
        "request.resolved",
    ]
    checked, broken = await product.assent.store.read(lambda reader: reader.verify_chain())
    assert (checked, broken) == (len(events), None)
    stored = await product.get(request)
    waiting = [r["email"] for r in stored["respondents"] if r["state"] == "waiting" and r["email"] in asked]
    for to in waiting:
        await mailbox.next_message(to, where=lambda mail: "You need not answer any more" in mail.text)
    assert all(len(mailbox.messages(to)) == 2 for to in waiting)


async def test_answers_racing_over_a_quorum_count_exactly_so_many(
    product: Product, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    called = [f"a{i}@example.com" for i in range(50)]
    request = await product.submit(audience=[f"email:{who}" for who in called], quorum=10)
    answers = await asyncio.gather(*(product.answer(request, "approve", who) for who in called))
    assert sorted(answer.status for answer in answers) == [200] * 10 + [409] * 40
    stored = await product.get(request)
    assert stored["status"] == "approved"
    assert stored["quorum"]["text"].startswith("10 of 10")
    assert len({r["respondent"] for r in stored["responses"]}) == 10


async def test_yes_and_no_at_once_end_as_one_of_them(
    product: Product, slack: SlackSandbox, mailbox: Mailbox
) -> None:
    requests = [
        await product.submit(audience=["email:ana@example.com", "email:ben@example.com"]) for _ in range(10)
    ]
    answers = await asyncio.gather(
        *(product.answer(r, "approve", "ana@example.com") for r in requests),
        *(product.answer(r, "reject", "ben@example.com", reason="No") for r in requests),
        *(
            product.call("POST", f"/v1/requests/{r['id']}/cancel", json={"reason": "Never mind"})
            for r in requests
        ),
    )
    assert sorted(answer.status for answer in answers) == [200] * 10 + [409] * 20
    for answer in answers:
        stored = await product.get(answer.json if answer.status == 200 else answer.json["request"])
        if answer.status == 200:
            assert stored["status"] == answer.json["status"]
        else:
            assert f"Already {stored['status']} by {stored['outcome']['by']}" in answer.json["detail"]
    assert (await product.assent.store.read(lambda reader: reader.verify_chain()))[1] is None


async def test_two_replicas_agree(postgres_url: str) -> None:
    async with running(postgres_url) as here, running(postgres_url) as there:
        called = [f"a{i}@example.com" for i in range(50)]
        request = await here.submit(audience=[f"email:{who}" for who in called], quorum=3)
        waiters = [asyncio.create_task(replica.get(request, wait=60)) for replica in (here, there)]
        answers = await asyncio.gather(
            *(here.answer(request, "approve", who) for who in called[::2]),
            *(there.answer(request, "approve", who) for who in called[1::2]),
        )
        assert sorted(answer.status for answer in answers) == [200] * 3 + [409] * 47
        one, other = await asyncio.gather(*waiters)
        assert one == other
        assert len(one["responses"]) == 3
        late = {answer.json["detail"] for answer in answers if answer.status == 409}
        assert late == {f"Already approved by {one['outcome']['by']} at {late_minute(one)}."}
        assert await here.assent.store.read(lambda reader: reader.verify_chain()) == (5, None)


def late_minute(request: Json) -> str:
    date, _, time = request["resolved_at"].partition("T")
    return f"{date} {time[:5]} UTC"
