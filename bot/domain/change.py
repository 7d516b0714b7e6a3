"""What an event makes of a request: the next state, the audit events, and who must be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.request import Entry
from bot.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.request import Json, Request
    from bot.domain.telling import Tell


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One audit event: its type and its data, JSON values only."""

    type: str
    data: Mapping[str, Json] = field(default_factory=dict)


class Change(NamedTuple):
    """What an event made of a request. Without facts nothing changed."""

    request: Request
    facts: tuple[Fact, ...] = ()
    tells: tuple[Tell, ...] = ()

    def then(self, later: Change) -> Change:
        """This change, and the one that followed from it."""
        return Change(later.request, self.facts + later.facts, self.tells + later.tells)

    def with_key(self, name: str) -> Change:
        """This change, made by a call with the API key of this name, as every one of its facts says."""
        return self._replace(facts=tuple([replace(f, data={**f.data, "key": name}) for f in self.facts]))


def noted(request: Request, now: datetime, text: str, *, reminder: bool = False) -> Request:
    """The request with one more sentence on its trail."""
    return replace(request, trail=(*request.trail, Entry(at=now, text=text, reminder=reminder)))
