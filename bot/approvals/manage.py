"""What requesters and operators do with a request, and what happens to it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.approvals.apply_event import apply
from bot.approvals.context import Core, warn_if_lost
from bot.approvals.offload import aside
from bot.approvals.validation.submission import revision
from bot.domain.access import authority
from bot.domain.errors import AssentError
from bot.domain.model.events import (
    UNKNOWN,
    AddComment,
    Cancel,
    DeliveryFailed,
    Operate,
    Remind,
    Revise,
    SeenVersion,
    Timer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.lifecycle.response_rules import ResponseInput
    from bot.domain.model.request import Request, Surface
    from bot.ports.store import Transaction
    from bot.schemas.requests import ReviseBody


class Changing(Core):
    """What requesters, operators and the clock do."""

    async def operate(
        self, request_id: str, answer: ResponseInput, by: str, surface: Surface, seen: SeenVersion = UNKNOWN
    ) -> Request:
        """Decide at once, as an operator. Where a call has a key, here and below that says who it is, not `by`."""
        return await self._apply(request_id, Operate(answer=answer, by=by, surface=surface, seen=seen))

    async def operate_by(
        self, request_id: str, answer: Callable[[Request], ResponseInput], surface: Surface
    ) -> Request:
        """As `operate`, with the answer that the request itself calls for; what `answer` raises is a refusal, too."""
        request = await self._stored(request_id)
        authority.check_decides(self._key, request)
        try:
            given = answer(request)
        except AssentError as refusal:
            raise authority.told(refusal, self._key, request) from None
        return await self.operate(request_id, given, "", surface, SeenVersion(request.revision))

    async def cancel(self, request_id: str, reason: str | None, by: str, surface: Surface) -> Request:
        """Take the question back."""
        return await self._apply(request_id, Cancel(reason=reason, by=by, surface=surface))

    async def remind(self, request_id: str, by: str) -> Request:
        """Ask those who have not answered again, now."""
        return await self._apply(request_id, Remind(by=by))

    async def reply(self, request_id: str, text: str, by: str, surface: Surface) -> Request:
        """Answer what a respondent asked back, for everybody to see."""
        return await self._apply(request_id, AddComment(text=text, surface=surface, by=by))

    async def revise(self, request_id: str, body: ReviseBody, by: str, surface: Surface) -> Request:
        """Ask something else instead: every answer so far is set back."""
        request = await self._stored(request_id)
        authority.check_manages(self._key, request)
        try:
            changes = await aside(lambda: revision(request.spec, body), body.payload, request.spec.form)
        except AssentError as refusal:
            raise authority.told(refusal, self._key, request) from None
        reason = (body.reason or "").strip() or None
        return await self._apply(request_id, Revise(changes=changes, reason=reason, by=by, surface=surface))

    async def not_told(self, request_id: str, event: DeliveryFailed) -> None:
        """Show on the request that an address could not be told."""
        warn_if_lost(await self._apply(request_id, event))

    async def tick(self, limit: int = 100) -> int:
        """Let every pending request whose time has come move on; how many there were."""
        now = self._clock.now()
        next_due = await self.next_due()
        if next_due is None or next_due > now:
            return 0
        standing = await self._stand_ins.now()

        def work(tx: Transaction) -> int:
            due = tx.due(now, limit)
            for request_id in due:
                apply(tx, request_id, Timer(), now, lambda change: standing.take_over(change, now, self._ids))
            return len(due)

        return await self._store.write(work)

    async def next_due(self) -> datetime | None:
        """When the next pending request's time comes."""
        return await self._store.read(lambda tx: tx.next_due())
