"""Look at requests: one, many, whose they are, and as soon as one is final."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.approvals.apply_event import get_or_raise
from bot.approvals.context import Core
from bot.domain.access.authority import only_own, reads
from bot.domain.model.identity import person_keys
from bot.domain.model.request import RespondentState, Status
from bot.domain.people.audience import may_still_answer
from bot.ports.directory import DirectoryUnavailableError
from bot.ports.store import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person
    from bot.ports.store import AuditEvent, DeliveryState, Page

MAX_WAIT_SECONDS = 60.0
INBOX_CHANNELS = 50
"""Most channels looked through for one person's inbox."""


class Reading(Core):
    """What changes nothing but `adopt`, which only remembers where a card stands."""

    async def of_respondent(self, respondent_id: str) -> Request | None:
        """The request a personal link belongs to."""
        return await self._store.read(lambda tx: tx.request_of(respondent_id))

    async def wait(self, request_id: str, seconds: float) -> Request:
        """The request as soon as it is final, else as it stands after `seconds` (at most 60); raises `NotFound`."""
        ends = asyncio.get_running_loop().time() + min(seconds, MAX_WAIT_SECONDS)
        with self._store.watch(request_id) as watch:
            request = self._shown(watch.known) or await self.get(request_id)
            while not (request.status.final or self._draining.is_set()):
                left = ends - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                request = await watch.changed(left) or await self.get(request_id)
        return request

    def _shown(self, request: Request | None) -> Request | None:
        """The request, if the key may read it; the refusal for one that it may not is that of an unknown one."""
        return request if request and reads(self._key, request) else None

    def drain(self) -> None:
        """Answer every waiter with what is known now, and each one to come at once: the process is about to end."""
        self._draining.set()
        self._store.wake()

    async def find(self, query: Query) -> Page:
        """One page of requests, newest first."""
        wanted = replace(query, submitted_by=only_own(self._key))
        return await self._store.read(lambda tx: tx.find(wanted))

    async def inbox(self, person: Person, limit: int = 50) -> tuple[Request, ...]:
        """The pending requests that wait for this person's answer, newest first, channels they are in included."""
        channels = await self._store.read(lambda tx: tx.channels(INBOX_CHANNELS))
        joined = await self._joined(channels, person)
        keys = (*sorted(person.keys), *joined)
        if not keys:
            return ()
        page = await self.find(Query(status=Status.PENDING, respondents=keys, limit=limit))
        return tuple(r for r in page.items if _awaits(r, person, joined))

    async def _joined(self, targets: Sequence[str], person: Person) -> tuple[str, ...]:
        """Which of these channels and groups the person is in; none where Slack cannot be asked."""
        if self._directory is None or person.slack_user_id is None:
            return ()
        try:
            return tuple(
                [
                    t
                    for t in targets
                    if await self._directory.is_member(t.removeprefix("slack:"), person.slack_user_id)
                ]
            )
        except DirectoryUnavailableError:
            return ()

    async def adopt(self, request_id: str, channel: str, ts: str, respondent: str | None = None) -> None:
        """A card was clicked; from now on it is redrawn, even where its posting was never confirmed.

        `respondent` is the only one who sees it.
        """
        receipt, now = {"channel": channel, "ts": ts}, self._clock.now()
        await self._store.write(lambda tx: tx.adopt(request_id, receipt, channel, now, respondent))

    async def audit(self, request_id: str) -> tuple[AuditEvent, ...]:
        """The request's audit events, oldest first; raises `NotFound`."""
        return await self._store.read(
            lambda tx: (get_or_raise(tx, request_id, self._key), tx.events(request_id))[1]
        )

    async def deliveries(self, request_ids: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        """What was sent, or is to be, for each request."""
        return await self._store.read(lambda tx: tx.deliveries(request_ids))


def _awaits(request: Request, person: Person, joined: Sequence[str]) -> bool:
    """Whether this person's answer is still wanted; nobody's own request waits for them."""
    if person_keys(request.requester_keys) & person.keys and not request.spec.allow_self_approval:
        return False
    mine = [r for r in request.seated if r.keys & person.keys]
    if not mine:
        return any(p.selector in joined and may_still_answer(request, p) for p in request.open_places)
    if any(r.state.answered or r.state is RespondentState.DELEGATED for r in mine):
        return False
    return any(may_still_answer(request, r) for r in mine)
