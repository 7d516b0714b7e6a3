"""Deliveries that are mails: composed from the request as it is now, handed to the relay."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.messages.notifications import Notice, obsolete
from bot.email.addresses import AddressError
from bot.email.mailer import Accepted, Busy, Deferred, Interrupted, Refused, RelayDown
from bot.ports.delivery import Failed, Retry, Sent, Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.model.request import Request
    from bot.email.mailer import Mailer, SendResult
    from bot.email.message import Composed, Composer
    from bot.email.message import Notice as MailName
    from bot.links import Links
    from bot.ports.delivery import Delivery, Result

    Requests = Callable[[Sequence[str]], Awaitable[Mapping[str, Request]]]


FRESH_SECONDS = 1.0
"""How long a request is taken for what was read; who has waited longer for a turn looks again."""


class EmailSender:
    """`ports.Sender` for mails. A repeated sending has the same Message-ID, so that mailboxes know it again.

    `requests` gives requests as they are at that moment, by their ids.
    """

    def __init__(self, mailer: Mailer, composer: Composer, links: Links, requests: Requests) -> None:
        self._mailer = mailer
        self._composer = composer
        self._links = links
        self._requests = requests

    async def send(self, delivery: Delivery, request: Request | None, _now: datetime) -> Result:
        """Wait for a turn at the relay, then send what there is to say by then, if there still is."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            mail = await self._composed(delivery, request)  # before the turn, which others wait for
            async with self._mailer.turn() as deliver:
                if request and now() - began > FRESH_SECONDS:
                    request = (await self._requests([request.id])).get(request.id)
                    if why := obsolete(delivery.notice, delivery.respondent, request):
                        return Superseded(why)
                    mail = await self._composed(delivery, request)
                return _result(await deliver(mail), mail, request, delivery.surface)
        except AddressError as error:
            return Failed(str(error))
        except Busy as error:
            return Retry(str(error), counts=False, pause=delivery.surface)

    async def _composed(self, delivery: Delivery, request: Request | None) -> Composed:
        """The mail, composed in a thread: what is long takes tens of milliseconds, and nobody else should wait."""
        return await asyncio.to_thread(self._compose, delivery, request)

    def _compose(self, delivery: Delivery, request: Request | None) -> Composed:
        to, at = delivery.address, delivery.created_at
        if delivery.notice is Notice.NOTIFICATION:
            return self._composer.notification(delivery.content or "", to=to, delivery_id=delivery.id, at=at)
        name = _MAILS.get(delivery.notice)
        respondent = request.respondent(delivery.respondent or "") if request else None
        to_requester = delivery.notice is Notice.NEWS and delivery.respondent is None
        if request is None or name is None or not (respondent or to_requester):
            raise AddressError("nobody is known at this address any more")
        link = self._links.url(respondent.id, respondent.generation) if respondent else None
        news = delivery.content or ""
        return self._composer.about(
            name, request, respondent, to=to, link=link, delivery_id=delivery.id, at=at, news=news
        )


_MAILS: Mapping[Notice, MailName] = MappingProxyType(
    {
        Notice.ASK: "ask",
        Notice.REMINDER: "reminder",
        Notice.NEWS: "news",
        Notice.RECEIPT: "receipt",
        Notice.OUTCOME: "outcome",
    }
)


def _result(sent: SendResult, mail: Composed, request: Request | None, surface: str) -> Result:
    match sent:
        case Accepted():
            return Sent({"message_id": mail.message_id}, request.version if request else 0)
        case Refused(code, why):
            return Failed(f"the mail relay refused it ({code} {why})")
        case Deferred(code, why):
            return Retry(f"the mail relay asks to try again later ({code} {why})")
        case RelayDown(why):
            return Retry(why, counts=False, pause=surface)
        case Interrupted(why):
            return Retry(why)
