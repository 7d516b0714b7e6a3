"""From responses to a verdict, with its reason in words. What a rule can say is in `rules`.

Only distinct, eligible people count: seats are merged, and the requester's own is left out.
Whoever a level of the escalation ladder brought in decides by that level's own rule: any rule that is met decides.
"""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain import naming
from bot.domain.audience import lowest_level, may_count, parse_selector
from bot.domain.request import Request, Respondent, RespondentState, Status
from bot.domain.rules import Leaf, ways_to_meet
from bot.domain.spec import Kind, QuorumRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Verdict(NamedTuple):
    """`decision` is None while the step waits. `text` is the progress or the result in words."""

    decision: Status | None
    required: int
    approved: int
    rejected: int
    text: str
    choice: str | None = None
    """What was chosen, once a `choice` request is decided."""


class _Tally(NamedTuple):
    """Where the people stand who answer by one rule.

    `open_sources` are the selectors behind which more people may turn up; `rejections` how many in the whole step have
    rejected, by whatever rule they are asked.
    """

    approved: Sequence[Respondent]
    rejected: Sequence[Respondent]
    waiting: Sequence[Respondent]
    open_sources: frozenset[str]
    open_ended: bool
    rejections: int
    uncounted: bool
    """Some people could not be looked up yet, so that a rule that counts heads must wait."""
    request: Request | None = None
    """Whose people they are, for their names."""

    def only(self, source: str | None) -> _Tally:
        """The part of it that a leaf counts."""
        if source is None:
            return self
        return self._replace(
            approved=[r for r in self.approved if belongs(r, source)],
            rejected=[r for r in self.rejected if belongs(r, source)],
            waiting=[r for r in self.waiting if belongs(r, source)],
            open_ended=source in self.open_sources,
        )

    def needed(self, approvals: int | str) -> int:
        """How many approvals a number, `all` or `majority` comes to."""
        seats = len(self.approved) + len(self.rejected) + len(self.waiting)
        if approvals == "all":
            return max(1, seats)
        if approvals == "majority":
            return seats // 2 + 1
        return int(approvals)


class _Chances(NamedTuple):
    """Whether a rule is met, can no longer be, and counts heads; and its number of approvals."""

    met: bool
    hopeless: bool
    counts_heads: bool
    required: int


def belongs(respondent: Respondent, source: str) -> bool:
    """Whether the selector `source` of a tree seated this person."""
    return source in respondent.groups or source in respondent.via


def judge(request: Request) -> Verdict:
    """The verdict on the request's open step, from its respondents' states alone."""
    if request.level == 0:
        return _judge(request, 0, request.current.quorum)
    verdicts = [_judge(request, level, rule) for level, rule in _rules(request)]
    best = max(verdicts, key=lambda v: (v.decision is Status.APPROVED, v.decision is None))
    if best.decision:
        return best
    return best._replace(text=", or ".join(v.text for v in reversed(verdicts) if v.decision is None))


def _rules(request: Request) -> list[tuple[int, QuorumRule]]:
    """The rules that may decide, the last level's first."""
    people = {level for r in request.seated for level in r.levels}
    standing = people | {level for p in (*request.open_places, *request.open_lookups) for level in p.levels}
    rules = [
        (level, request.current.quorum if level == 0 else request.spec.escalation[level - 1].quorum)
        for level in range(request.level, lowest_level(request, request.step) - 1, -1)
        if level in standing
    ]
    return rules or [(0, request.current.quorum)]


def _judge(request: Request, level: int, rule: QuorumRule) -> Verdict:
    tally = _tally(request, level)
    chances = _tree_chances(rule, tally) if isinstance(rule, dict) else _plain_chances(rule, tally)
    met, hopeless, required = chances.met, chances.hopeless, chances.required
    if request.spec.kind is Kind.CHOICE and met:
        met = _most_chosen(request, tally)[1] >= required
    counting = tally.uncounted and chances.counts_heads
    decision = None
    if tally.rejections >= request.current.reject_quorum:
        decision = Status.REJECTED
    elif met and not counting:
        decision = Status.APPROVED
    elif (hopeless or _split(request, tally, required)) and any(
        r.step == request.step for r in request.responses
    ):
        decision = Status.REJECTED if tally.rejections or not hopeless else Status.SKIPPED
    return Verdict(
        decision=decision,
        required=required,
        approved=_count(request, tally),
        rejected=tally.rejections,
        text=_words(request, level, rule, tally, decision),
        choice=_most_chosen(request, tally)[0] if decision is Status.APPROVED else None,
    )


def _plain_chances(rule: int | str, tally: _Tally) -> _Chances:
    """Of a number, `all` or `majority`; the same as of a tree with one leaf for everybody."""
    required, approved = tally.needed(rule), len(tally.approved)
    hopeless = not tally.open_ended and approved + len(tally.waiting) < required
    return _Chances(approved >= required, hopeless, isinstance(rule, str), required)


def _tree_chances(rule: dict[str, Any], tally: _Tally) -> _Chances:
    ways, distinct = ways_to_meet(rule), bool(rule.get("distinct", True))
    return _Chances(
        met=any(_met(way, tally, distinct=distinct) for way in ways),
        hopeless=not any(_reachable(way, tally, distinct=distinct) for way in ways),
        counts_heads=any(isinstance(leaf.approvals, str) for way in ways for leaf in way),
        required=min(sum(tally.only(leaf.source).needed(leaf.approvals) for leaf in way) for way in ways),
    )


def _tally(request: Request, level: int) -> _Tally:
    counting = [r for r in request.seated if may_count(request, r)]
    seats = [r for r in counting if level in r.levels]
    lookups = [p for p in request.open_lookups if level in p.levels] if request.lookups else []
    places = [p for p in request.open_places if level in p.levels] if request.places else []
    return _Tally(
        [r for r in seats if r.state is RespondentState.APPROVED],
        [r for r in seats if r.state is RespondentState.REJECTED],
        [r for r in seats if r.state is RespondentState.WAITING or r.state is RespondentState.UNREACHABLE],
        frozenset([s for p in (*places, *lookups) for s in (*p.groups, p.selector)]),
        bool(places or lookups),
        len([r for r in counting if r.state is RespondentState.REJECTED]),
        bool(lookups),
        request,
    )


def _met(way: Iterable[Leaf], tally: _Tally, *, distinct: bool) -> bool:
    return _filled(way, tally, tally.approved, distinct=distinct, hoping=False)


def _reachable(way: Iterable[Leaf], tally: _Tally, *, distinct: bool) -> bool:
    return _filled(way, tally, [*tally.approved, *tally.waiting], distinct=distinct, hoping=True)


def _filled(
    way: Iterable[Leaf], tally: _Tally, people: Sequence[Respondent], *, distinct: bool, hoping: bool
) -> bool:
    """Whether `people` fill every place of the leaves. `hoping`: whoever may still turn up is counted on."""
    places: list[Leaf] = []
    for leaf in way:
        part = tally.only(leaf.source)
        if leaf.rejections is not None and len(part.rejected) >= leaf.rejections:
            return False
        if hoping and part.open_ended:
            continue
        needed = part.needed(leaf.approvals)
        if not distinct or leaf.source is None:
            able = people if leaf.source is None else [r for r in people if belongs(r, leaf.source)]
            if len(able) < needed:
                return False
        else:
            places += [leaf] * needed
    return _assigned(places, people)


def _assigned(places: Sequence[Leaf], people: Sequence[Respondent]) -> bool:
    """Whether every place finds a person of its own: augmenting paths (Kuhn's algorithm)."""
    holder: dict[str, int] = {}

    def find(place: int, tried: set[str]) -> bool:
        for person in people:
            if person.id in tried or not belongs(person, places[place].source or ""):
                continue
            tried.add(person.id)
            if person.id not in holder or find(holder[person.id], tried):
                holder[person.id] = place
                return True
        return False

    return all(find(place, set()) for place in range(len(places)))


def _most_chosen(request: Request, tally: _Tally) -> tuple[str | None, int]:
    """What most people chose, and how many; of several, what was chosen first. Nothing where there are no choices."""
    if request.spec.kind is not Kind.CHOICE:
        return None, 0
    approved = {r.id for r in tally.approved}
    votes = Counter(r.decision for r in request.responses if r.respondent in approved)
    return max(votes.items(), key=itemgetter(1), default=(None, 0))


def _split(request: Request, tally: _Tally, required: int) -> bool:
    """Whether people chose so differently that no choice can be reached by so many any more."""
    if request.spec.kind is not Kind.CHOICE or tally.open_ended:
        return False
    return _most_chosen(request, tally)[1] + len(tally.waiting) < required


def reachable(
    rule: QuorumRule, people: Sequence[Respondent], sources: frozenset[str], *, channel: bool
) -> str | None:
    """Why an audience of `people` could never meet `rule`, or None where it can.

    `sources`: the selectors behind which more people may turn up (empty: these are all); `channel`: nobody can say
    how many.
    """
    if isinstance(rule, int):
        if not people or sources or rule <= len(people):
            return None
        return f"needs {rule} approvals, but only {len(people)} {_people(len(people))} of the audience may approve"
    if isinstance(rule, str):
        if not channel:
            return None
        return f"{rule!r} needs people who can be counted; an audience with a channel takes a number"
    tally = _Tally((), (), people, sources, bool(sources), rejections=0, uncounted=False)
    distinct = bool(rule.get("distinct", True))
    if not people or any(_reachable(way, tally, distinct=distinct) for way in ways_to_meet(rule)):
        return None
    return f"can never be met by this audience: {_tree_words(rule, tally)}"


def _words(request: Request, level: int, rule: QuorumRule, tally: _Tally, decision: Status | None) -> str:
    """`1 of 2 approvals`, and what became of it."""
    if isinstance(rule, dict):
        progress, goal = f"{_tree_words(rule, tally)}{_counted_twice(rule, tally)}", "the quorum"
    else:
        required = tally.needed(rule)
        progress, goal = (
            f"{_count(request, tally)} of {required} {_asked_for(request, required)}",
            str(required),
        )
    if level:
        progress = f"{progress} from {request.spec.escalation[level - 1].name}"
    rejected, limit = tally.rejections, request.current.reject_quorum
    rejections = f"{rejected} {'rejection' if rejected == 1 else 'rejections'}"
    match decision:
        case Status.REJECTED if rejected >= limit:
            return f"{progress}; {rejections}"
        case Status.REJECTED if rejected:
            return f"{progress}; {rejections}, so {goal} can no longer be reached"
        case Status.REJECTED:
            return f"{progress}; the choices differ, so {goal} can no longer be reached"
        case Status.SKIPPED:
            return f"{progress}; too many skipped, so {goal} can no longer be reached"
        case None if rejected:
            return f"{progress}; {rejections} of {limit} that would end it"
        case _:
            return progress


def _count(request: Request, tally: _Tally) -> int:
    return _most_chosen(request, tally)[1] if request.spec.kind is Kind.CHOICE else len(tally.approved)


def _asked_for(request: Request, number: int) -> str:
    one = _ASKED_FOR[request.spec.kind]
    return one if number == 1 else f"{one}s"


_ASKED_FOR = {Kind.APPROVAL: "approval", Kind.CHOICE: "choice", Kind.INPUT: "answer", Kind.FEEDBACK: "answer"}


def _tree_words(rule: QuorumRule, tally: _Tally) -> str:
    """`1 of 1 from security and 0 of 2 from ops (waiting: Ana, Ben)`."""
    if not isinstance(rule, dict):
        return str(rule)
    for member, joint in (("all_of", " and "), ("any_of", " or ")):
        if member in rule:
            parts = [_tree_words(part, tally) for part in rule[member]]
            nested = [
                f"({p})" if len(r.get("all_of", r.get("any_of", ()))) > 1 else p
                for p, r in zip(parts, rule[member], strict=True)
            ]
            return joint.join(nested)
    source = parse_selector(rule["from"]).text
    part = tally.only(source)
    needed = part.needed(rule.get("approvals", 1))
    name = source.removeprefix("group:").removeprefix("email:")
    waits = _awaited(part) if len(part.approved) < needed else ""
    return f"{len(part.approved)} of {needed} from {name}{waits}"


def _counted_twice(rule: dict[str, Any], tally: _Tally) -> str:
    """What is still missing where every group has enough, but only with somebody in two places."""
    ways = ways_to_meet(rule) if rule.get("distinct", True) else ()
    enough = any(_met(way, tally, distinct=False) for way in ways)
    if not enough or any(_met(way, tally, distinct=True) for way in ways):
        return ""
    return f", but one person fills one place only{_awaited(tally)}"


def _awaited(tally: _Tally) -> str:
    first = tally.waiting[:MAX_NAMES]
    names = ", ".join(naming.labels(tally.request, first) if tally.request else [r.label for r in first])
    more = ", …" if len(tally.waiting) > MAX_NAMES else ""
    return f" (waiting: {names}{more})" if names else ""


MAX_NAMES = 5


def _people(number: int) -> str:
    return "person" if number == 1 else "people"
