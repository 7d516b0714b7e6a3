"""Whatever happens in whatever order: one outcome, by people who may answer, and the store agrees with the model."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.approvals import apply_event
from bot.domain.errors import AssentError
from bot.domain.lifecycle import lifecycle, timers
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import AudienceResolved, Cancel, DeliveryFailed, Operate, Timer
from bot.domain.model.request import Request, RespondentState, Status, Surface
from bot.domain.model.spec import OnTimeout
from bot.domain.people.audience import Actor
from bot.store import SqlStore, migrations
from bot.store.queries.snapshot import SqlReader
from tests.support.asking import NOW, asked, places, response, somebody

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.model.events import Event
    from bot.domain.model.transition import Transition

PEOPLE = ("p0", "p1", "p2", "p3")
STATUS = {"approve": Status.APPROVED, "reject": Status.REJECTED, "skip": Status.SKIPPED}
FLAGS = ("self_approval", "skipping", "looking_up", "channel")
OFTEN = ("approve", "approve", "approve", "reject", "skip")
PHASES = tuple(phase for phase in Phase if phase is not Phase.explain)
"""Explaining a failure takes longer than the suite may."""
DEADLINE = NOW + timedelta(minutes=10)
CHANNEL, LOOKUP = "slack:C1", "slack:S1"


@dataclass
class Model:
    """What the contract says, with sets and counts. A person is known by a link, a mail address and a Slack id."""

    seated: set[str]
    quorum: int | str
    reject_quorum: int
    requester: str | None
    self_approval: bool
    skipping: bool
    channel: bool
    looking_up: bool
    on_timeout: OnTimeout
    guests: set[str] = field(default_factory=set)
    """Those who are seated as members of the channel, which they may leave."""
    answers: dict[str, str] = field(default_factory=dict)
    status: Status = Status.PENDING
    version: int = 1

    def answer(self, person: str, decision: str, *, by_slack: bool, member: bool) -> str:
        """The code of the refusal, `same`, or `recorded`."""
        if self.status.final:
            return "same" if self.answers.get(person) == decision else "already_resolved"
        if person == self.requester and not self.self_approval:
            return "self_approval"
        newcomer = person not in self.seated and self.channel and by_slack and member
        if not (newcomer or person in (self.seated if member else self.seated - self.guests)):
            return "not_in_audience"
        if person in self.answers:
            return "same" if self.answers[person] == decision else "already_responded"
        if decision == "skip" and not self.skipping:
            return "invalid"
        if person not in self.seated:
            self.guests.add(person)
        self.seated.add(person)
        self.answers[person] = decision
        self.change(self.verdict())
        return "recorded"

    def change(self, status: Status) -> None:
        """One change, which led to `status`."""
        self.status = status
        self.version += 1

    def verdict(self) -> Status:
        """What the answers come to."""
        may = self.seated if self.self_approval else self.seated - {self.requester}
        said = {d: sum(self.answers.get(p) == d for p in may) for d in STATUS}
        heads = len(may) - said["skip"]
        needed = {"all": max(1, heads), "majority": heads // 2 + 1}.get(str(self.quorum), self.quorum)
        assert isinstance(needed, int)
        if said["reject"] >= self.reject_quorum:
            return Status.REJECTED
        if said["approve"] >= needed and not (self.looking_up and isinstance(self.quorum, str)):
            return Status.APPROVED
        possible = said["approve"] + len(may - self.answers.keys())
        if self.answers and not (self.channel or self.looking_up) and possible < needed:
            return Status.REJECTED if said["reject"] else Status.SKIPPED
        return Status.PENDING


class Memory:
    """A transaction of one request without a database."""

    def __init__(self) -> None:
        self.stored: dict[str, Request] = {}

    def request(self, request_id: str) -> Request | None:
        return self.stored.get(request_id)

    def save(self, change: Transition, now: datetime) -> None:
        self.stored[change.request.id] = change.request

    def run(self, work: Callable[[Any], Any]) -> Any:
        return work(self)


class Lifecycle(RuleBasedStateMachine):
    """Random requests and random things that happen to them. `run` runs a unit of work somewhere."""

    numbers = itertools.count()

    def __init__(self, run: Callable[[Callable[[Any], Any]], Any]) -> None:
        super().__init__()
        self.run = run
        self.now = NOW
        self.id = f"req_{next(self.numbers)}"

    @initialize(
        seated=st.sets(st.sampled_from(PEOPLE[:3])),
        quorum=st.sampled_from([1, 2, 3, "all", "majority"]),
        reject_quorum=st.integers(1, 3),
        requester=st.sampled_from(["p0", "p1", PEOPLE[-1], None]),
        flags=st.fixed_dictionaries({n: st.sampled_from([False, False, True]) for n in FLAGS}),
        timeout=st.booleans(),
        on_timeout=st.sampled_from([o for o in OnTimeout if o is not OnTimeout.ESCALATE]),
    )  # fmt: skip
    def submit(self, *, flags: dict[str, bool], timeout: bool, seated: set[str], **rules: Any) -> None:
        flags["channel"] &= isinstance(rules["quorum"], int)
        self.model = Model(seated=set(seated), **rules | flags)
        requester = self.model.requester
        request = asked(
            *(self.respondent(p) for p in sorted(seated)),
            request_id=self.id,
            quorum=self.model.quorum,
            reject_quorum=self.model.reject_quorum,
            requester_keys=frozenset({f"email:{requester}@example.com", f"slack:U{requester}"} if requester else ()),
            channels=(CHANNEL,) if self.model.channel else (),
            lookups=(LOOKUP,) if self.model.looking_up else (),
            timeout_at=DEADLINE if timeout else None,
            on_timeout=self.model.on_timeout,
            allow_skip=self.model.skipping,
            allow_self_approval=self.model.self_approval,
        )  # fmt: skip
        self.deadline = request.timeout_at
        self.run(lambda tx: tx.save(lifecycle.open_request(request, None, NOW), NOW))
        self.request = request

    def respondent(self, person: str) -> Any:
        return somebody(person, slack=f"U{person}")

    def happens(self, event: Event) -> str:
        """Let it happen as the use cases do, the deadline first; the refusal's code, `same` or `recorded`."""
        if self.deadline and self.now >= self.deadline and not self.model.status.final:
            self.model.change(timers.ON_TIMEOUT[self.model.on_timeout])
        before = self.request
        result = self.run(lambda tx: apply_event.apply(tx, self.id, event, self.now, lambda change: change))
        self.request = self.run(lambda tx: tx.request(self.id))
        if isinstance(result, AssentError):
            return result.code
        return "same" if self.request.version == before.version else "recorded"

    @rule(
        person=st.sampled_from(PEOPLE),
        decision=st.sampled_from(sorted(STATUS)),
        key=st.sampled_from(["rsp_{}", "email:{}@example.com", "slack:U{}"]),
        member=st.booleans(),
    )
    def answer(self, person: str, decision: str, key: str, *, member: bool) -> None:
        by_slack = key.startswith("slack")
        actor = Actor(
            keys=frozenset({key.format(person)}),
            surface=Surface.SLACK if by_slack else Surface.EMAIL,
            memberships=frozenset({CHANNEL} if member else ()),
        )
        if not by_slack and not any(key.format(person) in r.keys for r in self.request.respondents):
            actor = Actor(keys=frozenset({"email:stranger@example.com"}), surface=Surface.EMAIL)
            person = "a stranger"
        event = response(actor, decision)
        event = type(event)(actor=event.actor, answer=event.answer, new_id=f"rsp_{person}")
        said = self.happens_after_deadline(event)
        assert said == self.model.answer(person, decision, by_slack=by_slack, member=member)

    def happens_after_deadline(self, event: Event) -> str:
        """As `happens`; what the deadline alone changed does not count as recorded."""
        fired = self.deadline and self.now >= self.deadline and not self.model.status.final
        said = self.happens(event)
        return "same" if fired and said == "recorded" else said

    @rule(decisions=st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(OFTEN)), max_size=4))
    def several_answer_by_link(self, decisions: list[tuple[str, str]]) -> None:
        """The usual case, often enough to come to every kind of end."""
        for person, decision in decisions:
            self.answer(person, decision, "rsp_{}", member=True)

    @rule(decision=st.sampled_from([*STATUS, "cancel"]))
    def somebody_else_decides(self, decision: str) -> None:
        operate = Operate(
            answer=ResponseInput(decision=decision, reason=None), by="operator", surface=Surface.CLI
        )
        cancel = Cancel(reason=None, by="bob", surface=Surface.API)
        said = self.happens(cancel if decision == "cancel" else operate)
        assert (said == "already_resolved") is self.model.status.final
        if said == "recorded":
            self.model.change(STATUS.get(decision, Status.CANCELLED))

    @rule(minutes=st.integers(1, 6))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.happens(Timer())

    @precondition(lambda self: self.model.looking_up)
    @rule(found=st.sets(st.sampled_from(PEOPLE)))
    def people_are_looked_up(self, found: set[str]) -> None:
        event = AudienceResolved(
            places=places(LOOKUP), found=tuple(self.respondent(p) for p in sorted(found))
        )
        self.happens(event)
        if not self.model.status.final:
            self.model.looking_up = False
            self.model.seated |= found
            self.model.guests -= found
            self.model.change(self.model.verdict())

    @precondition(lambda self: self.told())
    @rule(data=st.data())
    def somebody_cannot_be_told(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.told()))
        news = target not in {u.target for u in self.request.unreached}
        self.happens(DeliveryFailed(target=target, reason="no such mailbox"))
        self.model.version += news

    def told(self) -> list[str]:
        """Where the people of the audience are told."""
        return [f"{a.surface}:{a.value}" for r in self.request.respondents for a in r.addresses]

    @invariant()
    def the_request_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        assert (self.request.status, self.request.version) == (self.model.status, self.model.version)
        given = {r.respondent.removeprefix("rsp_"): r.decision for r in self.request.responses}
        assert given == self.model.answers
        assert len(given) == len(self.request.responses)
        assert (self.request.outcome is not None) is self.request.status.final
        assert len(self.request.respondents) == len(self.model.seated)

    @invariant()
    def what_is_final_stays(self) -> None:
        if getattr(self, "request", None) and self.request.status.final:
            now = (
                self.request.status,
                self.request.outcome,
                self.request.resolved_at,
                self.request.responses,
            )
            assert getattr(self, "end", now) == now
            assert self.request.due_at is None
            self.end = now

    @invariant()
    def nobody_unreachable_has_an_address_left(self) -> None:
        for r in getattr(self, "request", asked()).respondents:
            failed = {f"{a.surface}:{a.value}" for a in r.addresses} <= {
                u.target for u in self.request.unreached
            }
            if r.state is RespondentState.UNREACHABLE:
                assert failed
            if r.state is RespondentState.WAITING and r.addresses:
                assert not failed


def test_the_lifecycle_does_what_the_contract_says() -> None:
    run_state_machine_as_test(
        lambda: Lifecycle(Memory().run),  # type: ignore[arg-type]  # whatever makes one will do
        settings=settings(
            max_examples=3 * settings.default.max_examples, stateful_step_count=12, phases=PHASES
        ),
    )


class StoredLifecycle(Lifecycle):
    """The same against a real store; at the end its audit trail must tell the same story."""

    def __init__(self, runner: asyncio.Runner, store: SqlStore) -> None:
        self.runner, self.store = runner, store
        super().__init__(lambda work: runner.run(store.write(work, ids=(self.id,))))

    def teardown(self) -> None:
        if not hasattr(self, "request"):
            return
        stored = self.runner.run(self.store.read(lambda tx: tx.request(self.id)))
        events = self.runner.run(self.store.read(lambda tx: tx.events(self.id)))
        assert stored == self.request
        statuses = [event.status for event in events]
        assert statuses == sorted(statuses, key=lambda s: s.final)
        assert (statuses[-1], events[-1].version) == (stored.status, stored.version)
        assert {e.version for e in events} == set(range(1, stored.version + 1))
        assert [e.type for e in events].count("request.resolved") == stored.status.final
        told = [(e.data["respondent"], e.data["decision"]) for e in events if e.type == "request.response"]
        assert told == [(r.respondent, r.decision) for r in stored.responses]


def test_the_store_agrees_with_the_model(sqlite_url: str) -> None:
    migrations.upgrade(sqlite_url)
    with asyncio.Runner() as runner:
        store = SqlStore(sqlite_url)
        runner.run(store.start())
        try:
            run_state_machine_as_test(
                lambda: StoredLifecycle(runner, store),  # type: ignore[arg-type]  # likewise
                settings=settings(max_examples=30, stateful_step_count=20, phases=PHASES),
            )
            assert runner.run(store.run_read(lambda c: SqlReader(c).verify_chain()))[1] is None
        finally:
            runner.run(store.stop())
