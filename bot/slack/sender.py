"""Deliveries by Slack: the request as it is now, posted once and then redrawn in place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.telling import Notice
from bot.ports import Failed, Lost, Retry, Sent
from bot.slack import cards
from bot.slack.copies import Copy
from bot.slack.errors import Gone, SlackDown, SlackError, Throttled, TokenInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.request import Json, Request
    from bot.ports import Delivery, DeliveryState, Result
    from bot.slack.cards import Message
    from bot.slack.gateway import Gateway

    Deliveries = Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[DeliveryState]]]]

POST_INTERVAL = timedelta(seconds=1)
"""One message a second and channel: https://docs.slack.dev/apis/web-api/rate-limits."""
MENDING_SECONDS = 300.0
"""How long Slack is left alone where only the operator can mend it."""
MAX_DIRECT = 10_000
"""People whose direct messages are remembered."""
SURFACE = "slack"


class SlackSender:
    """Posts a card where there is none yet, else updates the one that stands there (`ports.Sender`).

    `deliveries` gives what was sent for requests, by their ids.
    """

    def __init__(self, gateway: Gateway, deliveries: Deliveries) -> None:
        self._gateway = gateway
        self._deliveries = deliveries
        self._direct: dict[str, str] = {}
        self._free_at: dict[str, datetime] = {}

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        """Show `request` as it is at `now`, or say what there is to say about it."""
        if delivery.notice is Notice.NOTIFICATION:
            message = cards.notification(delivery.content or "")
        elif request:
            message = _message(delivery, request, now)
        else:
            return Failed("the request is not there any more")
        if delivery.receipt is None and (wait := self._wait(delivery.address, now)):
            return Retry("one message a second", wait, counts=False, pause=delivery.address)
        try:
            receipt = await self._show(delivery, message)
        except SlackError as error:
            return _result(error, delivery.address)
        return Sent(receipt, request.version if request else 0)

    def _wait(self, address: str, now: datetime) -> float:
        """Seconds until this address may be posted to; 0 takes its turn."""
        self._free_at = {a: at for a, at in self._free_at.items() if at > now}
        wait = (self._free_at.setdefault(address, now) - now).total_seconds()
        if not wait:
            self._free_at[address] = now + POST_INTERVAL
        return wait

    async def _show(self, delivery: Delivery, message: Message) -> dict[str, Json]:
        if receipt := delivery.receipt:
            await self._gateway.update(receipt["channel"], receipt["ts"], message)
            return receipt
        channel = await self._channel(delivery.address)
        return await self._gateway.post(channel, message, thread=await self._thread(delivery))

    async def _thread(self, delivery: Delivery) -> str | None:
        """Where a channel is reminded: under the card, so that it disturbs nobody."""
        if delivery.notice is not Notice.REMINDER or delivery.respondent or not delivery.request_id:
            return None
        sent = (await self._deliveries([delivery.request_id])).get(delivery.request_id, ())
        cards = (d.receipt for d in sent if d.notice == Notice.CARD and d.address == delivery.address)
        return next((str(receipt["ts"]) for receipt in cards if receipt and "ts" in receipt), None)

    async def _channel(self, address: str) -> str:
        """Where to post for a channel or a user, whose direct messages keep their id for good."""
        if not address.startswith(("U", "W")):
            return address
        if address not in self._direct:
            if len(self._direct) >= MAX_DIRECT:
                self._direct.clear()
            self._direct[address] = await self._gateway.open_dm(address)
        return self._direct[address]


def _message(delivery: Delivery, request: Request, now: datetime) -> Message:
    """What a delivery about a request says."""
    is_channel = delivery.address.startswith(("C", "G"))
    copy = Copy(delivery.respondent, delivery.address if is_channel else None)
    if delivery.notice is Notice.REMINDER:
        return cards.reminder(request, now, copy)
    if delivery.notice is Notice.NEWS:
        return cards.news(request, delivery.content or "", copy)
    return cards.card(request, now, copy)


def _result(error: SlackError, address: str) -> Result:
    """What an error means for a delivery. A post that may have arrived is repeated: that does no harm."""
    reason = str(error)
    match error:
        case Throttled(after=after):
            return Retry(reason, after, counts=False, pause=address)
        case TokenInvalid():
            return Retry(reason, MENDING_SECONDS, counts=False, pause=SURFACE)
        case SlackDown(ambiguous=ambiguous):
            return Retry(reason) if ambiguous else Retry(reason, counts=False, pause=SURFACE)
        case Gone():
            return Lost(reason)
        case _:
            return Failed(reason)
