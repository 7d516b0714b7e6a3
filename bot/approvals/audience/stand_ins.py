"""Stand-ins: whoever is away has named somebody who is asked in their place until they are back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.approvals.audience.ttl_cache import Recent
from bot.domain.errors import AssentError
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import Delegate
from bot.domain.model.frozen import replace
from bot.domain.model.request import Surface
from bot.domain.people.audience import Actor

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.request import Respondent
    from bot.domain.model.transition import Transition
    from bot.ports.store import Registry, StandIn
    from bot.ports.system import Clock, Ids


@dataclass(frozen=True, slots=True)
class Standing:
    """Who stands in for whom now."""

    all: tuple[StandIn, ...]

    def of(self, respondent: Respondent) -> StandIn | None:
        """Who is asked in place of this respondent."""
        return next((s for s in self.all if s.keys & respondent.keys), None)

    def take_over(self, change: Transition, now: datetime, ids: Ids) -> Transition:
        """Hand on what has just been asked of somebody who is away. Where the rules refuse that, they stay asked."""
        asked = {tell.respondent for tell in change.tells if tell.respondent} if self.all else set()
        for respondent_id in sorted(asked):
            respondent = change.request.respondent(respondent_id)
            stand_in = self.of(respondent) if respondent else None
            if respondent is None or stand_in is None or change.request.status.final:
                continue
            event = Delegate(
                actor=Actor(
                    keys=frozenset({respondent_id}),
                    surface=Surface.API,
                    memberships=frozenset(respondent.via),
                ),
                to=replace(stand_in.person, id=ids.respondent()),
                new_id="",
                reason=f"away until {stand_in.until:%Y-%m-%d}",
                standing=True,
            )
            try:
                handed = lifecycle.apply(change.request, event, now)
            except AssentError:
                continue
            kept = tuple(t for t in change.tells if t.respondent != respondent_id)
            change = self.take_over(change._replace(tells=kept).then(handed), now, ids)
        return change


NOBODY = Standing(())


class StandIns:
    """The stored stand-ins, kept at hand for a moment."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._stored = Recent(registry.stand_ins)

    async def now(self) -> Standing:
        """Those whose time has not ended."""
        stored = await self._stored.value()
        if not stored:
            return NOBODY
        now = self._clock.now()
        return Standing(tuple(s for s in stored if s.until > now))

    async def put(self, stand_in: StandIn) -> None:
        """Set who stands in for a person."""
        await self._registry.put_stand_in(stand_in)
        self._stored.forget()

    async def delete(self, keys: frozenset[str]) -> bool:
        """End a stand-in; False where there is none."""
        ended = await self._registry.delete_stand_in(keys)
        self._stored.forget()
        return ended
