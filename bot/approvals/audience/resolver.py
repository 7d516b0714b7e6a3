"""From selectors to people: who is asked, where they are told, and who could not be found."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import Fault, Invalid, NoAudience
from bot.domain.model.frozen import replace
from bot.domain.model.identity import MAX_NAMED, email_keys, named, person_keys
from bot.domain.model.request import LADDER, Address, OpenSelector, Request, Surface, Unreached
from bot.domain.people.audience import (
    MAX_AUDIENCE,
    OUTSIDER,
    Person,
    ResolvedPerson,
    Selector,
    SelectorKind,
    expand_groups,
    may_count,
    parse_selector,
)
from bot.domain.people.quorum import Crowd, reachable
from bot.domain.people.quorum_rules import sources
from bot.ports.directory import NOT_A_PERSON, Directory, DirectoryUnavailableError, UnknownTargetError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from bot.approvals.audience.groups import Asker, Groups
    from bot.domain.model.request import Respondent
    from bot.domain.model.spec import QuorumRule

AT_ONCE = 100
"""How many are looked up at the same time."""

LOOKUP_SECONDS = 2.0
"""How long a submission waits for Slack to say who somebody is; later than that they are looked up afterwards."""

OFF = {
    Surface.SLACK: "Slack is not connected (SLACK_BOT_TOKEN is not set)",
    Surface.EMAIL: "email is off (ASSENT_SMTP_URL is not set)",
}


class Audience(NamedTuple):
    """What selectors came to: people, channels, what is to be looked up later, what is unreachable."""

    found: tuple[ResolvedPerson, ...] = ()
    channels: tuple[OpenSelector, ...] = ()
    lookups: tuple[OpenSelector, ...] = ()
    unreached: tuple[Unreached, ...] = ()


def together(parts: Sequence[Audience]) -> Audience:
    """Several audiences as one."""
    if len(parts) == 1:
        return parts[0]
    return Audience(*(tuple(chain.from_iterable(members)) for members in zip(*parts, strict=True)))


class AudienceResolver:
    """Resolves selectors with the groups there are and, where Slack is connected, its directory."""

    def __init__(self, directory: Directory | None, groups: Groups, surfaces: frozenset[Surface]) -> None:
        self._directory = directory
        self._groups = groups
        self._surfaces = surfaces

    async def resolve(
        self,
        selectors: Iterable[str],
        asker: Asker,
        *,
        pointer: str = "/audience",
        place: OpenSelector | None = None,
    ) -> Audience:
        """Everybody behind `selectors`, to be seated in the step and levels of `place`.

        Raises `Invalid`, with its place under `pointer`, for a group that there is not.
        """
        parsed = list(selectors)
        groups = await self._groups.known(asker) if any(s.startswith("group:") for s in parsed) else {}
        found, unknown = expand_groups(parsed, groups)
        if unknown:
            known = ", ".join(sorted(groups)) or "none"
            raise Invalid(
                Fault(f"{pointer}/{index}", f"group:{name} is not configured (known groups: {known})")
                for index, text in enumerate(parsed)
                for name in expand_groups([text], groups)[1]
            )
        if len(found) > MAX_AUDIENCE:
            raise too_many(pointer, len(found))
        place = place or OpenSelector(selector="")
        try:
            parts = await self._all(list(found))
        except _TooManyError as error:
            raise too_many(pointer, error.number) from None
        return together(
            [_placed(part, place, within) for part, within in zip(parts, found.values(), strict=True)]
        )

    async def _all(self, selectors: Sequence[Selector]) -> list[Audience]:
        """What each comes to. A few at a time, so that other calls are answered in between."""
        parts: list[Audience] = []
        for start in range(0, len(selectors), AT_ONCE):
            few = selectors[start : start + AT_ONCE]
            if self._directory is None or len(few) == 1:
                parts += [await self._resolve(s) for s in few]
            else:
                parts += await asyncio.gather(*(self._resolve(s) for s in few))
            if (people := sum(len(part.found) + len(part.lookups) for part in parts)) > 2 * MAX_AUDIENCE:
                raise _TooManyError(people)
            if len(parts) < len(selectors):
                await asyncio.sleep(0)
        return parts

    async def _resolve(self, selector: Selector) -> Audience:
        match selector.kind:
            case SelectorKind.EMAIL:
                return self._mailbox(selector)
            case SelectorKind.BOTH:
                return together([self._mailbox(selector), await self._by_slack_too(selector)])
        if self._directory is None:
            return _slack_is_off(selector)
        ask: Mapping[SelectorKind, Callable[[Selector, Directory], Awaitable[Audience | Sequence[str]]]] = {
            SelectorKind.SLACK_USER: self._user,
            SelectorKind.SLACK_EMAIL: self._user_by_email,
            SelectorKind.SLACK_GROUP: self._group,
            SelectorKind.SLACK_CHANNEL: self._channel,
        }
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                members = await ask[selector.kind](selector, self._directory)
        except (DirectoryUnavailableError, TimeoutError):
            return _look_up_later(selector)
        except UnknownTargetError as error:
            return _unknown(selector, str(error))
        return members if isinstance(members, Audience) else await self._members(selector, members)

    def _mailbox(self, selector: Selector) -> Audience:
        address = selector.value
        where = self._addresses(Surface.EMAIL, address)
        note = () if where else (Unreached(target=f"email:{address}", reason=OFF[Surface.EMAIL]),)
        return Audience(
            found=(ResolvedPerson(person=Person(email=address), via=selector.text, addresses=where),),
            unreached=note,
        )

    async def _by_slack_too(self, selector: Selector) -> Audience:
        """A bare address: also by Slack, where Slack knows it; otherwise the mail has to do."""
        if self._directory is None:
            return Audience()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await self._user_by_email(selector, self._directory)
        except (DirectoryUnavailableError, TimeoutError):
            return Audience(lookups=(OpenSelector(selector=f"slack:{selector.value}"),))
        except UnknownTargetError as error:
            return Audience(unreached=(Unreached(target=f"slack:{selector.value}", reason=str(error)),))

    async def _user(self, selector: Selector, directory: Directory) -> Audience:
        return self._seated(selector, await directory.user(selector.value))

    async def _user_by_email(self, selector: Selector, directory: Directory) -> Audience:
        return self._seated(selector, await directory.user_by_email(selector.value))

    async def _group(self, selector: Selector, directory: Directory) -> Audience | Sequence[str]:
        members = tuple(dict.fromkeys(await directory.group_members(selector.value)))
        if not members:
            return _unknown(selector, "the user group has no members")
        return members

    async def _members(self, group: Selector, members: Sequence[str]) -> Audience:
        """Everybody in a user group. Each stands alone: whoever cannot be looked up takes nobody with them."""
        if len(members) > MAX_AUDIENCE:
            raise _TooManyError(len(members))
        users = [Selector(SelectorKind.SLACK_USER, user, f"slack:{user}") for user in members]
        found = together(await self._all(users))
        people = tuple([f for f in found.found if f.trouble != NOT_A_PERSON])
        if not people and not found.lookups:
            return _unknown(group, "nobody in the user group is a person")
        return _placed(found._replace(found=people), OpenSelector(selector=""), (group.text,))

    async def _channel(self, selector: Selector, directory: Directory) -> Audience:
        await directory.check_channel(selector.value)
        return Audience(channels=(OpenSelector(selector=selector.text),))

    def _seated(self, selector: Selector, person: Person) -> Audience:
        trouble = "their Slack account is deactivated" if person.deactivated else None
        trouble = OUTSIDER if person.external else trouble
        where = () if trouble else self._addresses(Surface.SLACK, person.slack_user_id or "")
        found = ResolvedPerson(person=person, via=selector.text, addresses=where, trouble=trouble)
        note = (Unreached(target=f"slack:{person.slack_user_id}", reason=trouble),) if trouble else ()
        return Audience(found=(found,), unreached=note)

    def _addresses(self, surface: Surface, value: str) -> tuple[Address, ...]:
        return (Address(surface=surface, value=value),) if surface in self._surfaces else ()

    async def identity(self, requester: str | None) -> Identity:
        """Every key of whom the requester's text names, so that no address of theirs can answer, and their name."""
        people = named(requester or "")
        asked = [(email, SelectorKind.SLACK_EMAIL) for email in people.emails]
        asked += [(user, SelectorKind.SLACK_USER) for user in people.slack_users]
        found = await asyncio.gather(*(self._who(value, kind) for value, kind in asked[:MAX_NAMED]))
        keys = people.keys.union(*(who.keys for who in found))
        alone = found[0] if len(found) == 1 else Identity()
        return Identity(
            keys,
            known=all(who.known for who in found),
            name=alone.name,
            addresses=alone.addresses,
        )

    async def _who(self, value: str, kind: SelectorKind) -> Identity:
        """What is known of one person."""
        by_email = kind is SelectorKind.SLACK_EMAIL
        keys = email_keys(value) if by_email else frozenset({f"slack:{value}"})
        where = self._addresses(Surface.EMAIL if by_email else Surface.SLACK, value)
        if self._directory is None:
            return Identity(keys, addresses=where)
        ask = self._directory.user_by_email if by_email else self._directory.user
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                person = await ask(value)
        except UnknownTargetError:
            return Identity(keys, addresses=where)
        except (DirectoryUnavailableError, TimeoutError):
            return Identity(keys, known=False, addresses=where)
        more = self._addresses(Surface.EMAIL, person.email) if person.email else ()
        more += self._addresses(Surface.SLACK, person.slack_user_id) if person.slack_user_id else ()
        return Identity(keys | person.keys, name=person.name, addresses=tuple(dict.fromkeys(where + more)))


class Identity(NamedTuple):
    """Who a requester is: all their keys, unless `known` is false (Slack could not be asked), and their name.

    `addresses`: where they can be told something, where the text names one person.
    """

    keys: frozenset[str] = frozenset()
    known: bool = True
    name: str | None = None
    addresses: tuple[Address, ...] = ()


class _TooManyError(Exception):
    """One audience comes to so many people."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def too_many(pointer: str, number: int, most: int = MAX_AUDIENCE) -> Invalid:
    """The refusal of an audience that is too large."""
    what = "one audience" if most == MAX_AUDIENCE else "all audiences of a request together"
    return Invalid(
        [Fault(pointer, f"comes to {number:,} people; {what} may have {most:,} at most, so ask fewer")]
    )


def _slack_is_off(selector: Selector) -> Audience:
    note = Unreached(target=selector.text, reason=OFF[Surface.SLACK])
    person = {
        SelectorKind.SLACK_USER: Person(slack_user_id=selector.value),
        SelectorKind.SLACK_EMAIL: Person(email=selector.value),
    }.get(selector.kind)
    return Audience(
        found=(ResolvedPerson(person=person, via=selector.text),) if person else (), unreached=(note,)
    )


def _unknown(selector: Selector, reason: str) -> Audience:
    note = Unreached(target=selector.text, reason=reason)
    person = {
        SelectorKind.SLACK_USER: Person(slack_user_id=selector.value),
        SelectorKind.SLACK_EMAIL: Person(name=selector.value),
    }.get(selector.kind)
    found = (ResolvedPerson(person=person, via=selector.text, trouble=reason),) if person else ()
    return Audience(found=found, unreached=(note,))


def _look_up_later(selector: Selector) -> Audience:
    return Audience(lookups=(OpenSelector(selector=selector.text),))


def _placed(part: Audience, place: OpenSelector, groups: tuple[str, ...]) -> Audience:
    """What one selector came to, with the groups that led there and where it is to be seated."""
    within = (*groups, *place.groups)
    found, channels, lookups, unreached = part
    return Audience(
        found=tuple([_within(f, within) for f in found]) if within else found,
        channels=tuple([replace(place, selector=c.selector, groups=within) for c in channels]),
        lookups=tuple([replace(place, selector=c.selector, groups=_each(c.groups, within)) for c in lookups]),
        unreached=unreached,
    )


def _within(found: ResolvedPerson, groups: tuple[str, ...]) -> ResolvedPerson:
    """Somebody found through groups; whoever a user group of Slack led to must be in it when they answer."""
    every = _each(found.groups, groups)
    slack_group = next((g for g in every if parse_selector(g).kind is SelectorKind.SLACK_GROUP), None)
    return replace(found, groups=every, via=slack_group or found.via)


def _each(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


def check_reach(request: Request) -> None:
    """Refuse a step or level that reaches nobody (`NoAudience`) or could never meet its quorum (`Invalid`)."""
    many = len(request.spec.steps) > 1
    for index, step in enumerate(request.spec.steps):
        pointer = f"/steps/{index}" if many else ""
        _check_stage(request, (index, 0), step.quorum, pointer, step.reject_quorum)
    for number, level in enumerate(request.spec.escalation, 1):
        _check_stage(request, (LADDER, number), level.quorum, f"/escalation/{number - 1}")


def _check_stage(
    request: Request, stage: tuple[int, int], rule: QuorumRule, pointer: str, reject_quorum: int = 1
) -> None:
    seats = [r for r in request.respondents if (r.step, r.levels[0]) == stage]
    places = [p for p in (*request.places, *request.lookups) if (p.step, p.levels[0]) == stage]
    counting = [r for r in seats if may_count(request, r)]
    able = [r for r in counting if not r.trouble]
    crowd = _crowd(request, places, able, [r for r in counting if r.trouble])
    if not able and crowd.extra == 0:
        raise _nobody(request, seats, counting, pointer)
    faults = []
    if why_not := reachable(rule, crowd) or _stranger(rule, seats, crowd.sources):
        faults.append(Fault(f"{pointer}/quorum", why_not))
    if crowd.extra is not None and reject_quorum > len(able) + crowd.extra:
        why_not = f"needs {reject_quorum} rejections, but only {len(able) + crowd.extra} may answer"
        faults.append(Fault(f"{pointer}/reject_quorum", why_not))
    if faults:
        raise Invalid(faults)


def _crowd(
    request: Request,
    places: Sequence[OpenSelector],
    able: Sequence[Respondent],
    unreachable: Sequence[Respondent],
) -> Crowd:
    """Who can be counted on in a stage. Whom a lookup can only find again, or who asked, is nobody more."""
    kinds = [parse_selector(p.selector) for p in places]
    known = frozenset().union(*(r.keys for r in (*able, *unreachable)))
    if not request.spec.allow_self_approval:
        known |= person_keys(request.requester_keys)
    people = {frozenset(_keys(s)) for s in kinds if s.kind in _PERSON and known.isdisjoint(_keys(s))}
    return Crowd(
        able,
        unreachable,
        frozenset(s for p in places for s in (*p.groups, p.selector)),
        extra=len(people) if all(s.kind in _PERSON for s in kinds) else None,
        channel=any(s.kind is SelectorKind.SLACK_CHANNEL for s in kinds),
    )


_PERSON = frozenset({SelectorKind.SLACK_EMAIL, SelectorKind.SLACK_USER})


def _keys(selector: Selector) -> frozenset[str]:
    return (
        email_keys(selector.value)
        if selector.kind is SelectorKind.SLACK_EMAIL
        else frozenset({selector.text})
    )


def _nobody(
    request: Request, seats: Sequence[Respondent], counting: Sequence[Respondent], pointer: str
) -> Invalid | NoAudience:
    """The refusal of an audience of which nobody could ever decide."""
    if any(not r.trouble for r in seats):
        fault = "names only who asks, and nobody decides their own request: name somebody else"
        return Invalid([Fault(f"{pointer}/audience", f"{fault} (or set allow_self_approval)")])
    if counting and all(r.trouble == OUTSIDER for r in counting):
        fault = "names only people of other organisations, who may not answer here: name somebody else"
        return Invalid([Fault(f"{pointer}/audience", f"{fault} (or set SLACK_ALLOW_EXTERNAL)")])
    why = "; ".join(f"{u.target}: {u.reason}" for u in request.unreached[:MAX_REASONS])
    where = f" of {pointer.removeprefix('/')}" if pointer else ""
    return NoAudience(f"The audience{where} reaches nobody ({why or 'it is empty'}).")


MAX_REASONS = 20


def _stranger(rule: QuorumRule, seats: Iterable[Respondent], open_sources: frozenset[str]) -> str | None:
    """A tree that counts from somebody who is not asked."""
    if not isinstance(rule, dict):
        return None
    asked = open_sources.union(*({*r.via, *r.groups} for r in seats))
    if strangers := sorted(sources(rule) - asked):
        return f"counts from {', '.join(strangers)}, which the audience does not name; add it there"
    return None
