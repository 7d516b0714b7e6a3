"""What people write under our messages to them goes to the other side: a reply by whoever asked, else a question.

https://docs.slack.dev/reference/events/message.im
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, NotFound
from bot.ports.store import MAX_PAGE, Query
from bot.slack.inbound.actions import Deduplicator
from bot.slack.inbound.payloads import Reply, User, plain
from bot.slack.inbound.responses import sentence, words

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person
    from bot.slack.api.client import Gateway
    from bot.slack.inbound.actions import Actions
    from bot.slack.inbound.payloads import DirectMessage
    from bot.slack.outbound.inbox import Inbox

HINT = (
    "Write in the thread under a request's message to ask or to reply about it; here nobody reads it. "
    "/approvals help says what else there is."
)


class Threads:
    """Listens to the direct messages with us."""

    def __init__(self, approvals: Approvals, gateway: Gateway, acting: Actions, inbox: Inbox) -> None:
        self._approvals = approvals
        self._gateway = gateway
        self._acting = acting
        self._inbox = inbox
        self._once = Deduplicator()

    async def said(self, event: DirectMessage) -> Reply:
        """Bring it to the other side; what came of that stands in the thread."""
        ours = event.bot_id or event.subtype or not event.user
        if ours or not event.channel.startswith("D") or not self._once.first(f"{event.channel}:{event.ts}"):
            return Reply()
        try:
            said = await self._brought(event) if event.thread_ts else HINT
        except AssentError as refusal:
            said = sentence(refusal)
        return Reply(then=partial(self._answer, event, said))

    async def _answer(self, event: DirectMessage, said: str) -> None:
        await self._gateway.post(event.channel, words(said), thread=event.thread_ts)

    async def _brought(self, event: DirectMessage) -> str:
        person, text = await self._inbox.insider(event.user), plain(event.text)
        request = await self._request(person, event)
        if request is None or not await self._may_see(request.id, event.user):
            return HINT
        if request.requester_keys & person.keys:
            return await self._acting.reply(person, request.id, text)
        return await self._acting.ask(User(id=event.user, name=person.name), request.id, text)

    async def _may_see(self, request_id: str, user_id: str) -> bool:
        """Asked of everything: a message stays in its place also when whoever reads it is involved no more."""
        try:
            await self._approvals.look(request_id, user_id)
        except NotFound:
            return False
        return True

    async def _request(self, person: Person, event: DirectMessage) -> Request | None:
        """The request whose message stands there, of those this person asked for or was asked."""
        stands = {"channel": event.channel, "ts": event.thread_ts}
        mine = Query(requester=f"slack:{event.user}", limit=MAX_PAGE)
        asked = Query(respondents=tuple(sorted(person.keys)), limit=MAX_PAGE)
        for query in (mine, asked):
            page = await self._approvals.find(query)
            deliveries = await self._approvals.deliveries([request.id for request in page.items])
            for request in page.items:
                if any((d.receipt or {}).items() >= stands.items() for d in deliveries[request.id]):
                    return request
        return None
