"""What the rules of people come to, with sets and counts and by trying everything: the measure for the real ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

PENDING, HELD = "pending", "held"


@dataclass
class Seat:
    """A person where they are asked; `answer` is the decision with the values that came with it."""

    levels: set[int]
    groups: set[str]
    answer: tuple[str, int | None] | None = None
    given_to: str | None = None
    given_by: str | None = None


@dataclass
class Rule:
    """One step (or, with `replace` and `after`, one level of the ladder)."""

    people: dict[str, set[str]]
    """Everybody, with the groups they are in."""
    quorum: Any = 1
    reject_quorum: int = 1
    seconds: int | None = None
    on_timeout: str | None = None
    replace: bool = False
    after: int | None = None


@dataclass
class Model:
    """A request. Who is asked in a step is known from the start; levels are added where they are reached."""

    steps: list[Rule]
    ladder: list[Rule]
    requester: str | None
    skipping: bool
    grace: int
    payload: int
    now: datetime
    timeout: int | None = None
    on_timeout: str = "expire"
    status: str = PENDING
    step: int = 0
    reached: list[int] = field(default_factory=list)
    edited: int | None = None
    held: tuple[str, datetime] | None = None

    def __post_init__(self) -> None:
        self.seats = [
            {p: Seat({0}, {*groups, f"email:{p}@example.com"}) for p, groups in s.people.items()}
            for s in self.steps
        ]
        self.timeout_at = self.now + timedelta(seconds=self.timeout) if self.timeout else None
        self.open(0)

    # fmt: on
    def open(self, step: int, since: datetime | None = None) -> None:
        self.step, self.opened = step, since or self.now
        seconds = self.steps[step].seconds
        self.step_at = self.now + timedelta(seconds=seconds) if seconds else None

    @property
    def amount(self) -> int:
        """What would be done now."""
        return self.payload if self.edited is None else self.edited

    @property
    def final(self) -> bool:
        return self.status != PENDING

    # Who may do something

    def lowest(self) -> int:
        return max(
            (n for n, s in enumerate(self.reached, 1) if s == self.step and self.ladder[n - 1].replace),
            default=0,
        )

    def refused(self, person: str) -> str | None:
        """Why this person may do nothing now: the code of the refusal."""
        if person == self.requester:
            return "self_approval"
        seat = self.seats[self.step].get(person)
        if seat is None:
            return "step_closed" if any(person in s for s in self.seats[: self.step]) else "not_in_audience"
        if seat.given_to or max(seat.levels) < self.lowest():
            return "not_in_audience"
        return None

    # What the answers come to

    def verdict(self) -> str | None:
        rules = self.standing()
        rejecting = [p for p, s in self.seats[self.step].items() if s.answer and s.answer[0] == "reject"]
        if len(rejecting) >= self.steps[self.step].reject_quorum:
            return "rejected"
        said = [self.one_rule(level, rule, rejecting) for level, rule in rules]
        for verdict in ("approved", None):
            if verdict in said:
                return verdict
        return said[0]

    def standing(self) -> list[tuple[int, Any]]:
        """The rules that may decide, the last level's first."""
        levels = {n for s in self.seats[self.step].values() for n in s.levels}
        found = [n for n in range(len(self.reached), self.lowest() - 1, -1) if n in levels]
        return [(n, self.ladder[n - 1].quorum if n else self.steps[self.step].quorum) for n in found]

    def one_rule(self, level: int, rule: Any, rejecting: list[str]) -> str | None:
        may = {
            p: s
            for p, s in self.seats[self.step].items()
            if level in s.levels and p != self.requester and not s.given_to
        }
        counted = {p: s for p, s in may.items() if not s.answer or s.answer[0] != "skip"}
        approving = {p: s.groups for p, s in counted.items() if s.answer and s.answer[0] == "approve"}
        hoping = {p: s.groups for p, s in counted.items() if not s.answer or s.answer[0] == "approve"}
        everybody = {p: s.groups for p, s in counted.items()}
        if holds(rule, approving, everybody):
            return "approved"
        if not holds(rule, hoping, everybody) and any(s.answer for s in self.seats[self.step].values()):
            return "rejected" if rejecting else "skipped"
        return None

    def settle(self) -> None:
        verdict = self.verdict()
        if verdict is None:
            self.held = None
        elif verdict == "approved" and self.step + 1 < len(self.steps):
            self.open(self.step + 1)
            self.settle()
        elif not self.grace:
            self.status = verdict
        elif self.held is None or self.held[0] != verdict:
            self.held = (verdict, self.now + timedelta(seconds=self.grace))

    # What happens

    def answer(self, person: str, decision: str, amount: int | None, seen: int | None) -> str:
        given = [s[person].answer for s in self.seats if person in s]
        if self.final:
            return "same" if (decision, amount) in given else "already_resolved"
        if refused := self.refused(person):
            return "same" if refused == "step_closed" and (decision, amount) in given else refused
        seat = self.seats[self.step][person]
        if said := self.said(seat, given, (decision, amount), seen):
            return said
        if (decision == "skip" and not self.skipping) or (decision != "approve" and amount is not None):
            return "invalid"
        if amount is not None and amount != self.amount and self.edit(amount):
            return "recorded"
        seat.answer = (decision, amount)
        self.settle()
        return "recorded"

    def said(
        self, seat: Seat, given: list[Any], answer: tuple[str, int | None], seen: int | None
    ) -> str | None:
        """What becomes of an answer after one before it, or to a step that is not open."""
        if seat.answer:
            return "same" if seat.answer == answer else "already_responded"
        if seen is None or seen == self.step:
            return None
        if seen > self.step:
            return "not_in_audience"
        return "same" if answer in given else "step_closed"

    def edit(self, amount: int) -> bool:
        """Whoever approved another amount has not approved this one; true where that opens the first step again."""
        self.edited, earlier = amount, False
        for number, seats in enumerate(self.seats):
            for seat in seats.values():
                if seat.answer and seat.answer[0] == "approve":
                    seat.answer, earlier = None, earlier or number < self.step
        if earlier:
            self.open(0)
            self.held = None
        return earlier

    def withdraw(self, person: str) -> str:
        if self.final:
            return "already_resolved"
        if refused := self.refused(person):
            return refused
        seat = self.seats[self.step][person]
        if not seat.answer:
            return "invalid"
        seat.answer = None
        self.settle()
        return "recorded"

    def delegate(self, person: str, taker: str, most: int) -> str:
        if self.final:
            return "already_resolved"
        if refused := self.refused(person):
            return refused
        seats = self.seats[self.step]
        hands, giver = 1, seats[person]
        while giver.given_by:
            hands, giver = hands + 1, seats[giver.given_by]
        if seats[person].answer:
            return "already_responded"
        if taker == self.requester or taker in seats or hands > most:
            return "invalid"
        own = seats[person]
        own.given_to = taker
        seats[taker] = Seat(set(own.levels), {*own.groups, f"email:{taker}@example.com"}, given_by=person)
        return "recorded"

    def escalate(self, person: str | None) -> str:
        if self.final:
            return "already_resolved"
        if len(self.reached) == len(self.ladder):
            return "invalid"
        if person and (refused := self.refused(person)):
            return refused
        self.climb(self.now)
        return "recorded"

    def climb(self, since: datetime) -> None:
        self.reached.append(self.step)
        self.opened, number, seats = since, len(self.reached), self.seats[self.step]
        for person, groups in self.ladder[number - 1].people.items():
            seat = seats.setdefault(person, Seat(set(), set()))
            while True:
                seat.levels.add(number)
                seat.groups |= {*groups, f"email:{person}@example.com"}
                if seat.given_to is None:
                    break
                seat = seats[seat.given_to]
        self.settle()

    def revise(self, amount: int) -> str:
        if self.final:
            return "already_resolved"
        if (amount, None) == (self.payload, self.edited):
            return "same"
        self.payload, self.edited, self.held = amount, None, None
        for seat in (s for seats in self.seats for s in seats.values()):
            seat.answer = None
        if self.step:
            self.open(0)
        return "recorded"

    def ends(self, status: str) -> str:
        """An operator or the requester decides."""
        if self.final:
            return "already_resolved"
        self.status, self.held = status, None
        return "recorded"

    def tick(self, now: datetime) -> None:
        """Everything that the clock brings."""
        self.now = now
        while not self.final:
            deadline = min((d for d in (self.timeout_at, self.step_at) if d), default=None)
            after = self.ladder[len(self.reached)].after if len(self.reached) < len(self.ladder) else None
            if self.held:
                if now < self.held[1]:
                    return
                self.status, self.held = self.held[0], None
            elif deadline and now >= deadline:
                self.deadline(whole=deadline == self.timeout_at)
            elif after is not None and now >= self.opened + timedelta(seconds=after):
                self.climb(self.opened + timedelta(seconds=after))
            else:
                return

    def deadline(self, *, whole: bool) -> None:
        rule = self.on_timeout if whole else self.steps[self.step].on_timeout or self.on_timeout
        if rule == "escalate" and len(self.reached) < len(self.ladder):
            again = timedelta(seconds=(self.timeout if whole else self.steps[self.step].seconds) or 0)
            if whole:
                self.timeout_at = self.now + again
            else:
                self.step_at = self.now + again
            self.climb(self.now)
        elif rule == "approve" and not whole and self.step + 1 < len(self.steps):
            self.open(self.step + 1)
            self.settle()
        else:
            self.status = {
                "expire": "expired",
                "approve": "approved",
                "reject": "rejected",
                "skip": "skipped",
            }.get(rule, "expired")


def holds(rule: Any, approving: dict[str, set[str]], everybody: dict[str, set[str]]) -> bool:
    """Whether these approvals meet the rule; in a tree each person fills one place, unless it says otherwise."""
    if not isinstance(rule, dict):
        return len(approving) >= number(rule, len(everybody))
    if not rule.get("distinct", True):
        return each(rule, approving, everybody)
    return any(places is not None and seated(places, approving) for places in ways(rule, everybody))


def number(rule: Any, heads: int) -> int:
    return int({"all": max(1, heads), "majority": heads // 2 + 1}.get(str(rule), rule))


def each(rule: dict[str, Any], approving: dict[str, set[str]], everybody: dict[str, set[str]]) -> bool:
    if "all_of" in rule:
        return all(each(r, approving, everybody) for r in rule["all_of"])
    if "any_of" in rule:
        return any(each(r, approving, everybody) for r in rule["any_of"])
    mine = sum(rule["from"] in groups for groups in approving.values())
    return mine >= number(
        rule.get("approvals", 1), sum(rule["from"] in groups for groups in everybody.values())
    )


def ways(rule: dict[str, Any], everybody: dict[str, set[str]]) -> list[list[str]]:
    """Every list of places, by the group each must be filled from, that would do."""
    if "any_of" in rule:
        return [places for r in rule["any_of"] for places in ways(r, everybody)]
    if "all_of" in rule:
        found: list[list[str]] = [[]]
        for r in rule["all_of"]:
            found = [first + more for first in found for more in ways(r, everybody)]
        return found
    heads = sum(rule["from"] in groups for groups in everybody.values())
    return [[rule["from"]] * number(rule.get("approvals", 1), heads)]


def seated(places: list[str], people: dict[str, set[str]]) -> bool:
    """Whether each place finds a person of its own: every way of seating them is tried."""
    if not places:
        return True
    return any(
        seated(places[1:], {p: g for p, g in people.items() if p != person})
        for person, groups in people.items()
        if places[0] in groups
    )
