"""What people see when they click on cards and fill in forms."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from tests.support.cards import decided

if TYPE_CHECKING:
    import pytest

    from bot.sandbox.slack.sandbox import SlackSandbox
    from tests.support.product import Json, Product


async def responses(product: Product, request: Json) -> list[tuple[str, str | None, str]]:
    answers = (await product.get(request))["responses"]
    return [(a["decision"], a["reason"], a["surface"]) for a in answers]


async def test_one_click_approves_and_the_card_is_answer_enough(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)

    click = await slack.click(ana, card, "Approve")

    assert click.ack.ok
    words = await decided(slack, card)
    assert "Approved by Ana" in words
    assert await responses(product, request) == [("approve", None, "slack")]
    assert slack.ephemerals(ana) == []
    assert len(slack.messages(ana)) == 1


async def test_a_rejection_asks_why_and_the_card_says_it(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"], reason="on_reject")
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Reject")).view()
    assert modal.labels == ["Reason"]

    submitted = await slack.submit(modal, {"Reason": "  Not this week  "})

    assert submitted.ack.ok
    assert not modal.open
    assert "Not this week" in await decided(slack, card)
    assert await responses(product, request) == [("reject", "Not this week", "slack")]


async def test_a_reason_of_blanks_is_no_reason(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"], reason="required")
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Approve")).view()

    submitted = await slack.submit(modal, {"Reason": " \n "})

    assert submitted.response_action == "errors"
    assert "Reason" in submitted.errors
    assert modal.open
    assert await responses(product, request) == []
    assert not (await slack.submit(modal, {"Reason": "Checked"})).errors
    assert "Approved" in await decided(slack, card)


async def test_closing_the_form_is_no_rejection(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    await slack.close_view(await (await slack.click(ana, card, "Reject")).view())
    assert await responses(product, request) == []
    assert "Approve" in card.buttons


async def test_skip_takes_a_person_out_of_the_count(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"], allow_skip=True)
    card = await slack.next_message(ana)
    await slack.click(ana, card, "Skip")
    assert "Skipped" in await decided(slack, card)
    assert (await product.get(request))["status"] == "skipped"


async def test_a_choice_is_a_button(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    choices = [{"id": "eu", "label": "Europe", "style": "primary"}, {"id": "us", "label": "America"}]
    request = await product.submit(audience=[f"slack:{ana.id}"], kind="choice", choices=choices)
    card = await slack.next_message(ana)
    await slack.click(ana, card, "America")
    assert "America" in await decided(slack, card)
    assert (await product.get(request))["outcome"]["choice"] == "us"


async def test_many_choices_are_a_select(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    choices = [{"id": f"c{i}", "label": f"Option {i}"} for i in range(12)]
    request = await product.submit(
        audience=[f"slack:{ana.id}"], kind="choice", choices=choices, reason="required"
    )
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Choose…", choose="Option 7")).view()
    await slack.submit(modal, {"Reason": "Lucky"})
    await decided(slack, card)
    stored = await product.get(request)
    assert (stored["outcome"]["choice"], stored["outcome"]["reason"]) == ("c7", "Lucky")


async def test_a_phrase_has_to_be_typed_exactly(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(
        audience=[f"slack:{ana.id}"], level="verify", verification_phrase="delete prod-db"
    )
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Approve")).view()
    phrase = next(label for label in modal.labels if "delete prod-db" in label)
    submitted = await slack.submit(modal, {phrase: "delete prod"})
    assert "does not match" in submitted.errors[phrase]
    assert (await slack.submit(modal, {phrase: "Delete prod-db"})).errors
    assert await responses(product, request) == []
    typed = await slack.command(ana, "/approvals", f"approve {request['id']}")
    assert "on its card" in (await typed.ephemeral()).words
    await slack.submit(modal, {phrase: "delete prod-db"})
    assert "Approved by Ana" in await decided(slack, card)


async def test_details_shows_what_the_card_cannot(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"], details={"Evidence": "x" * 1990 + " the end"})
    card = await slack.next_message(ana)
    assert "the end" not in card.words
    modal = await (await slack.click(ana, card, "Details")).view()
    assert "the end" in modal.words


async def test_a_channel_card_counts_each_member_once(product: Product, slack: SlackSandbox) -> None:
    ana, ben = (slack.add_user(n, email=f"{n.lower()}@example.com") for n in ("Ana", "Ben"))
    ops = slack.add_channel("ops", [ana, ben])
    request = await product.submit(audience=[f"slack:{ops.id}"], quorum=2)
    card = await slack.next_message(ops)

    await slack.click(ana, card, "Approve")
    await slack.wait_for(lambda: "1 of 2 approvals" in card.words)
    await slack.click(ana, card, "Approve")
    assert (await product.get(request))["status"] == "pending"
    await slack.click(ben, card, "Approve")

    assert "Approved by Ana and Ben" in await decided(slack, card)
    assert slack.ephemerals(ana) == []


async def test_the_final_card_says_why_each_of_them_decided_so(product: Product, slack: SlackSandbox) -> None:
    people = [slack.add_user(n, email=f"{n.lower()}@example.com") for n in ("Ana", "Ben")]
    ops = slack.add_channel("ops", people)
    await product.submit(audience=[f"slack:{ops.id}"], quorum=2, reason="required")
    card = await slack.next_message(ops)
    for who, why in zip(people, ("Customer since 2019", "Within budget"), strict=True):
        modal = await (await slack.click(who, card, "Approve")).view()
        await slack.submit(modal, {"Reason": why})
    words = await decided(slack, card)
    assert "Ana: Customer since 2019\nBen: Within budget" in words


async def test_the_same_click_delivered_twice_counts_once(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"], quorum=1)
    card = await slack.next_message(ana)
    slack.faults.twice()
    await slack.click(ana, card, "Approve")
    await decided(slack, card)
    assert await responses(product, request) == [("approve", None, "slack")]
    assert slack.ephemerals(ana) == []


async def test_a_click_that_opens_a_form_delivered_twice_opens_one(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    slack.faults.twice()
    click = await slack.click(ana, card, "Reject")
    await click.view()
    await slack.wait_for(lambda: len(slack.calls("views.open")) == 2)
    assert len(slack.modals(ana)) == 1
    assert slack.ephemerals(ana) == []


async def test_fifty_clicks_at_once_have_one_outcome(product: Product, slack: SlackSandbox) -> None:
    people = [slack.add_user(f"Person {i}", email=f"p{i}@example.com") for i in range(50)]
    ops = slack.add_channel("ops", people)
    request = await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)

    clicks = await asyncio.gather(*(slack.click(person, card, "Approve") for person in people))

    assert all(click.ack.ok for click in clicks)
    await decided(slack, card)
    stored = await product.get(request)
    assert len(stored["responses"]) == 1
    (winner,) = [r["name"] for r in stored["respondents"] if r["state"] == "approved"]
    losers = [click for click, person in zip(clicks, people, strict=True) if person.name != winner]
    told = await asyncio.gather(*(loser.ephemeral(20) for loser in losers))
    assert {f"Already approved by {winner}" in message.words for message in told} == {True}


async def test_an_answer_given_elsewhere_is_shown_to_whoever_is_late(
    product: Product, slack: SlackSandbox
) -> None:
    ana, ben = (slack.add_user(n, email=f"{n.lower()}@example.com") for n in ("Ana", "Ben"))
    request = await product.submit(audience=[f"slack:{ana.id}", f"slack:{ben.id}"])
    card = await slack.next_message(ana)
    slack.faults.next("chat.update", status=500, times=3)  # Ana's card stands as it was for a while
    await product.answer(request, "reject", reason="Too expensive")
    for button in ("Approve", "Reject"):
        told = await (await slack.click(ana, card, button)).ephemeral()
        assert "Already rejected by" in told.words
        assert "Too expensive" in told.words
    assert slack.modals(ana) == []


async def test_a_copy_the_store_does_not_know_is_redrawn_too(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    slack.workspace.scopes -= {"im:history"}  # so that nobody can look whether the first arrived
    slack.faults.next("chat.postMessage", drop="after")
    await product.submit(audience=[f"slack:{ana.id}"])
    await slack.wait_for(lambda: len(slack.messages(ana)) == 2)
    first, second = slack.messages(ana)
    await slack.click(ana, first, "Approve")
    for copy in (first, second):
        assert "Approved by Ana" in await decided(slack, copy)


async def test_a_person_is_asked_again_when_slack_waited_too_long_for_a_form(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    slack.faults.next("views.open", error="expired_trigger_id")
    told = await (await slack.click(ana, card, "Reject")).ephemeral()
    assert "Press the button again" in told.words


async def test_nothing_said_by_a_requester_is_live_in_a_refusal(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    slack.faults.next("chat.update", status=500, times=3)
    await product.answer(request, "reject", reason="<!channel> <@U0123456789> & @here")
    told = await (await slack.click(ana, card, "Approve")).ephemeral()
    assert "<!channel> <@U0123456789> & @here" in told.words
    assert "<!channel>" not in told.text
    assert {block["type"] for block in told.blocks} == {"rich_text"}


async def test_a_button_of_no_request_says_so(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    for value, said in (("req_nothing:1", "no request"), ("nonsense", "belongs to no request")):
        card.blocks[-1]["elements"][0]["value"] = value
        told = await (await slack.click(ana, card, "Approve")).ephemeral()
        assert said in told.words


async def test_an_old_revision_is_not_what_the_person_saw(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    card.blocks[-1]["elements"][0]["value"] = f"{request['id']}:7:0"
    told = await (await slack.click(ana, card, "Approve")).ephemeral()
    assert "has changed since you opened it" in told.words
    assert await responses(product, request) == []


async def test_a_failure_of_ours_is_admitted(
    product: Product, slack: SlackSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)

    async def broken(*_: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(product.assent.approvals, "respond", broken)
    click = await slack.click(ana, card, "Approve")
    assert click.ack.ok
    told = await click.ephemeral()
    assert "Something went wrong" in told.words
    assert "secret" not in told.words


async def test_a_database_that_fails_records_nothing_and_says_so(
    product: Product, slack: SlackSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)

    async def down(*_: object, **__: object) -> None:
        raise Unavailable("The database does not take the change just now. Nothing was recorded; try again.")

    monkeypatch.setattr(product.assent.store, "write", down)
    told = await (await slack.click(ana, card, "Approve")).ephemeral()
    assert "Nothing was recorded" in told.words
