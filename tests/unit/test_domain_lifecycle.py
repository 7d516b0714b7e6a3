"""What happens to a request: every event in every state, by the table in `lifecycle`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import AlreadyResolved, AlreadyResponded, AssentError, Invalid, StaleRevision
from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.lifecycle import TRANSITIONS
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.messages.notifications import Notice, Notification
from bot.domain.model.events import (
    AddComment,
    AudienceResolved,
    Cancel,
    Delegate,
    DeliveryFailed,
    Escalate,
    Operate,
    Remind,
    Revise,
    Timer,
    Withdraw,
)
from bot.domain.model.request import ResolvedBy, RespondentState, Status, Surface, Unreached
from bot.domain.model.spec import Choice, Kind, OnTimeout
from bot.domain.policies.policy import Ruling
from tests.support.asking import NOW, after, asked, by_mail, by_slack, places, response, somebody

if TYPE_CHECKING:
    from bot.domain.model.events import Event
    from bot.domain.model.request import Request

LATER = NOW + timedelta(hours=1)
ANA, BEN, CY = somebody("ana"), somebody("ben"), somebody("cy")

OPERATE = Operate(
    answer=ResponseInput(decision="reject", reason="no"), by="operator ops", surface=Surface.CLI
)
CANCEL = Cancel(reason="changed my mind", by="bob", surface=Surface.API)
LOOKED_UP = AudienceResolved(places=places("slack:U1"), found=(somebody("dan", email=False, slack="U1"),))
WITHDRAW = Withdraw(actor=by_mail("ana"))
QUESTION = AddComment(text="Why now?", surface=Surface.EMAIL, by="", actor=by_mail("ana"))
REVISE = Revise(changes={"title": "Less"}, reason=None, by="bob", surface=Surface.API)
ESCALATE = Escalate(reason="late", by="bob")
DELEGATE = Delegate(actor=by_mail("ana"), to=somebody("dee"), new_id="rsp_new")
NOT_TOLD = DeliveryFailed(target="email:ana@example.com", reason="no such mailbox")


def pending() -> Request:
    return asked(ANA, BEN, quorum=2, timeout_at=LATER, lookups=("slack:U1",))


def final() -> Request:
    return after(asked(ANA, BEN, CY, quorum=2), ("ana", "approve"), ("ben", "approve"))


# (state, event, at) → the status it comes to, or the refusal
TABLE: dict[tuple[str, str], tuple[Event, Status | type[AssentError]]] = {
    ("pending", "first answer"): (response("ana"), Status.PENDING),
    ("pending", "rejection"): (response("ana", "reject"), Status.REJECTED),
    ("pending", "unknown decision"): (response("ana", "maybe"), Invalid),
    ("pending", "stale answer"): (response("ana", revision=0), StaleRevision),
    ("pending", "operator"): (OPERATE, Status.REJECTED),
    ("pending", "operator, unknown decision"): (
        replace(OPERATE, answer=ResponseInput(decision="maybe")),
        Invalid,
    ),
    ("pending", "cancel"): (CANCEL, Status.CANCELLED),
    ("pending", "timer"): (Timer(), Status.PENDING),
    ("pending", "looked up"): (LOOKED_UP, Status.PENDING),
    ("pending", "not told"): (NOT_TOLD, Status.PENDING),
    ("pending", "nothing to withdraw"): (WITHDRAW, Invalid),
    ("pending", "question"): (QUESTION, Status.PENDING),
    ("pending", "another question asked"): (REVISE, Status.PENDING),
    ("pending", "reminder"): (Remind(by="bob"), Status.PENDING),
    ("pending", "escalation without a ladder"): (ESCALATE, Invalid),
    ("pending", "handed on"): (DELEGATE, Status.PENDING),
    ("final", "the same answer"): (response("ana"), Status.APPROVED),
    ("final", "another answer"): (response("ana", "reject"), AlreadyResolved),
    ("final", "somebody else's answer"): (response("cy"), AlreadyResolved),
    ("final", "a stranger's answer"): (response("eve"), AlreadyResolved),
    ("final", "operator"): (OPERATE, AlreadyResolved),
    ("final", "cancel"): (CANCEL, AlreadyResolved),
    ("final", "withdrawal"): (WITHDRAW, AlreadyResolved),
    ("final", "question"): (QUESTION, AlreadyResolved),
    ("final", "another question asked"): (REVISE, AlreadyResolved),
    ("final", "reminder"): (Remind(by="bob"), AlreadyResolved),
    ("final", "escalation"): (ESCALATE, AlreadyResolved),
    ("final", "handed on"): (DELEGATE, AlreadyResolved),
    ("final", "timer"): (Timer(), Status.APPROVED),
    ("final", "looked up"): (LOOKED_UP, Status.APPROVED),
    ("final", "not told"): (NOT_TOLD, Status.APPROVED),
}
UNCHANGED = {("pending", "timer"), ("final", "the same answer"), ("final", "timer"), ("final", "looked up")}


@pytest.mark.parametrize("name", TABLE, ids=" ".join)
def test_every_transition(name: tuple[str, str]) -> None:
    request = {"pending": pending, "final": final}[name[0]]()
    event, expected = TABLE[name]
    untouched = replace(request)
    if isinstance(expected, Status):
        change = lifecycle.apply(request, event, NOW)
        assert change.request.status is expected
        assert change.request.version == request.version + (name not in UNCHANGED)
        assert bool(change.facts) is (name not in UNCHANGED)
    else:
        with pytest.raises(expected):
            lifecycle.apply(request, event, NOW)
    assert request == untouched


def test_the_table_above_knows_every_pair_of_the_code() -> None:
    tried = {(type(event), name[0] == "final") for name, (event, _) in TABLE.items()}
    assert tried == set(TRANSITIONS)


@pytest.mark.parametrize("event", [event for name, (event, _) in TABLE.items() if name[0] == "final"])
def test_nothing_changes_the_outcome(event: Event) -> None:
    request = final()
    try:
        after_it = lifecycle.apply(request, event, LATER).request
    except AssentError:
        return
    same = ("status", "outcome", "resolved_at", "responses")
    assert [getattr(after_it, n) for n in same] == [getattr(request, n) for n in same]


def test_an_approval_says_who_when_and_what() -> None:
    request = after(asked(ANA, BEN, quorum=2), ("ana", "approve"))
    change = lifecycle.apply(request, response("ben", reason="fine by me"), LATER)
    outcome = change.request.outcome
    assert outcome is not None
    assert outcome.decision is Status.APPROVED
    assert outcome.resolved_by is ResolvedBy.RESPONDENTS
    assert (outcome.by, outcome.respondents) == ("Ana and Ben", ("rsp_ana", "rsp_ben"))
    assert (outcome.reason, outcome.surface, change.request.resolved_at) == (
        "fine by me",
        Surface.EMAIL,
        LATER,
    )
    assert outcome.payload == request.spec.payload
    assert [fact.type for fact in change.facts] == ["request.response", "request.resolved"]


def test_the_reason_of_whoever_decided_is_kept_where_the_last_gave_none() -> None:
    request = asked(ANA, BEN, quorum=2, reject_quorum=2)
    request = lifecycle.apply(request, response("ana", "reject", reason="too dear"), NOW).request
    assert request.outcome
    assert (request.outcome.reason, request.outcome.respondents) == ("too dear", ("rsp_ana",))


def test_a_choice_becomes_an_approval_that_names_it() -> None:
    choices = (Choice(id="eu", label="Europe"), Choice(id="us", label="America"))
    request = asked(ANA, kind=Kind.CHOICE, choices=choices)
    outcome = lifecycle.apply(request, response("ana", "us"), NOW).request.outcome
    assert outcome
    assert (outcome.decision, outcome.choice) == (Status.APPROVED, "us")
    rejected = lifecycle.apply(request, response("ana", "reject"), NOW).request.outcome
    assert rejected
    assert rejected.choice is None


class TestAnswers:
    def test_the_same_answer_again_records_nothing(self) -> None:
        request = after(asked(ANA, BEN, quorum=2), ("ana", "approve"))
        change = lifecycle.apply(request, response("ana"), LATER)
        assert change == lifecycle.Transition(request=request)

    def test_another_answer_is_refused_and_says_what_stands(self) -> None:
        request = after(asked(ANA, BEN, quorum=2), ("ana", "approve"))
        with pytest.raises(AlreadyResponded, match="You already approved this at 2026-11-21 08:00 UTC"):
            lifecycle.apply(request, response("ana", "reject"), LATER)
        with pytest.raises(AlreadyResponded):
            lifecycle.apply(request, response("ana", reason="now with a reason"), LATER)

    def test_the_same_answer_is_the_same_by_any_address(self) -> None:
        dan = somebody("dan", slack="U1")
        request = lifecycle.apply(asked(dan, BEN, quorum=2), response(by_slack("U1")), NOW).request
        assert lifecycle.apply(request, response("dan"), NOW).request is request
        done = after(request, ("ben", "approve"))
        assert lifecycle.apply(done, response("dan"), NOW).request is done
        assert lifecycle.apply(done, response(by_slack("U1")), NOW).request is done

    def test_somebody_late_reads_who_decided_what_when_and_why(self) -> None:
        request = asked(ANA, BEN, quorum=1)
        request = lifecycle.apply(request, response("ana", "reject", reason="Too dear."), NOW).request
        with pytest.raises(AlreadyResolved) as refusal:
            lifecycle.apply(request, response("ben"), LATER)
        assert refusal.value.detail == "Already rejected by Ana at 2026-11-21 08:00 UTC: Too dear."
        assert refusal.value.request is request

    def test_only_an_answer_by_mail_gets_a_receipt_by_mail(self) -> None:
        dan = somebody("dan", slack="U1")
        request = asked(dan, BEN, quorum=2)
        receipt = Notification(
            notice=Notice.RECEIPT, surface="email", address="dan@example.com", respondent="rsp_dan"
        )
        assert lifecycle.apply(request, response("dan"), NOW).tells == (receipt,)
        assert lifecycle.apply(request, response(by_slack("U1")), NOW).tells == ()

    def test_everyone_still_waiting_learns_of_the_outcome_by_mail(self) -> None:
        request = after(asked(ANA, BEN, CY, quorum=2), ("ana", "approve"))
        tells = lifecycle.apply(request, response(by_mail("ben")), NOW).tells
        assert [(t.notice, t.respondent) for t in tells] == [
            (Notice.RECEIPT, "rsp_ben"),
            (Notice.OUTCOME, "rsp_cy"),
        ]

    def test_the_record_says_under_which_names_somebody_answered(self) -> None:
        change = lifecycle.apply(asked(ANA), response("ana", reason=" ok "), NOW)
        data = change.facts[0].data
        assert (data["as"], data["surface"], data["reason"]) == (["rsp_ana"], "email", "ok")

    def test_somebody_who_could_not_be_told_may_still_answer(self) -> None:
        ana = replace(ANA, state=RespondentState.UNREACHABLE, trouble="no such mailbox")
        request = lifecycle.apply(asked(ana), response("ana"), NOW).request
        assert request.status is Status.APPROVED
        assert request.respondents[0].trouble is None


class TestTimeouts:
    @pytest.mark.parametrize(
        ("on_timeout", "status"),
        [
            (OnTimeout.EXPIRE, Status.EXPIRED),
            (OnTimeout.APPROVE, Status.APPROVED),
            (OnTimeout.REJECT, Status.REJECTED),
            (OnTimeout.SKIP, Status.SKIPPED),
        ],
    )
    def test_the_deadline_does_what_was_said(self, on_timeout: OnTimeout, status: Status) -> None:
        request = asked(ANA, timeout_at=LATER, on_timeout=on_timeout)
        early = lifecycle.apply(request, Timer(), LATER - timedelta(microseconds=1))
        assert early == lifecycle.Transition(request=request)
        late = lifecycle.apply(request, Timer(), LATER).request
        assert late.status is status
        assert late.outcome
        assert late.outcome.resolved_by is ResolvedBy.TIMEOUT
        assert late.outcome.reason == "No decision by 2026-11-21 09:00 UTC."
        assert late.outcome.respondents == ()

    def test_without_a_deadline_it_waits_for_ever(self) -> None:
        request = asked(ANA)
        assert request.due_at is None
        assert lifecycle.apply(request, Timer(), LATER + timedelta(days=10_000)).request is request

    def test_a_final_request_is_never_due(self) -> None:
        request = asked(ANA, timeout_at=LATER)
        assert request.due_at == LATER
        assert after(request, ("ana", "approve")).due_at is None

    def test_answers_that_were_not_enough_do_not_decide_at_the_deadline(self) -> None:
        request = after(asked(ANA, BEN, quorum=2, timeout_at=LATER), ("ana", "approve"))
        late = lifecycle.apply(request, Timer(), LATER).request
        assert late.status is Status.EXPIRED
        assert len(late.responses) == 1


class TestOperator:
    @pytest.mark.parametrize(
        ("decision", "status"),
        [("approve", Status.APPROVED), ("reject", Status.REJECTED), ("skip", Status.SKIPPED)],
    )
    def test_an_operator_decides_at_once_whatever_the_quorum(self, decision: str, status: Status) -> None:
        request = asked(ANA, BEN, quorum="all")
        done = lifecycle.apply(
            request, replace(OPERATE, answer=ResponseInput(decision=decision)), NOW
        ).request
        assert done.status is status
        assert done.outcome
        assert (done.outcome.resolved_by, done.outcome.by) == (ResolvedBy.OPERATOR, "operator ops")
        assert done.outcome.choice is None
        assert done.responses == ()

    def test_an_operator_may_pick_a_choice_but_not_merely_approve_one(self) -> None:
        request = asked(ANA, kind=Kind.CHOICE, choices=(Choice(id="eu", label="Europe"),))
        done = lifecycle.apply(request, replace(OPERATE, answer=ResponseInput(decision="eu")), NOW).request
        assert done.outcome
        assert (done.outcome.decision, done.outcome.choice) == (Status.APPROVED, "eu")
        with pytest.raises(Invalid):
            lifecycle.apply(request, replace(OPERATE, answer=ResponseInput(decision="approve")), NOW)


def test_a_cancelled_request_names_who_took_it_back() -> None:
    done = lifecycle.apply(asked(ANA), CANCEL, NOW).request
    assert done.outcome
    assert done.outcome.resolved_by is ResolvedBy.REQUESTER
    assert (done.outcome.by, done.outcome.reason) == ("bob", "changed my mind")


class TestLookups:
    def test_people_found_later_are_seated_and_told(self) -> None:
        change = lifecycle.apply(pending(), LOOKED_UP, NOW)
        assert [r.id for r in change.request.respondents] == ["rsp_ana", "rsp_ben", "rsp_dan"]
        assert change.request.lookups == ()
        card = Notification(notice=Notice.CARD, surface="slack", address="U1", respondent="rsp_dan")
        assert change.tells == (card,)

    def test_a_channel_found_later_gets_its_card(self) -> None:
        event = AudienceResolved(places=places("slack:C1"), rooms=places("slack:C1"))
        change = lifecycle.apply(asked(ANA, lookups=("slack:C1",)), event, NOW)
        assert change.tells == (Notification(notice=Notice.CARD, surface="slack", address="C1"),)

    def test_somebody_who_was_seated_already_keeps_their_seat_and_is_told_where_they_were_not(self) -> None:
        same = somebody("ana", slack="U1", id="rsp_other")
        change = lifecycle.apply(asked(ANA, lookups=("slack:U1",)), replace(LOOKED_UP, found=(same,)), NOW)
        (ana,) = change.request.respondents
        assert (ana.id, ana.aliases) == ("rsp_ana", ("rsp_other",))
        assert [(t.surface, t.respondent) for t in change.tells] == [("slack", "rsp_ana")]

    def test_two_seats_that_turn_out_to_be_one_person_count_once(self) -> None:
        by_slack_only = somebody("anna", email=False, slack="U1")
        request = after(asked(by_slack_only, ANA, BEN, quorum="all", lookups=("x",)), ("ana", "approve"))
        same = somebody("ana", slack="U1", id="rsp_both")
        event = AudienceResolved(places=places("x"), found=(same,))
        request = lifecycle.apply(request, event, NOW).request
        assert [r.id for r in request.respondents] == ["rsp_ana", "rsp_ben"]
        assert after(request, ("ben", "approve")).status is Status.APPROVED

    def test_answers_that_only_waited_for_a_lookup_decide_when_it_ends(self) -> None:
        request = after(
            asked(ANA, BEN, quorum="all", lookups=("slack:ana@example.com",)),
            ("ana", "approve"),
            ("ben", "approve"),
        )
        assert request.status is Status.PENDING
        event = AudienceResolved(
            places=places("slack:ana@example.com"), found=(somebody("ana", slack="U1", id="x"),)
        )
        change = lifecycle.apply(request, event, LATER)
        assert change.request.status is Status.APPROVED
        assert [f.type for f in change.facts] == ["request.updated", "request.resolved"]
        assert not [t for t in change.tells if t.notice is Notice.CARD]

    def test_nobody_who_answered_already_is_asked_again(self) -> None:
        request = after(asked(ANA, BEN, quorum=2, lookups=("x",)), ("ana", "approve"))
        event = AudienceResolved(places=places("x"), found=(somebody("ana", slack="U1", id="rsp_other"),))
        assert lifecycle.apply(request, event, NOW).tells == ()

    def test_what_could_not_be_found_shows(self) -> None:
        note = Unreached(target="slack:S1", reason="the user group has no members")
        event = AudienceResolved(places=places("slack:U1"), unreached=(note,))
        assert lifecycle.apply(pending(), event, NOW).request.unreached == (note,)

    def test_the_requesters_addresses_are_learnt_late(self) -> None:
        request = asked(ANA, requester_known=False, requester_keys=frozenset({"slack:U9"}))
        event = AudienceResolved(requester_keys=frozenset({"slack:U9", "email:bob@example.com"}))
        known = lifecycle.apply(request, event, NOW).request
        assert known.requester_known
        assert known.requester_keys == {"slack:U9", "email:bob@example.com"}


class TestNotTold:
    def test_somebody_with_another_address_still_waits(self) -> None:
        dan = somebody("dan", slack="U1")
        request = lifecycle.apply(asked(dan), DeliveryFailed(target="slack:U1", reason="gone"), NOW).request
        assert request.respondents[0].state is RespondentState.WAITING
        assert request.unreached == (Unreached(target="slack:U1", reason="gone"),)

    def test_somebody_without_is_unreachable_whatever_the_order(self) -> None:
        request = asked(somebody("dan", slack="U1"), ANA)
        for target in ("email:dan@example.com", "slack:U1"):
            request = lifecycle.apply(request, DeliveryFailed(target=target, reason="gone"), NOW).request
        assert [r.state for r in request.respondents] == [
            RespondentState.UNREACHABLE,
            RespondentState.WAITING,
        ]
        assert request.respondents[0].trouble == "gone"

    def test_a_reminder_tries_again_and_they_are_not_unreachable_meanwhile(self) -> None:
        gone = DeliveryFailed(target="slack:C9", reason="gone")
        request = lifecycle.apply(asked(ANA, channels=("slack:C1",)), NOT_TOLD, NOW).request
        request = lifecycle.apply(request, gone, NOW).request
        change = lifecycle.apply(request, Remind(by="bob"), NOW)
        assert {t.address for t in change.tells} == {"ana@example.com", "C1"}
        assert change.request.respondents[0].state is RespondentState.WAITING
        assert change.request.respondents[0].trouble is None
        assert [u.target for u in change.request.unreached] == ["slack:C9"]
        again = lifecycle.apply(change.request, NOT_TOLD, NOW).request
        assert again.respondents[0].state is RespondentState.UNREACHABLE

    def test_the_same_address_shows_once(self) -> None:
        once = lifecycle.apply(asked(ANA), NOT_TOLD, NOW).request
        assert lifecycle.apply(once, replace(NOT_TOLD, reason="other words"), NOW).request is once

    def test_an_answer_is_not_undone(self) -> None:
        request = after(asked(ANA, BEN, quorum=2), ("ana", "approve"))
        assert (
            lifecycle.apply(request, NOT_TOLD, NOW).request.respondents[0].state is RespondentState.APPROVED
        )


class TestOpening:
    def test_everybody_is_told_at_every_address_and_every_channel_once(self) -> None:
        request = asked(somebody("dan", slack="U1"), channels=("slack:C1",))
        change = lifecycle.open_request(request, None, NOW)
        assert change.request is request
        assert [(t.notice, t.surface, t.address) for t in change.tells] == [
            (Notice.CARD, "slack", "U1"),
            (Notice.ASK, "email", "dan@example.com"),
            (Notice.CARD, "slack", "C1"),
        ]
        assert [f.type for f in change.facts] == ["request.created"]

    def test_nobody_is_told_where_policy_decides_for_them(self) -> None:
        change = lifecycle.open_request(asked(ANA), Ruling("auto", tell=False), NOW)
        assert change.tells == ()
        assert change.request.status is Status.APPROVED
        assert change.request.outcome
        assert change.request.outcome.resolved_by is ResolvedBy.POLICY
        assert [f.type for f in change.facts] == ["request.created", "request.resolved"]

    def test_people_are_informed_though_nobody_had_to_decide(self) -> None:
        request = asked(ANA, lookups=("slack:U1",))
        change = lifecycle.open_request(request, Ruling("for information", tell=True), NOW)
        assert [(t.notice, t.address) for t in change.tells] == [(Notice.ASK, "ana@example.com")]
        found_later = lifecycle.apply(change.request, LOOKED_UP, LATER)
        assert [(t.notice, t.address) for t in found_later.tells] == [(Notice.CARD, "U1")]
        assert found_later.request.outcome == change.request.outcome
        assert lifecycle.apply(found_later.request, LOOKED_UP, LATER).facts == ()

    def test_a_callback_waits_for_the_outcome(self) -> None:
        request = asked(ANA, callback_url="https://example.com/hook")
        assert Notice.CALLBACK not in {t.notice for t in lifecycle.open_request(request, None, NOW).tells}
        callback = Notification(
            notice=Notice.CALLBACK, surface="callback", address="https://example.com/hook"
        )
        for event in (response("ana"), OPERATE, CANCEL):
            assert callback in lifecycle.apply(request, event, NOW).tells
        assert callback in lifecycle.open_request(request, Ruling("auto", tell=False), NOW).tells
