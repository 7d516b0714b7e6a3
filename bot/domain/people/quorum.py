"""From responses to a verdict, with its reason in words. What a rule can say is in `rules`.

Only distinct, eligible people count: seats are merged, and the requester's own is left out.
Whoever a level of the escalation ladder brought in decides by that level's own rule: any rule that is met decides.
"""

from __future__ import annotations

from collections import Counter, deque
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain.model.frozen import replace
from bot.domain.model.request import Request, Respondent, RespondentState, Status
from bot.domain.model.spec import Kind, QuorumRule
from bot.domain.people import naming
from bot.domain.people.audience import lowest_level, may_count, parse_selector
from bot.domain.people.quorum_rules import Leaf, ways_to_meet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


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
    sets: dict[str | None, _Heads]
    """Who is behind each selector; filled once it is asked for."""
    request: Request | None = None
    """Whose people they are, for their names."""

    @property
    def everybody(self) -> list[Respondent]:
        """Whoever counts, wherever they stand."""
        return [*self.approved, *self.rejected, *self.waiting]

    def heads(self, source: str | None) -> _Heads:
        """Whom a leaf counts, as sets of bits: the place of each in `everybody`."""
        if not self.sets:
            self.sets.update(_by_source(self))
        return self.sets.get(source, _NO_HEADS)

    def bits(self, ids: Collection[str]) -> int:
        """The same of whoever has these ids."""
        if not ids:
            return 0
        return sum(1 << place for place, r in enumerate(self.everybody) if r.id in ids)

    def only(self, source: str | None) -> _Tally:
        """The part of it that a leaf counts."""
        if source is None:
            return self
        heads, people = self.heads(source), self.everybody
        return self._replace(
            approved=_chosen(people, heads.approved),
            rejected=_chosen(people, heads.rejected),
            waiting=_chosen(people, heads.waiting),
            open_ended=source in self.open_sources,
            sets={},
        )

    def needed(self, approvals: int | str) -> int:
        """How many approvals a number, `all` or `majority` comes to."""
        return _needed(approvals, len(self.approved) + len(self.rejected) + len(self.waiting))


def _needed(approvals: int | str, people: int) -> int:
    if approvals == "all":
        return max(1, people)
    if approvals == "majority":
        return people // 2 + 1
    return int(approvals)


class _Heads(NamedTuple):
    """Who approved, rejected and is awaited, as sets of bits."""

    approved: int = 0
    rejected: int = 0
    waiting: int = 0

    @property
    def all(self) -> int:
        """All of them."""
        return self.approved | self.rejected | self.waiting


_NO_HEADS = _Heads()


def _by_source(tally: _Tally) -> dict[str | None, _Heads]:
    """Everybody by the selectors that led to them (None: by any), in one pass."""
    sets: dict[str | None, list[int]] = {None: [0, 0, 0]}
    place = 0
    for standing, people in enumerate((tally.approved, tally.rejected, tally.waiting)):
        for r in people:
            for source in {None, *r.groups, *r.via}:
                sets.setdefault(source, [0, 0, 0])[standing] |= 1 << place
            place += 1
    return {source: _Heads(*bits) for source, bits in sets.items()}


def _chosen(people: Sequence[Respondent], bits: int) -> list[Respondent]:
    return [r for place, r in enumerate(people) if bits >> place & 1] if bits else []


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
    met = any(_met(way, tally, distinct=distinct) for way in ways)
    return _Chances(
        met=met,
        hopeless=not (met or any(_reachable(way, tally, distinct=distinct) for way in ways)),
        counts_heads=any(isinstance(leaf.approvals, str) for way in ways for leaf in way),
        required=min(
            sum(_needed(leaf.approvals, tally.heads(leaf.source).all.bit_count()) for leaf in way)
            for way in ways
        ),
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
        uncounted=bool(lookups),
        sets={},
        request=request,
    )


def _met(way: Iterable[Leaf], tally: _Tally, *, distinct: bool) -> bool:
    return _filled(way, tally, tally.heads(None).approved, distinct=distinct, hoping=False)


def _reachable(way: Iterable[Leaf], tally: _Tally, *, distinct: bool, without: int = 0) -> bool:
    """Whether a way can still be met, even if those `without` whom (a set of bits) never answer."""
    heads = tally.heads(None)
    able = (heads.approved | heads.waiting) & ~without
    return _filled(way, tally, able, distinct=distinct, hoping=True)


def _filled(way: Iterable[Leaf], tally: _Tally, able: int, *, distinct: bool, hoping: bool) -> bool:
    """Whether the people in the set `able` fill every place of the leaves.

    `hoping`: whoever may still turn up is counted on.
    """
    places: list[tuple[int, int]] = []
    for leaf in way:
        heads = tally.heads(leaf.source)
        if leaf.rejections is not None and heads.rejected.bit_count() >= leaf.rejections:
            return False
        if hoping and (leaf.source in tally.open_sources if leaf.source else tally.open_ended):
            if leaf.approvals == "all" and heads.waiting & ~able:
                return False
            continue
        needed = _needed(leaf.approvals, heads.all.bit_count())
        if (heads.all & able).bit_count() < needed:
            return False
        if distinct and leaf.source is not None:
            places.append((needed, heads.all & able))
    return _assigned(places)


def _assigned(places: Sequence[tuple[int, int]]) -> bool:
    """Whether every leaf finds so many people of its own, out of its set.

    Augmenting paths over the leaves, of whom there are few. The people are bits, so that many are moved at once.
    """
    everybody = 0
    for _, able in places:
        everybody |= able
    if everybody.bit_count() < sum(needed for needed, _ in places):
        return False
    taken = [0] * len(places)
    return all(_place(leaf, needed, places, taken) for leaf, (needed, _) in enumerate(places))


def _place(leaf: int, needed: int, places: Sequence[tuple[int, int]], taken: list[int]) -> bool:
    """Find `needed` people for a leaf; others give theirs to it, where they find somebody else."""
    while needed:
        path = _path(leaf, places, taken)
        if path is None:
            return False
        moved = min(needed, *(people.bit_count() for _, people in path))
        owner = leaf
        for giver, people in path:
            some = _first(moved, people)
            taken[owner] |= some
            if giver is not None:
                taken[giver] &= ~some
                owner = giver
        needed -= moved
    return True


def _path(
    leaf: int, places: Sequence[tuple[int, int]], taken: Sequence[int]
) -> list[tuple[int | None, int]] | None:
    """From whom a leaf can get people, and who they are: from one leaf after the other, at last those who are free."""
    free = ~0
    for people in taken:
        free &= ~people
    before: dict[int, int | None] = {leaf: None}
    waiting = deque([leaf])
    while waiting:
        current = waiting.popleft()
        able = places[current][1]
        if able & free:
            return _way_back(current, able & free, before, places, taken)
        for other, people in enumerate(taken):
            if other not in before and able & people:
                before[other] = current
                waiting.append(other)
    return None


def _way_back(
    leaf: int,
    people: int,
    before: Mapping[int, int | None],
    places: Sequence[tuple[int, int]],
    taken: Sequence[int],
) -> list[tuple[int | None, int]]:
    path: list[tuple[int | None, int]] = [(None, people)]
    while (parent := before[leaf]) is not None:
        path.append((leaf, places[parent][1] & taken[leaf]))
        leaf = parent
    return path[::-1]


def _first(number: int, people: int) -> int:
    """So many of a set."""
    if people.bit_count() == number:
        return people
    some = 0
    for _ in range(number):
        lowest = people & -people
        some |= lowest
        people ^= lowest
    return some


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
    tally = _Tally((), (), people, crowd.sources, crowd.extra is None, 0, uncounted=False, sets={})
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
        gone = tally.bits(without)
        return any(_reachable(way, tally, distinct=distinct, without=gone) for way in ways_to_meet(rule))
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
    first = tally.waiting[:MAX_NAMES]
    names = ", ".join(naming.labels(tally.request, first) if tally.request else [r.label for r in first])
    more = ", …" if len(tally.waiting) > MAX_NAMES else ""
    return f" (waiting: {names}{more})" if names else ""


MAX_NAMES = 5


def _people(number: int) -> str:
    return "person" if number == 1 else "people"
