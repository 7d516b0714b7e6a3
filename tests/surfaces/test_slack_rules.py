"""The rules people live by, as they meet them in Slack: steps, edits, escalation, hand-overs, questions, Undo."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bot.slack.inbound import bulk_responses
from tests.support.product import ManualClock, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.users import Interaction
    from bot.sandbox.slack.workspace import Message, User, View
    from tests.support.product import Json

FORM = {
    "type": "object",
    "properties": {
        "amount": {
            "type": "number",
            "title": "Amount in euros",
            "description": "At most 2000",
            "maximum": 2000,
        },
        "customer": {"type": "string", "title": "Customer", "readOnly": True},
        "urgent": {"type": "boolean", "title": "Urgent"},
    },
    "required": ["amount"],
}
PAYLOAD = {"amount": 1250, "customer": "8841", "urgent": False}


@pytest.fixture
async def product(sqlite_url: str, slack: SlackSandbox) -> AsyncIterator[Product]:
    """The rules are the same on every database, so one is enough here."""
    async with running(sqlite_url, slack=slack) as product:
        yield product


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ben(slack: SlackSandbox) -> User:
    return slack.add_user("Ben", email="ben@example.com")


@pytest.fixture
def cy(slack: SlackSandbox) -> User:
    return slack.add_user("Cy", email="cy@example.com")


async def says(slack: SlackSandbox, where: Message | View, words: str) -> str:
    """All that stands there, once it says this."""
    await slack.wait_for(lambda: words in where.words)
    return where.words


async def form(slack: SlackSandbox, user: User, card: Message, button: str) -> View:
    """What opens when somebody presses this."""
    return await (await slack.click(user, card, button)).view()


async def menu(slack: SlackSandbox, user: User, card: Message, entry: str) -> Interaction:
    """Pick from the ⋯ menu."""
    return await slack.click(user, card, "assent.more", choose=entry)


async def typed(slack: SlackSandbox, user: User, text: str) -> str:
    """What somebody reads who types `/approvals TEXT`."""
    return (await (await slack.command(user, "/approvals", text)).ephemeral()).words


async def post(product: Product, request: Json, what: str, **body: Json) -> None:
    answer = await product.call("POST", f"/v1/requests/{request['id']}/{what}", json=body)
    assert answer.status == 200, answer.text


async def noted(product: Product, request: Json, notice: str) -> None:
    """Nobody writes under a message before it is known where it stands."""

    async def states() -> list[str]:
        answer = await product.call("GET", f"/v1/requests/{request['id']}/deliveries")
        return [d["state"] for d in answer.json["items"] if d["notice"] == notice]

    async with asyncio.timeout(20):
        while "sent" not in await states():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


# Forms


async def test_values_are_edited_in_the_form_and_faults_stand_at_their_fields(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=PAYLOAD, form=FORM)
    card = await slack.next_message(ana)
    assert card.buttons == ["Approve", "Reject", "Edit…", "Details"]
    modal = await form(slack, ana, card, "Edit…")
    assert modal.title == "Approve with changes"
    assert modal.labels == ["Amount in euros", "Urgent", "Reason"]
    assert "Customer: \n8841" in modal.words
    hints = [block["hint"]["text"] for block in modal.blocks if "hint" in block]
    assert hints == ["At most 2000"]

    submitted = await slack.submit(modal, {"Amount in euros": 2500, "Reason": "As agreed"})
    assert submitted.errors == {"Amount in euros": "must be at most 2000"}
    assert modal.open
    submitted = await slack.submit(modal, {"Amount in euros": 900, "Urgent": "Yes", "Reason": "As agreed"})
    assert submitted.errors == {}

    words = await says(slack, card, "Approved by Ana")
    assert "Amount in euros: \n1250\n → \n900\n · Ana" in words
    assert "amount\n: \n900" in words
    outcome = (await product.get(request))["outcome"]
    assert outcome["payload"] == {"amount": 900, "customer": "8841", "urgent": True}
    assert outcome["edited"] is True


async def test_a_form_that_is_right_as_it_is_takes_one_click_and_an_incomplete_one_opens(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    first = await product.submit(audience=[f"slack:{ana.id}"], payload=PAYLOAD, form=FORM)
    card = await slack.next_message(ana)
    await slack.click(ana, card, "Approve")
    await says(slack, card, "Approved by Ana")
    assert (await product.get(first))["outcome"]["edited"] is False

    await product.submit(audience=[f"slack:{ana.id}"], payload={"customer": "8841"}, form=FORM)
    card = await slack.next_message(ana)
    modal = await form(slack, ana, card, "Approve")
    assert "Amount in euros" in (await slack.submit(modal, {})).errors
    await slack.submit(modal, {"Amount in euros": "12.50"})
    await says(slack, card, "amount\n: \n12.5")


async def test_every_kind_of_field_is_filled_in(product: Product, slack: SlackSandbox, ana: User) -> None:
    properties: dict[str, Json] = {
        "note": {"type": "string", "title": "Note"},
        "day": {"type": "string", "format": "date", "title": "Day"},
        "mail": {"type": "string", "format": "email", "title": "Mail"},
        "page": {"type": "string", "format": "uri", "title": "Page"},
        "count": {"type": "integer", "title": "Count"},
        "size": {"enum": ["s", "m", "l"], "title": "Size"},
        "zone": {"enum": [f"zone-{n}" for n in range(12)], "title": "Zone"},
        "tags": {"type": "array", "items": {"enum": ["red", "blue"]}, "title": "Tags"},
    }
    names = [*properties]
    schema = {"type": "object", "properties": properties, "required": ["note", "size"]}
    request = await product.submit(audience=[f"slack:{ana.id}"], kind="input", form=schema)
    card = await slack.next_message(ana)
    assert card.buttons == ["Fill in…", "Reject"]
    modal = await form(slack, ana, card, "Fill in…")
    values = ["Fragile", "2026-12-24", "a@example.com", "https://example.com/", 3, "m", "zone-7", ["blue"]]
    by_title = {properties[n]["title"]: v for n, v in zip(names, values, strict=True)}

    assert (await slack.submit(modal, by_title)).errors == {}

    await says(slack, card, "Approved by Ana")
    assert (await product.get(request))["outcome"]["values"] == dict(zip(names, values, strict=True))


async def test_feedback_is_a_score_and_a_comment(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], kind="feedback", quorum=1)
    card = await slack.next_message(ana)
    assert card.buttons == ["Give feedback…"]
    modal = await form(slack, ana, card, "Give feedback…")
    assert (await slack.submit(modal, {"Score": 7})).errors == {"Score": "must be at most 1"}
    await slack.submit(modal, {"Score": "0.8", "Comment": "Friendly"})
    await slack.wait_for(lambda: not card.buttons)
    outcome = (await product.get(request))["outcome"]
    assert (outcome["values"]["score"], outcome["values"]["comments"]) == (0.8, ["Friendly"])
    words = await says(slack, card, "Answered by Ana")
    assert "Ana gave feedback: 0.8, “Friendly”" in words


async def test_a_requester_outside_the_audience_is_called_by_name_and_cannot_answer(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    asked = {"audience": [f"slack:{ana.id}", f"slack:{ben.id}"]}
    await product.submit(audience=[f"slack:{ana.id}"], requester=f"slack:{ben.id}")
    assert f"Asked by {ben.name}" in (await slack.next_message(ana)).words
    request = await product.submit(**asked, requester=f"{ben.name} <{ben.email}>")
    answer = await product.answer(request, "approve", ben.email)
    assert (answer.status, answer.json["code"]) == (403, "self_approval")


async def test_a_choice_can_be_made_together_with_a_change(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    choices = [{"id": "eu", "label": "Europe"}, {"id": "us", "label": "America"}]
    request = await product.submit(
        audience=[f"slack:{ana.id}"], kind="choice", choices=choices, payload=PAYLOAD, form=FORM
    )
    card = await slack.next_message(ana)
    modal = await form(slack, ana, card, "Edit…")
    await slack.submit(modal, {"Choice": "America", "Amount in euros": 10})
    await says(slack, card, "Approved (America) by Ana")
    outcome = (await product.get(request))["outcome"]
    assert (outcome["choice"], outcome["payload"]["amount"]) == ("us", 10)


async def test_a_form_about_an_older_revision_says_what_changed_and_keeps_the_reason(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(
        audience=[f"slack:{ana.id}"], payload=PAYLOAD, form=FORM, reason="required", requester="support-bot"
    )
    card = await slack.next_message(ana)
    modal = await form(slack, ana, card, "Approve")
    await post(product, request, "revise", payload=PAYLOAD | {"amount": 40}, reason="Wrong order")

    submitted = await slack.submit(modal, {"Reason": "Small enough"})

    assert submitted.response_action == "update"
    assert "amount from 1250 to 40: Wrong order" in modal.words
    assert (await product.get(request))["status"] == "pending"
    await slack.submit(modal)
    await says(slack, card, "Small enough")


async def test_a_click_on_an_older_revision_counts_nothing_and_says_what_changed(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=PAYLOAD, form=FORM)
    card = await slack.next_message(ana)
    slack.faults.next("chat.update", status=500, times=3)  # the card stands as it was for a while
    await post(product, request, "revise", payload=PAYLOAD | {"amount": 40})
    told = await (await slack.click(ana, card, "Approve")).ephemeral()
    assert "has changed since you opened it" in told.words
    assert "changed amount from 1250 to 40" in told.words
    assert (await product.get(request))["responses"] == []


async def test_an_approval_of_other_values_is_set_back_and_the_person_is_told(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    await product.submit(
        audience=[f"slack:{ana.id}", f"slack:{ben.id}"], quorum=2, payload=PAYLOAD, form=FORM
    )
    anas, bens = await slack.next_message(ana), await slack.next_message(ben)
    await slack.click(ana, anas, "Approve")
    await says(slack, bens, "1 of 2 approvals")

    await slack.submit(await form(slack, ben, bens, "Edit…"), {"Amount in euros": 100})

    news = await slack.next_message(ana)
    assert "Ben changed" in news.words
    assert "The approval of Ana was for other values" in news.words
    assert news.buttons == []
    assert "waiting for Ana" in await says(slack, anas, "Ben changed")
    await slack.click(ana, anas, "Approve")
    await says(slack, anas, "Approved by Ben and Ana")


# Steps, groups, escalation, hand-overs


async def test_steps_open_one_after_the_other_and_a_closed_one_has_no_buttons(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    steps = [
        {"name": "Security", "audience": [f"slack:{ana.id}"]},
        {"name": "Finance", "audience": [f"slack:{ben.id}"]},
    ]
    await product.submit(audience=None, steps=steps)
    first = await slack.next_message(ana)
    assert "*Step 1 of 2: Security* (Security → Finance)" in first.words
    assert slack.messages(ben) == []

    await slack.click(ana, first, "Approve")

    second = await slack.next_message(ben)
    assert "*Step 2 of 2: Finance* (✓ Security → Finance)" in second.words
    assert "Security is approved" in second.words
    assert "The step you were asked in is closed" in await says(slack, first, "is closed")
    assert first.buttons == []
    await slack.click(ben, second, "Approve")
    for card in (first, second):
        await says(slack, card, "Approved by")


async def test_a_click_that_comes_twice_answers_one_step(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    steps = [{"audience": [f"slack:{ana.id}"]}, {"audience": [f"slack:{ana.id}"]}]
    request = await product.submit(audience=None, steps=steps)
    first = await slack.next_message(ana)
    slack.faults.twice()
    await slack.click(ana, first, "Approve")
    second = await slack.next_message(ana)
    assert len((await product.get(request))["responses"]) == 1
    await typed(slack, ana, f"approve {request['id']}")
    await says(slack, second, "Approved by Ana")


async def test_progress_of_a_tree_names_each_group_and_whom_it_waits_for(
    sqlite_url: str, slack: SlackSandbox, ana: User, ben: User, cy: User
) -> None:
    groups = {"security": ["ana@example.com"], "ops": ["ben@example.com", "cy@example.com"]}
    tree = {"all_of": [{"from": "group:security"}, {"from": "group:ops", "approvals": 2}]}
    async with running(sqlite_url, slack=slack, groups=groups) as product:
        await product.submit(audience=["group:security", "group:ops"], quorum=tree)
        card = await slack.next_message(ana)
        await slack.click(ben, await slack.next_message(ben), "Approve")
        assert "0 of 1 from security (waiting: Ana) and 1 of 2 from ops (waiting: Cy)" in await says(
            slack, card, "1 of 2 from ops"
        )


async def test_escalate_asks_the_next_level_with_the_reason(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    ladder = [{"name": "manager", "audience": [f"slack:{ben.id}"], "after_seconds": 900}]
    await product.submit(audience=[f"slack:{ana.id}"], escalation=ladder)
    card = await slack.next_message(ana)
    assert "Escalates to manager <!date^" in card.words
    modal = await form(slack, ana, card, "Escalate…")
    assert "*manager*" in modal.words
    slack.faults.twice()
    await slack.submit(modal, {"Reason": "Too much for me"})
    managers = await slack.next_message(ben)
    assert "Escalated from audience to manager by Ana: Too much for me" in managers.words
    await says(slack, card, "Escalated to *manager*")
    assert "Escalate…" not in card.buttons
    assert slack.ephemerals(ana) == []
    await slack.click(ben, managers, "Approve")
    await says(slack, card, "Approved by Ben")


async def test_a_request_is_handed_on_from_its_card(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    modal = await (await menu(slack, ana, card, "Delegate…")).view()
    assert modal.labels == ["Hand on to", "Reason"]
    refused = await slack.submit(modal, {"Hand on to": ana.id})
    assert "same person" in refused.errors["Hand on to"]
    await slack.submit(modal, {"Hand on to": ben.id, "Reason": "On holiday"})

    bens = await slack.next_message(ben)
    assert "Ana handed this on to Ben: On holiday" in bens.words
    assert "Handed on: Ben for Ana" in bens.words
    assert "You handed this request on" in await says(slack, card, "You handed")
    assert card.buttons == []
    await slack.click(ben, bens, "Approve")
    await says(slack, card, "Approved by Ben")


# Questions, second thoughts


async def test_a_question_reaches_the_requester_and_the_reply_in_its_thread_comes_back(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], requester=f"slack:{ben.id}")
    card = await slack.next_message(ana)
    modal = await (await menu(slack, ana, card, "Ask…")).view()
    await slack.submit(modal, {"Question": "Which order <!channel>?"})
    asked = await slack.next_message(ben)
    assert "Ana asked: Which order <!channel>?" in asked.words
    assert asked.live_parts == []
    await noted(product, request, "news")

    await slack.say(ben, slack.workspace.direct(ben.id), "Order 5531 & no other", thread=asked.ts)

    answer = await slack.next_message(ben, where=lambda m: m.user != ben.id)
    assert answer.thread_ts == asked.ts
    assert "You replied; Ana can read it." in answer.words
    assert "Ben replied: Order 5531 & no other" in (await slack.next_message(ana)).words
    words = await says(slack, card, "Order 5531")
    assert "Ana asked: \nWhich order <!channel>?" in words
    assert card.live_parts == []

    await slack.say(ana, slack.workspace.direct(ana.id), "Broken how?", thread=card.ts)
    asked = await slack.next_message(ben, where=lambda m: "Broken how?" in m.words)
    assert "You replied" in await typed(slack, ben, f"reply {request['id']} The handle")
    await says(slack, card, "The handle")
    assert [c["text"] for c in (await product.get(request))["comments"]][-1] == "The handle"


async def test_what_is_written_to_nobody_in_particular_is_answered_with_how_to(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    await slack.say(ana, slack.workspace.direct(ana.id), "Hello?")
    hint = await slack.next_message(ana, where=lambda m: m.user != ana.id)
    assert "in the thread under a request's message" in hint.words
    request = await product.submit(audience=[f"slack:{ana.id}"])
    assert "Only whoever asked" in await typed(slack, ana, f"reply {request['id']} It is fine")


async def test_an_answer_is_taken_back(product: Product, slack: SlackSandbox, ana: User, ben: User) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}", f"slack:{ben.id}"], quorum=2)
    card = await slack.next_message(ana)
    await slack.click(ana, card, "Approve")
    await slack.wait_for(lambda: "Undo" in card.buttons)
    slack.faults.twice()
    await slack.click(ana, card, "Undo")
    assert "0 of 2 approvals" in await says(slack, card, "Ana took their answer back.")
    assert "Undo" not in card.buttons
    assert slack.ephemerals(ana) == []
    assert "You approved" in await typed(slack, ana, f"approve {request['id']}")
    assert "0 of 2 approvals" in await typed(slack, ana, f"withdraw {request['id']}")
    nothing = await typed(slack, ana, f"withdraw {request['id']}")
    assert "nothing to take back" in nothing


async def test_a_decision_that_is_held_can_be_undone_until_it_is_final(
    sqlite_url: str, slack: SlackSandbox, ana: User
) -> None:
    clock = ManualClock()
    async with running(sqlite_url, slack=slack, clock=clock) as product:
        ops = slack.add_channel("ops", [ana])
        request = await product.submit(audience=[f"slack:{ops.id}"], grace_seconds=60)
        card = await slack.next_message(ops)
        await slack.click(ana, card, "Approve")
        await says(slack, card, "Approved by Ana; final <!date^")
        await menu(slack, ana, card, "Undo my answer")
        await slack.wait_for(lambda: "final <!date^" not in card.words)
        assert (await product.get(request))["status"] == "pending"
        await slack.click(ana, card, "Approve")
        await says(slack, card, "final <!date^")
        product.advance(61)
        await slack.wait_for(lambda: not card.buttons)
        assert (await product.get(request))["status"] == "approved"


# Away


async def test_everything_is_handed_on_while_somebody_is_away(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    await product.submit(title="First", audience=[f"slack:{ana.id}"])
    await product.submit(title="Of Ben", audience=[f"slack:{ana.id}"], requester=f"slack:{ben.id}")
    ops = slack.add_channel("ops", [ana])
    await product.submit(title="For anyone", audience=[f"slack:{ops.id}"])

    said = await typed(slack, ana, "delegate @ben until 2999-12-31")

    assert "Until the end of Tuesday, 2999-12-31 Ben is asked in your place." in said
    assert "Handed on to Ben: 1 of 2 that wait for you." in said
    assert "“Of Ben”: Whom you named is who asked for this" in said
    assert "First" in (await slack.next_message(ben)).words
    later = await product.submit(title="Later", audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ben)
    assert "Ben stands in for Ana" in card.words
    assert "You are asked yourself again" in await typed(slack, ana, "delegate off")
    assert "Nobody stands in" in await typed(slack, ana, "delegate off")
    await product.submit(title="Back", audience=[f"slack:{ana.id}"])
    assert "Back" in (await slack.next_message(ana, where=lambda m: "Back" in m.words)).words
    assert (await product.get(later))["respondents"][0]["state"] == "delegated"


@pytest.mark.parametrize(
    ("zone", "offset", "day"),
    [("Mars/Phobos", 3600, "Saturday"), ("Mars/Phobos", -36000, "Friday"), ("", 0, "Friday")],
)
async def test_until_a_day_where_the_profile_s_zone_is_unknown(  # noqa: PLR0917
    sqlite_url: str, slack: SlackSandbox, ana: User, ben: User, zone: str, offset: int, day: str
) -> None:
    """The offset that Slack tells beside the name says which day it is there, else UTC does."""
    ana.tz, ana.tz_offset = zone, offset
    clock = ManualClock()
    clock.at = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)  # a Friday
    async with running(sqlite_url, slack=slack, clock=clock) as product:
        said = await typed(slack, ana, "delegate @ben until today")
        assert f"Until the end of {day}, 2026-11-2" in said
        assert "Ben is asked in your place" in said
        assert "Until the end of Friday, 2026-1" in await typed(slack, ana, "delegate @ben until friday")
        later = await product.submit(audience=[f"slack:{ana.id}"])
        assert later["respondents"][0]["state"] == "delegated"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delegate @ana", "Whom you named is the same person"),
        ("delegate @ben until 2020-01-01", "The day is in the past"),
        ("delegate @ben until whenever", "“whenever” is no day"),
        ("delegate @ben until", "“until” says nothing here; nothing was handed on"),
        ("delegate @ben tomorrow", "“tomorrow” says nothing here; nothing was handed on"),
        ("delegate ben@example.com till friday", "“till friday” says nothing here; nothing was handed on"),
        ("delegate @ben until friday", "Until the end of Friday, "),
        ("delegate ben@example.com until tomorrow", "Ben is asked in your place."),
        ("ask {id} Why?", "You asked about “Refund"),
        ("escalate {id} Too much", "this request has no escalation"),
        ("escalate req_nothing", "There is no request"),
    ],
)
@pytest.mark.usefixtures("ben")
async def test_what_commands_say(
    product: Product, slack: SlackSandbox, ana: User, text: str, said: str
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    words = await typed(slack, ana, text.replace("{id}", request["id"]))
    assert said.lower() in words.lower()


async def test_nothing_is_handed_on_to_people_of_other_organisations(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    slack.add_user("Eve", email="eve@example.org", team=slack.add_team())
    request = await product.submit(audience=[f"slack:{ana.id}"])
    assert "Whom you named belongs to another organisation" in await typed(slack, ana, "delegate @eve")
    assert [r["state"] for r in (await product.get(request))["respondents"]] == ["waiting"]


# Reminders


async def test_a_reminder_says_what_waits_and_has_nothing_to_click(
    sqlite_url: str, slack: SlackSandbox, ana: User
) -> None:
    clock = ManualClock()
    async with running(sqlite_url, slack=slack, clock=clock) as product:
        ops = slack.add_channel("ops", [ana])
        audience = [f"slack:{ana.id}", f"slack:{ops.id}"]
        await product.submit(audience=audience, remind_after_seconds=[600], timeout_seconds=3600)
        card, in_channel = await slack.next_message(ana), await slack.next_message(ops)
        product.advance(601)
        reminder, reply = await slack.next_message(ana), await slack.next_message(ops)
        for message in (reminder, reply):
            assert "Still waiting for" in message.words
            assert "Refund €1,250 to customer 8841" in message.words
            assert "Deadline <!date^" in message.words
            assert message.buttons == []
            assert message.live_parts in ([], [f"#{ops.id}"])
        assert reminder.thread_ts is None
        assert reply.thread_ts == in_channel.ts
        assert card.buttons


# Many at once


async def test_several_are_ticked_at_home_and_answered_together(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    mine = {"audience": [f"slack:{ana.id}"]}
    plain = [await product.submit(title=f"Plain {n}", **mine) for n in range(4)]
    await product.submit(title="Careful", level="verify", verification_phrase="do it", **mine)
    await product.submit(title="Why", reason="required", **mine)
    await slack.open_home(ana)
    home = await home_of(slack, ana, "Plain 0")
    assert "To be answered by itself: it wants a phrase typed." in home.words
    assert "To be answered by itself: it wants a reason of its own." in home.words
    assert boxes(home) == {request["id"] for request in plain}
    none = await (await slack.click(ana, home, "Approve selected")).view()
    assert "Tick the requests first" in none.words
    await slack.close_view(none)

    await product.answer(plain[1], "reject")  # somebody was faster
    home = await home_of(slack, ana, "Plain 0")
    asked = await (await ticked(slack, ana, home, plain[:2], "Approve selected")).view()
    assert "Approve this request?" in asked.words
    assert "“Plain 1”: Already rejected by" in asked.words
    assert (await product.get(plain[0]))["status"] == "pending"  # nothing is decided before
    await slack.submit(asked, {})
    assert "You approved 1 of 1." in asked.words
    await slack.close_view(asked)

    await slack.wait_for(lambda: "Plain 0" not in (slack.home(ana) or home).words)
    home = await home_of(slack, ana, "Plain 2")
    reasons = await (await ticked(slack, ana, home, plain[2:], "Reject selected…")).view()
    assert "Plain 2" in reasons.words
    await slack.submit(reasons, {"Reason": "Not this week"})
    assert "You rejected 2 of 2." in reasons.words
    for request in plain[2:]:
        stored = await product.get(request)
        assert (stored["status"], stored["outcome"]["reason"]) == ("rejected", "Not this week")
        audit = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
        assert [event["type"] for event in audit].count("request.response") == 1


async def test_what_slack_is_too_slow_for_is_on_its_way(
    product: Product, slack: SlackSandbox, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_responses, "PATIENT_SECONDS", 0.05)
    requests = [await product.submit(title=f"Plain {n}", audience=[f"slack:{ana.id}"]) for n in range(2)]
    await slack.open_home(ana)
    home = await home_of(slack, ana, "Plain 1")
    said = await (await ticked(slack, ana, home, requests, "Approve selected")).view()
    slack.faults.next("users.info", delay=0.3, times=2)
    await slack.submit(said, {})
    assert "You approved 0 of 2. Slack is slow just now; 2 more are on their way." in said.words
    await slack.wait_for(lambda: "Nothing waits for you" in (slack.home(ana) or home).words)
    assert [(await product.get(request))["status"] for request in requests] == ["approved"] * 2


def boxes(home: View) -> set[str]:
    """The requests that can be ticked."""
    elements = [e for block in home.blocks if block["type"] == "actions" for e in block["elements"]]
    values = [o["value"] for e in elements if e["type"] == "checkboxes" for o in e["options"]]
    return {value.partition(":")[0] for value in values}


async def home_of(slack: SlackSandbox, user: User, words: str) -> View:
    """Somebody's Home tab, once it says this."""

    def current() -> View | None:
        home = slack.home(user)
        return home if home and words in home.words else None

    home = await slack.wait_for(current)
    assert home
    return home


async def ticked(
    slack: SlackSandbox, user: User, home: View, requests: list[Json], button: str
) -> Interaction:
    """Tick these, then press a button."""
    wanted = [request["id"] for request in requests]
    values: Json = {}
    for block in home.blocks:
        for element in block.get("elements", []):
            if element.get("type") == "checkboxes":
                chosen = [o for o in element["options"] if o["value"].partition(":")[0] in wanted]
                entry = {"type": "checkboxes", "selected_options": chosen}
                values[block["block_id"]] = {element["action_id"]: entry}
    where = [
        (block, element)
        for block in home.blocks
        if block["type"] == "actions"
        for element in block["elements"]
        if element.get("text", {}).get("text") == button
    ]
    block, element = where[0]
    return await slack.use(user, home, block, element, choice=None, values=values)
