"""From selectors to people: who is asked, where they are told, and who could not be found."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.audience import (
    Found,
    Person,
    Selector,
    SelectorKind,
    expand_groups,
    may_count,
    parse_selector,
)
from bot.domain.errors import Fault, Invalid, NoAudience
from bot.domain.quorum import reachable
from bot.domain.request import LADDER, Address, Place, Request, Surface, Unreached
from bot.domain.rules import sources
from bot.domain.values import replace
from bot.ports import Directory, DirectoryUnavailableError, UnknownTargetError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from bot.approvals.groups import Asker, Groups
    from bot.domain.request import Respondent
    from bot.domain.spec import QuorumRule

LOOKUP_SECONDS = 2.0
"""How long a submission waits for Slack to say who somebody is; later than that they are looked up afterwards."""

OFF = {
    Surface.SLACK: "Slack is not connected (SLACK_BOT_TOKEN is not set)",
    Surface.EMAIL: "email is off (ASSENT_SMTP_URL is not set)",
}


class Audience(NamedTuple):
    """What selectors came to: people, channels, what is to be looked up later, what is unreachable."""

    found: tuple[Found, ...] = ()
    channels: tuple[Place, ...] = ()
    lookups: tuple[Place, ...] = ()
    unreached: tuple[Unreached, ...] = ()


def together(parts: Sequence[Audience]) -> Audience:
    """Several audiences as one."""
    if len(parts) == 1:
        return parts[0]
    return Audience(*(tuple(chain.from_iterable(members)) for members in zip(*parts, strict=True)))


class Asking:
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
        place: Place | None = None,
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
        place = place or Place(selector="")
        if self._directory is None or len(found) == 1:
            parts = [await self._resolve(s) for s in found]
        else:
            parts = await asyncio.gather(*(self._resolve(s) for s in found))
        return together(
            [_placed(part, place, within) for part, within in zip(parts, found.values(), strict=True)]
        )

    async def _resolve(self, selector: Selector) -> Audience:
        match selector.kind:
            case SelectorKind.EMAIL:
                return self._mailbox(selector)
            case SelectorKind.BOTH:
                return together([self._mailbox(selector), await self._by_slack_too(selector)])
        if self._directory is None:
            return _slack_is_off(selector)
        ask: Mapping[SelectorKind, Callable[[Selector, Directory], Awaitable[Audience]]] = {
            SelectorKind.SLACK_USER: self._user,
            SelectorKind.SLACK_EMAIL: self._user_by_email,
            SelectorKind.SLACK_GROUP: self._group,
            SelectorKind.SLACK_CHANNEL: self._channel,
        }
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await ask[selector.kind](selector, self._directory)
        except (DirectoryUnavailableError, TimeoutError):
            return _look_up_later(selector)
        except UnknownTargetError as error:
            return _unknown(selector, str(error))

    def _mailbox(self, selector: Selector) -> Audience:
        address = selector.value
        where = self._addresses(Surface.EMAIL, address)
        note = () if where else (Unreached(target=f"email:{address}", reason=OFF[Surface.EMAIL]),)
        return Audience(
            found=(Found(person=Person(email=address), via=selector.text, addresses=where),), unreached=note
        )

    async def _by_slack_too(self, selector: Selector) -> Audience:
        """A bare address: also by Slack, where Slack knows it; otherwise the mail has to do."""
        if self._directory is None:
            return Audience()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await self._user_by_email(selector, self._directory)
        except (DirectoryUnavailableError, TimeoutError):
            return Audience(lookups=(Place(selector=f"slack:{selector.value}"),))
        except UnknownTargetError as error:
            return Audience(unreached=(Unreached(target=f"slack:{selector.value}", reason=str(error)),))

    async def _user(self, selector: Selector, directory: Directory) -> Audience:
        return self._seated(selector, await directory.user(selector.value))

    async def _user_by_email(self, selector: Selector, directory: Directory) -> Audience:
        return self._seated(selector, await directory.user_by_email(selector.value))

    async def _group(self, selector: Selector, directory: Directory) -> Audience:
        members = await directory.group_members(selector.value)
        if not members:
            return _unknown(selector, "the user group has no members")
        people = await asyncio.gather(*(directory.user(m) for m in members))
        return together([self._seated(selector, p) for p in people])

    async def _channel(self, selector: Selector, directory: Directory) -> Audience:
        await directory.check_channel(selector.value)
        return Audience(channels=(Place(selector=selector.text),))

    def _seated(self, selector: Selector, person: Person) -> Audience:
        trouble = "their Slack account is deactivated" if person.deactivated else None
        where = () if trouble else self._addresses(Surface.SLACK, person.slack_user_id or "")
        found = Found(person=person, via=selector.text, addresses=where, trouble=trouble)
        note = (Unreached(target=f"slack:{person.slack_user_id}", reason=trouble),) if trouble else ()
        return Audience(found=(found,), unreached=note)

    def _addresses(self, surface: Surface, value: str) -> tuple[Address, ...]:
        return (Address(surface=surface, value=value),) if surface in self._surfaces else ()

    def reach(self, keys: frozenset[str]) -> tuple[Address, ...]:
        """Where somebody known by these keys can be told something."""
        return tuple(
            address
            for key in sorted(keys)
            for address in self._addresses(Surface(key.partition(":")[0]), key.partition(":")[2])
        )

    async def identity(self, requester: str | None) -> Identity:
        """Every key of the requester, so that no address of theirs can answer, and their name."""
        selector = _person(requester or "")
        if selector is None:
            return Identity()
        by_email = selector.kind in _BY_EMAIL
        keys = frozenset({f"email:{selector.value}" if by_email else f"slack:{selector.value}"})
        if self._directory is None:
            return Identity(keys)
        ask = self._directory.user_by_email if by_email else self._directory.user
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                person = await ask(selector.value)
        except UnknownTargetError:
            return Identity(keys)
        except (DirectoryUnavailableError, TimeoutError):
            return Identity(keys, known=False)
        return Identity(keys | person.keys, name=person.name)


class Identity(NamedTuple):
    """Who a requester is: all their keys, unless `known` is false (Slack could not be asked), and their name."""

    keys: frozenset[str] = frozenset()
    known: bool = True
    name: str | None = None


def _person(requester: str) -> Selector | None:
    """The one person that a requester is by what is written, `Bob <bob@example.com>` too; None for anything else."""
    _, bracket, address = requester.rpartition("<")
    try:
        selector = parse_selector(address.removesuffix(">") if bracket else requester)
    except ValueError:
        return None
    return selector if selector.kind in {*_BY_EMAIL, SelectorKind.SLACK_USER} else None


_BY_EMAIL = frozenset({SelectorKind.EMAIL, SelectorKind.BOTH, SelectorKind.SLACK_EMAIL})


def _slack_is_off(selector: Selector) -> Audience:
    note = Unreached(target=selector.text, reason=OFF[Surface.SLACK])
    person = {
        SelectorKind.SLACK_USER: Person(slack_user_id=selector.value),
        SelectorKind.SLACK_EMAIL: Person(email=selector.value),
    }.get(selector.kind)
    return Audience(found=(Found(person=person, via=selector.text),) if person else (), unreached=(note,))


def _unknown(selector: Selector, reason: str) -> Audience:
    note = Unreached(target=selector.text, reason=reason)
    person = {
        SelectorKind.SLACK_USER: Person(slack_user_id=selector.value),
        SelectorKind.SLACK_EMAIL: Person(name=selector.value),
    }.get(selector.kind)
    found = (Found(person=person, via=selector.text, trouble=reason),) if person else ()
    return Audience(found=found, unreached=(note,))


def _look_up_later(selector: Selector) -> Audience:
    return Audience(lookups=(Place(selector=selector.text),))


def _placed(part: Audience, place: Place, groups: tuple[str, ...]) -> Audience:
    """What one selector came to, with the groups that led there and where it is to be seated."""
    within = (*groups, *place.groups)
    found, channels, lookups, unreached = part
    return Audience(
        found=tuple([replace(f, groups=within) for f in found]) if within else found,
        channels=tuple([replace(place, selector=c.selector, groups=within) for c in channels]),
        lookups=tuple([replace(place, selector=c.selector, groups=within) for c in lookups]),
        unreached=unreached,
    )


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
    reached = [r for r in seats if not r.trouble]
    places = [p for p in (*request.places, *request.lookups) if (p.step, p.levels[0]) == stage]
    if not reached and not places:
        why = "; ".join(f"{u.target}: {u.reason}" for u in request.unreached)
        where = f" of {pointer.removeprefix('/')}" if pointer else ""
        raise NoAudience(f"The audience{where} reaches nobody ({why or 'it is empty'}).")
    deciding = [r for r in reached if may_count(request, r)] or reached
    channel = any(parse_selector(p.selector).kind is SelectorKind.SLACK_CHANNEL for p in places)
    open_sources = frozenset(s for p in places for s in (*p.groups, p.selector))
    faults = []
    if why_not := reachable(rule, deciding, open_sources, channel=channel) or _stranger(
        rule, seats, open_sources
    ):
        faults.append(Fault(f"{pointer}/quorum", why_not))
    if not places and deciding and reject_quorum > len(deciding):
        why_not = f"needs {reject_quorum} rejections, but only {len(deciding)} may answer"
        faults.append(Fault(f"{pointer}/reject_quorum", why_not))
    if faults:
        raise Invalid(faults)


def _stranger(rule: QuorumRule, seats: Iterable[Respondent], open_sources: frozenset[str]) -> str | None:
    """A tree that counts from somebody who is not asked."""
    if not isinstance(rule, dict):
        return None
    asked = open_sources.union(*({*r.via, *r.groups} for r in seats))
    if strangers := sorted(sources(rule) - asked):
        return f"counts from {', '.join(strangers)}, which the audience does not name; add it there"
    return None
