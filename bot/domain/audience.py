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
from bot.domain.request import LADDER, Address, Place, Request, Respondent, RespondentState, Surface
from bot.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EMAIL = re.compile(
    r"[^\s@<>(),:;\"\\\[\]\x00-\x1f\x7f]{1,64}@(?=.{1,255}$)[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+"
)
"""A mailbox as people write it: RFC 5321's dot-string and a dotted domain, no quoting, no address literals."""


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
        return Selector(SelectorKind.BOTH, _email(text), text.lower())
    match scheme.lower():
        case "email":
            return Selector(SelectorKind.EMAIL, _email(rest), f"email:{rest.lower()}")
        case "group" if re.fullmatch(r"[\w.-]{1,100}", rest):
            return Selector(SelectorKind.GROUP, rest, f"group:{rest}")
        case "slack" if "@" in rest:
            return Selector(SelectorKind.SLACK_EMAIL, _email(rest), f"slack:{rest.lower()}")
        case "slack" if re.fullmatch(r"[UWCGS][A-Za-z0-9_]{1,40}", rest):
            return Selector(_SLACK_IDS[rest[0]], rest, f"slack:{rest}")
    raise ValueError(
        f"{text[:80]!r} is no selector; write slack:U… (user), slack:C… (channel), slack:S… (user group), "
        "slack:NAME@HOST, email:NAME@HOST, NAME@HOST or group:NAME"
    )


def _email(text: str) -> str:
    if not EMAIL.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no email address; write NAME@HOST, for example ana@example.com")
    return text.lower()


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
        """The names that identify this person."""
        keys = set()
        if self.email:
            keys.add(f"email:{self.email.lower()}")
        if self.slack_user_id:
            keys.add(f"slack:{self.slack_user_id}")
        return frozenset(keys)


@dataclass(frozen=True, kw_only=True)
class Found:
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
    found: Iterable[Found], ids: Iterable[str], *, step: int = 0, levels: tuple[int, ...] = (0,)
) -> tuple[Respondent, ...]:
    """Merge people who share a confirmed email or a Slack id into one respondent each; ids are taken as needed."""
    seats: list[Respondent] = []
    fresh = iter(ids)
    for item in found:
        newcomer = _respondent(item, step, levels)
        same = [s for s in seats if s.keys & item.person.keys]
        seats = [s for s in seats if s not in same]
        for other in same:
            newcomer = merge(other, newcomer)
        seats.append(newcomer if newcomer.id else replace(newcomer, id=next(fresh)))
    return tuple(seats)


def _respondent(found: Found, step: int, levels: tuple[int, ...] = (0,)) -> Respondent:
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
    stands = min((kept, other), key=lambda r: _STANDING.get(r.state, 0))
    return replace(
        kept,
        id=kept.id or other.id,
        aliases=tuple(dict.fromkeys(i for i in (*kept.aliases, other.id, *other.aliases) if i and kept.id)),
        state=stands.state,
        trouble=stands.trouble,
        name=kept.name or other.name,
        email=kept.email or other.email,
        slack_user_id=kept.slack_user_id or other.slack_user_id,
        via=tuple(dict.fromkeys(kept.via + other.via)),
        groups=tuple(dict.fromkeys(kept.groups + other.groups)),
        levels=tuple(sorted({*kept.levels, *other.levels})),
        generation=max(kept.generation, other.generation),
        delegate_of=kept.delegate_of or other.delegate_of,
        addresses=tuple(dict.fromkeys(kept.addresses + other.addresses)),
        time_zone=kept.time_zone or other.time_zone,
    )


_STANDING = {RespondentState.DELEGATED: 1, RespondentState.WAITING: 2, RespondentState.UNREACHABLE: 3}
"""Which of one person's states counts: an answer first; whoever handed it on with one seat did so with all."""


def unite(seated: Sequence[Respondent], late: Sequence[Respondent]) -> tuple[Respondent, ...]:
    """The people already seated and those found later, each once."""
    result = list(seated)
    for newcomer in late:
        same = [r for r in result if _beside(r, newcomer) and r.keys & newcomer.keys]
        if not same:
            result.append(newcomer)
            continue
        one = reduce(merge, [*_answered_first(same), newcomer])
        result = [one if r is same[0] else r for r in result if r not in same[1:]]
    return _kept_up(result)


def _kept_up(seats: Iterable[Respondent]) -> tuple[Respondent, ...]:
    """Whoever took over from somebody counts wherever that person would count now."""
    result: list[Respondent] = []
    for r in seats:
        giver = (
            next((g for g in result if r.delegate_of in (g.id, *g.aliases)), None) if r.delegate_of else None
        )
        if giver:
            levels = tuple(sorted({*r.levels, *giver.levels}))
            groups = tuple(dict.fromkeys((*r.groups, *giver.groups, *giver.via)))
            r = replace(r, levels=levels, groups=groups)  # noqa: PLW2901 - the next in the chain needs the new one
        result.append(r)
    return tuple(result)


def _beside(one: Respondent, other: Respondent) -> bool:
    """Whether two seats are asked the same, so that one person needs only one of them."""
    return one.step == other.step and (one.step != LADDER or one.levels == other.levels)


def _answered_first(seats: Iterable[Respondent]) -> list[Respondent]:
    """In this order they merge into the seat whose response is recorded."""
    return sorted(seats, key=lambda r: not r.state.answered)


def may_count(request: Request, respondent: Respondent) -> bool:
    """Whether this respondent's answer may count at all: the requester's own does not, unless that was allowed."""
    own = request.requester_keys
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


def _joinable(request: Request) -> list[Place]:
    """What anybody may join and then answer: channels, and the user groups of the open step."""
    lowest = lowest_level(request, request.step)
    places = [p for p in request.open_places if max(p.levels) >= lowest]
    if lowest == 0:
        selectors = [parse_selector(s) for s in request.current.audience]
        places += [Place(selector=s.text) for s in selectors if s.kind is SelectorKind.SLACK_GROUP]
    return places


def lowest_level(request: Request, step: int) -> int:
    """The lowest level whose people may still answer in a step: an escalation there may have replaced those before."""
    if not request.escalated:
        return 0
    reached = zip(request.spec.escalation, request.escalated, strict=False)
    return max(
        (n for n, (level, asked) in enumerate(reached, 1) if level.replace and asked == step), default=0
    )


def may_still_answer(request: Request, seat: Respondent | Place) -> bool:
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
    return bool(actor.keys.union(*(s.keys for s in seats)) & request.requester_keys)


def _still_seated(respondent: Respondent, actor: Actor) -> bool:
    """Somebody seated only through a channel or a user group must still be in one of them."""
    if any(not parse_selector(v).dynamic for v in respondent.via):
        return True
    return any(v in actor.memberships for v in respondent.via)


def _newcomer(actor: Actor, place: Place, new_id: str, step: int) -> Respondent:
    person = actor.person or Person(slack_user_id=_slack_id(actor.keys), name=actor.name)
    found = Found(person=person, via=place.selector, groups=place.groups)
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
    """Parse selectors and replace `group:NAME` by its members (nested groups too).

    Gives each selector with the groups that led to it, and the names of unknown groups.
    """
    found: dict[Selector, tuple[str, ...]] = {}
    unknown: dict[str, None] = {}

    def expand(selector: Selector, within: tuple[str, ...]) -> None:
        if selector.kind is not SelectorKind.GROUP:
            found[selector] = tuple(dict.fromkeys(found.get(selector, ()) + within))
        elif selector.value not in groups:
            unknown[selector.value] = None
        elif selector.text not in within:
            for member in groups[selector.value]:
                expand(parse_selector(member), (*within, selector.text))

    for text in selectors:
        expand(parse_selector(text), ())
    return found, tuple(unknown)
