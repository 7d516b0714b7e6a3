"""Whether a person may see a request. Asked on every path by which somebody in Slack comes to one.

Respondents may (of any step, those who handed it on and those who took it over; the people of a level of escalation
once it is asked), so may members of an asked channel or user group, the requester, and operators; with
`Visibility.WORKSPACE` also every colleague. People of other organisations never may, whatever else they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.model.request import LADDER
from bot.domain.people.audience import SelectorKind, parse_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person


class Visibility(StrEnum):
    """`ASSENT_VISIBILITY`: only those whom a request involves, or also everybody who works here."""

    INVOLVED = "involved"
    WORKSPACE = "workspace"


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who wants to see something, as far as it is proven.

    `memberships`: of `rooms` of the request, those they are in. `colleague`: of this workspace, or signed in here.
    """

    keys: frozenset[str]
    memberships: frozenset[str] = frozenset()
    colleague: bool = False
    outsider: bool = False
    operator: bool = False


def viewer(person: Person, memberships: frozenset[str] = frozenset()) -> Viewer:
    """Somebody of whom Slack has just said who they are."""
    outsider = person.external or person.deactivated
    return Viewer(keys=person.keys, memberships=memberships, colleague=not outsider, outsider=outsider)


def may_see(request: Request, who: Viewer, visibility: Visibility = Visibility.INVOLVED) -> bool:
    """Whether they may see it, and all that belongs to it."""
    if who.outsider:
        return False
    if who.operator or (who.colleague and visibility is Visibility.WORKSPACE):
        return True
    return is_involved(request, who.keys) or not who.memberships.isdisjoint(rooms(request))


def is_involved(request: Request, keys: frozenset[str]) -> bool:
    """Whether somebody known by these keys is asked, or asks; whom nobody has turned to yet is not."""
    if keys & request.requester_keys or (request.spec.requester or "") in keys:
        return True
    return any(r.keys & keys for r in request.known)


def rooms(request: Request) -> frozenset[str]:
    """The channels and user groups that are asked, whose members may see the request: `slack:C…`, `slack:S…`."""
    return frozenset(s for s in _asked(request) if parse_selector(s).dynamic)


def _asked(request: Request) -> Iterator[str]:
    for place in (*request.places, *request.lookups):
        if place.step != LADDER and _is_slack(place.selector):
            yield place.selector
    for seat in request.known:
        yield from filter(_is_slack, seat.via)
    for step in request.spec.steps:
        yield from (s for s in step.audience if parse_selector(s).kind is SelectorKind.SLACK_GROUP)


def _is_slack(selector: str) -> bool:
    return selector.startswith("slack:")
