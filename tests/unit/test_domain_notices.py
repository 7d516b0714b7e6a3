"""The sentences that every surface shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.messages import phrases
from bot.domain.model.events import Cancel, Operate, Timer
from bot.domain.model.request import Request, RespondentState, Surface
from bot.domain.model.spec import Choice, Kind, OnTimeout
from bot.domain.policies.policy import Ruling
from tests.support.asking import NOW, after, asked, response, somebody

ANA, BEN, CY = somebody("ana"), somebody("ben"), somebody("cy")
LATER = NOW + timedelta(hours=1)
CHOICES = (Choice(id="eu", label="Europe"), Choice(id="us", label="America"))


def timed_out(on_timeout: OnTimeout) -> Request:
    return lifecycle.apply(asked(ANA, timeout_at=LATER, on_timeout=on_timeout), Timer(), LATER).request


def operated(decision: str) -> Request:
    event = Operate(
        answer=ResponseInput(decision=decision, reason=None), by="operator ops", surface=Surface.CLI
    )
    return lifecycle.apply(asked(ANA), event, NOW).request


def chosen() -> Request:
    return after(asked(ANA, kind=Kind.CHOICE, choices=CHOICES), ("ana", "us"))


def cancelled() -> Request:
    return lifecycle.apply(asked(ANA), Cancel(reason="Moot.", by="bob", surface=Surface.API), NOW).request


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (asked(ANA), "Waiting for a decision"),
        (after(asked(ANA), ("ana", "approve")), "Approved by Ana at 2026-11-21 08:00 UTC"),
        (after(asked(ANA), ("ana", "reject")), "Rejected by Ana at 2026-11-21 08:00 UTC"),
        (after(asked(ANA, BEN, quorum=2), ("ana", "approve"), ("ben", "approve")),
         "Approved by Ana and Ben at 2026-11-21 08:00 UTC"),
        (after(asked(ANA, BEN, CY, quorum="all"), ("cy", "approve"), ("ana", "approve"), ("ben", "approve")),
         "Approved by Cy, Ana and Ben at 2026-11-21 08:00 UTC"),
        (after(asked(ANA, allow_skip=True), ("ana", "skip")), "Skipped by Ana at 2026-11-21 08:00 UTC"),
        (chosen(), "Approved (America) by Ana at 2026-11-21 08:00 UTC"),
        (cancelled(), "Cancelled by bob at 2026-11-21 08:00 UTC"),
        (operated("approve"), "Approved by operator ops at 2026-11-21 08:00 UTC"),
        (timed_out(OnTimeout.EXPIRE), "Expired at 2026-11-21 09:00 UTC"),
        (timed_out(OnTimeout.APPROVE), "Approved by the deadline at 2026-11-21 09:00 UTC"),
        (timed_out(OnTimeout.REJECT), "Rejected by the deadline at 2026-11-21 09:00 UTC"),
        (timed_out(OnTimeout.SKIP), "Skipped by the deadline at 2026-11-21 09:00 UTC"),
        (lifecycle.open_request(asked(ANA), Ruling("auto", tell=False), NOW).request,
         "Approved by policy at 2026-11-21 08:00 UTC"),
    ],
)  # fmt: skip
def test_the_outcome_says_who_what_and_when(request_: Request, sentence: str) -> None:
    assert phrases.outcome(request_) == sentence


def test_somebody_late_also_reads_why() -> None:
    assert phrases.already_resolved(cancelled()) == "Already cancelled by bob at 2026-11-21 08:00 UTC: Moot."
    assert phrases.already_resolved(operated("reject")) == (
        "Already rejected by operator ops at 2026-11-21 08:00 UTC."
    )


@pytest.mark.parametrize(
    ("decision", "words"), [("approve", "approved"), ("reject", "rejected"), ("skip", "skipped")]
)
def test_a_receipt_says_what_was_recorded_and_when(decision: str, words: str) -> None:
    request = asked(ANA, BEN, quorum=2, reject_quorum=2, allow_skip=True)
    request = lifecycle.apply(request, response("ana", decision), NOW).request
    assert phrases.recorded(request, request.responses[0]) == f"You {words} this at 2026-11-21 08:00 UTC."
    assert phrases.already_responded(request, request.responses[0]) == (
        f"You already {words} this at 2026-11-21 08:00 UTC."
    )


def test_a_choice_is_called_by_its_label() -> None:
    request = chosen()
    assert phrases.decided("us", request) == "chose America"
    assert phrases.recorded(request, request.responses[0]) == (
        "You chose America for this at 2026-11-21 08:00 UTC."
    )


@pytest.mark.parametrize(
    ("on_timeout", "sentence"),
    [
        (OnTimeout.EXPIRE, "Without a decision by then it expires."),
        (OnTimeout.APPROVE, "Without a decision by then it counts as approved."),
        (OnTimeout.REJECT, "Without a decision by then it counts as rejected."),
        (OnTimeout.SKIP, "Without a decision by then it is skipped."),
        (OnTimeout.ESCALATE, "Without a decision by then it is escalated."),
    ],
)
def test_what_happens_without_an_answer(on_timeout: OnTimeout, sentence: str) -> None:
    assert phrases.without_answer(asked(ANA, timeout_at=LATER, on_timeout=on_timeout)) == sentence
    assert phrases.without_answer(asked(ANA, on_timeout=on_timeout)) is None


@pytest.mark.parametrize(
    ("requester", "name"),
    [
        (None, None),
        ("email:ana@example.com", "Ana"),
        ("email:bob@example.com", "bob@example.com"),
        ("slack:U9", "Slack user U9"),
        ("deploy-bot", "deploy-bot"),
    ],
)
def test_the_requester_is_named_as_people_know_them(requester: str | None, name: str | None) -> None:
    assert phrases.requester(asked(ANA, requester=requester)) == name


def test_who_is_still_awaited() -> None:
    unreachable = replace(CY, state=RespondentState.UNREACHABLE)
    request = after(asked(ANA, BEN, unreachable, quorum=3), ("ana", "approve"))
    assert phrases.waiting_for(request) == ("Ben", "Cy")


def test_people_without_a_name_are_called_by_what_is_known() -> None:
    nameless = [somebody("ana"), somebody("u", email=False, slack="U1")]
    request = asked(*(replace(r, name=None) for r in nameless))
    assert phrases.names(request, ["rsp_ana", "rsp_u", "rsp_ana", "rsp_x"]) == "ana@example.com, U1 and rsp_x"
    assert phrases.names(request, []) == ""


def test_instants_are_told_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-11)))
    assert phrases.instant(there) == "2026-11-21 08:00 UTC"
