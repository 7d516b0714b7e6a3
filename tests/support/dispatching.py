"""A dispatcher on a real store, with a sender that follows a script and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.approvals import Approvals, Rules
from bot.clock_and_ids import RandomIds
from bot.delivery.dispatcher import Dispatcher
from bot.ports.delivery import Sent
from bot.ports.store import Message
from bot.store import SqlOutbox
from tests.support.asking import NOW
from tests.support.storing import stored

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.request import Request
    from bot.ports.delivery import Delivery, Result, Sender
    from bot.ports.store import DeliveryState
    from bot.store import SqlStore


class StandingClock:
    """Moves when the test says so."""

    def __init__(self) -> None:
        self.at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class ScriptedSender:
    """Answers with what is scripted for an address, in turn, and then with success."""

    script: defaultdict[str, deque[Result | Exception]] = field(default_factory=lambda: defaultdict(deque))
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    """Address, what was said (a notice, or a notification's text), and the version that was shown."""
    tried: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    at_once: int = 0
    _sending: set[str] = field(default_factory=set)

    def will(self, address: str, *results: Result | Exception) -> None:
        """What the next sendings to `address` come to."""
        self.script[address].extend(results)

    def hold(self, address: str) -> asyncio.Event:
        """Keep sendings to `address` from ending until the event is set."""
        return self.held.setdefault(address, asyncio.Event())

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        address = delivery.address
        lane = f"{address} {delivery.request_id}" if delivery.surface == "callback" else address
        assert lane not in self._sending, "two sendings to one address at once"
        self._sending.add(lane)
        try:
            self.tried.append(address)
            if address in self.held:
                await self.held[address].wait()
            await asyncio.sleep(0)
        finally:
            self._sending.discard(lane)
        if script := self.script[address]:
            result = script.popleft()
            if isinstance(result, Exception):
                raise result
            return result
        version = request.version if request else 0
        self.sent.append((address, delivery.content or str(delivery.notice), version))
        return Sent({"of": delivery.id, "ts": "1.1"}, version)


class Office:
    """Everything between the outbox and the world."""

    def __init__(self, store: SqlStore, clock: StandingClock | None = None) -> None:
        self.store = store
        self.clock = clock or StandingClock()
        self.sender = ScriptedSender()
        self.outbox = SqlOutbox(store)
        self.approvals = Approvals(store, self.clock, RandomIds(), None, Rules())
        senders: dict[str, Sender] = dict.fromkeys(("slack", "email", "callback"), self.sender)
        self.dispatcher = Dispatcher(self.outbox, senders, self.clock, self.approvals.not_told)

    async def work(self) -> None:
        """Send all that is due now."""
        while await self.dispatcher.run_once():
            await self.dispatcher.settle()

    async def work_until(self, seconds: float) -> None:
        """Let this much time pass, doing what falls due in it."""
        end = self.clock.at + timedelta(seconds=seconds)
        await self.work()
        while (due := await self.dispatcher.next_due()) and due <= end:
            self.clock.at = max(due, self.clock.at)
            await self.work()
        self.clock.at = end

    async def notify(self, address: str, *messages: str) -> None:
        """Queue messages for one mailbox, at one instant."""
        for message in messages:
            note = Message(surface="email", address=address, message=message)
            await self.store.write(lambda tx, n=note: tx.notify(n, self.clock.at))  # type: ignore[misc]  # a default in a lambda

    async def request(self) -> Request:
        """The request of the test as it stands."""
        return await stored(self.store, "req_1")

    async def state(self, address: str) -> DeliveryState:
        """The newest delivery to `address`."""
        deliveries = await self.store.read(lambda tx: tx.deliveries(["req_1"]))
        return [d for d in deliveries["req_1"] if d.address == address][-1]
