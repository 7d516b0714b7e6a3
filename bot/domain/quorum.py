"""From responses to a verdict, with its reason in words.

A verdict says how many approvals are needed, how many there are, whether that ends the step, and one sentence that
every surface shows. Only distinct, eligible people count: seats are merged, and the requester's own is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.audience import may_count
from bot.domain.request import QuorumRule, Request, Respondent, RespondentState, Status

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`decision` is None while the step waits. `text` is the progress or the result in words."""

    decision: Status | None
    required: int
    approved: int
    rejected: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    approved: int
    rejected: int
    waiting: Sequence[Respondent]
    open_ended: bool
    uncounted: bool
    """The rule counts heads, and some people could not be looked up yet."""

    @property
    def seats(self) -> int:
        return self.approved + self.rejected + len(self.waiting)


def judge(request: Request) -> Verdict:
    """The verdict on the request's open step, from its respondents' states alone."""
    step = request.current
    count = _count(request)
    required = _required(step.quorum, count.seats)
    decision = _decide(required, step.reject_quorum, count, any_answer=bool(request.responses))
    return Verdict(
        decision=decision,
        required=required,
        approved=count.approved,
        rejected=count.rejected,
        text=_words(required, step.reject_quorum, count, decision),
    )


def reachable(quorum: QuorumRule, people: int, *, open_ended: bool, channel: bool) -> str | None:
    """Why an audience of `people` could never reach `quorum`, or None where it can.

    `open_ended`: more people may turn out to belong to it; `channel`: nobody can say how many.
    """
    if isinstance(quorum, str):
        return (
            f"{quorum!r} needs people who can be counted; an audience with a channel takes a number"
            if channel
            else None
        )
    if isinstance(quorum, int) and not open_ended and people and quorum > people:
        return f"needs {quorum} approvals, but only {people} {_people(people)} of the audience may approve"
    return None


def _count(request: Request) -> _Count:
    seats = [r for r in request.seated if may_count(request, r)]
    return _Count(
        approved=sum(r.state is RespondentState.APPROVED for r in seats),
        rejected=sum(r.state is RespondentState.REJECTED for r in seats),
        waiting=[r for r in seats if r.state in {RespondentState.WAITING, RespondentState.UNREACHABLE}],
        open_ended=bool(request.channels or request.lookups),
        uncounted=isinstance(request.current.quorum, str) and bool(request.lookups),
    )


def _required(rule: QuorumRule, seats: int) -> int:
    if rule == "all":
        return max(1, seats)
    if rule == "majority":
        return seats // 2 + 1
    if isinstance(rule, int):
        return rule
    raise NotImplementedError("quorum trees are refused at submit")


def _decide(required: int, reject_quorum: int, count: _Count, *, any_answer: bool) -> Status | None:
    if count.rejected >= reject_quorum:
        return Status.REJECTED
    if count.approved >= required and not count.uncounted:
        return Status.APPROVED
    lost = not count.open_ended and count.approved + len(count.waiting) < required
    if lost and any_answer:
        return Status.REJECTED if count.rejected else Status.SKIPPED
    return None


def _words(required: int, reject_quorum: int, count: _Count, decision: Status | None) -> str:
    progress = f"{count.approved} of {required} {'approval' if required == 1 else 'approvals'}"
    rejections = f"{count.rejected} {'rejection' if count.rejected == 1 else 'rejections'}"
    match decision:
        case Status.REJECTED if count.rejected >= reject_quorum:
            return f"{progress}; {rejections}"
        case Status.REJECTED:
            return f"{progress}; {rejections}, so {required} can no longer be reached"
        case Status.SKIPPED:
            return f"{progress}; too many skipped, so {required} can no longer be reached"
        case None if count.rejected:
            return f"{progress}; {rejections} of {reject_quorum} that would end it"
        case _:
            return progress


def _people(number: int) -> str:
    return "person" if number == 1 else "people"
