"""What an event makes of a request: the next state, the audit events, and who must be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.model.frozen import replace
from bot.domain.model.request import HistoryEntry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.messages.notifications import Notification
    from bot.domain.model.request import Json, Request


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One audit event: its type and its data, JSON values only."""

    type: str
    data: Mapping[str, Json] = field(default_factory=dict)


class Transition(NamedTuple):
    """What an event made of a request. Without facts nothing changed."""

    request: Request
    facts: tuple[AuditEntry, ...] = ()
    tells: tuple[Notification, ...] = ()

    def then(self, later: Transition) -> Transition:
        """This change, and the one that followed from it."""
        return Transition(later.request, self.facts + later.facts, self.tells + later.tells)

    def with_key(self, name: str) -> Transition:
        """This change, made by a call with the API key of this name, as every one of its facts says."""
        return self._replace(facts=tuple([replace(f, data={**f.data, "key": name}) for f in self.facts]))


def with_history(request: Request, now: datetime, text: str, *, reminder: bool = False) -> Request:
    """The request with one more sentence on its trail."""
    return replace(request, trail=(*request.trail, HistoryEntry(at=now, text=text, reminder=reminder)))
