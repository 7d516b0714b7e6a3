"""Who may see a request in Slack, and what of it they were shown: asked before anything of it is told to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.approvals.apply_event import get_or_raise, unknown
from bot.approvals.query import Reading
from bot.domain.access.visibility import Visibility, is_involved, may_see, rooms, viewer
from bot.domain.errors import AlreadyResolved, NotInAudience
from bot.domain.messages.notifications import Notice
from bot.domain.model.frozen import replace
from bot.domain.model.request import Status, Surface
from bot.domain.people.audience import Actor, refuse_outsiders
from bot.ports.store import MAX_PAGE, Idempotency, Page, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person
    from bot.ports.store import AuditEvent, DeliveryState, Reader, Transaction

MAX_ROOMS = 100
"""Most channels and user groups looked through for one person's list."""
GONE = frozenset({"failed", "lost", "superseded"})
"""States of a delivery that nobody will see."""


class Seeing(Reading):
    """Looks at requests as one person."""

    async def look(self, request_id: str, user_id: str, team: str | None = None) -> Request:
        """The request, for a Slack user who may see it; for others `NotFound`, as for one that there is not."""
        person = await self.person(user_id, team)
        refuse_outsiders(person)
        request = await self._store.read(lambda tx: get_or_raise(tx, request_id))
        if not await self._sees(request, person):
            raise unknown(request_id)
        return request

    async def look_to_act(self, request_id: str, user_id: str) -> Request:
        """The same for somebody whom the rules check again when they act: Slack is asked about strangers only."""
        request = await self.get(request_id)
        if is_involved(request, frozenset({f"slack:{user_id}"})):
            return request
        return await self.look(request_id, user_id)

    async def _sees(self, request: Request, person: Person) -> bool:
        visibility = self._rules.visibility
        if may_see(request, viewer(person), visibility):
            return True
        joined = await self._joined(sorted(rooms(request)), person)
        return may_see(request, viewer(person, frozenset(joined)), visibility)

    async def refused(self, refusal: AlreadyResolved, actor: Actor) -> AlreadyResolved | NotInAudience:
        """What somebody in Slack reads who acts too late: how it ended only where they may see that."""
        if actor.surface is not Surface.SLACK or is_involved(refusal.request, actor.keys):
            return refusal
        user = next((k.removeprefix("slack:") for k in actor.keys if k.startswith("slack:")), "")
        person = actor.person or await self.person(user, actor.team)
        if await self._sees(refusal.request, person):
            return refusal
        return NotInAudience("You are not in the audience of this request, so your answer does not count.")

    async def visible(self, person: Person, limit: int) -> Page:
        """The newest pending requests that a person may see; the cursor says only whether there are more."""
        refuse_outsiders(person)
        if self._rules.visibility is Visibility.WORKSPACE:
            return await self.find(Query(status=Status.PENDING, limit=limit))
        asked_rooms = await self._store.read(lambda tx: tx.rooms(MAX_ROOMS))
        joined = await self._joined(asked_rooms, person)
        people = tuple(sorted(person.keys))
        asked = Query(status=Status.PENDING, respondents=people, rooms=joined, limit=MAX_PAGE)
        asking = [Query(status=Status.PENDING, requester=k, limit=MAX_PAGE) for k in sorted(person.keys)]
        pages = [
            await self.find(query)
            for query in (asked, *asking)
            if query.rooms or query.respondents or query.requester
        ]
        known = {r.id: r for page in pages for r in page.items}
        who = viewer(person, frozenset(joined))
        seen = [r for _, r in sorted(known.items(), reverse=True) if may_see(r, who)]
        more = len(seen) > limit or any(page.next_cursor for page in pages)
        shown = tuple(seen[:limit])
        return Page(items=shown, next_cursor=shown[-1].id if more and shown else None)

    async def showed(self, request: Request, user_id: str) -> None:
        """Remember that somebody was shown the request as it is."""
        now, record = self._clock.now(), Idempotency(key=_shown(request, user_id), digest="")

        def work(tx: Transaction) -> None:
            get_or_raise(tx, request.id)
            if tx.idempotent(record.key) is None:
                tx.remember(record, request.id, now)

        await self._store.write(work, ids=(request.id,))

    async def has_seen(self, request: Request, user_id: str) -> bool:
        """Whether a Slack user was shown the request as it is: on a card or in a mail of theirs, or when they asked."""

        def work(tx: Reader) -> tuple[bool, Sequence[DeliveryState], Sequence[AuditEvent]]:
            asked = tx.idempotent(_shown(request, user_id)) is not None
            return asked, tx.deliveries([request.id])[request.id], tx.events(request.id)

        asked, deliveries, events = await self._store.read(work)
        if asked:
            return True
        changed_at = max((e.version for e in events if "revision" in e.data), default=0)
        shown = [d for d in deliveries if d.notice in {Notice.CARD, Notice.ASK} and _reached(d, changed_at)]
        keys = frozenset({f"slack:{user_id}"})
        if _theirs(request, shown, keys):
            return True
        actor = await self._known(Actor(keys=keys, surface=Surface.SLACK))
        if _theirs(request, shown, actor.keys):
            return True
        rooms_shown = {f"slack:{d.address}" for d in shown if d.respondent is None} & set(request.channels)
        return bool(rooms_shown and rooms_shown & await self._memberships(request.id, replace(actor)))


def _shown(request: Request, user_id: str) -> str:
    return f"shown:{request.id}:{user_id}:{request.revision}:{request.step}"


def _reached(delivery: DeliveryState, changed_at: int) -> bool:
    """Whether it showed the request as it is; what was never changed is the same once it arrives."""
    if delivery.state in GONE:
        return False
    return delivery.shown_version >= changed_at


def _theirs(request: Request, shown: Sequence[DeliveryState], keys: frozenset[str]) -> bool:
    seats = {i for r in request.seated if r.keys & keys for i in (r.id, *r.aliases)}
    return any(d.respondent in seats for d in shown)
