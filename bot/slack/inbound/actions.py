"""What people do with a request beside answering it; each says in a sentence what came of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from bot.domain.errors import AlreadyResolved, NotInAudience, StaleRevision
from bot.domain.messages import phrases
from bot.domain.model.events import UNKNOWN, SeenVersion
from bot.domain.model.request import Surface
from bot.domain.people import quorum

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person
    from bot.slack.inbound.payloads import User

REMEMBERED = 1000


class Deduplicator:
    """Slack may bring the same thing twice; what is not idempotent is done the first time only, in this process."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def first(self, key: str) -> bool:
        """Whether this key is new."""
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


class Actions:
    """Withdraw, escalate, hand on, ask back, reply."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def withdraw(self, user: User, request_id: str, seen: SeenVersion = UNKNOWN) -> str:
        """Take one's answer back: the one to what was shown."""
        refuse_older(await self._approvals.look_to_act(request_id, user.id), seen)
        request = await self._approvals.withdraw(request_id, user.actor)
        return f"You took your answer back. {quorum.judge(request).text}."

    async def escalate(
        self,
        user: User,
        request_id: str,
        reason: str | None,
        seen_level: int | None = None,
        seen: SeenVersion = UNKNOWN,
    ) -> str:
        """Ask the next level, unless it was reached since somebody looked (`seen_level`)."""
        request = await self._approvals.look_to_act(request_id, user.id)
        refuse_older(request, seen)
        refuse_final(request)
        if seen_level is not None and request.level > seen_level:
            raise StaleRevision(request.trail[-1].text)
        request = await self._approvals.escalate(request_id, reason, actor=user.actor)
        return request.trail[-1].text

    async def delegate(
        self, user: User, request_id: str, to: str, reason: str | None, seen: SeenVersion = UNKNOWN
    ) -> str:
        """Hand one request on."""
        refuse_older(await self._approvals.look_to_act(request_id, user.id), seen)
        request = await self._approvals.delegate(request_id, user.actor, to, reason)
        return request.trail[-1].text

    async def ask(self, user: User, request_id: str, text: str, seen: SeenVersion = UNKNOWN) -> str:
        """Ask the requester something."""
        refuse_older(await self._approvals.look_to_act(request_id, user.id), seen)
        request = await self._approvals.ask_back(request_id, user.actor, text)
        who = phrases.requester(request) or "whoever asked"
        told = "is told" if request.requester_addresses else "reads it where they follow the request"
        return f"You asked about “{request.spec.title}”. It stays open; {who} {told}."

    async def reply(self, person: Person, request_id: str, text: str) -> str:
        """Answer what was asked back, as whoever made the request."""
        request = await self._approvals.look_to_act(request_id, person.slack_user_id or "")
        refuse_final(request)
        if not request.requester_keys & person.keys:
            raise NotInAudience("Only whoever asked for this can reply; ask a question with /approvals ask.")
        name = person.name or phrases.requester(request) or "The requester"
        request = await self._approvals.reply(request_id, text, name, Surface.SLACK)
        waiting = ", ".join(phrases.waiting_for(request))
        return f"You replied; {waiting or 'everybody who is asked'} can read it."


def refuse_older(request: Request, seen: SeenVersion) -> None:
    """Raise `StaleRevision` for what was shown of an older revision or another step; the rules know the rest."""
    older = seen.revision is not None and seen.revision != request.revision
    moved_on = seen.step is not None and seen.step != request.step
    if not request.status.final and (older or moved_on):
        newest = (entry.text for entry in request.trail[-1:])
        raise StaleRevision(" ".join(["This has changed since you saw it; nothing was done.", *newest]))


def refuse_final(request: Request) -> None:
    """Raise `AlreadyResolved` where there is nothing left to do."""
    if request.status.final:
        raise AlreadyResolved(phrases.already_resolved(request), request)
