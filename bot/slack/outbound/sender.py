"""Deliveries by Slack: the request as it is now, posted once and then redrawn in place."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.approvals.offload import aside
from bot.domain.messages.notifications import Notice
from bot.domain.policies.payload_views import NO_VIEWS
from bot.ports.delivery import Failed, Lost, Retry, Sent
from bot.slack.api.errors import Gone, Later, SlackDown, SlackError, Throttled, TokenInvalid, Unreadable
from bot.slack.render import cards
from bot.slack.render.card_copies import Copy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.model.request import Json, Request
    from bot.domain.policies.payload_views import Views
    from bot.ports.delivery import Delivery, Result
    from bot.ports.store import DeliveryState
    from bot.slack.api.client import Gateway
    from bot.slack.render.cards import Message

    Deliveries = Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[DeliveryState]]]]

POST_INTERVAL = timedelta(seconds=1)
"""One message a second and channel: https://docs.slack.dev/apis/web-api/rate-limits."""
MENDING_SECONDS = 300.0
"""How long Slack is left alone where only the operator can mend it."""
BLIND = (1.0, 5.0, 60.0, 900.0, 3600.0)
"""Seconds until a post that got no answer is made again where nobody can look whether it arrived: a channel whose
history the app may not read. Each time may leave one card more, all of which work.
"""
LOOK_AGAIN = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each further post at once, where the one before got no answer and did not arrive."""
PATIENCE_SECONDS = 4.0
"""After this no further post is begun at once: a sending is cut off soon after."""
SKEW = timedelta(hours=1)
"""How far our clock and Slack's may be apart where history is looked through."""
MAX_DIRECT = 10_000
"""People whose direct messages are remembered."""
SURFACE = "slack"


class SlackSender:
    """Posts a card where there is none yet, else updates the one that stands there (`ports.Sender`).

    `deliveries` gives what was sent for requests, by their ids.
    """

    def __init__(self, gateway: Gateway, deliveries: Deliveries, views: Views = NO_VIEWS) -> None:
        self._gateway = gateway
        self._views = views
        self._deliveries = deliveries
        self._direct: dict[str, str] = {}
        self._free_at: dict[str, datetime] = {}

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        """Show `request` as it is at `now`, or say what there is to say about it."""
        card = await self._card(delivery) if delivery.notice is Notice.REMINDER else None
        if delivery.notice is Notice.NOTIFICATION:
            message = await aside(lambda: cards.notification(delivery.content or ""), delivery.content)
        elif request:
            draw = partial(_message, delivery, request, now, self._views, has_card=card is not None)
            message = await aside(draw, request.spec.payload, request.spec.message, request.values)
        else:
            return Failed("the request is not there any more")
        if delivery.receipt is None and (wait := self._wait(delivery.address, now)):
            return Retry("one message a second", wait, counts=False, pause=delivery.address)
        try:
            receipt = await self._show(delivery, message, card)
        except Unconfirmed as error:
            return error.result
        except SlackError as error:
            if error.code == "channel_not_found":
                self._direct.pop(delivery.address, None)
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
            await self._redraw(receipt, message)
            return receipt
        channel = await self._channel(delivery.address)
        place = Place(channel, mark(delivery), delivery.created_at, None if delivery.respondent else card)
        if delivery.unconfirmed and (stands := await self._standing(place, delivery)):
            if delivery.notice is Notice.CARD:  # it was drawn for an earlier state
                await self._redraw(stands, message)
            return stands
        return await self._post(place, message, delivery)

    async def _redraw(self, receipt: dict[str, Json], message: Message) -> None:
        """Change what stands there; that does no harm twice, so a lost answer is followed by another try at once."""
        began = time.monotonic()
        for pause in LOOK_AGAIN:
            try:
                return await self._gateway.update(receipt["channel"], receipt["ts"], message)
            except SlackDown as error:
                if error.answered or not error.ambiguous or time.monotonic() - began > PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(pause)
        return await self._gateway.update(receipt["channel"], receipt["ts"], message)

    async def _post(self, place: Place, message: Message, delivery: Delivery) -> dict[str, Json]:
        """Post once: where an answer gets lost, look whether it arrived, and post again at once if not."""
        began = time.monotonic()
        for pause in LOOK_AGAIN:
            try:
                return await self._gateway.post(place.channel, message, thread=place.thread, mark=place.mark)
            except SlackDown as error:
                if not error.ambiguous:
                    raise
                lost = error
            if stands := await self._standing(place, delivery, lost):
                return stands
            if time.monotonic() - began > PATIENCE_SECONDS:
                break
            await asyncio.sleep(pause)
        raise Unconfirmed(_unconfirmed(lost))

    async def _standing(
        self, place: Place, delivery: Delivery, lost: SlackDown | None = None
    ) -> dict[str, Json] | None:
        """Where what may have arrived stands, once; None where it did not. What stands twice is taken away again.

        Where nobody may look, raises `Unconfirmed` for a post whose answer was `lost` just now.
        """
        try:
            found = await self._gateway.marked(
                place.channel, place.mark, since=place.since - SKEW, thread=place.thread
            )
        except Unreadable:
            if lost:
                raise Unconfirmed(_blind(lost, delivery.attempts)) from None
            return None
        except Throttled as error:
            pause = Retry(str(error), error.after, counts=False, pause=delivery.address, unconfirmed=True)
            raise Unconfirmed(pause) from None
        except (SlackDown, Later) as error:
            raise Unconfirmed(_unconfirmed(error)) from None
        for copy in found[1:]:
            with contextlib.suppress(SlackError):
                await self._gateway.delete(place.channel, copy)
        return {"channel": place.channel, "ts": found[0]} if found else None

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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes, and how it is found there again: by its mark, not further back than `since`."""

    channel: str
    mark: str
    since: datetime
    thread: str | None


class Unconfirmed(Exception):
    """A message may have arrived; `result` says when to look again."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result


def mark(delivery: Delivery) -> str:
    """What a message is found by: its delivery, and whether it took the place of another that still stands."""
    return f"{delivery.id}.{delivery.reposted}" if delivery.reposted else delivery.id


def _message(delivery: Delivery, request: Request, now: datetime, views: Views, *, has_card: bool) -> Message:
    """What a delivery about a request says."""
    is_channel = delivery.address.startswith(("C", "G"))
    copy = Copy(delivery.respondent, delivery.address if is_channel else None)
    if delivery.notice is Notice.REMINDER:
        return cards.reminder(request, now, copy, has_card=has_card)
    if delivery.notice is Notice.NEWS:
        return cards.news(request, delivery.content or "", copy)
    return cards.card(request, now, copy, views)


def _result(error: SlackError, delivery: Delivery) -> Result:
    """What an error means for a delivery. A card that stands is tried again: Slack may be mended, the card must be."""
    reason, unsure = str(error), delivery.unconfirmed
    match error:
        case Throttled(after=after):
            return Retry(reason, after, counts=False, pause=delivery.address, unconfirmed=unsure)
        case TokenInvalid():
            return Retry(reason, MENDING_SECONDS, counts=False, pause=SURFACE, unconfirmed=unsure)
        case SlackDown():
            return _unconfirmed(error) if unsure else _down(error)
        case Later():
            return Retry(reason, unconfirmed=unsure)
        case _:
            return _refused(error, delivery)


def _refused(error: SlackError, delivery: Delivery) -> Result:
    """What Slack does not do: a message that can be changed no more is replaced, direct messages are opened anew."""
    direct_is_gone = error.code == "channel_not_found" and delivery.receipt and delivery.respondent
    if isinstance(error, Gone) or direct_is_gone:
        return Lost(str(error))
    return Retry(str(error)) if delivery.receipt else Failed(str(error))


def _down(error: SlackDown) -> Retry:
    """Where nothing answers or all calls fail, the surface rests for a while."""
    if error.ambiguous and not error.answered:
        return Retry(str(error))
    return Retry(str(error), counts=False, pause=SURFACE)


def _unconfirmed(error: SlackError) -> Retry:
    """What may have arrived is looked for once Slack answers again."""
    again = _down(error) if isinstance(error, SlackDown) else Retry(str(error))
    return replace(again, unconfirmed=True)


def _blind(error: SlackDown, attempts: int) -> Result:
    """A post that may have arrived is repeated, but not for ever: only the last copy is known and redrawn."""
    if error.answered:  # a 5xx: most likely it did not arrive
        return _unconfirmed(error)
    if attempts < len(BLIND):
        return Retry(str(error), BLIND[attempts], unconfirmed=True)
    return Failed(f"it was never confirmed, but may have arrived: {error}")
