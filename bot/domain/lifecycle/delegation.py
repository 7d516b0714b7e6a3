"""Other people are asked: the next level of the escalation ladder, or the one to whom somebody hands the request on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import AlreadyResponded, Fault, Invalid
from bot.domain.lifecycle.resolution import widen
from bot.domain.messages import notifications, phrases
from bot.domain.model.frozen import replace
from bot.domain.model.request import LADDER, OpenSelector, Request, Respondent, RespondentState
from bot.domain.model.transition import AuditEntry, Transition, with_history
from bot.domain.people import naming
from bot.domain.people.audience import admit, may_count, merge_respondents

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.events import Delegate, Escalate

MAX_HANDS = 5
"""How often one request may be handed on, from one to the next."""


def escalate(request: Request, event: Escalate, now: datetime) -> Transition:
    """Turn to the next level because somebody wants it, with their reason."""
    if request.next_level is None:
        why = "has no further level to escalate to" if request.spec.escalation else "has no escalation"
        raise Invalid([Fault("/escalation", f"this request {why}")])
    by = event.by
    if event.actor:
        request, respondent = admit(request, event.actor, event.new_id)
        by = naming.label(request, respondent)
    return climb(request, now, by=by, reason=event.reason)


def climb(
    request: Request, now: datetime, *, by: str, reason: str | None, since: datetime | None = None
) -> Transition:
    """Seat and tell the people of the next level; those before may still answer, unless it replaces them.

    `since`: when their time began, where that was before now.
    """
    level = request.spec.escalation[request.level]
    number = request.level + 1
    before = request.spec.escalation[request.level - 1].name if request.level else "audience"
    reached = [r for r in request.respondents if _on(r, number)]
    others = [r for r in request.respondents if not _on(r, number)]
    seats = merge_respondents(others, [replace(r, step=request.step) for r in reached])
    why = f": {reason}" if reason else "."
    climbed = replace(
        with_history(request, now, f"Escalated from {before} to {level.name} by {by}{why}"),
        escalated=(*request.escalated, request.step),
        opened_at=since or now,
        reminders=0,
        respondents=seats,
        places=_moved(request.places, number, request.step),
        lookups=_moved(request.lookups, number, request.step),
    )
    fact = AuditEntry(
        type="request.escalated",
        data={"from": before, "to": level.name, "reason": reason, "by": by, "level": number},
    )
    return widen(request, climbed, fact, now)


def _on(seat: Respondent | OpenSelector, level: int) -> bool:
    return seat.step == LADDER and seat.levels == (level,)


def _moved(places: tuple[OpenSelector, ...], level: int, step: int) -> tuple[OpenSelector, ...]:
    return tuple(replace(p, step=step) if _on(p, level) else p for p in places)


def delegate(request: Request, event: Delegate, now: datetime) -> Transition:
    """Seat another person in place of the one who hands the request on; their link dies, they stay visible."""
    request, giver = admit(request, event.actor, event.new_id)
    if giver.state.answered:
        given = request.response_of(giver.id)
        raise AlreadyResponded(
            phrases.already_responded(request, given) if given else "You have answered this already."
        )
    if refused := _refused(request, giver, event.to):
        raise Invalid([Fault("/to", refused)])
    taker = replace(
        event.to,
        step=giver.step,
        levels=giver.levels,
        groups=tuple(dict.fromkeys((*giver.groups, *giver.via))),
        delegate_of=giver.id,
    )
    gone = replace(giver, state=RespondentState.DELEGATED, generation=giver.generation + 1, trouble=None)
    seats = tuple(part for r in request.respondents for part in ((gone, taker) if r is giver else (r,)))
    handed = replace(request, respondents=seats)
    before, after = naming.labels(handed, (giver, taker))
    words = phrases.handed_on(before, after, event.reason, by=event.by, standing=event.standing)
    changed = with_history(handed, now, words)
    fact = AuditEntry(
        type="request.delegated",
        data={
            "from": giver.id,
            "to": taker.id,
            "from_name": before,
            "to_name": after,
            "reason": event.reason,
            "by": event.by or before,
        },
    )
    return Transition(request=changed, facts=(fact,), tells=notifications.asks([taker]))


def _refused(request: Request, giver: Respondent, taker: Respondent) -> str | None:
    """Why the request cannot be handed on to this person, in words."""
    if taker.keys & giver.keys:
        return "is the same person; name somebody else"
    if not may_count(request, taker):
        return "is who asked for this, and nobody decides their own request; name somebody else"
    chain = _chain(request, giver)
    if any(taker.keys & r.keys for r in chain):
        return f"handed this request on already ({taker.label}); name somebody else"
    if any(taker.keys & r.keys for r in request.seated):
        return f"is asked already ({taker.label}), and one person counts once; name somebody else"
    if len(chain) > MAX_HANDS:
        return f"would be the {len(chain)}th to get it; a request is handed on {MAX_HANDS} times at most"
    return None


def _chain(request: Request, giver: Respondent) -> list[Respondent]:
    """The giver and everybody before through whose hands the request came to them."""
    chain = [giver]
    while before := next(
        (r for r in request.respondents if chain[-1].delegate_of in (r.id, *r.aliases)), None
    ):
        chain.append(before)
    return chain
