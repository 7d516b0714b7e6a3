"""Steps, trees, deadlines, reminders and the escalation ladder: who is asked when, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import AlreadyResolved, Invalid, NotInAudience, StepClosed
from bot.domain.lifecycle import lifecycle
from bot.domain.messages import phrases
from bot.domain.messages.notifications import Notice
from bot.domain.model.events import AudienceResolved, Delegate, Escalate, Remind, Timer
from bot.domain.model.request import LADDER, OpenSelector, Request, ResolvedBy, Status, Surface
from bot.domain.model.spec import Choice, EscalationLevel, Hours, Kind, OnTimeout, Step
from bot.domain.people import quorum
from bot.domain.people.audience import Actor
from bot.domain.people.quorum_rules import rule_faults
from tests.support.asking import NOW, after, asked, by_mail, response, somebody

if TYPE_CHECKING:
    from bot.domain.model.events import Event
    from bot.domain.model.transition import Transition

ANA, BEN, CY = somebody("ana"), somebody("ben"), somebody("cy")
MAX = somebody("max", step=LADDER, levels=(1,))
EVE = somebody("eve", step=LADDER, levels=(2,))
RED, BLUE = ("group:red",), ("group:blue",)
ESCALATE = Escalate(reason="nobody answers", by="bob")
MINUTES = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTES


def let(request: Request, event: Event, minutes: float = 0) -> Transition:
    return lifecycle.apply(request, event, at(minutes))


def laddered(*people: Any, levels: int = 1, **fields: Any) -> Request:
    """Ana and Ben, then Max, then Eve; each level after ten minutes unless `fields` say otherwise."""
    level = {"after_seconds": 600, "audience": ("email:max@example.com",)} | fields.pop("level", {})
    ladder = tuple(EscalationLevel(**{"name": name, **level}) for name in ("manager", "director")[:levels])
    return asked(*(people or (ANA, BEN)), MAX, EVE, escalation=ladder, **fields)


def stepped(*, second: Any = CY, first: dict[str, Any] | None = None, **fields: Any) -> Request:
    """Ana or Ben first, then Cy."""
    steps = (
        Step(name="Review", audience=("email:ana@example.com",), **(first or {})),
        Step(name="Release", audience=("email:cy@example.com",), timeout_seconds=600),
    )
    people = (ANA, BEN, replace(second, step=1))
    return lifecycle.at_first_step(asked(*people, steps=steps, **fields), NOW)


class TestTrees:
    @pytest.mark.parametrize(
        ("rule", "approving", "status"),
        [
            ({"all_of": [{"from": "group:red"}, {"from": "group:blue"}]}, "ana", "pending"),
            ({"all_of": [{"from": "group:red"}, {"from": "group:blue"}]}, "ana ben", "approved"),
            ({"any_of": [{"from": "group:red", "approvals": 2}, {"from": "group:blue"}]}, "ben", "approved"),
            ({"all_of": [{"from": "group:blue", "approvals": 2}, {"from": "group:red"}]}, "ben cy", "pending"),
            ({"all_of": [{"from": "group:red"}, {"any_of": [{"from": "group:blue"}]}]}, "ana cy", "approved"),
            ({"from": "group:blue", "approvals": "all"}, "ben", "pending"),
            ({"from": "group:blue", "approvals": "majority"}, "ben cy", "approved"),
        ],
    )  # fmt: skip
    def test_each_group_counts_its_own(self, rule: Any, approving: str, status: str) -> None:
        people = (replace(ANA, groups=RED), replace(BEN, groups=BLUE), replace(CY, groups=BLUE))
        request = asked(*people, quorum=rule)
        assert after(request, *((p, "approve") for p in approving.split())).status.value == status

    def test_one_person_fills_one_place_unless_the_rule_says_otherwise(self) -> None:
        rule = {"all_of": [{"from": "group:red"}, {"from": "group:blue"}]}
        people = (replace(ANA, groups=RED + BLUE), replace(BEN, groups=RED))
        waiting = after(asked(*people, quorum=rule), ("ana", "approve"))
        assert waiting.status is Status.PENDING
        words = "1 of 1 from red and 1 of 1 from blue, but one person fills one place only (waiting: Ben)"
        assert quorum.judge(waiting).text == words
        assert after(asked(*people, quorum=rule), ("ana", "approve"), ("ben", "approve")).status.final
        assert after(asked(*people, quorum=rule | {"distinct": False}), ("ana", "approve")).status.final

    def test_it_ends_as_soon_as_it_can_no_longer_pass(self) -> None:
        rule = {"all_of": [{"from": "group:red"}, {"from": "group:blue"}]}
        people = (replace(ANA, groups=RED), replace(BEN, groups=BLUE), replace(CY, groups=BLUE))
        request = asked(*people, quorum=rule, reject_quorum=3, allow_skip=True)
        assert after(request, ("ben", "reject")).status is Status.PENDING
        assert after(request, ("ana", "reject")).status is Status.REJECTED
        assert after(request, ("ana", "skip")).status is Status.SKIPPED

    def test_so_many_rejections_of_one_group_rule_it_out(self) -> None:
        rule = {"any_of": [{"from": "group:red"}, {"from": "group:blue", "rejections": 1}]}
        people = (replace(ANA, groups=RED), replace(BEN, groups=BLUE), replace(CY, groups=BLUE))
        request = after(asked(*people, quorum=rule, reject_quorum=3), ("ben", "reject"), ("cy", "approve"))
        assert request.status is Status.PENDING
        assert after(request, ("ana", "approve")).status is Status.APPROVED

    def test_the_words_say_how_many_of_whom_and_who_is_awaited(self) -> None:
        rule = {"all_of": [{"from": "group:red"}, {"any_of": [{"from": "group:blue", "approvals": 2}]}]}
        people = (replace(ANA, groups=RED), replace(BEN, groups=BLUE), replace(CY, groups=BLUE))
        words = quorum.judge(after(asked(*people, quorum=rule), ("ana", "approve"))).text
        assert words == "1 of 1 from red and 0 of 2 from blue (waiting: Ben, Cy)"

    def test_a_rule_that_says_nothing_is_refused_with_its_place(self) -> None:
        rule = {
            "all_of": [{"from": "nobody at all"}, {"from": "group:red", "approvals": 0}, {"distinct": False}]
        }
        assert [f.pointer for f in rule_faults(rule, "/quorum")] == [
            "/quorum/all_of/0/from",
            "/quorum/all_of/1/approvals",
            "/quorum/all_of/2",
        ]
        pair = {"any_of": [{"from": "group:red"}, {"from": "group:blue"}]}
        assert "more than 64 ways" in rule_faults({"all_of": [pair] * 7}, "/quorum")[0].detail


class TestSteps:
    def test_the_next_steps_people_are_told_when_it_opens_and_may_not_answer_before(self) -> None:
        request = stepped()
        assert [t.respondent for t in lifecycle.open_request(request, None, NOW).tells] == [
            "rsp_ana",
            "rsp_ben",
        ]
        with pytest.raises(NotInAudience, match="not open yet"):
            let(request, response("cy"))
        change = let(request, response("ana"))
        assert [(t.notice, t.respondent) for t in change.tells if t.notice is Notice.ASK] == [
            (Notice.ASK, "rsp_cy")
        ]
        with pytest.raises(StepClosed):
            let(change.request, response("ben"))
        done = let(change.request, response("cy")).request
        assert done.outcome
        assert (done.status, done.outcome.by) == (Status.APPROVED, "Ana and Cy")
        assert [e.text for e in done.trail] == ["Review is approved: 1 of 1 approval."]

    def test_one_answer_of_somebody_asked_in_two_steps_counts_in_the_one_they_saw(self) -> None:
        ana = Actor(keys=ANA.keys - {ANA.id}, surface=Surface.API)
        request = stepped(second=replace(ANA, id="rsp_ana_2"))
        with pytest.raises(NotInAudience, match="not open yet"):
            let(request, response(ana, step=1))
        opened = let(request, response(ana, step=0)).request
        assert let(opened, response(ana, step=0)).facts == ()
        with pytest.raises(StepClosed, match="moved on"):
            let(opened, response(ana, "reject", step=0))
        for sure in (response(ana, step=1), response(ana)):
            assert let(opened, sure).request.status is Status.APPROVED

    def test_a_rejection_in_any_step_ends_it(self) -> None:
        assert after(stepped(), ("ana", "reject")).status is Status.REJECTED
        assert after(stepped(), ("ana", "approve"), ("cy", "reject")).status is Status.REJECTED

    def test_a_steps_time_begins_when_it_opens(self) -> None:
        request = let(stepped(), response("ana"), 30).request
        assert request.due_at == at(40)
        assert let(request, Timer(), 40).request.status is Status.EXPIRED

    @pytest.mark.parametrize(("second", "told"), [(CY, {"rsp_ben"}), (replace(BEN, id="rsp_ben2"), set())])
    def test_whoever_did_not_answer_in_a_passed_step_learns_of_the_outcome(
        self, second: Any, told: set[str]
    ) -> None:
        request = let(stepped(second=second), response("ana")).request
        tells = let(request, response(second.id.removeprefix("rsp_"))).tells
        assert {t.respondent for t in tells if t.notice is Notice.OUTCOME} == told

    def test_a_deadline_that_approves_opens_the_next_step_only(self) -> None:
        request = stepped(first={"timeout_seconds": 60, "on_timeout": OnTimeout.APPROVE})
        change = let(request, Timer(), 5)
        assert (change.request.step, change.request.deadline) == (1, at(15))
        assert [t.respondent for t in change.tells] == ["rsp_cy"]
        last = let(change.request, response("cy"), 6).request
        assert last.outcome
        assert (last.outcome.resolved_by, last.outcome.respondents) == (ResolvedBy.RESPONDENTS, ("rsp_cy",))

    def test_deadlines_missed_together_are_taken_in_their_order(self) -> None:
        first = {"timeout_seconds": 60, "on_timeout": OnTimeout.REJECT}
        late = stepped(first=first, timeout_at=at(5), on_timeout=OnTimeout.APPROVE)
        assert let(late, Timer(), 30).request.status is Status.REJECTED
        first = {"timeout_seconds": 60, "on_timeout": OnTimeout.APPROVE}
        late = stepped(first=first, timeout_at=at(5), on_timeout=OnTimeout.EXPIRE)
        assert let(late, Timer(), 30).request.status is Status.EXPIRED

    def test_somebody_looked_up_for_one_step_is_still_looked_up_for_the_other(self) -> None:
        both = (OpenSelector(selector="slack:U1", step=0), OpenSelector(selector="slack:U1", step=1))
        request = replace(stepped(), lookups=both)
        assert let(request, AudienceResolved(places=both[:1])).request.lookups == both[1:]


class TestLadder:
    def test_the_next_level_is_asked_in_time_and_those_before_may_still_answer(self) -> None:
        request = laddered(levels=2)
        assert request.due_at == at(10)
        change = let(request, Timer(), 10)
        assert [t.respondent for t in change.tells] == ["rsp_max"]
        assert (change.facts[0].data["from"], change.facts[0].data["to"]) == ("audience", "manager")
        assert change.request.due_at == at(20)
        assert let(change.request, response("ana"), 11).request.status is Status.APPROVED
        assert let(change.request, response("max"), 11).request.status is Status.APPROVED
        with pytest.raises(NotInAudience, match="not in the audience"):
            let(change.request, response("eve"), 11)

    def test_levels_that_were_missed_are_climbed_in_order(self) -> None:
        change = let(laddered(levels=2), Timer(), 25)
        assert [f.data["to"] for f in change.facts] == ["manager", "director"]
        assert (change.request.level, change.request.due_at) == (2, None)

    def test_a_respondent_or_an_operator_escalates_with_a_reason_until_nobody_is_left(self) -> None:
        by_ana = Escalate(reason="too big for me", by="", actor=by_mail("ana"))
        request = let(laddered(), by_ana).request
        assert request.trail[-1].text == "Escalated from audience to manager by Ana: too big for me"
        with pytest.raises(Invalid, match="no further level"):
            let(request, ESCALATE)
        with pytest.raises(NotInAudience):
            let(laddered(), Escalate(reason=None, by="", actor=by_mail("max")))

    def test_whoever_was_replaced_may_not_answer_and_is_not_named_in_the_outcome(self) -> None:
        request = laddered(quorum=2, level={"replace": True})
        request = let(after(request, ("ana", "approve")), ESCALATE).request
        with pytest.raises(NotInAudience, match="escalated to manager"):
            let(request, response("ben"))
        done = let(request, response("max")).request
        assert done.outcome
        assert (done.status, done.outcome.respondents) == (Status.APPROVED, ("rsp_max",))

    def test_those_replaced_are_awaited_no_more(self) -> None:
        request = laddered(channels=("slack:C1",), level={"replace": True})
        assert phrases.waiting_for(request) == ("Ana", "Ben")
        request = let(request, ESCALATE).request
        assert phrases.waiting_for(request) == ("Max",)
        assert [t.respondent for t in let(request, Remind(by="bob")).tells] == ["rsp_max"]

    def test_those_replaced_in_one_step_are_asked_again_in_the_next(self) -> None:
        level = EscalationLevel(name="manager", audience=("email:max@example.com",), replace=True)
        request = replace(stepped(second=somebody("ben", id="rsp_ben2")), respondents=())
        request = replace(
            request,
            spec=replace(request.spec, escalation=(level,)),
            respondents=(ANA, somebody("ben", id="rsp_ben2", step=1), MAX),
        )
        request = let(let(request, ESCALATE).request, response("max")).request
        assert request.step == 1
        assert let(request, response("ben2")).request.status is Status.APPROVED

    def test_a_level_decides_by_its_own_quorum_over_its_own_people(self) -> None:
        joe = somebody("joe", step=LADDER, levels=(1,))
        request = laddered(ANA, BEN, CY, joe, quorum=3, reject_quorum=2, level={"quorum": "all"})
        request = after(let(request, ESCALATE).request, ("cy", "reject"), ("max", "approve"))
        assert (
            quorum.judge(request).text == "1 of 2 approvals from manager; 1 rejection of 2 that would end it"
        )
        assert after(request, ("joe", "approve")).status is Status.APPROVED

    def test_the_choice_is_that_of_the_level_that_decided(self) -> None:
        choices = (Choice(id="eu", label="Europe"), Choice(id="us", label="America"))
        request = laddered(ANA, BEN, CY, quorum=3, kind=Kind.CHOICE, choices=choices)
        request = let(after(request, ("ana", "eu"), ("ben", "eu")), ESCALATE).request
        outcome = after(request, ("max", "us")).outcome
        assert outcome
        assert (outcome.choice, outcome.respondents) == ("us", ("rsp_max",))

    def test_somebody_on_two_levels_counts_in_both_with_one_answer(self) -> None:
        again = somebody("ana", id="rsp_ana2", step=LADDER, levels=(1,))
        request = after(laddered(ANA, BEN, again, quorum=2), ("ana", "approve"))
        assert request.status is Status.PENDING
        assert let(request, ESCALATE).request.status is Status.APPROVED

    def test_whoever_took_over_also_takes_the_place_on_the_level(self) -> None:
        again = somebody("ana", id="rsp_ana2", step=LADDER, levels=(1,))
        request = laddered(ANA, BEN, again, quorum=2, level={"quorum": 2})
        request = let(request, Delegate(actor=by_mail("ana"), to=somebody("dee"), new_id="")).request
        request = let(request, ESCALATE).request
        assert after(request, ("dee", "approve"), ("max", "approve")).status is Status.APPROVED

    def test_a_deadline_that_escalates_gives_as_long_again_and_then_expires(self) -> None:
        waits = {"timeout_at": at(5), "timeout_seconds": 300, "on_timeout": OnTimeout.ESCALATE}
        change = let(laddered(level={"after_seconds": None}, **waits), Timer(), 5)
        assert (change.request.level, change.request.deadline) == (1, at(10))
        assert let(change.request, Timer(), 10).request.status is Status.EXPIRED


class TestReminders:
    def numbers(self, request: Request, minutes: float) -> tuple[Request, list[str | None]]:
        change = let(request, Timer(), minutes)
        return change.request, [t.respondent for t in change.tells if t.notice is Notice.REMINDER]

    def test_a_list_is_gone_through_and_those_missed_come_once(self) -> None:
        request = after(asked(ANA, BEN, quorum=2, remind_after_seconds=(60, 120, 600)), ("ana", "approve"))
        request, told = self.numbers(request, 3)
        assert (told, request.reminders, request.due_at) == (["rsp_ben"], 2, at(10))
        request, told = self.numbers(request, 10)
        assert (told, request.due_at) == (["rsp_ben"], None)

    @pytest.mark.parametrize("every", [60.0, 200 / 3, 2 / 3, 1e-3])
    def test_one_number_is_repeated_and_never_keeps_the_clock_busy(self, every: float) -> None:
        request = asked(ANA, remind_every_seconds=every)
        for _ in range(3):
            due = request.due_at
            assert due
            request = lifecycle.apply(request, Timer(), due + timedelta(seconds=5)).request
            assert request.due_at
            assert request.due_at > due + timedelta(seconds=5)

    def test_nobody_is_reminded_after_the_end_or_the_deadline(self) -> None:
        request = asked(ANA, remind_every_seconds=60, timeout_at=at(5))
        assert self.numbers(request, 6)[1] == []
        assert self.numbers(after(request, ("ana", "approve")), 6)[1] == []
        with pytest.raises(AlreadyResolved):
            let(after(request, ("ana", "approve")), Remind(by="bob"))

    def test_people_are_reminded_in_their_own_working_hours_and_once(self) -> None:
        friday = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
        anchorage = somebody("cy", time_zone="America/Anchorage")  # 12:00 there
        request = asked(ANA, anchorage, at=friday, quorum=2, hours=Hours(), remind_every_seconds=3600)
        change = lifecycle.apply(request, Timer(), friday + timedelta(hours=1))
        told = {t.respondent: t.at for t in change.tells}
        assert told == {
            "rsp_ana": datetime(2026, 11, 23, 9, tzinfo=UTC),
            "rsp_cy": friday + timedelta(hours=1),
        }
        again = lifecycle.apply(change.request, Timer(), friday + timedelta(hours=2))
        assert [t.respondent for t in again.tells] == ["rsp_cy"]

    def test_the_next_level_is_not_called_at_night(self) -> None:
        friday = datetime(2026, 11, 20, 16, 55, tzinfo=UTC)
        request = replace(laddered(hours=Hours()), opened_at=friday)
        assert request.due_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
