"""Who is asked, who they are, and who may respond, with the reason why not.

A *selector* is what a requester writes (`email:ana@example.com`, `slack:C…`, `group:finance`). A `Person` is what a
directory knows about somebody. A respondent is one person of the audience, whatever addresses reach them: people who
share a confirmed email or a Slack id are merged into one seat, and count once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, reduce
from typing import TYPE_CHECKING

from bot.domain.errors import NotInAudience, SelfApproval, StepClosed, Unavailable
from bot.domain.model.frozen import replace
from bot.domain.model.identity import email_keys, mailbox, person_keys
from bot.domain.model.request import (
    LADDER,
    Address,
    OpenSelector,
    Request,
    Respondent,
    RespondentState,
    Surface,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

MAX_AUDIENCE = 1000
"""Most people of one audience, groups counted by their members."""
MAX_PEOPLE = 3000
"""Most people of one request, all its steps and levels together."""
OUTSIDER = "belongs to another organisation, and people from outside may not answer here"
"""Why somebody of another organisation is not asked."""


class SelectorKind(StrEnum):
    """What a selector points at."""

    EMAIL = "email"
    SLACK_USER = "slack_user"
    SLACK_EMAIL = "slack_email"
    SLACK_CHANNEL = "slack_channel"
    SLACK_GROUP = "slack_group"
    BOTH = "both"
    GROUP = "group"


_SLACK_IDS = {
    "U": SelectorKind.SLACK_USER,
    "W": SelectorKind.SLACK_USER,
    "C": SelectorKind.SLACK_CHANNEL,
    "G": SelectorKind.SLACK_CHANNEL,
    "S": SelectorKind.SLACK_GROUP,
}


@dataclass(frozen=True)
class Selector:
    """One parsed selector; `value` is the id, the lower-cased address, or the group's name."""

    kind: SelectorKind
    value: str
    text: str

    @property
    def dynamic(self) -> bool:
        """Whether membership can change between the question and the answer."""
        return self.kind in {SelectorKind.SLACK_CHANNEL, SelectorKind.SLACK_GROUP}


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """Read one selector; raise `ValueError` with a sentence that says how to write it."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if not colon:
        address = mailbox(text)
        return Selector(SelectorKind.BOTH, address, address)
    match scheme.lower():
        case "email":
            address = mailbox(rest)
            return Selector(SelectorKind.EMAIL, address, f"email:{address}")
        case "group" if re.fullmatch(r"[\w.-]{1,100}", rest):
            return Selector(SelectorKind.GROUP, rest, f"group:{rest}")
        case "slack" if "@" in rest:
            address = mailbox(rest)
            return Selector(SelectorKind.SLACK_EMAIL, address, f"slack:{address}")
        case "slack" if re.fullmatch(r"[UWCGS][A-Za-z0-9_]{1,40}", rest):
            return Selector(_SLACK_IDS[rest[0]], rest, f"slack:{rest}")
    raise ValueError(
        f"{text[:80]!r} is no selector; write slack:U… (user), slack:C… (channel), slack:S… (user group), "
        "slack:NAME@HOST, email:NAME@HOST, NAME@HOST or group:NAME"
    )


@dataclass(frozen=True, kw_only=True)
class Person:
    """What a directory knows. `email` only where it is confirmed to be theirs; `external`: of another organisation."""

    name: str | None = None
    email: str | None = None
    slack_user_id: str | None = None
    deactivated: bool = False
    external: bool = False
    teams: frozenset[str] = frozenset()
    """The Slack workspaces they belong to, where Slack says so."""
    time_zone: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The names that identify this person, however they are spelt."""
        keys: set[str] = set()
        if self.email:
            keys |= email_keys(self.email)
        if self.slack_user_id:
            keys.add(f"slack:{self.slack_user_id}")
        return frozenset(keys)


@dataclass(frozen=True, kw_only=True)
class ResolvedPerson:
    """A person that a selector names, where it wants them told, and `trouble`: why they cannot be, in words."""

    person: Person
    via: str
    groups: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who is responding, as far as the surface could prove it; `memberships`: channels and groups checked just now."""

    keys: frozenset[str]
    surface: Surface
    name: str | None = None
    team: str | None = None
    """The Slack workspace they acted from, where Slack says so."""
    person: Person | None = None
    memberships: frozenset[str] = frozenset()


def seat(
    found: Iterable[ResolvedPerson], ids: Iterable[str], *, step: int = 0, levels: tuple[int, ...] = (0,)
) -> tuple[Respondent, ...]:
    """Merge people who share a confirmed email or a Slack id into one respondent each, who takes one of the ids."""
    newcomers = [_respondent(item, step, levels) for item in found]
    keys = [r.keys - {""} for r in newcomers]
    fresh = iter(ids)
    return tuple(replace(_merged([newcomers[i] for i in one]), id=next(fresh)) for one in _joined(keys))


def _joined(keys: Sequence[Iterable[Hashable]]) -> list[list[int]]:
    """The places of those who are one person, through whoever lies between: in linear time, in the order given."""
    parent = list(range(len(keys)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[Hashable, int] = {}
    for place, names in enumerate(keys):
        for name in names:
            one, other = sorted((root(first.setdefault(name, place)), root(place)))
            parent[other] = one
    groups: dict[int, list[int]] = {}
    for place in range(len(keys)):
        groups.setdefault(root(place), []).append(place)
    return list(groups.values())


def _respondent(found: ResolvedPerson, step: int, levels: tuple[int, ...] = (0,)) -> Respondent:
    person = found.person
    return Respondent(
        id="",
        name=person.name,
        email=person.email.lower() if person.email else None,
        slack_user_id=person.slack_user_id,
        step=step,
        via=(found.via,),
        groups=found.groups,
        levels=levels,
        addresses=found.addresses,
        time_zone=person.time_zone,
        state=RespondentState.UNREACHABLE if found.trouble else RespondentState.WAITING,
        trouble=found.trouble,
    )


def merge(kept: Respondent, other: Respondent) -> Respondent:
    """One respondent out of two that are one person: the first's id, the answer of either, everybody's addresses."""
    return _merged([kept, other])


def _merged(seats: Sequence[Respondent]) -> Respondent:
    """One respondent out of all that are one person, as `merge` has it."""
    if len(seats) == 1:
        return seats[0]
    ids = [i for r in seats for i in (r.id, *r.aliases) if i]
    kept = next((r.id for r in seats if r.id), "")
    stands = min(seats, key=lambda r: _STANDING.get(r.state, 0))
    return replace(
        seats[0],
        id=kept,
        aliases=tuple(dict.fromkeys(i for i in ids if i != kept)),
        state=stands.state,
        trouble=stands.trouble,
        name=next((r.name for r in seats if r.name), None),
        email=next((r.email for r in seats if r.email), None),
        slack_user_id=next((r.slack_user_id for r in seats if r.slack_user_id), None),
        via=tuple(dict.fromkeys(v for r in seats for v in r.via)),
        groups=tuple(dict.fromkeys(g for r in seats for g in r.groups)),
        levels=tuple(sorted({level for r in seats for level in r.levels})),
        generation=max(r.generation for r in seats),
        delegate_of=next((r.delegate_of for r in seats if r.delegate_of), None),
        addresses=tuple(dict.fromkeys(a for r in seats for a in r.addresses)),
        time_zone=next((r.time_zone for r in seats if r.time_zone), None),
    )


_STANDING = {RespondentState.DELEGATED: 1, RespondentState.WAITING: 2, RespondentState.UNREACHABLE: 3}
"""Which of one person's states counts: an answer first; whoever handed it on with one seat did so with all."""


def merge_respondents(seated: Sequence[Respondent], late: Sequence[Respondent]) -> tuple[Respondent, ...]:
    """The people already seated and those found later, each once."""
    seats = [*seated, *late]
    scoped = [[(_scope(r), key) for key in r.keys] for r in seats]
    result = list(seated)
    for one in _joined(scoped):
        if one[-1] < len(seated):
            continue
        before = [seats[i] for i in one if i < len(seated)]
        merged = _merged([*_answered_first(before), *(seats[i] for i in one if i >= len(seated))])
        if not before:
            result.append(merged)
            continue
        result[one[0]] = merged
        for place in one[1 : len(before)]:
            result[place] = _TAKEN
    return _kept_up(r for r in result if r is not _TAKEN)


_TAKEN = Respondent(id="")
"""The seat of somebody who has another one."""


def _scope(seat: Respondent) -> tuple[int, tuple[int, ...]]:
    """What two seats have in common that are asked the same, so that one person needs only one of them."""
    return seat.step, seat.levels if seat.step == LADDER else ()


def _kept_up(seats: Iterable[Respondent]) -> tuple[Respondent, ...]:
    """Whoever took over from somebody counts wherever that person would count now."""
    result: list[Respondent] = []
    known: dict[str, Respondent] = {}
    for r in seats:
        if r.delegate_of and (giver := known.get(r.delegate_of)):
            levels = tuple(sorted({*r.levels, *giver.levels}))
            groups = tuple(dict.fromkeys((*r.groups, *giver.groups, *giver.via)))
            r = replace(r, levels=levels, groups=groups)  # noqa: PLW2901 - the next in the chain needs the new one
        known.update(dict.fromkeys((r.id, *r.aliases), r))
        result.append(r)
    return tuple(result)


def _answered_first(seats: Iterable[Respondent]) -> list[Respondent]:
    """In this order they merge into the seat whose response is recorded."""
    return sorted(seats, key=lambda r: not r.state.answered)


def may_count(request: Request, respondent: Respondent) -> bool:
    """Whether this respondent's answer may count at all: the requester's own does not, unless that was allowed."""
    own = person_keys(request.requester_keys)
    return not own or request.spec.allow_self_approval or own.isdisjoint(respondent.keys)


def admit(request: Request, actor: Actor, new_id: str) -> tuple[Request, Respondent]:
    """The seat from which `actor` may answer now, and the request with that seat in it.

    A channel's member gets a new seat (`new_id`); seats that turn out to be one person become one.
    Raises `SelfApproval`, `StepClosed`, `NotInAudience` or `Unavailable` with the reason in words.
    """
    refuse_outsiders(actor.person)
    if not request.requester_known and not request.spec.allow_self_approval:
        raise Unavailable(
            "Slack cannot be asked just now whether you are the requester. Nothing was recorded; try again."
        )
    seats = [r for r in request.respondents if r.keys & actor.keys]
    mine = [r for r in seats if r.step == request.step]
    if not request.spec.allow_self_approval and _is_requester(request, actor, seats):
        raise SelfApproval("You asked for this yourself, so somebody else has to decide it.")
    if any(r.state is RespondentState.DELEGATED for r in mine):
        raise NotInAudience("You handed this request on, so it is no longer yours to answer.")
    if mine and max(level for r in mine for level in r.levels) < lowest_level(request, request.step):
        level = request.spec.escalation[request.level - 1]
        raise NotInAudience(f"The request was escalated to {level.name}, who decide it now.")
    valid = [r for r in mine if _still_seated(r, actor)]
    if len(valid) == 1:
        return request, valid[0]
    if valid:
        one = reduce(merge, _answered_first(valid))
        kept = [one if r is valid[0] else r for r in request.respondents if r not in valid[1:]]
        return replace(request, respondents=tuple(kept)), one
    place = next((p for p in _joinable(request) if p.selector in actor.memberships), None)
    if place is None:
        raise _not_admitted(request, seats)
    one = _newcomer(actor, place, new_id, request.step)
    return replace(request, respondents=(*request.respondents, one)), one


def _joinable(request: Request) -> list[OpenSelector]:
    """What anybody may join and then answer: channels, and the user groups of the open step."""
    lowest = lowest_level(request, request.step)
    places = [p for p in request.open_places if max(p.levels) >= lowest]
    if lowest == 0:
        selectors = [parse_selector(s) for s in request.current.audience]
        places += [OpenSelector(selector=s.text) for s in selectors if s.kind is SelectorKind.SLACK_GROUP]
    return places


def lowest_level(request: Request, step: int) -> int:
    """The lowest level whose people may still answer in a step: an escalation there may have replaced those before."""
    if not request.escalated:
        return 0
    reached = zip(request.spec.escalation, request.escalated, strict=False)
    return max(
        (n for n, (level, asked) in enumerate(reached, 1) if level.replace and asked == step), default=0
    )


def may_still_answer(request: Request, seat: Respondent | OpenSelector) -> bool:
    """Whether no escalation of its step has put others in the place of this seat."""
    return not request.escalated or max(seat.levels) >= lowest_level(request, seat.step)


def awaited(request: Request) -> tuple[Respondent, ...]:
    """Those of the open step whose answer is still wanted, whether or not they can be told."""
    return tuple([r for r in request.seated if r.state in _AWAITED and may_still_answer(request, r)])


_AWAITED = frozenset({RespondentState.WAITING, RespondentState.UNREACHABLE})


def refuse_outsiders(person: Person | None) -> None:
    """Raise `NotInAudience` for people who may not act here at all: deactivated, or of another organisation."""
    if person and person.deactivated:
        raise NotInAudience("Your Slack account is deactivated, so you cannot answer requests.")
    if person and person.external:
        raise NotInAudience(
            "You belong to another organisation, and people from outside may not answer here."
        )


def _is_requester(request: Request, actor: Actor, seats: Sequence[Respondent]) -> bool:
    return bool(actor.keys.union(*(s.keys for s in seats)) & person_keys(request.requester_keys))


def _still_seated(respondent: Respondent, actor: Actor) -> bool:
    """Somebody seated only through a channel or a user group must still be in one of them."""
    if any(not parse_selector(v).dynamic for v in respondent.via):
        return True
    return any(v in actor.memberships for v in respondent.via)


def _newcomer(actor: Actor, place: OpenSelector, new_id: str, step: int) -> Respondent:
    person = actor.person or Person(slack_user_id=_slack_id(actor.keys), name=actor.name)
    found = ResolvedPerson(person=person, via=place.selector, groups=place.groups)
    return replace(_respondent(found, step, place.levels), id=new_id)


def _slack_id(keys: Iterable[str]) -> str | None:
    return next((k.removeprefix("slack:") for k in keys if k.startswith(("slack:U", "slack:W"))), None)


def _not_admitted(request: Request, seats: Sequence[Respondent]) -> Exception:
    seats = [s for s in seats if s.step != LADDER]
    if any(s.step < request.step for s in seats):
        return StepClosed("The step you were asked in is closed; the request has moved on.")
    if any(s.step > request.step for s in seats):
        return NotInAudience("The step you are asked in is not open yet; you will be told when it is.")
    if seats:
        return NotInAudience("You are no longer a member of the channel or group that was asked.")
    if request.channels:
        return NotInAudience(
            "You are not a member of the channel that was asked, so your answer does not count."
        )
    return NotInAudience("You are not in the audience of this request, so your answer does not count.")


def expand_groups(
    selectors: Iterable[str], groups: Mapping[str, Sequence[str]]
) -> tuple[dict[Selector, tuple[str, ...]], tuple[str, ...]]:
    """Parse selectors and replace `group:NAME` by its members (nested groups too), each group looked at once.

    Gives each selector with the groups that led to it, and the names of unknown groups.
    """
    found: dict[Selector, dict[str, None]] = {}
    unknown: dict[str, None] = {}
    expanded: dict[Selector, None] = {}
    for text in selectors:
        selector = parse_selector(text)
        if selector.kind is not SelectorKind.GROUP:
            found.setdefault(selector, {})
            continue
        for group in _nested(selector, groups, unknown):
            if group in expanded:
                continue
            expanded[group] = None
            for member in _leaves(group, groups):
                found.setdefault(member, {})[group.text] = None
    return {selector: tuple(within) for selector, within in found.items()}, tuple(unknown)


def _nested(top: Selector, groups: Mapping[str, Sequence[str]], unknown: dict[str, None]) -> list[Selector]:
    """A group and all groups within it, each once; those that there are not become `unknown`."""
    known: dict[Selector, None] = {}
    waiting = [top]
    while waiting:
        group = waiting.pop()
        if group.value not in groups:
            unknown[group.value] = None
        elif group not in known:
            known[group] = None
            inside = [parse_selector(member) for member in groups[group.value]]
            waiting += [s for s in reversed(inside) if s.kind is SelectorKind.GROUP]
    return list(known)


def _leaves(top: Selector, groups: Mapping[str, Sequence[str]]) -> dict[Selector, None]:
    """Everybody and everything in a group that is no group, however deep."""
    within = _nested(top, groups, {})
    members = [parse_selector(member) for group in within for member in groups[group.value]]
    return dict.fromkeys(m for m in members if m.kind is not SelectorKind.GROUP)
