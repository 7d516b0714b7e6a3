"""`/approvals`: see and answer from the keyboard, by the same rules as on a card."""

from __future__ import annotations

import asyncio
import re
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, StaleRevision, Unavailable
from bot.domain.forms import forms
from bot.domain.lifecycle.response_rules import wants_phrase, wants_reason
from bot.domain.model.events import SeenVersion
from bot.domain.model.request import APPROVE, REJECT, SKIP
from bot.domain.model.spec import Kind
from bot.ports.store import Query
from bot.slack.inbound.payloads import Reply, mentioned, plain
from bot.slack.inbound.responses import (
    ON_ITS_WAY,
    PATIENT_SECONDS,
    SubmittedResponse,
    confirmation,
    sentence,
    words,
)
from bot.slack.inbound.stand_ins import StandInCommands
from bot.slack.render import cards
from bot.slack.render.cards import Message
from bot.slack.render.text import section

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.domain.policies.payload_views import Views
    from bot.ports.system import Clock
    from bot.slack.api.client import Gateway
    from bot.slack.inbound.actions import Actions
    from bot.slack.inbound.payloads import Command
    from bot.slack.inbound.responses import Responses
    from bot.slack.outbound.inbox import Inbox

CHECK_SECONDS = 0.9
"""How long a typed answer waits for Slack to say who somebody is whom the request does not name."""
TRY_AGAIN = "Slack is slow just now. Nothing was recorded; try again."
LISTED = 20
"""Requests in one list, the newest."""
HELP = """`/approvals` what waits for you
`/approvals all` what waits for anybody and you may see
`/approvals mine` what you asked for
`/approvals show ID` one request
`/approvals approve ID [reason]`
`/approvals reject ID [reason]`
`/approvals skip ID [reason]`
`/approvals withdraw ID` take your answer back
`/approvals ask ID QUESTION` ask whoever made the request
`/approvals reply ID TEXT` answer what was asked about your request
`/approvals escalate ID [reason]` ask the next level now
`/approvals delegate @user [until DATE]` hand on what waits for you now and, with a date, what comes until then
`/approvals delegate off` be asked yourself again
`/approvals help` this list
`/approvals` lists requests; Details there shows the ID."""
FORMS = MappingProxyType(
    {
        "show": "ID",
        "withdraw": "ID",
        "ask": "ID QUESTION",
        "reply": "ID TEXT",
        "escalate": "ID [reason]",
        APPROVE: "ID",
        REJECT: "ID",
        SKIP: "ID",
    }
)
"""What goes after the words that are about one request."""
DELEGATE_FORM = "Write /approvals delegate @user, or /approvals delegate @user until DATE."
NOBODY = (
    "Say whom: /approvals delegate @user [until DATE]. Pick the name from what Slack offers while you type, "
    "or write an address such as ana@example.com."
)


class Commands:
    """Runs one typed command; the answer is for whoever typed it only."""

    def __init__(
        self,
        approvals: Approvals,
        gateway: Gateway,
        clock: Clock,
        *,
        answering: Responses,
        acting: Actions,
        inbox: Inbox,
    ) -> None:
        self._approvals = approvals
        self._gateway = gateway
        self._answering = answering
        self._acting = acting
        self._away = StandInCommands(approvals, inbox, clock)
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
                "withdraw": self._act,
                "ask": self._act,
                "reply": self._act,
                "escalate": self._act,
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
        given = SubmittedResponse(
            request_id=request_id,
            user=command.user,
            channel_id=command.channel_id,
            decision=decision,
            reason=reason.strip() or None,
            origin="command",
        )
        try:
            request = await self._check(given)
            given = given.model_copy(update={"seen": SeenVersion(request.revision, request.step)})
            recorded = await self._answering.accept(given, PATIENT_SECONDS)
        except AssentError as refusal:
            return _reply(words(sentence(refusal)))
        if recorded is None:
            return _reply(words(ON_ITS_WAY))
        done = words(confirmation(recorded, decision))
        return _reply(done, then=partial(self._answering.refresh_home, given))

    async def _check(self, given: SubmittedResponse) -> Request:
        """The request; raises what can be said before the rules are asked: how to give what is missing."""
        decision = given.decision
        if not given.request_id:
            raise AssentError(_which(decision))
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self._fitting(given)
        except TimeoutError:
            raise Unavailable(TRY_AGAIN) from None

    async def _fitting(self, given: SubmittedResponse) -> Request:
        decision = given.decision
        request = await self._approvals.look_to_act(given.request_id, given.user.id)
        if request.status.final:
            return request
        if await asyncio.to_thread(_needs_card, request, decision, self._approvals.views):
            raise AssentError(f"This has to be answered on its card: /approvals show {request.id}")
        if wants_reason(request.spec, decision) and not given.reason:
            raise AssentError(f"Say why as well: /approvals {decision} {request.id} REASON")
        if decision == APPROVE and not await self._approvals.has_seen(request, given.user.id):
            await self._approvals.check_response(request.id, given.user.actor, given.answer)
            why = "It was changed since you saw it" if request.revision > 1 else "You have not seen it yet"
            raise StaleRevision(f"{why}. Nothing was recorded; look first: /approvals show {request.id}")
        return request

    async def _waiting(self, command: Command, _rest: str) -> Message:
        return await self._inbox.message(command.user_id)

    async def _all(self, command: Command, _rest: str) -> Message:
        return await self._inbox.everything(command.user_id, LISTED)

    async def _mine(self, command: Command, _rest: str) -> Message:
        await self._inbox.insider(command.user_id)
        page = await self._approvals.find(Query(requester=f"slack:{command.user_id}", limit=LISTED))
        return await self._inbox.listing(page.items, "What you asked for")

    async def _show(self, command: Command, request_id: str) -> Message:
        if not request_id:
            raise AssentError(_which("show"))
        request = await self._approvals.look(request_id, command.user_id)
        await self._approvals.showed(request, command.user_id)
        draw = partial(cards.card, request, self._clock.now(), views=self._approvals.views)
        return await asyncio.to_thread(draw)

    async def _help(self, _command: Command, _rest: str) -> Message:
        return Message(HELP, [section(HELP)])

    async def _act(self, command: Command, rest: str) -> Message:
        """What is about one request and no answer."""
        verb = command.text.strip().split()[0].lower()
        request_id, _, text = rest.partition(" ")
        if not request_id or (not text.strip() and verb in {"ask", "reply"}):
            raise AssentError(_which(verb))
        user, text = command.user, text.strip()
        match verb:
            case "withdraw":
                said = await self._acting.withdraw(user, request_id)
            case "ask":
                said = await self._acting.ask(user, request_id, text)
            case "reply":
                person = await self._inbox.insider(user.id)
                said = await self._acting.reply(person, request_id, text)
            case _:
                said = await self._acting.escalate(user, request_id, text or None)
        await self._inbox.refresh_home(user.id)
        return words(said)

    async def _delegate(self, command: Command, rest: str) -> Message:
        """Hand on all that waits; `rest` names a person and perhaps a day, `command.text` has the person's id."""
        if rest.lower() == "off":
            return words(await self._away.back(command.user))
        named = mentioned(command.text)
        if named is None:
            raise AssentError(NOBODY)
        to, more = named
        until = re.fullmatch(r"until\s+(\S.*)", more, re.IGNORECASE)
        if more and not until:
            raise AssentError(f"“{more[:40]}” says nothing here; nothing was handed on. {DELEGATE_FORM}")
        said = await self._away.hand_over(command.user, to, until[1] if until else None)
        await self._inbox.refresh_home(command.user_id)
        return words(said)


def _which(verb: str) -> str:
    return f"Say which request: /approvals {verb} {FORMS[verb]}. /approvals lists what waits, Details has its ID."


def _needs_card(request: Request, decision: str, views: Views) -> bool:
    """Whether a phrase has to be typed, a form filled in, or a choice made."""
    if decision != APPROVE:
        return False
    if wants_phrase(request.spec, decision) or request.spec.kind is not Kind.APPROVAL:
        return True
    return bool(forms.value_faults(request, {})) or cards.is_cut(request, views)


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
