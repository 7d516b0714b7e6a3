"""Every copy of a card is somebody's: a respondent's in their direct messages, or a channel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, NotInAudience, StepClosed
from bot.domain.model.request import Surface
from bot.domain.people.audience import Actor, admit, lowest_level

if TYPE_CHECKING:
    from bot.domain.model.request import Request, Respondent


@dataclass(frozen=True, slots=True)
class Copy:
    """Whose it is: a respondent's (`rsp_…`), or else that of the channel with this id."""

    respondent: str | None = None
    channel: str | None = None

    def owner(self, request: Request) -> Respondent | None:
        """The one person whose copy it is."""
        return request.respondent(self.respondent) if self.respondent else None

    def closed(self, request: Request) -> str | None:
        """Why whoever sees it may not answer (any more), in words; None where they may."""
        if self.respondent:
            return _refused(request, self.respondent)
        places = [p for p in request.places if p.selector == f"slack:{self.channel}"]
        here = [p for p in places if p.step == request.step]
        if places and not here:
            return "The step this channel was asked in is closed; the request has moved on."
        if here and max(level for p in here for level in p.levels) < lowest_level(request, request.step):
            level = request.spec.escalation[request.level - 1].name
            return f"The request was escalated to {level}, who decide it now."
        return None


ANYBODY = Copy()
"""A copy for whoever asked to see the request."""


def _refused(request: Request, respondent_id: str) -> str | None:
    """The refusal that this seat would meet; who they are beyond it is only known at the click."""
    seat = request.respondent(respondent_id)
    actor = Actor(
        keys=frozenset({respondent_id}),
        surface=Surface.SLACK,
        memberships=frozenset(seat.via if seat else ()),
    )
    try:
        admit(request, actor, "")
    except (NotInAudience, StepClosed) as refusal:
        return refusal.detail
    except AssentError:
        return None
    return None
