"""Who can no longer be told, and whether the quorum still can be reached then: it is said, and never made easier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.messages import notifications
from bot.domain.model.frozen import replace
from bot.domain.model.request import Request, RespondentState
from bot.domain.model.transition import AuditEntry, Transition, with_history
from bot.domain.people import quorum
from bot.domain.people.audience import parse_selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bot.domain.model.request import Respondent

MAX_NAMES = 5


def told_of_losses(before: Request, change: Transition, now: datetime) -> Transition:
    """The change, and what the requester is told of it: whom the request has lost, and what that means."""
    after = change.request
    if after.status.final or not after.unreached:
        return change
    people = _people(before, after)
    lost = [*(_sentence(r.label, r.trouble) for r in people), *_places(before, after)]
    if not lost:
        return change
    steps = {r.step for r in people} or {after.step}
    hopeless = any(quorum.out_of_reach(replace(after, step=step)) for step in steps)
    text = _words(after, lost, hopeless=hopeless)
    *facts, last = change.facts
    fact = AuditEntry(type=last.type, data={**last.data, "lost": text, "quorum_out_of_reach": hopeless})
    tells = (*change.tells, *notifications.requester_news(after, text))
    return Transition(request=with_history(after, now, text), facts=(*facts, fact), tells=tells)


def _people(before: Request, after: Request) -> Sequence[Respondent]:
    """Those who were asked, and have no address left at which they can be told."""
    gone = {r.id for r in before.respondents if _is_lost(r)}
    return [r for r in after.known if _is_lost(r) and r.id not in gone]


def _is_lost(respondent: Respondent) -> bool:
    return respondent.state is RespondentState.UNREACHABLE


def _places(before: Request, after: Request) -> Iterable[str]:
    """The channels and user groups that were asked, and turn out to be none."""
    asked = {p.selector for p in (*before.places, *before.lookups)}
    known = {u.target for u in before.unreached}
    return [
        _sentence(u.target, u.reason)
        for u in after.unreached
        if u.target not in known and u.target in asked and parse_selector(u.target).dynamic
    ]


def _sentence(name: str, trouble: str | None) -> str:
    return f"{name} cannot be told ({trouble})" if trouble else f"{name} cannot be told"


def _words(request: Request, lost: list[str], *, hopeless: bool) -> str:
    more = f" and {len(lost) - MAX_NAMES} more" if len(lost) > MAX_NAMES else ""
    who = f"{', '.join(lost[:MAX_NAMES])}{more}"
    if not hopeless:
        return f"{who}. The others can still reach the quorum."
    if request.next_level:
        return f"Those asked so far can no longer reach the quorum: {who}. It can be escalated."
    return f"The quorum can no longer be reached: {who}. Ask others, or cancel the request."
