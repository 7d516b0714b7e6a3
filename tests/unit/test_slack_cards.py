"""What people see in Slack of a request: cards, modals and the inbox."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock
from slack_sdk.models.views import View as SdkView

from bot.domain.model.request import (
    HeldOutcome,
    OpenSelector,
    Request,
    ResolvedBy,
    RespondentState,
    Status,
    Unreached,
)
from bot.domain.model.spec import Choice, Kind, Level, OnTimeout, ReasonRule
from bot.ports.store import DeliveryState
from bot.sandbox.slack.block_kit.blockkit import (
    MOST_VIEW_BYTES,
    block_faults,
    text_length,
    texts,
    view_faults,
)
from bot.slack.render import cards, details_modal, home, modals
from bot.slack.render.card_copies import Copy
from bot.slack.render.cards import Message
from tests.support.asking import places
from tests.support.slack_requests import (
    ANA,
    BEN,
    HOUR,
    NASTY,
    NOW,
    answered,
    asked,
    eventful,
    nasty,
    resolved,
)

if TYPE_CHECKING:
    from bot.slack.render.text import Block

BUDGET = 9000


def words(blocks: list[Block]) -> str:
    return "\n".join(texts(blocks))


def elements(blocks: list[Block]) -> list[Block]:
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


def labels(blocks: list[Block]) -> list[str]:
    return [element["text"]["text"] for element in elements(blocks) if element["type"] == "button"]


def assert_message(message: Message) -> None:
    assert block_faults(message.blocks) == []
    assert text_length(message.blocks) <= BUDGET
    assert 0 < len(message.text) <= 4000
    for block in message.blocks:
        parsed = SdkBlock.parse(block)
        assert parsed
        parsed.validate_json()


def assert_view(view: Block) -> None:
    assert view_faults(view) == []
    assert len(json.dumps(view)) < MOST_VIEW_BYTES
    SdkView(**view).validate_json()


def assert_fits(request: Request) -> None:
    assert_message(cards.card(request, NOW))
    assert_view(modals.answer_modal(request, "reject"))
    assert_view(details_modal.details_modal(request, NOW))


def assert_everything_fits(request: Request) -> None:
    assert_message(cards.card(request, NOW))
    for has_card in (True, False):
        reminder = cards.reminder(request, NOW, Copy(respondent=ANA.id), has_card=has_card)
        assert_message(reminder)
        assert ("Its card is above" in str(reminder.blocks)) is has_card
    assert_message(cards.news(request, request.spec.title, Copy()))
    for act in modals.ACTS:
        assert_view(modals.act_modal(request, act))
    for decision in ("approve", "reject", "skip"):
        assert_view(modals.answer_modal(request, decision, changed=[request.spec.title]))
    assert_view(details_modal.details_modal(request, NOW, [delivery(request.spec.title)] * 50))
    assert_view(home.home([replace(request, id=f"req_{i}") for i in range(21)], 7, NOW))
    many = [replace(request, id=f"req_{i}") for i in range(12)]
    assert_message(Message("inbox", home.inbox_blocks(many, request.spec.title, NOW)))


def delivery(error: str | None = None) -> DeliveryState:
    return DeliveryState(
        id="dlv_1",
        surface="slack",
        address="U0ANA",
        notice="card",
        respondent=ANA.id,
        state="failed" if error else "sent",
        attempts=1,
        error=error,
        at=NOW,
    )


# The open card


def test_a_card_says_what_is_asked_by_whom_until_when_and_what_happens_then() -> None:
    shown = words(cards.card(asked(), NOW).blocks)
    for part in (
        "Refund €1,250 to customer 8841",
        "Evidence",
        "Requested by: \nsupport-agent",
        "What will be done",
        "Amount: \n1250",
        "Asked by bob@example.com",
        "<https://ci.example.com/run/1|ci.example.com>",
        "0 of 2 approvals · waiting for Ana and Ben",
        "Deadline <!date^1795251600^{date_short_pretty} {time}|2026-11-21 09:00 UTC>.",
        "Without a decision by then it expires.",
    ):
        assert part in shown


def test_buttons_carry_the_request_and_its_revision_and_nothing_else() -> None:
    request = replace(asked(allow_skip=True), version=7, revision=3)
    [actions] = [block for block in cards.card(request, NOW).blocks if block["type"] == "actions"]
    assert actions["block_id"] == "assent:7:req_01:3:0"
    *buttons, menu = actions["elements"]
    assert [(e["action_id"], e["text"]["text"], e.get("style"), e["value"]) for e in buttons] == [
        ("assent.approve", "Approve", "primary", "req_01:3:0"),
        ("assent.reject", "Reject", "danger", "req_01:3:0"),
        ("assent.skip", "Skip", None, "req_01:3:0"),
        ("assent.details", "Details", None, "req_01:3:0"),
    ]
    assert menu["type"] == "overflow"
    assert [(o["text"]["text"], o["value"]) for o in menu["options"]] == [
        ("Ask…", "ask"),
        ("Delegate…", "delegate"),
    ]


def test_skip_is_offered_only_where_it_is_allowed() -> None:
    assert labels(cards.card(asked(), NOW).blocks) == ["Approve", "Reject", "Details"]


def test_details_is_offered_where_there_is_more_than_the_card_shows() -> None:
    long = asked(message="word " * 2000)
    assert labels(cards.card(long, NOW).blocks)[-1] == "Details"
    assert labels(cards.card(asked(payload=None), NOW).blocks) == ["Approve", "Reject"]
    assert "not shown in full: the message; see Details." in words(cards.card(long, NOW).blocks)
    assert labels(cards.card(answered(asked(), reason="fine"), NOW).blocks)[-1] == "Details"


def test_progress_names_who_answered_and_who_is_waited_for() -> None:
    request = replace(answered(asked()), places=places("slack:C0OPS"))
    shown = words(cards.card(request, NOW).blocks)
    assert "1 of 2 approvals · Ana approved · waiting for Ben and anyone in <#C0OPS>" in shown


def test_up_to_five_choices_are_buttons() -> None:
    request = choosing(5)
    *buttons, _ = elements(cards.card(request, NOW).blocks)
    assert [b["action_id"] for b in buttons][:5] == [f"assent.choose.c{i}" for i in range(5)]
    assert [b["text"]["text"] for b in buttons] == [*(f"Choice {i}" for i in range(5)), "Reject", "Details"]


def test_more_than_five_choices_are_a_select() -> None:
    [select, reject, *_] = elements(cards.card(choosing(100), NOW).blocks)
    assert (select["type"], select["action_id"]) == ("static_select", "assent.choose")
    assert [option["value"] for option in select["options"]] == [f"c{i}" for i in range(100)]
    assert reject["action_id"] == "assent.reject"


def choosing(number: int, label: str = "Choice {}") -> Request:
    choices = tuple(Choice(id=f"c{i}", label=label.format(i)) for i in range(number))
    return asked(kind=Kind.CHOICE, choices=choices)


# What has happened


def test_a_card_tells_what_has_happened() -> None:
    shown = words(cards.card(eventful(asked()), NOW).blocks)
    for part in (
        "*Step 2 of 3: Wrong customer 1* (✓ Wrong customer 0 → Wrong customer 1 → Wrong customer 2)",
        "Handed on: Ben for Wrong customer",
        "Escalated to *Wrong customer 0* · next Wrong customer 1 <!date^1795248900^",
        "Wrong customer: \nWrong customer\n → \n2\n · Wrong customer",
        "Wrong customer asked: \nWrong customer",
        "Bob replied: \nWrong customer",
        "Wrong customer 2.",
        "amount\n: \n900",
    ):
        assert part in shown


def test_a_card_has_the_newest_and_details_has_all() -> None:
    request = eventful(asked(), number=12)
    shown = words(cards.card(request, NOW).blocks)
    assert [n for n in range(12) if f"Wrong customer {n}." in shown] == [9, 10, 11]
    shown = words(details_modal.details_modal(request, NOW)["blocks"])
    assert [n for n in range(12) if f"Wrong customer {n}." in shown] == [*range(12)]


def test_a_decision_that_is_held_says_until_when() -> None:
    outcome = resolved(asked(), Status.APPROVED).outcome
    assert outcome
    request = replace(answered(asked()), held=HeldOutcome(outcome=outcome, until=NOW + HOUR))
    card = cards.card(request, NOW + HOUR / 2)
    final = "Approved by Ana; final <!date^1795251600^{date_short_pretty} {time}|2026-11-21 09:00 UTC>"
    assert final in words(card.blocks)
    assert "Deadline" not in words(card.blocks)
    assert labels(card.blocks)[:2] == ["Approve", "Reject"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"step": 0}, "The step you were asked in is closed"),
        ({"state": RespondentState.DELEGATED}, "You handed this request on"),
    ],
)
def test_a_copy_of_somebody_who_is_not_asked_any_more_has_no_buttons(
    change: dict[str, Any], why: str
) -> None:
    request = eventful(asked())
    people = tuple(replace(r, **change) if r.id == ANA.id else r for r in request.respondents)
    request = replace(request, respondents=people)
    card = cards.card(request, NOW, Copy(respondent=ANA.id))
    assert elements(card.blocks) == []
    assert why in words(card.blocks)
    assert elements(cards.card(request, NOW, Copy(respondent=BEN.id)).blocks)
    assert elements(cards.card(request, NOW).blocks)
    assert_message(card)


def test_a_channels_copy_follows_its_step_and_its_level() -> None:
    request = replace(eventful(asked()), places=(OpenSelector(selector="slack:C0OPS", step=1),))
    ops = Copy(channel="C0OPS")
    assert "Undo my answer" in menu(cards.card(answered(request), NOW, ops).blocks)
    assert menu(cards.card(request, NOW, ops).blocks) == ["Ask…", "Delegate…"]
    closed = replace(request, places=(OpenSelector(selector="slack:C0OPS", step=0),))
    assert "The step this channel was asked in is closed" in words(cards.card(closed, NOW, ops).blocks)
    ladder = tuple(replace(level, replace=True) for level in request.spec.escalation)
    replaced = replace(request, spec=replace(request.spec, escalation=ladder))
    assert "was escalated to Wrong customer 0" in words(cards.card(replaced, NOW, ops).blocks)


def test_whoever_answered_sees_undo() -> None:
    own = Copy(respondent=ANA.id)
    assert "Undo" in labels(cards.card(answered(asked()), NOW, own).blocks)
    assert menu(cards.card(answered(asked()), NOW, own).blocks) == ["Ask…"]
    assert "Undo" not in labels(cards.card(answered(asked()), NOW, Copy(respondent=BEN.id)).blocks)


def menu(blocks: list[Block]) -> list[str]:
    [overflow] = [element for element in elements(blocks) if element["type"] == "overflow"]
    return [option["text"]["text"] for option in overflow["options"]]


def test_after_the_deadline_there_is_nothing_left_to_click() -> None:
    card = cards.card(asked(), NOW + HOUR)
    assert elements(card.blocks) == []
    assert "The deadline has passed; the outcome follows." in words(card.blocks)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://good.example@evil.example/a|b?x=1&y",
            "<https://good.example@evil.example/a%7Cb?x=1&amp;y|evil.example>",
        ),
        ("http://[", "· http://["),
        ("https://ci.example.com/" + "x" * 600, "· ci.example.com"),
    ],
)
def test_a_link_to_the_source_shows_the_host_it_leads_to(url: str, shown: str) -> None:
    assert shown in words(cards.card(asked(source_url=url), NOW).blocks)


def test_without_a_deadline_none_is_shown() -> None:
    assert "Deadline" not in words(cards.card(replace(asked(), timeout_at=None), NOW).blocks)


# The final card


def test_a_final_card_says_who_what_when_and_why_and_has_no_buttons() -> None:
    request = resolved(answered(asked(), "reject"), Status.REJECTED, reason="Wrong customer.\nAsk again.")
    card = cards.card(request, NOW)
    shown = words(card.blocks)
    assert elements(card.blocks) == []
    assert "*✗ Rejected by Ana · <!date^1795249800^{date_short_pretty} {time}|2026-11-21 08:30 UTC>*" in shown
    assert "Wrong customer.\nAsk again." in shown
    assert "Refund €1,250 to customer 8841" in shown
    assert "waiting for" not in shown
    assert card.text == "Refund €1,250 to customer 8841: Rejected by Ana at 2026-11-21 08:30 UTC"


@pytest.mark.parametrize("status", [s for s in Status if s.final])
def test_every_outcome_has_its_final_card(status: Status) -> None:
    by = ResolvedBy.TIMEOUT if status is Status.EXPIRED else ResolvedBy.RESPONDENTS
    card = cards.card(resolved(asked(), status, resolved_by=by), NOW)
    assert status.value.capitalize() in words(card.blocks)
    assert elements(card.blocks) == []
    assert_message(card)


def test_information_is_shown_without_buttons() -> None:
    request = asked(level=Level.INFO)
    told = resolved(
        request, Status.APPROVED, resolved_by=ResolvedBy.POLICY, by="policy", reason="Nobody had to."
    )
    card = cards.card(told, NOW)
    assert elements(card.blocks) == []
    assert "For your information" in words(card.blocks)


def test_a_final_card_that_is_cut_says_where_all_of_it_is() -> None:
    request = resolved(asked(message="word " * 2000), Status.APPROVED)
    assert "not shown in full: the message; see Details of `/approvals show req_01`." in words(
        cards.card(request, NOW).blocks
    )


def test_a_notification_shows_its_message_and_pings_nobody() -> None:
    message = cards.notification("Deploy of **api** done <!channel>")
    assert "".join(texts(message.blocks)) == "Deploy of api done <!channel>"
    assert message.text == "Deploy of **api** done &lt;!channel&gt;"
    assert_message(message)
    assert_message(cards.notification("x" * 100_000))
    assert_message(cards.notification("\u202e"))


# Modals


@pytest.mark.parametrize(
    ("spec", "decision", "wanted"),
    [
        ({}, "approve", False),
        ({}, "reject", True),
        ({"allow_skip": True}, "skip", False),
        ({"reason": ReasonRule.REQUIRED}, "approve", True),
        ({"reason": ReasonRule.REQUIRED}, "skip", True),
        ({"reason": ReasonRule.ON_REJECT}, "approve", False),
        ({"level": Level.VERIFY, "verification_phrase": "refund 8841"}, "approve", True),
    ],
)
def test_a_modal_opens_where_more_than_a_click_is_wanted(
    spec: dict[str, Any], decision: str, *, wanted: bool
) -> None:
    assert modals.needs_modal(asked(**spec), decision) is wanted


def inputs(view: Block) -> list[tuple[str, str, str, bool]]:
    return [
        (b["block_id"], b["element"]["action_id"], b["label"]["text"], b.get("optional", False))
        for b in view["blocks"]
        if b["type"] == "input"
    ]


def test_rejecting_asks_for_a_reason_and_shows_again_what_is_decided() -> None:
    view = modals.answer_modal(replace(asked(), revision=2), "reject")
    assert view["callback_id"] == "assent.answer"
    about = {"request": "req_01", "revision": 2, "step": 0, "decision": "reject", "trail": 0}
    assert json.loads(view["private_metadata"]) == about
    assert inputs(view) == [("reason", "reason", "Reason", True)]
    assert (view["title"]["text"], view["submit"]["text"], view["close"]["text"]) == (
        "Reject",
        "Reject",
        "Cancel",
    )
    assert "Refund €1,250" in words(view["blocks"])
    assert "Amount: \n1250" in words(view["blocks"])
    assert_view(view)


def test_a_required_reason_is_not_optional() -> None:
    view = modals.answer_modal(asked(reason=ReasonRule.ON_REJECT), "reject")
    assert inputs(view) == [("reason", "reason", "Reason", False)]


def test_the_phrase_is_named_where_it_has_to_be_typed() -> None:
    request = asked(level=Level.VERIFY, verification_phrase="refund 8841")
    assert inputs(modals.answer_modal(request, "approve"))[1] == (
        "phrase",
        "phrase",
        "Type exactly: refund 8841",
        False,
    )
    assert len(inputs(modals.answer_modal(request, "reject"))) == 1


def test_a_choice_is_named_in_its_modal() -> None:
    request = replace(choosing(3), spec=replace(choosing(3).spec, reason=ReasonRule.REQUIRED))
    assert "Choice 2" in words(modals.answer_modal(request, "c2")["blocks"])


def test_what_changed_since_an_earlier_try_is_said_and_the_reason_stays() -> None:
    view = modals.answer_modal(asked(), "reject", changed=["Bob changed <amount>."], reason="Too much")
    assert "Bob changed &lt;amount&gt;." in words(view["blocks"])
    assert view["blocks"][-1]["element"]["initial_value"] == "Too much"


def test_details_shows_two_hundred_details_and_everything_that_happened() -> None:
    request = asked(details={f"Detail {i}": f"value {i}" for i in range(200)}, labels={"env": "prod"})
    request = replace(
        answered(request, "reject", "Too <soon>"), unreached=(Unreached(target="email:x@y.z", reason="550"),)
    )
    view = details_modal.details_modal(request, NOW, [delivery("the channel is archived")])
    shown = words(view["blocks"])
    assert all(f"Detail {i}: \nvalue {i}" in shown for i in range(200))
    for part in (
        "*Ana* rejected <!date^",
        "Too <soon>",
        "email:x@y.z: 550",
        "card by slack to U0ANA: failed (the channel is archived)",
        "env: prod",
        "req_01",
    ):
        assert part in shown
    assert_view(view)


def test_details_lists_what_was_said_to_people_and_no_callback() -> None:
    hook = "https://example.com/hook"
    callback = replace(delivery("410"), surface="callback", notice="callback", address=hook)
    shown = words(details_modal.details_modal(asked(), NOW, [delivery(), callback])["blocks"])
    assert "card by slack to U0ANA" in shown
    assert hook not in shown


def test_details_says_plainly_what_even_it_cannot_show() -> None:
    request = asked(payload={"rows": ["x" * 100] * 5000})
    view = details_modal.details_modal(request, NOW)
    shown = words(view["blocks"])
    assert (
        "*Not shown in full*: 4,933 more values under “What will be done”. *Read all* shows all of it"
        in shown
    )
    assert request.spec.payload_digest in shown
    assert "characters" in shown
    assert_view(view)


def test_short_modals_are_views_that_slack_takes() -> None:
    assert_view(modals.message_modal("A title that is far too long for Slack", "Somebody <was> faster."))
    assert_view(modals.message_modal("", ""))


# The inbox


def test_the_home_tab_shows_twenty_requests_and_how_many_more_there_are() -> None:
    waiting = [replace(asked(), id=f"req_{i}") for i in range(25)]
    view = home.home(waiting, 3, NOW)
    assert len([b for b in view["blocks"] if b["type"] == "divider"]) == 20
    assert "… and 8 more." in words(view["blocks"])
    assert_view(view)


def test_an_empty_home_tab_says_so() -> None:
    view = home.home([], 0, NOW)
    assert "Nothing waits for you." in words(view["blocks"])
    assert_view(view)


def test_an_inbox_has_buttons_for_what_is_open_and_outcomes_for_what_is_not() -> None:
    done = resolved(replace(asked(), id="req_02"), Status.APPROVED)
    blocks = home.inbox_blocks([asked(), done], "Yours", NOW)
    assert labels(blocks) == ["Approve", "Reject", "Details"]
    assert "*✓ Approved by Ana · " in words(blocks)
    assert "more." not in words(blocks)


def test_an_inbox_says_how_many_did_not_fit() -> None:
    blocks = home.inbox_blocks([replace(asked(), id=f"req_{i}") for i in range(60)], "Waiting", NOW)
    shown = len([b for b in blocks if b["type"] == "actions"])
    assert shown >= 8
    assert f"… and {60 - shown} more." in words(blocks)
    assert "Nothing here." in words(home.inbox_blocks([], "Waiting", NOW))


# Nothing that anybody writes breaks a card


@pytest.mark.thorough
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_nasty_texts_fit_everywhere(text: str) -> None:
    request = nasty(text)
    assert_everything_fits(request)
    assert_fits(eventful(request, text, 30))
    assert_everything_fits(resolved(request, Status.REJECTED, by=text, reason=text))


@pytest.mark.thorough
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_nasty_choices_fit_everywhere(text: str) -> None:
    for number in (5, 100):
        request = choosing(number, text[:5000].replace("{", "").replace("}", "") + "{}")
        assert_everything_fits(request)
        assert_view(modals.answer_modal(request, "c0"))


def test_no_requester_can_ping_anybody() -> None:
    message = cards.card(eventful(nasty(NASTY["pings"]), NASTY["pings"]), NOW)
    live = [
        t for t in mrkdwn(message.blocks) if any(ping in t for ping in ("<!channel", "<!sub", "<@", "<#"))
    ]
    assert live == []
    assert all(block.get("verbatim") for block in mrkdwn_objects(message.blocks))
    assert "<" not in message.text


def mrkdwn(blocks: list[Block]) -> list[str]:
    return [found["text"] for found in mrkdwn_objects(blocks)]


def mrkdwn_objects(value: Any) -> list[Block]:
    if isinstance(value, list):
        return [found for item in value for found in mrkdwn_objects(item)]
    if not isinstance(value, dict):
        return []
    inner = [found for member in value.values() for found in mrkdwn_objects(member)]
    return [value, *inner] if value.get("type") == "mrkdwn" else inner


def test_a_payload_shows_what_is_invisible_in_it() -> None:
    assert "\\u202e" in words(cards.card(asked(payload={"to": "\u202e8841"}), NOW).blocks)


def test_a_huge_payload_fits_everywhere() -> None:
    assert_everything_fits(asked(payload={"rows": ["é" * 1000] * 250}))


@pytest.mark.parametrize(("level", "kind", "reason"), list(product(Level, Kind, ReasonRule)))
def test_every_combination_is_drawn(level: Level, kind: Kind, reason: ReasonRule) -> None:
    choices = (Choice(id="a", label="A", style="danger"),) if kind is Kind.CHOICE else ()
    phrase = "do it" if level is Level.VERIFY else None
    request = asked(
        level=level, kind=kind, reason=reason, choices=choices, verification_phrase=phrase, allow_skip=True
    )
    assert_fits(request)
    for status in (s for s in Status if s.final):
        assert_fits(resolved(request, status, reason="because"))


@pytest.mark.parametrize("on_timeout", OnTimeout)
def test_every_deadline_says_what_it_does(on_timeout: OnTimeout) -> None:
    assert "Without a decision by then it" in words(cards.card(asked(on_timeout=on_timeout), NOW).blocks)


WORDS = st.text(st.characters(codec="utf-8"), max_size=80)
LONG = st.builds(lambda text, times: text * times, WORDS, st.integers(1, 200))


@pytest.mark.thorough
@settings(max_examples=30)
@given(
    words=st.lists(LONG, min_size=4, max_size=4),
    details=st.dictionaries(WORDS, LONG, max_size=40),
    payload=st.recursive(
        st.none() | st.booleans() | st.integers(-1000, 1000) | LONG,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS, inner, max_size=5),
        max_leaves=20,
    ),
)
def test_whatever_is_asked_slack_takes_it(words: list[str], details: dict[str, str], payload: Any) -> None:
    title, message, requester, reason = words
    request = asked(title=title, message=message, details=details, payload=payload, requester=requester)
    assert_fits(answered(request, "reject", reason))
    assert_fits(resolved(request, Status.CANCELLED, by=requester, reason=reason))
