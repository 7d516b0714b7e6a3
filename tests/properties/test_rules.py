"""Steps, trees, ladders, delegation, edits, second thoughts and grace, in any order: just as the plain model says."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bot.domain.errors import AssentError
from bot.domain.forms import forms
from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.delegation import MAX_HANDS
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import (
    AddComment,
    Cancel,
    Delegate,
    Escalate,
    Operate,
    Remind,
    Respond,
    Revise,
    SeenVersion,
    Timer,
    Withdraw,
)
from bot.domain.model.request import LADDER, Request, ResolvedBy, Status, Surface
from bot.domain.model.spec import EscalationLevel, OnTimeout, Step
from bot.domain.people.audience import Actor
from bot.store import SqlStore, migrations
from bot.store.audit import audit_replay
from tests.properties.test_lifecycle import PHASES
from tests.support.asking import NOW, asked, somebody
from tests.support.documents import hook
from tests.support.model import Model, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.model.events import Event
    from bot.domain.model.request import Respondent
    from bot.domain.model.transition import Transition

PEOPLE = ("ana", "ben", "cy", "dee")
TAKERS = (*PEOPLE, "fay")
GROUPS = ("group:red", "group:blue")
FORM = {"type": "object", "properties": {"amount": {"type": "integer", "minimum": 0}}}
LEAVES = st.fixed_dictionaries(
    {"from": st.sampled_from(GROUPS), "approvals": st.sampled_from([1, 1, 2, "all", "majority"])}
)
TREES = st.dictionaries(
    st.sampled_from(["all_of", "any_of"]), st.lists(LEAVES, min_size=1, max_size=2), min_size=1, max_size=1
)
QUORUMS = st.one_of(
    st.sampled_from([1, 1, 2, 2, "all", "majority"]),
    TREES,
    TREES.map(lambda tree: tree | {"distinct": False}),
    st.lists(st.one_of(LEAVES, TREES), min_size=2, max_size=2).map(lambda parts: {"all_of": parts}),
)
AUDIENCES = st.dictionaries(st.sampled_from(PEOPLE), st.sets(st.sampled_from(GROUPS)), min_size=1, max_size=4)
STEPS = st.builds(
    Rule,
    people=AUDIENCES,
    quorum=QUORUMS,
    reject_quorum=st.sampled_from([1, 1, 2]),
    seconds=st.sampled_from([None, None, 600]),
    on_timeout=st.sampled_from([None, "approve", "escalate", "skip"]),
)
LEVELS = st.builds(
    Rule,
    people=AUDIENCES,
    quorum=st.sampled_from([1, 2, "all"]),
    replace=st.booleans(),
    after=st.sampled_from([None, 300]),
)
WHO = st.integers(0, 15)
"""Mostly one of those who may answer; see `Rules.pick`."""
AMOUNTS = st.sampled_from([None, None, None, 1, 2])


class Rules(RuleBasedStateMachine):
    """Random rules, and random things that happen under them. `save` keeps a change somewhere."""

    numbers = itertools.count()

    def __init__(self, save: Callable[[Request | None, Transition, datetime], Request]) -> None:
        super().__init__()
        self.save = save
        self.id = f"req_rules_{next(self.numbers)}"
        self.seats = (f"rsp_{self.id}_{n}" for n in itertools.count())
        self.saw: dict[tuple[int, str], int] = {}

    @initialize(
        steps=st.one_of(st.lists(STEPS, min_size=2, max_size=2), st.lists(STEPS, min_size=1, max_size=1)),
        ladder=st.lists(LEVELS, max_size=2),
        requester=st.sampled_from([None, None, "ana", "fay"]),
        skipping=st.booleans(),
        grace=st.sampled_from([0, 0, 200]),
        timeout=st.sampled_from([None, None, 1800]),
        on_timeout=st.sampled_from([str(o) for o in OnTimeout]),
        reminders=st.sampled_from([None, 100, 200 / 3]),
    )
    def submit(self, *, reminders: float | None, **rules: Any) -> None:
        self.model = Model(payload=5, now=NOW, **rules)
        seated = [
            self.seat(p, g, step=n) for n, s in enumerate(self.model.steps) for p, g in s.people.items()
        ]
        for n, level in enumerate(self.model.ladder, 1):
            seated += [self.seat(p, g, step=LADDER, levels=(n,)) for p, g in level.people.items()]
        request = asked(
            *seated,
            request_id=self.id,
            payload={"amount": 5},
            form=FORM,
            steps=[
                Step(
                    audience=tuple(f"{p}@example.com" for p in s.people),
                    quorum=s.quorum,
                    reject_quorum=s.reject_quorum,
                    timeout_seconds=s.seconds,
                    on_timeout=OnTimeout(s.on_timeout) if s.on_timeout else None,
                )
                for s in self.model.steps
            ],
            escalation=tuple(
                EscalationLevel(
                    name=f"level {n}",
                    audience=tuple(f"{p}@example.com" for p in s.people),
                    quorum=s.quorum,
                    replace=s.replace,
                    after_seconds=s.after,
                )
                for n, s in enumerate(self.model.ladder, 1)
            ),
            requester_keys=frozenset(
                {f"email:{self.model.requester}@example.com"} if self.model.requester else ()
            ),
            allow_skip=self.model.skipping,
            grace_seconds=self.model.grace,
            remind_every_seconds=reminders,
            timeout_at=self.model.timeout_at,
            timeout_seconds=self.model.timeout,
            on_timeout=OnTimeout(self.model.on_timeout),
        )
        opened = lifecycle.at_first_step(request, NOW)
        self.request = self.save(None, lifecycle.open_request(opened, None, NOW), NOW)

    def seat(self, person: str, groups: set[str], **place: Any) -> Respondent:
        return somebody(person, id=next(self.seats), groups=tuple(sorted(groups)), **place)

    def let(self, event: Event) -> str:
        """Let it happen, and what is due before it; the refusal's code, `same` or `recorded`."""
        if not isinstance(event, Timer):
            self.let(Timer())
        before = self.request
        try:
            change = lifecycle.apply(before, event, self.model.now)
        except AssentError as refusal:
            return refusal.code
        if not change.facts:
            assert change.request is before
            return "same"
        assert change.request.version == before.version + 1
        assert change.request.status in {Status.PENDING, *hook().LEADS_TO[type(event).__name__]}
        self.request = self.save(before, change, self.model.now)
        return "recorded"

    def actor(self, person: str) -> Actor:
        return Actor(keys=frozenset({f"email:{person}@example.com"}), surface=Surface.API)

    def pick(self, number: int) -> str:
        """One of those who may answer; for the highest numbers, anybody."""
        may = [p for p in sorted(self.model.seats[self.model.step]) if not self.model.refused(p)]
        return may[number % len(may)] if may and number < 12 else TAKERS[number % len(TAKERS)]

    @rule(
        who=WHO,
        decision=st.sampled_from(["approve", "approve", "approve", "reject", "skip"]),
        amount=AMOUNTS,
        looked=st.sampled_from(["now", "now", "at first", "never"]),
    )
    def answers(self, who: int, decision: str, amount: int | None, looked: str) -> None:
        person = self.pick(who)
        seen = {"now": self.model.step, "at first": 0, "never": None}[looked]
        values = None if amount is None else {"amount": amount}
        answer = ResponseInput(decision=decision, values=values)
        step = self.model.step
        said = self.let(
            Respond(actor=self.actor(person), answer=answer, new_id="rsp_new", seen=SeenVersion(step=seen))
        )
        assert said == self.model.answer(person, decision, amount, seen)
        self.saw[step, person] = self.model.amount

    @rule(first=WHO, more=st.integers(1, 3))
    def several_approve(self, first: int, more: int) -> None:
        """The usual case, often enough to come to every kind of end."""
        for number in range(more):
            self.answers(first + number, "approve", None, "now")

    @rule(who=WHO)
    def takes_it_back(self, who: int) -> None:
        given = sorted(p for p, s in self.model.seats[self.model.step].items() if s.answer)
        person = given[who % len(given)] if given else self.pick(who)
        assert self.let(Withdraw(actor=self.actor(person))) == self.model.withdraw(person)

    @rule(who=WHO, taker=st.sampled_from(TAKERS))
    def hands_it_on(self, who: int, taker: str) -> None:
        person = self.pick(who)
        event = Delegate(actor=self.actor(person), to=self.seat(taker, set()), new_id="rsp_new")
        assert self.let(event) == self.model.delegate(person, taker, MAX_HANDS)

    @rule(who=st.one_of(st.none(), WHO))
    def escalates(self, who: int | None) -> None:
        person = None if who is None else self.pick(who)
        event = Escalate(reason="late", by="bob", actor=self.actor(person) if person else None)
        assert self.let(event) == self.model.escalate(person)

    @rule(amount=st.sampled_from([1, 2, 5]))
    def the_requester_asks_for_another_amount(self, amount: int) -> None:
        event = Revise(changes={"payload": {"amount": amount}}, reason=None, by="bob", surface=Surface.API)
        assert self.let(event) == self.model.revise(amount)

    @rule(who=WHO)
    def asks_back(self, who: int) -> None:
        person = self.pick(who)
        said = self.let(AddComment(text="Why?", surface=Surface.API, by="", actor=self.actor(person)))
        assert said == ("already_resolved" if self.model.final else self.model.refused(person) or "recorded")

    @rule()
    def is_reminded_of(self) -> None:
        wanted = {"already_resolved"} if self.model.final else {"recorded", "rate_limited"}  # once a minute
        assert self.let(Remind(by="bob")) in wanted

    @rule(decision=st.sampled_from(["approve", "reject", "cancel"]), sure=st.integers(0, 9))
    def somebody_else_decides(self, decision: str, sure: int) -> None:
        if sure:  # seldom, since it ends everything
            return
        operate = Operate(answer=ResponseInput(decision=decision), by="operator", surface=Surface.CLI)
        event = Cancel(reason=None, by="bob", surface=Surface.API) if decision == "cancel" else operate
        status = {"approve": "approved", "reject": "rejected"}.get(decision, "cancelled")
        assert self.let(event) == self.model.ends(status)

    @rule(seconds=st.sampled_from([60, 200, 300, 700]))
    def time_passes(self, seconds: int) -> None:
        due = self.request.due_at
        self.model.tick(self.model.now + timedelta(seconds=seconds))
        said = self.let(Timer())
        assert (said == "recorded") is bool(due and due <= self.model.now)
        assert self.request.due_at is None or self.request.due_at > self.model.now

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "request"):
            return
        request, model = self.request, self.model
        assert (request.status.value, request.step, list(request.escalated)) == (
            model.status,
            model.step,
            model.reached,
        )
        held = request.held and (request.held.outcome.decision.value, request.held.until)
        assert held == model.held
        assert forms.payload(request) == {"amount": model.amount}
        given = {
            (r.step, self.name(r.respondent)): (r.decision, (r.values or {}).get("amount"))
            for r in request.responses
        }
        assert given == {
            (n, p): s.answer for n, seats in enumerate(model.seats) for p, s in seats.items() if s.answer
        }
        assert len(given) == len(request.responses)
        handed = {self.name(r.id) for r in request.seated if r.state == "delegated"}
        assert handed == {p for p, s in model.seats[model.step].items() if s.given_to}

    def name(self, respondent: str) -> str:
        found = self.request.respondent(respondent)
        assert found
        assert found.email
        return found.email.partition("@")[0]

    @invariant()
    def what_is_approved_is_what_those_who_approved_saw(self) -> None:
        outcome = getattr(self, "request", asked()).outcome
        if (
            outcome is None
            or outcome.decision is not Status.APPROVED
            or outcome.resolved_by is not ResolvedBy.RESPONDENTS
        ):
            return
        steps = {r.respondent: r.step for r in self.request.responses}
        assert outcome.respondents
        for respondent in outcome.respondents:
            person = self.name(respondent)
            assert person != self.model.requester
            assert {"amount": self.saw[steps[respondent], person]} == outcome.payload

    @invariant()
    def what_is_final_stays(self) -> None:
        request = getattr(self, "request", None)
        if request and request.status.final:
            assert getattr(self, "end", request) == request
            assert request.due_at is None
            self.end = request


class Remembered(Rules):
    """Without a database; what is written down of each change comes to the same in the end."""

    def __init__(self) -> None:
        self.trail: list[Any] = []
        super().__init__(self.keep)

    def keep(self, before: Request | None, change: Transition, _now: datetime) -> Request:
        self.trail.append({"change": audit_replay.change(before, change.request)})
        return change.request

    def teardown(self) -> None:
        if self.trail:
            written = orjson.loads(orjson.dumps(self.trail, default=list))
            assert audit_replay.replay(written) == self.request


def test_the_rules_of_people_do_what_the_model_says() -> None:
    run_state_machine_as_test(
        Remembered,
        settings=settings(
            max_examples=2 * settings.default.max_examples, stateful_step_count=15, phases=PHASES
        ),
    )


class Stored(Rules):
    """The same in a real store."""

    def __init__(self, runner: asyncio.Runner, store: SqlStore) -> None:
        self.runner, self.store = runner, store
        super().__init__(self.keep)

    def keep(self, _before: Request | None, change: Transition, now: datetime) -> Request:
        def work(tx: Any) -> Request:
            if _before:
                tx.request(self.id)
            tx.save(change, now)
            return change.request

        self.runner.run(self.store.write(work, ids=(self.id,)))
        stored = self.runner.run(self.store.read(lambda tx: tx.request(self.id)))
        assert stored == change.request
        return stored


def test_what_is_stored_is_what_its_trail_comes_to(sqlite_url: str) -> None:
    migrations.upgrade(sqlite_url)
    with asyncio.Runner() as runner:
        store = SqlStore(sqlite_url)
        runner.run(store.start())
        try:
            run_state_machine_as_test(
                lambda: Stored(runner, store),  # type: ignore[arg-type]  # whatever makes one will do
                settings=settings(max_examples=25, stateful_step_count=15, phases=PHASES),
            )
            assert runner.run(store.run_read(audit_replay.first_difference)) is None
        finally:
            runner.run(store.stop())
