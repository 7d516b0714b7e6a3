"""Handing on, standing in, editing, second thoughts, grace, kinds of request: whose answer counts, and for what."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.approvals.audience.stand_ins import Standing
from bot.domain.errors import AlreadyResponded, Invalid, NotInAudience, SelfApproval, StaleRevision
from bot.domain.forms import forms
from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.delegation import MAX_HANDS
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.messages.notifications import Notice
from bot.domain.model.events import AddComment, Delegate, DeliveryFailed, Operate, Revise, Timer, Withdraw
from bot.domain.model.request import Address, Request, RespondentState, Response, Status, Surface
from bot.domain.model.spec import Choice, Kind, Level, OnTimeout, Step
from bot.domain.people import quorum
from bot.domain.people.audience import Actor
from bot.ports.store import StandIn
from tests.support.asking import NOW, after, asked, by_mail, response, somebody

if TYPE_CHECKING:
    from bot.domain.model.events import Event
    from bot.domain.model.request import Respondent
    from bot.domain.model.transition import Transition

ANA, BEN, CY, DEE = (somebody(name) for name in ("ana", "ben", "cy", "dee"))
FORM = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "to": {"type": "string", "readOnly": True}},
}
PAYLOAD = {"amount": 10, "to": "8841"}
LATER = NOW + timedelta(minutes=10)


def let(request: Request, event: Event, at: Any = NOW) -> Transition:
    return lifecycle.apply(request, event, at)


def handed(request: Request, giver: str, taker: Respondent, **fields: Any) -> Request:
    return let(request, Delegate(actor=by_mail(giver), to=taker, new_id="rsp_new", **fields)).request


def back(name: str) -> Withdraw:
    return Withdraw(actor=by_mail(name))


def editable(*people: Respondent, **fields: Any) -> Request:
    return asked(*(people or (ANA, BEN, CY)), form=FORM, **{"payload": PAYLOAD, "quorum": 2} | fields)


def revising(amount: int) -> Revise:
    payload = PAYLOAD | {"amount": amount}
    return Revise(changes={"payload": payload}, reason="too much", by="bob", surface=Surface.API)


class TestHandingOn:
    def test_the_taker_answers_in_place_of_the_giver_who_stays_visible(self) -> None:
        change = let(
            asked(ANA, BEN, quorum=2), Delegate(actor=by_mail("ana"), to=DEE, new_id="", reason="holiday")
        )
        request = change.request
        assert [(r.label, r.state, r.generation) for r in request.respondents[:2]] == [
            ("Ana", RespondentState.DELEGATED, 1),
            ("Dee", RespondentState.WAITING, 0),
        ]
        assert request.trail[-1].text == "Ana handed this on to Dee: holiday"
        assert [(t.notice, t.respondent) for t in change.tells] == [(Notice.ASK, "rsp_dee")]
        for event in (
            response("ana"),
            back("ana"),
            AddComment(text="?", surface=Surface.EMAIL, by="", actor=by_mail("ana")),
        ):
            with pytest.raises(NotInAudience, match="handed this request on"):
                let(request, event)
        assert after(request, ("dee", "approve"), ("ben", "approve")).status is Status.APPROVED

    def test_never_to_the_requester_to_somebody_asked_already_or_in_a_circle(self) -> None:
        request = asked(ANA, BEN, quorum=2, requester_keys=frozenset({"email:dee@example.com", "slack:U9"}))
        for taker in (DEE, somebody("zoe", slack="U9"), BEN, ANA):
            with pytest.raises(Invalid):
                handed(request, "ana", taker)
        with pytest.raises(Invalid, match="handed this request on already"):
            handed(handed(request, "ana", CY), "cy", somebody("ana", id="rsp_other"))
        with pytest.raises(SelfApproval):
            handed(asked(ANA, requester_keys=frozenset({"email:ana@example.com"})), "ana", CY)

    def test_a_chain_has_an_end_and_an_answer_is_not_handed_on(self) -> None:
        request, people = asked(ANA), [somebody(f"p{n}") for n in range(MAX_HANDS + 1)]
        for giver, taker in itertools.pairwise([ANA, *people[:-1]]):
            request = handed(request, giver.id.removeprefix("rsp_"), taker)
        with pytest.raises(Invalid, match="5 times at most"):
            handed(request, f"p{MAX_HANDS - 1}", people[-1])
        with pytest.raises(AlreadyResponded):
            handed(after(asked(ANA, BEN, quorum=2), ("ana", "approve")), "ana", DEE)

    def test_the_taker_fills_the_givers_place_in_a_tree(self) -> None:
        rule = {"all_of": [{"from": "group:red"}, {"from": "email:ben@example.com"}]}
        request = asked(replace(ANA, groups=("group:red",)), BEN, quorum=rule)
        request = handed(handed(request, "ana", CY), "ben", DEE)
        assert after(request, ("cy", "approve"), ("dee", "approve")).status is Status.APPROVED

    def test_a_taker_who_cannot_be_told_is_shown_as_such(self) -> None:
        request = let(
            asked(ANA, BEN), DeliveryFailed(target="email:dee@example.com", reason="no such mailbox")
        ).request
        taker = handed(request, "ana", DEE).respondent("rsp_dee")
        assert taker
        assert (taker.state, taker.trouble) == (RespondentState.UNREACHABLE, "no such mailbox")

    def test_two_seats_of_one_person_are_both_handed_on(self) -> None:
        by_slack = somebody("anna", email=False, slack="U1")
        request = handed(asked(ANA, by_slack, BEN, quorum=2), "ana", DEE)
        both = Actor(keys=frozenset({"email:ana@example.com", "slack:U1"}), surface=Surface.SLACK)
        with pytest.raises(NotInAudience):
            let(request, response(both))


class Ids:
    def __init__(self) -> None:
        self.numbers = itertools.count()

    def request(self, _now: object) -> str:
        return "req_2"

    def respondent(self) -> str:
        return f"rsp_{next(self.numbers)}"


def standing(**who: Respondent) -> Standing:
    return Standing(
        tuple(
            StandIn(
                keys=frozenset({f"email:{away}@example.com"}), person=person, until=NOW + timedelta(days=2)
            )
            for away, person in who.items()
        )
    )


class TestStandingIn:
    def test_whoever_is_away_is_not_told_and_the_stand_in_is(self) -> None:
        opened = lifecycle.open_request(asked(ANA, BEN, quorum=2), None, NOW)
        change = standing(ana=CY, cy=DEE).take_over(opened, NOW, Ids())
        names = [r.label for r in change.request.seated if r.state is RespondentState.WAITING]
        assert names == ["Dee", "Ben"]
        assert sorted(t.address for t in change.tells) == ["ben@example.com", "dee@example.com"]
        assert change.request.trail[0].text == "Cy stands in for Ana: away until 2026-11-23"

    def test_where_the_rules_refuse_it_they_stay_asked(self) -> None:
        request = asked(ANA, requester_keys=frozenset({"email:cy@example.com"}))
        opened = lifecycle.open_request(request, None, NOW)
        assert standing(ana=CY).take_over(opened, NOW, Ids()) == opened
        circle = standing(ana=CY, cy=ANA).take_over(lifecycle.open_request(asked(ANA), None, NOW), NOW, Ids())
        assert [r.label for r in circle.request.seated if r.state is RespondentState.WAITING] == ["Cy"]


class TestEdits:
    def test_a_changed_value_sets_back_who_approved_another_and_tells_them(self) -> None:
        request = after(editable(), ("ana", "approve"))
        change = let(request, response("ben", values={"amount": 5}))
        assert [(r.label, r.state.value) for r in change.request.respondents] == [
            ("Ana", "waiting"),
            ("Ben", "approved"),
            ("Cy", "waiting"),
        ]
        words = (
            "Ben changed amount from 10 to 5."
            " The approval of Ana was for other values, so it does not count any more."
        )
        assert [(t.respondent, t.text) for t in change.tells if t.notice is Notice.NEWS] == [
            ("rsp_ana", words)
        ]
        assert (change.request.revision, change.request.trail[-1].text) == (2, words)
        with pytest.raises(StaleRevision):
            let(change.request, response("ana", revision=1))
        done = let(change.request, response("ana", revision=2)).request
        assert done.outcome
        assert (done.outcome.payload, done.outcome.edited) == ({"amount": 5, "to": "8841"}, True)

    def test_steps_that_approved_other_values_are_taken_again(self) -> None:
        steps = (Step(audience=("a@b.c",)), Step(audience=("a@b.c",)))
        people = (ANA, replace(BEN, step=1), replace(CY, step=1))
        request = after(
            editable(*people, steps=steps, grace_seconds=60), ("ana", "approve"), ("cy", "approve")
        )
        assert request.held
        request = let(request, response("ben", values={"amount": 5})).request
        assert (request.step, request.responses, request.held) == (0, (), None)
        request = after(request, ("ana", "approve"), ("ben", "approve"))
        assert request.held
        assert request.held.outcome.payload == {"amount": 5, "to": "8841"}

    def test_only_what_differs_is_a_change_so_that_a_read_only_value_stays(self) -> None:
        request = let(editable(), response("ana", values={"amount": 10, "to": "8841"})).request
        assert (request.revision, request.values, request.edits) == (1, {}, ())
        for smuggled in ({"to": "me"}, {"to": None}, {"amount": 5, "to": "me"}):
            for decision in (response("ana", values=smuggled), operate("approve", values=smuggled)):
                with pytest.raises(Invalid, match="may only be read"):
                    let(editable(), decision)
        with pytest.raises(Invalid, match="go with a yes"):
            let(editable(), response("ana", "reject", values={"amount": 5}))


def operate(decision: str, **answer: Any) -> Operate:
    return Operate(answer=ResponseInput(decision=decision, **answer), by="operator ops", surface=Surface.API)


class TestRevisions:
    def test_another_question_sets_every_answer_back_and_starts_again(self) -> None:
        steps = (Step(audience=("a@b.c",)), Step(audience=("a@b.c",), quorum=2))
        people = (ANA, replace(BEN, step=1), replace(CY, step=1))
        request = after(editable(*people, steps=steps), ("ana", "approve"), ("ben", "approve"))
        change = let(request, revising(7))
        assert (change.request.step, change.request.revision, change.request.responses) == (0, 2, ())
        assert change.tells[0].text == "bob changed amount from 10 to 7: too much"
        assert change.facts[0].data["changes"] == [{"field": "amount", "from": 10, "to": 7}]
        with pytest.raises(StaleRevision):
            let(change.request, response("ana", revision=1))

    def test_two_revisions_of_different_things_both_hold(self) -> None:
        retitled = Revise(changes={"title": "Less"}, reason=None, by="bob", surface=Surface.API)
        request = let(let(editable(), retitled).request, revising(7)).request
        assert (request.spec.title, request.spec.payload["amount"]) == ("Less", 7)

    def test_what_respondents_changed_goes_with_the_question_that_it_answered(self) -> None:
        request = let(editable(), response("ana", values={"amount": 5})).request
        request = let(request, revising(10)).request
        assert (forms.payload(request), request.values) == (PAYLOAD, {})


class TestSecondThoughts:
    def test_an_answer_taken_back_does_not_count(self) -> None:
        request = let(after(asked(ANA, BEN, quorum=2), ("ana", "approve")), back("ana")).request
        assert after(request, ("ben", "approve")).status is Status.PENDING
        assert after(request, ("ben", "approve"), ("ana", "reject")).status is Status.REJECTED
        with pytest.raises(Invalid, match="nothing to take back"):
            let(request, back("ana"))

    def test_the_phrase_is_typed_again_after_a_change_of_mind(self) -> None:
        request = asked(ANA, BEN, quorum=2, level=Level.VERIFY, verification_phrase="drop it")
        request = let(let(request, response("ana", phrase="drop it")).request, back("ana")).request
        for phrase in (None, "", "Drop it", "drop it!"):
            with pytest.raises(Invalid, match="does not match"):
                let(request, response("ana", phrase=phrase))

    def test_both_answers_of_one_person_with_two_seats_are_taken_back(self) -> None:
        merged = somebody("ana", slack="U1", aliases=("rsp_anna",), state=RespondentState.APPROVED)
        answers = [
            Response(respondent=i, decision="approve", surface=Surface.SLACK, at=NOW)
            for i in ("rsp_ana", "rsp_anna")
        ]
        request = replace(asked(merged, BEN, quorum=2), responses=tuple(answers))
        assert let(request, back("ana")).request.responses == ()

    def test_somebody_who_cannot_be_told_is_shown_as_such_after_it(self) -> None:
        request = after(asked(ANA, BEN, quorum=2), ("ana", "approve"))
        request = let(request, DeliveryFailed(target="email:ana@example.com", reason="gone")).request
        assert let(request, back("ana")).request.respondents[0].state is RespondentState.UNREACHABLE

    def test_a_question_goes_to_the_requester_and_the_reply_to_those_who_wait(self) -> None:
        bob = Address(surface=Surface.EMAIL, value="bob@example.com")
        request = replace(after(asked(ANA, BEN, quorum=2), ("ana", "approve")), requester_addresses=(bob,))
        asks = let(request, AddComment(text=" Why? ", surface=Surface.EMAIL, by="", actor=by_mail("ana")))
        assert [(t.address, t.text) for t in asks.tells] == [("bob@example.com", "Ana asked: Why?")]
        replies = let(asks.request, AddComment(text="It broke.", surface=Surface.API, by="Bob"))
        assert [(t.respondent, t.text) for t in replies.tells] == [("rsp_ben", "Bob replied: It broke.")]
        assert [(c.by, c.text) for c in replies.request.comments] == [("Ana", "Why?"), ("Bob", "It broke.")]
        assert replies.request.status is Status.PENDING
        with pytest.raises(Invalid):
            let(request, AddComment(text=" ", surface=Surface.API, by="Bob"))


class TestGrace:
    def held(self) -> Request:
        return after(
            asked(ANA, BEN, grace_seconds=60, timeout_at=NOW + timedelta(seconds=30)), ("ana", "approve")
        )

    def test_a_decision_is_held_and_final_only_after_it(self) -> None:
        request = self.held()
        assert (request.status, request.due_at) == (Status.PENDING, NOW + timedelta(seconds=60))
        deadline = let(request, Timer(), NOW + timedelta(seconds=31))
        assert deadline.facts == ()
        done = let(request, Timer(), NOW + timedelta(seconds=60)).request
        assert (done.status, done.held) == (Status.APPROVED, None)
        assert let(done, Timer(), LATER).request is done

    def test_whoever_decided_can_undo_it_and_a_deadline_that_passed_counts_again(self) -> None:
        request = let(self.held(), back("ana"), NOW + timedelta(seconds=40)).request
        assert (request.held, request.responses) == (None, ())
        assert let(request, Timer(), NOW + timedelta(seconds=40)).request.status is Status.EXPIRED

    def test_another_decision_is_held_as_long_again(self) -> None:
        later = NOW + timedelta(seconds=20)
        request = let(self.held(), response("ben", "reject"), later).request
        assert request.held
        assert (request.held.outcome.decision, request.held.until) == (
            Status.REJECTED,
            later + timedelta(seconds=60),
        )

    def test_an_operator_needs_no_grace(self) -> None:
        done = let(self.held(), operate("reject")).request
        assert (done.status, done.held) == (Status.REJECTED, None)


class TestKinds:
    def test_so_many_must_choose_the_same(self) -> None:
        choices = tuple(Choice(id=i, label=i.upper()) for i in ("eu", "us"))
        request = asked(ANA, BEN, CY, kind=Kind.CHOICE, choices=choices, quorum=2)
        split = after(request, ("ana", "eu"), ("ben", "us"))
        assert (split.status, quorum.judge(split).text) == (Status.PENDING, "1 of 2 choices")
        outcome = after(split, ("cy", "us")).outcome
        assert outcome
        assert (outcome.choice, outcome.by) == ("us", "Ben and Cy")

    def test_a_vote_that_can_no_longer_agree_is_over(self) -> None:
        choices = tuple(Choice(id=i, label=i.upper()) for i in ("eu", "us"))
        request = asked(ANA, BEN, kind=Kind.CHOICE, choices=choices, quorum=2)
        over = after(request, ("ana", "eu"), ("ben", "us"))
        assert (over.status, over.outcome and over.outcome.choice) == (Status.REJECTED, None)
        assert quorum.judge(over).text == "1 of 2 choices; the choices differ, so 2 can no longer be reached"

    def test_what_was_filled_in_is_the_outcome(self) -> None:
        request = asked(ANA, kind=Kind.INPUT, form=FORM, payload=None)
        outcome = let(request, response("ana", values={"amount": 3})).request.outcome
        assert outcome
        assert (outcome.values, outcome.payload, outcome.edited) == ({"amount": 3}, {"amount": 3}, True)

    def test_feedback_is_averaged_when_everybody_gave_it_or_at_the_deadline(self) -> None:
        request = asked(
            ANA, BEN, CY, kind=Kind.FEEDBACK, quorum="all", timeout_at=LATER, feedback_type="quality"
        )
        request = let(request, response("ana", values={"score": 1, "comment": "Good."})).request
        request = let(request, response("ben", values={"score": 0.5})).request
        at_the_deadline = let(request, Timer(), LATER).request
        assert at_the_deadline.outcome
        assert (at_the_deadline.status, at_the_deadline.outcome.values) == (
            Status.APPROVED,
            {
                "score": 0.75,
                "count": 2,
                "comment": "Good.",
                "comments": ["Good."],
                "feedback_type": "quality",
            },
        )
        everybody = let(request, response("cy", values={"score": 0})).request
        assert everybody.outcome
        assert everybody.outcome.values["score"] == 0.5
        operated = let(request, operate("approve", values={"score": 0})).request
        assert operated.outcome
        assert operated.outcome.values["count"] == 3

    def test_feedback_that_nobody_gave_is_no_approval(self) -> None:
        request = asked(ANA, BEN, kind=Kind.FEEDBACK, quorum="all", timeout_at=LATER, allow_skip=True)
        skipped = after(request, ("ana", "skip"))
        assert let(skipped, Timer(), LATER).request.status is Status.EXPIRED
        rejecting = asked(ANA, kind=Kind.FEEDBACK, timeout_at=LATER, on_timeout=OnTimeout.REJECT)
        assert let(rejecting, Timer(), LATER).request.status is Status.REJECTED
