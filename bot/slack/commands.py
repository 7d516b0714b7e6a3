"""`/approvals`: see and answer from the keyboard, by the same rules as on a card."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.answers import wants_phrase, wants_reason
from bot.domain.errors import AssentError
from bot.domain.request import APPROVE, REJECT, SKIP, Kind, Status
from bot.ports import Query
from bot.slack import cards
from bot.slack.answering import ON_ITS_WAY, PATIENT_SECONDS, Given, confirmation, sentence, words
from bot.slack.cards import Message
from bot.slack.payloads import Reply, plain
from bot.slack.text import section

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.approvals import Approvals
    from bot.domain.request import Request
    from bot.ports import Clock
    from bot.slack.answering import Answering
    from bot.slack.gateway import Gateway
    from bot.slack.inbox import Inbox
    from bot.slack.payloads import Command

LISTED = 20
"""Requests in one list, the newest."""
HELP = """`/approvals` what waits for you
`/approvals all` everything that waits for somebody
`/approvals mine` what you asked for
`/approvals show ID` one request
`/approvals approve ID [reason]`
`/approvals reject ID [reason]`
`/approvals skip ID [reason]`
`/approvals help` this list"""


class Commands:
    """Runs one typed command; the answer is for whoever typed it only."""

    def __init__(
        self, approvals: Approvals, gateway: Gateway, answering: Answering, inbox: Inbox, clock: Clock
    ) -> None:
        self._approvals = approvals
        self._gateway = gateway
        self._answering = answering
        self._inbox = inbox
        self._clock = clock
        self._looks: Mapping[str, Callable[[Command, str], Awaitable[Message]]] = MappingProxyType(
            {
                "": self._waiting,
                "all": self._all,
                "mine": self._mine,
                "show": self._show,
                "help": self._help,
                "delegate": self._delegate,
            }
        )

    async def run(self, command: Command) -> Reply:
        """Answer a command, at once or later by its response URL."""
        word, _, rest = plain(command.text).strip().partition(" ")
        verb, rest = word.lower(), rest.strip()
        if verb in {APPROVE, REJECT, SKIP}:
            return await self._answer(command, verb, rest)
        look = self._looks.get(verb)
        if look is None:
            return _reply(_unknown(word, [*filter(None, self._looks), APPROVE, REJECT, SKIP]))
        task = asyncio.ensure_future(_in_words(look(command, rest)))
        await asyncio.wait({task}, timeout=PATIENT_SECONDS)
        return _reply(task.result()) if task.done() else Reply(then=partial(self._later, command, task))

    async def _later(self, command: Command, message: Awaitable[Message]) -> None:
        if command.response_url:
            await self._gateway.respond(command.response_url, await message)
        else:
            await self._gateway.post(command.user_id, await message)

    async def _answer(self, command: Command, decision: str, rest: str) -> Reply:
        request_id, _, reason = rest.partition(" ")
        given = Given(
            request_id=request_id,
            user_id=command.user_id,
            user_name=command.user_name,
            channel_id=command.channel_id,
            decision=decision,
            reason=reason.strip() or None,
            origin="command",
        )
        try:
            await self._check(given)
            recorded = await self._answering.accept(given, PATIENT_SECONDS)
        except AssentError as refusal:
            return _reply(words(sentence(refusal)))
        if recorded is None:
            return _reply(words(ON_ITS_WAY))
        done = words(confirmation(recorded, decision))
        return _reply(done, then=partial(self._answering.refresh_home, given))

    async def _check(self, given: Given) -> None:
        """Raise what can be said before the rules are asked: how to give what is missing."""
        decision = given.decision
        if not given.request_id:
            raise AssentError(
                f"Say which request: /approvals {decision} ID. /approvals lists what waits for you."
            )
        request = await self._approvals.get(given.request_id)
        if request.status.final:
            return
        if _needs_card(request, decision):
            raise AssentError(f"This has to be answered on its card: /approvals show {request.id}")
        if wants_reason(request.spec, decision) and not given.reason:
            raise AssentError(f"Say why as well: /approvals {decision} {request.id} REASON")

    async def _waiting(self, command: Command, _rest: str) -> Message:
        return await self._inbox.message(command.user_id)

    async def _all(self, command: Command, _rest: str) -> Message:
        await self._inbox.insider(command.user_id)
        page = await self._approvals.find(Query(status=Status.PENDING, limit=LISTED))
        return self._inbox.listing(page.items, "Waiting for somebody")

    async def _mine(self, command: Command, _rest: str) -> Message:
        await self._inbox.insider(command.user_id)
        page = await self._approvals.find(Query(requester=f"slack:{command.user_id}", limit=LISTED))
        return self._inbox.listing(page.items, "What you asked for")

    async def _show(self, command: Command, request_id: str) -> Message:
        if not request_id:
            raise AssentError("Say which request: /approvals show ID.")
        await self._inbox.insider(command.user_id)
        return cards.card(await self._approvals.get(request_id), self._clock.now())

    async def _help(self, _command: Command, _rest: str) -> Message:
        return Message(HELP, [section(HELP)])

    async def _delegate(self, _command: Command, _rest: str) -> Message:
        return words("This version cannot hand requests on yet, so nothing was changed.")


def _needs_card(request: Request, decision: str) -> bool:
    """Whether a phrase has to be typed, a form filled in, or a choice made."""
    if decision != APPROVE:
        return False
    return wants_phrase(request.spec, decision) or request.spec.kind is not Kind.APPROVAL


def _unknown(word: str, known: list[str]) -> Message:
    close = get_close_matches(word.lower(), known, n=1)
    hint = f"There is no “{word[:40]}”" + (f"; did you mean “{close[0]}”?" if close else ".")
    return Message(hint, [*words(hint).blocks, section(HELP)])


async def _in_words(message: Awaitable[Message]) -> Message:
    try:
        return await message
    except AssentError as refusal:
        return words(sentence(refusal))


def _reply(message: Message, then: Callable[[], Awaitable[None]] | None = None) -> Reply:
    body = {"response_type": "ephemeral", "text": message.text, "blocks": message.blocks}
    return Reply(body=body, then=then)
