"""The outbox's other end: claim what is due, render the request as it is now, send, record under the lease.

Sending is outside any transaction. Whatever goes wrong, a row is sent again: at least once, never lost. Rows of one
address are sent one after the other, in order; different addresses side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

import structlog

from bot.delivery.backoff import Breakers, delay, exhausted
from bot.domain.errors import Unavailable
from bot.domain.events import NotTold
from bot.domain.request import Request, ResolvedBy, Respondent, RespondentState
from bot.domain.telling import Notice
from bot.ports import (
    Clock,
    Delivery,
    Failed,
    Leased,
    Lost,
    Outbox,
    Recorded,
    Result,
    Retry,
    Sender,
    Superseded,
)

log = structlog.get_logger(__name__)

CLAIM = 50
"""Rows leased at once."""

SEND_SECONDS = 15.0
"""A sending is given up after this, well before its lease runs out."""

SAFE = timedelta(seconds=4)
"""How long after a claim a sending may begin, so that it ends within the lease."""

RECORD_AGAIN = (0.1, 0.3, 1.0, 2.0)
"""Seconds between the tries to write a result down while the database fails."""

Lane = tuple[str, str]
"""A surface and an address."""

NotToldUse = Callable[[str, NotTold], Awaitable[None]]


class Dispatcher:
    """Sends what is due, on the surfaces there are senders for.

    `progressed` is called whenever something was sent, `tried` with the surface and the result of each sending.
    """

    def __init__(
        self, outbox: Outbox, senders: Mapping[str, Sender], clock: Clock, not_told: NotToldUse
    ) -> None:
        self.progressed: Callable[[], None] = lambda: None
        self.tried: Callable[[str, str], None] = lambda _surface, _result: None
        self._outbox = outbox
        self._senders = senders
        self._clock = clock
        self._not_told = not_told
        self._breakers = Breakers()
        self._sending: dict[Lane, asyncio.Task[None]] = {}

    async def run_once(self) -> int:
        """Begin to send what is due now; how many rows that are. A slow address holds up no other."""
        now = self._clock.now()
        surfaces = [s for s in self._senders if not self._breakers.open_until(s, now)]
        free = CLAIM - len(self._sending)
        if not surfaces or free <= 0:
            return 0
        leased = await self._outbox.claim(now, free, surfaces)
        if not leased:
            return 0
        ids = {d.delivery.request_id for d in leased if d.delivery.request_id}
        requests = await self._outbox.requests(sorted(ids)) if ids else {}
        for lane, rows in groupby(sorted(leased, key=_lane), key=_lane):
            after = self._sending.get(lane)
            task = asyncio.create_task(
                self._send_lane(list(rows), requests, now, after), name="assent-delivery"
            )
            self._sending[lane] = task
            task.add_done_callback(partial(self._finished, lane))
        return len(leased)

    async def settle(self, seconds: float | None = None) -> None:
        """Wait for what is being sent, at most `seconds`; the rest is left to its leases."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._sending:
                    await asyncio.wait(self._sending.values())
        for task in self._sending.values():
            task.cancel()

    def _finished(self, lane: Lane, task: asyncio.Task[None]) -> None:
        if self._sending.get(lane) is task:
            del self._sending[lane]
        if not task.cancelled() and (error := task.exception()):
            log.error(
                "a lane failed; its rows wait for their leases", action="delivery.error", error=repr(error)
            )
        self.progressed()

    async def next_due(self) -> datetime | None:
        """When there will be something to do, breakers considered; None while every hand is full."""
        if len(self._sending) >= CLAIM:
            return None
        now = self._clock.now()
        blocked = [u for s in self._senders if (u := self._breakers.open_until(s, now))]
        free = [s for s in self._senders if not self._breakers.open_until(s, now)]
        due = await self._outbox.next_due(free) if free else None
        return min([*blocked, *([due] if due else [])], default=None)

    async def _send_lane(
        self,
        lane: Sequence[Leased],
        requests: Mapping[str, Request],
        claimed_at: datetime,
        after: asyncio.Task[None] | None,
    ) -> None:
        """Send one address's rows in order; those whose lease could run out meanwhile are given back."""
        if after:
            await asyncio.wait([after])
        for index, item in enumerate(lane):
            now = self._clock.now()
            if now - claimed_at > SAFE:
                await self._outbox.record([_put_off(i, now) for i in lane[index:]], now)
                return
            recorded = await self._send(item, requests.get(item.delivery.request_id or ""))
            await self._record(recorded)

    async def _record(self, recorded: Recorded) -> None:
        """Write a result down. What is not known to be sent is sent again, so a failing database is asked again."""
        for pause in RECORD_AGAIN:
            try:
                return await self._outbox.record([recorded], self._clock.now())
            except Unavailable:
                await asyncio.sleep(pause)
        return await self._outbox.record([recorded], self._clock.now())

    async def _send(self, leased: Leased, request: Request | None) -> Recorded:
        delivery, now = leased.delivery, self._clock.now()
        for target in (delivery.surface, delivery.address):
            if until := self._breakers.open_until(target, now):
                return _put_off(leased, until)
        if obsolete := _obsolete(delivery, request):
            return Recorded(leased=leased, result=Superseded(obsolete))
        recorded = await self._conclude(leased, request, await self._try(delivery, request, now))
        self.tried(delivery.surface, type(recorded.result).__name__.lower())
        return recorded

    async def _try(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self._senders[delivery.surface].send(delivery, request, now)
        except TimeoutError:
            return Retry("it took too long")
        except Exception:
            log.exception(
                "a sender failed", action="delivery.error", delivery=delivery.id, surface=delivery.surface
            )
            return Retry("something went wrong on our side")

    async def _conclude(self, leased: Leased, request: Request | None, result: Result) -> Recorded:
        delivery, now = leased.delivery, self._clock.now()
        log.info(
            "delivery",
            action=f"delivery.{type(result).__name__.lower()}",
            delivery=delivery.id,
            request=delivery.request_id,
            surface=delivery.surface,
            notice=str(delivery.notice),
            reason=getattr(result, "reason", None),
        )
        match result:
            case Retry(counts=False):
                until = self._breakers.trip(result.pause or delivery.surface, now, result.after)
                return Recorded(leased=leased, result=result, retry_at=until)
            case Retry():
                return await self._again(leased, result, now)
            case Lost() if request and not request.status.final and not delivery.reposted:
                return Recorded(leased=leased, result=result, retry_at=now)
            case Lost(reason):
                return Recorded(leased=leased, result=Failed(reason))
            case Failed():
                return await self._give_up(leased, result)
        self._breakers.reset(delivery.surface)
        return Recorded(leased=leased, result=result)

    async def _again(self, leased: Leased, result: Retry, now: datetime) -> Recorded:
        surface, attempts = leased.delivery.surface, leased.delivery.attempts + 1
        if exhausted(surface, attempts):
            return await self._give_up(leased, Failed(f"given up: {result.reason}"))
        retry_at = now + timedelta(seconds=result.after or delay(surface, attempts))
        return Recorded(leased=leased, result=result, retry_at=retry_at)

    async def _give_up(self, leased: Leased, result: Failed) -> Recorded:
        """A dead letter shows on its request before it is laid aside."""
        delivery = leased.delivery
        if delivery.request_id and delivery.notice in {Notice.CARD, Notice.ASK}:
            target = f"{delivery.surface}:{delivery.address}"
            await self._not_told(delivery.request_id, NotTold(target=target, reason=result.reason))
        return Recorded(leased=leased, result=result)


def _lane(leased: Leased) -> Lane:
    return leased.delivery.surface, leased.delivery.address


def _put_off(leased: Leased, until: datetime) -> Recorded:
    """It was not its turn, which spends no attempt."""
    return Recorded(leased=leased, result=Retry("waiting its turn", counts=False), retry_at=until)


def _obsolete(delivery: Delivery, request: Request | None) -> str | None:
    """Why there is nothing to say any more, if so.

    Nobody is asked or reminded of what is decided or what they have answered, or told how it was going meanwhile.
    An answer that does not stand any more has no receipt.
    """
    notice = delivery.notice
    if request is None or notice not in {Notice.ASK, Notice.REMINDER, Notice.NEWS, Notice.RECEIPT}:
        return None
    decided = request.outcome and request.outcome.resolved_by is not ResolvedBy.POLICY
    if decided and notice is not Notice.RECEIPT:
        return "the request was decided before it could be sent"
    respondent = request.respondent(delivery.respondent or "")
    return _unwanted(notice, respondent, request) if respondent else None


def _unwanted(notice: Notice, respondent: Respondent, request: Request) -> str | None:
    match notice:
        case Notice.RECEIPT if not request.response_of(respondent.id):
            return "the answer was taken back or set back"
        case Notice.ASK | Notice.REMINDER if respondent.state is RespondentState.DELEGATED:
            return "they have handed it on"
        case Notice.ASK | Notice.REMINDER if respondent.step != request.step:
            return "their step is closed"
        case Notice.ASK | Notice.REMINDER if respondent.state.answered:
            return "they have answered already"
    return None
