"""Deliveries by Slack: the request as it is now, posted once and then redrawn in place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.telling import Notice
from bot.ports import Failed, Lost, Retry, Sent
from bot.slack import cards
from bot.slack.copies import Copy
from bot.slack.errors import Gone, Later, SlackDown, SlackError, Throttled, TokenInvalid

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
UNCONFIRMED = (1.0, 60.0, 900.0, 3600.0, 14400.0)
"""Seconds until a post that got no answer is made again. It may have arrived, so each time may leave one card more."""
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
        card = await self._card(delivery) if delivery.notice is Notice.REMINDER else None
        if delivery.notice is Notice.NOTIFICATION:
            message = cards.notification(delivery.content or "")
        elif request:
            message = _message(delivery, request, now, has_card=card is not None)
        else:
            return Failed("the request is not there any more")
        if delivery.receipt is None and (wait := self._wait(delivery.address, now)):
            return Retry("one message a second", wait, counts=False, pause=delivery.address)
        try:
            receipt = await self._show(delivery, message, card)
        except SlackError as error:
            return _result(error, delivery)
        return Sent(receipt, request.version if request else 0)

    def _wait(self, address: str, now: datetime) -> float:
        """Seconds until this address may be posted to; 0 takes its turn. A clock that was set back ends the wait."""
        self._free_at = {a: at for a, at in self._free_at.items() if now < at <= now + POST_INTERVAL}
        wait = (self._free_at.setdefault(address, now) - now).total_seconds()
        if not wait:
            self._free_at[address] = now + POST_INTERVAL
        return wait

    async def _show(self, delivery: Delivery, message: Message, card: str | None) -> dict[str, Json]:
        """Update what stands there, or post: to a channel under `card`, so that a reminder disturbs nobody."""
        if receipt := delivery.receipt:
            await self._gateway.update(receipt["channel"], receipt["ts"], message)
            return receipt
        channel = await self._channel(delivery.address)
        return await self._gateway.post(channel, message, thread=None if delivery.respondent else card)

    async def _card(self, delivery: Delivery) -> str | None:
        """The ts of the request's card at the same address, where it stands."""
        request_id = delivery.request_id or ""
        sent = (await self._deliveries([request_id])).get(request_id, ())
        cards = [d for d in sent if (d.notice, d.address) == (Notice.CARD, delivery.address)]
        standing = (d.receipt for d in cards if d.state not in {"failed", "lost"})
        return next((str(receipt["ts"]) for receipt in standing if receipt and "ts" in receipt), None)

    async def _channel(self, address: str) -> str:
        """Where to post for a channel or a user, whose direct messages keep their id for good."""
        if not address.startswith(("U", "W")):
            return address
        if address not in self._direct:
            if len(self._direct) >= MAX_DIRECT:
                self._direct.clear()
            self._direct[address] = await self._gateway.open_dm(address)
        return self._direct[address]


def _message(delivery: Delivery, request: Request, now: datetime, *, has_card: bool) -> Message:
    """What a delivery about a request says."""
    is_channel = delivery.address.startswith(("C", "G"))
    copy = Copy(delivery.respondent, delivery.address if is_channel else None)
    if delivery.notice is Notice.REMINDER:
        return cards.reminder(request, now, copy, has_card=has_card)
    if delivery.notice is Notice.NEWS:
        return cards.news(request, delivery.content or "", copy)
    return cards.card(request, now, copy)


def _result(error: SlackError, delivery: Delivery) -> Result:
    """What an error means for a delivery. A card that stands is tried again: Slack may be mended, the card must be."""
    reason = str(error)
    match error:
        case Throttled(after=after):
            return Retry(reason, after, counts=False, pause=delivery.address)
        case TokenInvalid():
            return Retry(reason, MENDING_SECONDS, counts=False, pause=SURFACE)
        case SlackDown(ambiguous=False):
            return Retry(reason, counts=False, pause=SURFACE)
        case Gone():
            return Lost(reason)
        case _:
            return Retry(reason) if delivery.receipt else _not_posted(error, delivery.attempts)


def _not_posted(error: SlackError, attempts: int) -> Result:
    """A post that may have arrived is repeated, but not for ever: only the last copy is known and redrawn."""
    reason = str(error)
    if isinstance(error, Later):
        return Retry(reason)
    if not isinstance(error, SlackDown):
        return Failed(reason)
    if attempts < len(UNCONFIRMED):
        return Retry(reason, UNCONFIRMED[attempts])
    return Failed(f"it was never confirmed, but may have arrived: {reason}")
