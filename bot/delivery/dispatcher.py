"""The outbox's other end: claim what is due, render the request as it is now, send, record under the lease.

Sending is outside any transaction. Whatever goes wrong, a row is sent again: at least once, never lost. Rows of one
address are sent one after the other, in order; different addresses side by side, and callbacks of different requests.
What hangs fills the lanes of its own surface, or of its own host.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import structlog

from bot.delivery.backoff import Breakers, delay, exhausted
from bot.domain.errors import Unavailable
from bot.domain.messages.notifications import Notice, obsolete
from bot.domain.model.events import DeliveryFailed
from bot.ports.delivery import (
    Delivery,
    Failed,
    Leased,
    Lost,
    Outbox,
    Recorded,
    Reposted,
    Result,
    Retry,
    Sender,
    Sent,
    Superseded,
)

if TYPE_CHECKING:
    from bot.domain.model.request import Request
    from bot.ports.system import Clock

log = structlog.get_logger(__name__)

CLAIM = 10
"""Rows of one surface leased at once, while it has lanes for so many."""

LANES = 50
"""Most lanes of one surface at once."""

HOST_LANES = 20
"""Most of them to one host, where the addresses are URLs."""

SEND_SECONDS = 15.0
"""A sending is given up after this, well before its lease runs out."""

SAFE = timedelta(seconds=4)
"""How long after a claim a sending may begin, so that it ends within the lease."""

RECORD_AGAIN = (0.1, 0.3, 1.0, 2.0)
"""Seconds between the tries to write a result down while the database fails."""

_HOST = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class Lane(NamedTuple):
    """What is sent one after the other: what goes to one address, or one request's callbacks.

    `host` is how an address begins that is a URL (`https://example.com`), else empty.
    """

    surface: str
    host: str
    to: str


NotToldUse = Callable[[str, DeliveryFailed], Awaitable[None]]


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
        leased = await self._outbox.claim(now, CLAIM, self._free(now), self._full_hosts())
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
        now = self._clock.now()
        blocked = [u for s in self._senders if (u := self._breakers.open_until(s, now))]
        due = await self._outbox.next_due(self._free(now), self._full_hosts())
        return min([*blocked, *([due] if due else [])], default=None)

    async def down(self) -> str | None:
        """Which surfaces could not be used when they were last tried, in words."""
        failed = [s for s in self._senders if self._breakers.failed(s)]
        return f"cannot send by {' or '.join(failed)} just now" if failed else None

    def _free(self, now: datetime) -> list[str]:
        """The surfaces with lanes for one more claim, but for those that are left alone."""
        used = Counter(lane.surface for lane in self._sending)
        free = [s for s in self._senders if used[s] <= LANES - CLAIM]
        return [s for s in free if not self._breakers.open_until(s, now)]

    def _full_hosts(self) -> list[str]:
        """The hosts without lanes for one more claim."""
        used = Counter(lane.host for lane in self._sending if lane.host)
        return [host for host, lanes in used.items() if lanes > HOST_LANES - CLAIM]

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
            if after or index:  # it has waited since the requests were read
                requests = await self._outbox.requests([item.delivery.request_id or ""])
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
        if why := obsolete(delivery.notice, delivery.respondent, request):
            return Recorded(leased=leased, result=Superseded(why))
        recorded = await self._conclude(leased, request, await self._try(delivery, request, now))
        self.tried(delivery.surface, type(recorded.result).__name__.lower())
        return recorded

    async def _try(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self._senders[delivery.surface].send(delivery, request, now)
        except TimeoutError:
            return Retry("it took too long", unconfirmed=True)
        except Exception:
            log.exception(
                "a sender failed", action="delivery.error", delivery=delivery.id, surface=delivery.surface
            )
            return Retry("something went wrong on our side", unconfirmed=True)

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
                target = result.pause or delivery.surface
                until = self._breakers.trip(target, now, result.after)
                return Recorded(leased=leased, result=result, retry_at=until)
            case Retry():
                return await self._again(leased, result, now)
            case Lost(reason) if request and (instead := _instead(delivery, request)):
                return Recorded(leased=leased, result=Lost(reason, instead), retry_at=now)
            case Lost(reason):
                return Recorded(leased=leased, result=Failed(reason))
            case Failed():
                return await self._give_up(leased, result)
            case Sent():
                self._breakers.reset(delivery.surface)
        return Recorded(leased=leased, result=result)

    async def _again(self, leased: Leased, result: Retry, now: datetime) -> Recorded:
        surface, attempts = leased.delivery.surface, leased.delivery.attempts + 1
        if exhausted(surface, attempts):
            return await self._give_up(leased, Failed(f"given up: {result.reason}"))
        retry_at = now + timedelta(seconds=result.after or delay(surface, attempts))
        return Recorded(leased=leased, result=result, retry_at=retry_at)

    async def _give_up(self, leased: Leased, result: Failed) -> Recorded:
        """A dead letter shows on its request before it is laid aside; a card that was posted once is none."""
        delivery = leased.delivery
        if delivery.request_id and delivery.notice is Notice.CALLBACK:
            event = DeliveryFailed(target="callback", reason=result.reason)
            await self._not_told(delivery.request_id, event)
        if delivery.request_id and delivery.receipt is None and delivery.notice in {Notice.CARD, Notice.ASK}:
            target = f"{delivery.surface}:{delivery.address}"
            await self._not_told(delivery.request_id, DeliveryFailed(target=target, reason=result.reason))
        return Recorded(leased=leased, result=result)


def _lane(leased: Leased) -> Lane:
    delivery = leased.delivery
    url = _HOST.match(delivery.address)
    to = delivery.request_id if url else None
    return Lane(delivery.surface, url[0] if url else "", to or delivery.address)


def _instead(delivery: Delivery, request: Request) -> Reposted | None:
    """Which message takes the place of one that is lost: one while it is pending, one that tells the outcome."""
    if request.status.final:
        return None if delivery.reposted == "last" else "last"
    return None if delivery.reposted else "once"


def _put_off(leased: Leased, until: datetime) -> Recorded:
    """It was not its turn, which spends no attempt and is no trouble of its own."""
    return Recorded(leased=leased, result=None, retry_at=until)
