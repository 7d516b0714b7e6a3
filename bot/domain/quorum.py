"""From responses to a verdict, with its reason in words. What a rule can say is in `rules`.

Only distinct, eligible people count: seats are merged, and the requester's own is left out.
Whoever a level of the escalation ladder brought in decides by that level's own rule: any rule that is met decides.
"""

from __future__ import annotations

from collections import Counter, deque
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain.audience import lowest_level, may_count, parse_selector
from bot.domain.request import Request, Respondent, RespondentState, Status
from bot.domain.rules import Leaf, ways_to_meet
from bot.domain.spec import Kind, QuorumRule
from bot.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


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
    parts: dict[str, tuple[list[Respondent], ...]]
    """Who approved, rejected and is awaited behind each selector; filled once it is asked for."""

    @property
    def everybody(self) -> list[Respondent]:
        """Whoever counts, wherever they stand."""
        return [*self.approved, *self.rejected, *self.waiting]

    def only(self, source: str | None) -> _Tally:
        """The part of it that a leaf counts."""
        if source is None:
            return self
        if not self.parts:
            self.parts.update(_by_source(self))
        none: tuple[list[Respondent], ...] = ([], [], [])
        approved, rejected, waiting = self.parts.get(source, none)
        return self._replace(
            approved=approved,
            rejected=rejected,
            waiting=waiting,
            open_ended=source in self.open_sources,
            parts={},
        )

    def needed(self, approvals: int | str) -> int:
        """How many approvals a number, `all` or `majority` comes to."""
        seats = len(self.approved) + len(self.rejected) + len(self.waiting)
        if approvals == "all":
            return max(1, seats)
        if approvals == "majority":
            return seats // 2 + 1
        return int(approvals)


def _by_source(tally: _Tally) -> dict[str, tuple[list[Respondent], ...]]:
    """Everybody by the selectors that led to them, in one pass."""
    parts: dict[str, tuple[list[Respondent], ...]] = {"": ([], [], [])}
    for place, people in enumerate((tally.approved, tally.rejected, tally.waiting)):
        for r in people:
            for source in {*r.groups, *r.via}:
                parts.setdefault(source, ([], [], []))[place].append(r)
    return parts


class _Chances(NamedTuple):
    """Whether a rule is met, can no longer be, and counts heads; and its number of approvals."""

    met: bool
    hopeless: bool
    counts_heads: bool
    required: int


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
        {},
    )


def _met(way: Iterable[Leaf], tally: _Tally, *, distinct: bool) -> bool:
    rejected = {r.id for r in (*tally.rejected, *tally.waiting)}
    return _filled(way, tally, distinct=distinct, hoping=False, without=rejected)


def _reachable(
    way: Iterable[Leaf], tally: _Tally, *, distinct: bool, without: Collection[str] = frozenset()
) -> bool:
    """Whether a way can still be met, even if those whose ids are in `without` never answer."""
    rejected = {r.id for r in tally.rejected}
    return _filled(way, tally, distinct=distinct, hoping=True, without=rejected.union(without))


def _filled(
    way: Iterable[Leaf], tally: _Tally, *, distinct: bool, hoping: bool, without: Collection[str]
) -> bool:
    """Whether people other than `without` fill every place of the leaves.

    `hoping`: whoever may still turn up is counted on.
    """
    places: list[tuple[int, list[Respondent]]] = []
    for leaf in way:
        part = tally.only(leaf.source)
        if leaf.rejections is not None and len(part.rejected) >= leaf.rejections:
            return False
        able = [r for r in part.everybody if r.id not in without]
        if hoping and part.open_ended:
            if leaf.approvals == "all" and any(r.id in without for r in part.waiting):
                return False
            continue
        needed = part.needed(leaf.approvals)
        if len(able) < needed:
            return False
        if distinct and leaf.source is not None:
            places.append((needed, able))
    return _assigned(places)


def _assigned(places: Sequence[tuple[int, list[Respondent]]]) -> bool:
    """Whether every leaf finds so many people of its own.

    People who could fill places of the same leaves are alike, so they are moved together: augmenting paths over
    leaves and kinds of people, which takes no longer for a thousand people than for ten of as many kinds.
    """
    leaves: dict[str, list[int]] = {}
    for leaf, (_, able) in enumerate(places):
        for r in able:
            leaves.setdefault(r.id, []).append(leaf)
    free = Counter(tuple(kind) for kind in leaves.values())
    taken: Counter[tuple[tuple[int, ...], int]] = Counter()
    kinds: dict[int, list[tuple[int, ...]]] = {}
    for kind in free:
        for leaf in kind:
            kinds.setdefault(leaf, []).append(kind)
    return all(_place(leaf, needed, kinds, free, taken) for leaf, (needed, _) in enumerate(places))


_Kind = tuple[int, ...]
"""Which leaves somebody could fill a place of."""


def _place(
    leaf: int,
    needed: int,
    kinds: dict[int, list[_Kind]],
    free: Counter[_Kind],
    taken: Counter[tuple[_Kind, int]],
) -> bool:
    """Find `needed` people for a leaf; some of those that others took may go to it, if others take their places."""
    while needed:
        path = _path(leaf, kinds, free, taken)
        if path is None:
            return False
        last = path[-1][0]
        moved = min([needed, free[last], *(taken[kind, other] for kind, other in path[:-1])])
        free[last] -= moved
        owner = leaf
        for kind, other in path:
            taken[kind, owner] += moved
            if other >= 0:
                taken[kind, other] -= moved
                owner = other
        needed -= moved
    return True


def _path(
    leaf: int, kinds: dict[int, list[_Kind]], free: Counter[_Kind], taken: Counter[tuple[_Kind, int]]
) -> list[tuple[_Kind, int]] | None:
    """How a place of `leaf` is filled: each step takes one of a kind, from the leaf beside it (-1: who is free)."""
    before: dict[int, tuple[int, _Kind] | None] = {leaf: None}
    seen: set[_Kind] = set()
    waiting = deque([leaf])
    while waiting:
        current = waiting.popleft()
        for kind in kinds.get(current, ()):
            if kind in seen:
                continue
            seen.add(kind)
            if free[kind]:
                return _way_back(current, kind, before)
            for other in kind:
                if other not in before and taken[kind, other]:
                    before[other] = (current, kind)
                    waiting.append(other)
    return None


def _way_back(
    leaf: int, kind: _Kind, before: dict[int, tuple[int, _Kind] | None]
) -> list[tuple[_Kind, int]]:
    path = [(kind, -1)]
    while step := before[leaf]:
        parent, through = step
        path.append((through, leaf))
        leaf = parent
    return path[::-1]


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


class Crowd(NamedTuple):
    """Who can be counted on: `able` people, those `unreachable`, and who may still turn up.

    `sources`: the selectors behind which more people may be found; `extra`: how many those are, None where nobody
    can say; `channel`: one of them is a channel.
    """

    able: Sequence[Respondent]
    unreachable: Sequence[Respondent] = ()
    sources: frozenset[str] = frozenset()
    extra: int | None = 0
    channel: bool = False


def reachable(rule: QuorumRule, crowd: Crowd) -> str | None:
    """Why an audience could never meet `rule`, with the names of who is missing, or None where it can."""
    if isinstance(rule, str) and crowd.channel:
        return f"{rule!r} needs people who can be counted; an audience with a channel takes a number"
    people = [*crowd.able, *crowd.unreachable]
    tally = _Tally((), (), people, crowd.sources, crowd.extra is None, 0, uncounted=False, parts={})
    if _possible(rule, tally, frozenset(r.id for r in crowd.unreachable), crowd.extra or 0):
        return None
    missing = f"; {_cannot_be_told(crowd.unreachable)}" if crowd.unreachable else ""
    if isinstance(rule, dict):
        return f"can never be met by this audience: {_tree_words(rule, tally)}{missing}"
    able = len(crowd.able) + (crowd.extra or 0)
    needed = rule if isinstance(rule, int) else f"{rule} of {len(people) + (crowd.extra or 0)}"
    return f"needs {needed} approvals, but only {able} {_people(able)} of the audience may approve{missing}"


def out_of_reach(request: Request) -> bool:
    """Whether the open step can never be approved unless somebody answers who cannot be told."""
    gone = frozenset(r.id for r in request.seated if r.state is RespondentState.UNREACHABLE)
    silent = {u.target for u in request.unreached}
    places = tuple([p for p in request.places if p.selector not in silent])
    if not gone and request.seated and len(places) == len(request.places):
        return False
    request = replace(request, places=places)
    return not any(_possible(rule, _tally(request, level), gone) for level, rule in _rules(request))


def _possible(rule: QuorumRule, tally: _Tally, without: frozenset[str], extra: int = 0) -> bool:
    """Whether a rule can be met even if those whose ids are in `without` never answer."""
    if isinstance(rule, dict):
        distinct = bool(rule.get("distinct", True))
        return any(
            _reachable(way, tally, distinct=distinct, without=without) for way in ways_to_meet(rule)
        )
    able = len([r for r in (*tally.approved, *tally.waiting) if r.id not in without]) + extra
    if rule == "all" and any(r.id in without for r in tally.waiting):
        return False
    if tally.open_ended:
        return True
    heads = len(tally.everybody) + extra
    needed = {"all": max(1, heads), "majority": heads // 2 + 1}
    return able >= (needed[rule] if isinstance(rule, str) else rule)


def _cannot_be_told(people: Sequence[Respondent]) -> str:
    """`Cy cannot be told (their Slack account is deactivated)`."""
    named = [f"{r.label} ({r.trouble})" if r.trouble else r.label for r in people[:MAX_NAMES]]
    more = f" and {len(people) - MAX_NAMES} more" if len(people) > MAX_NAMES else ""
    return f"{', '.join(named)}{more} cannot be told"


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
    names = ", ".join(r.label for r in tally.waiting[:MAX_NAMES])
    more = ", …" if len(tally.waiting) > MAX_NAMES else ""
    return f" (waiting: {names}{more})" if names else ""


MAX_NAMES = 5


def _people(number: int) -> str:
    return "person" if number == 1 else "people"
