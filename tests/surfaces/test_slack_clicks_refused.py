"""Who may not answer in Slack, and what they are told: nobody else sees it, and nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cards import copied
from tests.support.product import Product, running

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Channel, Message, User
    from tests.support.product import Json


async def refused(slack: SlackSandbox, who: User, card: Message, why: str, button: str = "Approve") -> None:
    """Somebody clicks, reads why that does not count, and gets no form."""
    before = list(card.buttons)
    click = await slack.click(who, card, button)
    assert click.ack.ok
    assert why in (await click.ephemeral()).words
    assert slack.modals(who) == []
    assert card.buttons == before


async def untouched(product: Product, request: Json) -> None:
    stored = await product.get(request)
    assert (stored["status"], stored["responses"], stored["version"]) == ("pending", [], request["version"])


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana])


@pytest.mark.parametrize("button", ["Approve", "Reject"])
async def test_somebody_who_was_not_asked(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel, button: str
) -> None:
    eve = slack.add_user("Eve", email="eve@example.com")
    ops.members.add(eve.id)
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = copied(slack, await slack.next_message(ana), ops)
    await refused(slack, eve, card, "not in the audience", button)
    await untouched(product, request)


async def test_somebody_who_left_the_channel(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel
) -> None:
    request = await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    ops.members.remove(ana.id)
    click = await slack.click(ana, card, "Approve")
    assert click.ack.ok
    told = await slack.next_message(ana)  # an ephemeral message in the channel would not reach them
    assert "not a member of the channel" in told.words
    await untouched(product, request)


async def test_somebody_taken_out_of_the_user_group(product: Product, slack: SlackSandbox, ana: User) -> None:
    ben = slack.add_user("Ben", email="ben@example.com")
    finance = slack.add_group("finance", [ana, ben])
    request = await product.submit(audience=[f"slack:{finance.id}"])
    card = await slack.next_message(ana)
    finance.members.remove(ana.id)
    await refused(slack, ana, card, "no longer a member")
    await untouched(product, request)


async def test_a_deactivated_person(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    ana.deleted = True
    await refused(slack, ana, card, "deactivated")
    await untouched(product, request)


async def test_somebody_of_another_organisation(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel
) -> None:
    eve = slack.add_user("Eve", email="eve@example.org", team=slack.add_team())
    ops.members.add(eve.id)
    request = await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    await refused(slack, eve, card, "another organisation")
    await untouched(product, request)


async def test_somebody_of_another_organisation_where_that_is_allowed(
    sqlite_url: str, slack: SlackSandbox, ana: User, ops: Channel
) -> None:
    eve = slack.add_user("Eve", email="eve@example.org", team=slack.add_team())
    ops.members.add(eve.id)
    async with running(sqlite_url, slack=slack, slack_allow_external=True) as product:
        await product.submit(audience=[f"slack:{ops.id}"])
        card = await slack.next_message(ops)
        await slack.click(eve, card, "Approve")
        await slack.wait_for(lambda: "Approved by Eve" in card.words)


@pytest.mark.parametrize("requester", ["email:ana@example.com", "slack:{ana}", "ana@example.com"])
async def test_whoever_asked_for_it(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel, requester: str
) -> None:
    request = await product.submit(audience=[f"slack:{ops.id}"], requester=requester.replace("{ana}", ana.id))
    card = await slack.next_message(ops)
    await refused(slack, ana, card, "somebody else has to decide it")
    await untouched(product, request)


async def test_an_unconfirmed_address_makes_nobody_the_person_asked(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    eve = slack.add_user("Eve", email="ben@example.com", confirmed=False)
    ops = slack.add_channel("ops", [ana, eve])
    request = await product.submit(audience=[f"slack:{ana.id}", "email:ben@example.com"], quorum=2)
    card = copied(slack, await slack.next_message(ana), ops)
    await refused(slack, eve, card, "not in the audience")
    await untouched(product, request)


async def test_a_second_and_different_answer(product: Product, slack: SlackSandbox, ana: User) -> None:
    ben = slack.add_user("Ben", email="ben@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}", f"slack:{ben.id}"], quorum=2)
    card = await slack.next_message(ana)
    await slack.click(ana, card, "Approve")
    await slack.wait_for(lambda: "1 of 2 approvals" in card.words)
    await refused(slack, ana, card, "You already approved this", "Reject")
    assert len((await product.get(request))["responses"]) == 1


async def test_nobody_while_slack_cannot_say_who_they_are(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bot.slack.inbound.listeners.QUICK_SECONDS", 20
    )  # what takes longer is queued, and not refused
    ben = slack.add_user("Ben", email="ben@example.com")
    ops.members.add(ben.id)
    request = await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    slack.faults.next("users.info", status=503, times=None)
    await refused(slack, ben, card, "Nothing was recorded")
    await untouched(product, request)
    slack.faults.clear()
    await slack.click(ben, card, "Approve")
    await slack.wait_for(lambda: "Approved by Ben" in card.words)


async def test_a_form_opened_too_early_is_refused_in_its_place(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Reject")).view()
    await product.answer(request, "approve")
    submitted = await slack.submit(modal, {"Reason": "No"})
    assert submitted.response_action == "update"
    assert "Already approved by" in modal.words
    assert modal.labels == []


async def test_what_was_typed_stays_while_slack_cannot_be_asked(
    product: Product, slack: SlackSandbox, ops: Channel
) -> None:
    ben = slack.add_user("Ben", email="ben@example.com")
    ops.members.add(ben.id)
    request = await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    slack.faults.next("users.info", status=503, times=None)
    modal = await (await slack.click(ben, card, "Reject")).view()
    submitted = await slack.submit(modal, {"Reason": "Too long to type twice"})
    assert "Nothing was recorded" in submitted.errors["Reason"]
    await untouched(product, request)
    slack.faults.clear()
    await slack.submit(modal, {"Reason": "Too long to type twice"})
    await slack.wait_for(lambda: "Too long to type twice" in card.words)


async def test_a_refusal_reaches_people_whom_no_ephemeral_message_reaches(
    product: Product, slack: SlackSandbox, ana: User, ops: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.inbound.listeners.QUICK_SECONDS", 20)  # a response URL is never queued
    eve = slack.add_user("Eve", email="eve@example.com")
    await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    slack.faults.next("chat.postEphemeral", error="user_not_in_channel", times=None)
    await slack.click(eve, card, "Approve")
    assert "not a member" in (await slack.next_message(eve)).words

    slack.faults.next("chat.postMessage", error="restricted_action", times=None)
    click = await slack.click(eve, card, "Approve")
    assert "not a member" in (await click.ephemeral()).words  # by the response URL
