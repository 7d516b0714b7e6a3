"""Recording what people answer in Slack, and telling them what came of it.

Slack wants an acknowledgement within 3 s, and what was acknowledged must not be lost. An answer is therefore
recorded first (https://docs.slack.dev/interactivity/handling-user-interaction). Where asking Slack who the
person is takes too long for that, it goes into the outbox instead, from which any process carries it out.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict

from bot.domain.errors import AssentError, Invalid, StaleRevision, Unavailable
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.messages import phrases
from bot.domain.model.events import UNKNOWN, SeenVersion
from bot.domain.people import quorum
from bot.ports.delivery import Failed, Retry, Sent
from bot.slack.api.errors import Gone, SlackError
from bot.slack.inbound.payloads import CardPosition, User
from bot.slack.render.cards import Message
from bot.slack.render.text import MAX_TEXT, clip, inline, paragraph, rich_text, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.ports.delivery import Delivery, Result
    from bot.slack.api.client import Gateway
    from bot.slack.inbound.payloads import Click
    from bot.slack.outbound.inbox import Inbox
    from bot.slack.render.text import Block

log = structlog.get_logger(__name__)

QUICK_SECONDS = 0.03
"""How long a click's answer may take before it is queued: it is acknowledged within 100 ms."""
PATIENT_SECONDS = 1.5
"""The same for forms and commands, where the acknowledgement itself says what came of it."""
SURFACE = "slack-answer"
"""The outbox's name for accepted answers; `Responses` is its sender."""
ON_ITS_WAY = "Slack is slow just now. Your answer is on its way; you will be told what came of it."
TOO_LATE = "That took too long for Slack. Press the button again."
PATIENCE = timedelta(minutes=10)
"""How long an accepted answer is tried again while Slack cannot be asked who gave it."""


Origin = Literal["card", "home", "list", "form", "command"]
"""Where an answer was given."""
SILENT: frozenset[Origin] = frozenset({"card", "home"})
"""Where nothing is said at once, and what counts shows by itself."""


class SubmittedResponse(BaseModel):
    """One answer as a person gave it."""

    model_config = ConfigDict(frozen=True)

    request_id: str
    seen: SeenVersion = UNKNOWN
    user: User
    channel_id: str | None = None
    decision: str
    reason: str | None = None
    phrase: str | None = None
    values: dict[str, Any] | None = None
    origin: Origin

    @property
    def answer(self) -> ResponseInput:
        """What they said."""
        return ResponseInput(
            decision=self.decision, reason=self.reason, phrase=self.phrase, values=self.values or None
        )

    @property
    def place(self) -> CardPosition:
        """Where to tell them later; a response URL is a secret and is not kept."""
        return CardPosition(user_id=self.user.id, channel_id=self.channel_id)


class Responses:
    """Records answers, now or from the outbox (`ports.Sender`)."""

    def __init__(self, approvals: Approvals, gateway: Gateway, inbox: Inbox) -> None:
        self._approvals = approvals
        self._gateway = gateway
        self._inbox = inbox

    async def accept(self, given: SubmittedResponse, seconds: float) -> Request | None:
        """Record an answer, or within about `seconds` see to it that it will be: then None.

        Raises the refusal in words; then nothing was recorded.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._record(given)
        except TimeoutError:
            await self._approvals.defer(SURFACE, given.user.id, given.model_dump_json())
            return None

    async def send(
        self,
        delivery: Delivery,
        request: Request | None,  # noqa: ARG002  the port's; the answer names its own
        now: datetime,
    ) -> Result:
        """Record an accepted answer and tell the person what they would not see otherwise."""
        given = SubmittedResponse.model_validate_json(delivery.content or "")
        try:
            recorded = await self._record(given)
        except Unavailable as error:
            if now - delivery.created_at < PATIENCE:
                if not delivery.attempts and given.origin in SILENT:
                    await self.tell(given.place, ON_ITS_WAY)
                return Retry(error.detail)
            await self.tell(given.place, error.detail)
            return Failed(error.detail)
        except AssentError as refusal:
            await self.tell(given.place, sentence(refusal))
        else:
            if given.origin not in SILENT:
                await self.tell(given.place, confirmation(recorded, given.decision))
            await self.refresh_home(given)
        return Sent(receipt={}, version=0)

    async def refresh_home(self, given: SubmittedResponse) -> None:
        """Let the person's Home tab follow what they did."""
        if given.origin == "home":
            await self._inbox.open_home(given.user.id)
        else:
            await self._inbox.refresh_home(given.user.id)

    async def _record(self, given: SubmittedResponse) -> Request:
        try:
            return await self._approvals.respond(given.request_id, given.user.actor, given.answer, given.seen)
        except StaleRevision as error:
            newest = (await self._approvals.get(given.request_id)).trail[-1:]
            raise StaleRevision(" ".join([error.detail, *(entry.text for entry in newest)])) from None

    async def open(self, click: Click, view: Block, otherwise: str = TOO_LATE) -> None:
        """Open a modal for a click; where Slack no longer takes it, say `otherwise`."""
        try:
            await self._gateway.open_view(click.trigger_id, view)
        except Gone as error:
            if error.code != "exchanged_trigger_id":  # else the same click came twice, and it is open
                await self.tell(click.place, otherwise)

    async def tell(self, place: CardPosition, text: str) -> None:
        """Say something to this person only: where they are, else directly, else by the response URL."""
        message = words(text)
        ways: list[Callable[[], Awaitable[object]]] = [partial(self._gateway.post, place.user_id, message)]
        if place.channel_id:
            ways.insert(0, partial(self._gateway.ephemeral, place.channel_id, place.user_id, message))
        if place.response_url:
            ways.append(partial(self._gateway.respond, place.response_url, message))
        for way in ways:
            try:
                await way()
            except SlackError as error:
                log.info("not told this way", action="slack.tell", user=place.user_id, error=str(error))
            else:
                return
        log.warning("somebody could not be told", action="slack.untold", user=place.user_id)


def words(text: str) -> Message:
    """A message of nothing but `text`, literally."""
    return Message(inline(text, MAX_TEXT), [rich_text(paragraph(*run(clip(text, MAX_TEXT))))])


def sentence(refusal: AssentError) -> str:
    """A refusal for a person; what is wrong with an answer, without pointers into it."""
    if isinstance(refusal, Invalid):
        faults = "; ".join(fault.detail for fault in refusal.faults)
        return f"{faults[:1].upper()}{faults[1:]}."
    return refusal.detail


def confirmation(request: Request, decision: str) -> str:
    """What a person reads where no card shows that their answer counts."""
    standing = phrases.outcome(request) if request.status.final else quorum.judge(request).text
    return f"You {phrases.did(decision, request, f'“{request.spec.title}”')}. {standing}."
