"""Deliveries by Slack: the request as it is now, posted once and then redrawn in place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.telling import Notice
from bot.ports import Failed, Lost, Retry, Sent
from bot.slack import cards
from bot.slack.errors import Gone, SlackDown, SlackError, Throttled, TokenInvalid

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.request import Json, Request
    from bot.ports import Delivery, Result
    from bot.slack.cards import Message
    from bot.slack.gateway import Gateway

POST_INTERVAL = timedelta(seconds=1)
"""One message a second and channel: https://docs.slack.dev/apis/web-api/rate-limits."""
MENDING_SECONDS = 300.0
"""How long Slack is left alone where only the operator can mend it."""
MAX_DIRECT = 10_000
"""People whose direct messages are remembered."""
SURFACE = "slack"


class SlackSender:
    """Posts a card where there is none yet, else updates the one that stands there (`ports.Sender`)."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._direct: dict[str, str] = {}
        self._free_at: dict[str, datetime] = {}

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        """Show `request` as it is at `now`, or a notification's message."""
        if delivery.notice is Notice.NOTIFICATION:
            message = cards.notification(delivery.content or "")
        elif request:
            message = cards.card(request, now)
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
        return await self._gateway.post(await self._channel(delivery.address), message)

    async def _channel(self, address: str) -> str:
        """Where to post for a channel or a user, whose direct messages keep their id for good."""
        if not address.startswith(("U", "W")):
            return address
        if address not in self._direct:
            if len(self._direct) >= MAX_DIRECT:
                self._direct.clear()
            self._direct[address] = await self._gateway.open_dm(address)
        return self._direct[address]


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
