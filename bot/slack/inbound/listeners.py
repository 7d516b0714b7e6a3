"""What happens when somebody clicks, submits a form, types `/approvals` or opens the Home tab.

Each listener has two phases. Before the acknowledgement: whatever must not be lost, in well under Slack's 3
s. Then: whatever may take longer. No exception leaves either; whoever acted is told what went wrong.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import ValidationError
from slack_bolt.response import BoltResponse

from bot.domain.access.visibility import is_involved
from bot.domain.errors import AssentError, Invalid, Unavailable
from bot.domain.lifecycle.response_rules import ResponseInput, decisions
from bot.domain.model.request import REJECT, SKIP
from bot.slack.api.errors import SlackError
from bot.slack.inbound.actions import Deduplicator, refuse_final, refuse_older
from bot.slack.inbound.payloads import (
    Click,
    Command,
    DirectMessage,
    HomeOpened,
    Interaction,
    Reply,
    Submission,
)
from bot.slack.inbound.responses import QUICK_SECONDS, SubmittedResponse, confirmation, sentence
from bot.slack.render import cards, details_modal, home, modals
from bot.slack.render.buttons import DETAILS, EDIT, UNDO
from bot.slack.render.home import APPROVE_SELECTED, REJECT_SELECTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncAck, AsyncApp

    from bot.approvals import Approvals
    from bot.domain.model.events import SeenVersion
    from bot.domain.model.request import Request
    from bot.ports.system import Clock
    from bot.slack.api.client import Gateway
    from bot.slack.inbound.actions import Actions
    from bot.slack.inbound.bulk_responses import BulkResponder
    from bot.slack.inbound.commands import Commands
    from bot.slack.inbound.modal_submissions import Submissions
    from bot.slack.inbound.responses import Origin, Responses
    from bot.slack.inbound.thread_replies import Threads
    from bot.slack.outbound.inbox import Inbox

log = structlog.get_logger(__name__)

COMMAND = "/approvals"
ACK_SECONDS = 2.5
"""When a listener acknowledges anyway, and says that it failed; Slack waits 3 s."""
REHEARSAL_SECONDS = 1.0
"""How long a form waits for Slack to say whether the answer would count; a trigger lives for 3 s."""

I = TypeVar("I", bound=Interaction)  # noqa: E741  a type, never beside a 1


class Listeners:
    """Bolt's listeners. Several may run for the same person at once, in any replica."""

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
        self._clock = clock
        self._answering = answering
        self._acting = acting
        self._inbox = inbox
        self._once = Deduplicator()
        self._running: set[asyncio.Task[None]] = set()

    def attach(
        self,
        app: AsyncApp,
        commands: Commands,
        submissions: Submissions,
        many: BulkResponder,
        threads: Threads,
    ) -> None:
        """Register with Bolt."""
        app.action(re.compile(r"assent\.(approve|reject|skip|choose(\..+)?)$"))(
            self._listener(Click, self._clicked)
        )
        app.action(re.compile(r"assent\.review\.(approve|edit)$"))(self._listener(Click, self._review))
        app.action(DETAILS)(self._listener(Click, self._details))
        app.action(re.compile(r"assent\.(edit|escalate|undo|more)$"))(self._listener(Click, self._other))
        app.action(APPROVE_SELECTED)(self._listener(Click, many.approve))
        app.action(REJECT_SELECTED)(self._listener(Click, many.reject))
        for callback_id, work in submissions.forms.items():
            app.view(callback_id)(self._listener(Submission, work))
        app.command(COMMAND)(self._listener(Command, commands.run))
        app.event("app_home_opened")(self._listener(HomeOpened, self._home_opened))
        app.event("message")(self._listener(DirectMessage, threads.said))

    async def drain(self, seconds: float) -> None:
        """Wait for what was acknowledged and is still being done."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def _listener(
        self, shape: type[I], work: Callable[[I], Awaitable[Reply]]
    ) -> Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]:
        async def listener(ack: AsyncAck, body: dict[str, Any]) -> None:
            self._track(asyncio.current_task())
            try:
                interaction = shape.model_validate(body.get("event", body))
            except ValidationError as error:
                log.info("a malformed payload", action="slack.malformed", faults=_faults(error))
                ack.response = BoltResponse(status=400)
                return
            reply = await self._before(interaction, work)
            await ack(reply.body or "")
            try:
                await self._after(interaction, reply)
            except Exception:
                log.exception("somebody could not be told of a failure", action="slack.error")

        return listener

    async def _before(self, interaction: I, work: Callable[[I], Awaitable[Reply]]) -> Reply:
        try:
            async with asyncio.timeout(ACK_SECONDS):
                return await work(interaction)
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            return Reply(then=partial(self._answering.tell, interaction.place, _explain(error)))

    async def _after(self, interaction: Interaction, reply: Reply) -> None:
        try:
            if reply.then:
                await reply.then()
        except Exception as error:  # noqa: BLE001  likewise
            await self._answering.tell(interaction.place, _explain(error))

    def _track(self, task: asyncio.Task[Any] | None) -> None:
        if task:
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _clicked(self, click: Click) -> Reply:
        request_id, seen, decision = click.actions[0].answer()
        request = await self._approvals.get(request_id)
        given = _given(click, request_id, seen, decision)
        self._adopt_soon(click, request)
        if await asyncio.to_thread(self._takes_a_form, request, decision, given.origin):
            return Reply(then=partial(self._ask, click, request, given))
        recorded = await self._answering.accept(given, QUICK_SECONDS)
        return Reply(then=partial(self._recorded, click, given, recorded) if recorded else None)

    def _takes_a_form(self, request: Request, decision: str, origin: Origin) -> bool:
        """Whether a click is not yet the answer."""
        return modals.needs_modal(request, decision) or self._is_unseen(request, decision, origin)

    def _is_unseen(self, request: Request, decision: str, origin: Origin) -> bool:
        """Whether a yes with one click would be to more than what stands where it was clicked."""
        if decision in {REJECT, SKIP} or request.status.final:
            return False
        views = self._approvals.views
        return cards.is_cut(request, views) or (origin == "home" and home.is_short(request, views))

    async def _review(self, click: Click) -> Reply:
        """All of what is asked, with the form at its end."""
        request_id, seen, what = click.actions[0].answer()
        request = await self._approvals.get(request_id)
        self._adopt_soon(click, request)
        given = _given(click, request_id, seen, what.removeprefix("review."))
        return Reply(then=partial(self._ask, click, request, given))

    async def _other(self, click: Click) -> Reply:
        """Edit, escalate, undo, or what was picked in the menu."""
        request_id, seen, what = click.actions[0].answer()
        request = await self._approvals.get(request_id)
        self._adopt_soon(click, request)
        if what == UNDO:
            if click.trigger_id and not self._once.first(click.trigger_id):
                return Reply()
            said = await self._acting.withdraw(click.user, request_id, seen)
            return Reply(then=partial(self._say_where_no_card_shows_it, click, said))
        if what in modals.ACTS:
            return Reply(then=partial(self._open_act, click, request_id, seen, what))
        return Reply(then=partial(self._ask, click, request, _given(click, request_id, seen, EDIT)))

    async def _open_act(self, click: Click, request_id: str, seen: SeenVersion, what: str) -> None:
        request = await self._approvals.look_to_act(request_id, click.user.id)
        refuse_final(request)
        refuse_older(request, seen)
        await self._answering.open(click, modals.act_modal(request, what))

    def _adopt_soon(self, click: Click, request: Request) -> None:
        if _origin(click) == "card":
            self._track(asyncio.create_task(self._adopt(click, request)))

    async def _adopt(self, click: Click, request: Request) -> None:
        """Whatever comes of the click, its card is redrawn, even where its posting was never confirmed."""
        channel, ts = click.container.channel_id, click.container.message_ts
        if channel and ts:
            owner = request.respondent(f"slack:{click.user.id}") if channel.startswith("D") else None
            try:
                await self._approvals.adopt(request.id, channel, ts, owner.id if owner else None)
            except AssentError as error:
                log.warning(
                    "a card was not adopted", action="slack.adopt", request=request.id, error=str(error)
                )

    async def _ask(self, click: Click, request: Request, given: SubmittedResponse) -> None:
        """Open the form, unless it is clear already that the answer would be refused."""
        answer = (
            given.answer if given.decision != EDIT else ResponseInput(decision=decisions(request.spec)[0])
        )
        try:
            async with asyncio.timeout(REHEARSAL_SECONDS):
                await self._approvals.check_response(request.id, given.user.actor, answer, given.seen)
        except Invalid:
            pass  # the form asks for what is missing
        except (Unavailable, TimeoutError):
            if not _is_known_here(request, click):
                raise Unavailable("Slack is slow just now. Nothing was recorded; try again.") from None
            # whoever it is will be checked when the form is submitted
        draw = partial(modals.answer_modal, request, given.decision, views=self._approvals.views)
        await self._answering.open(click, await asyncio.to_thread(draw))

    async def _say_where_no_card_shows_it(self, click: Click, said: str) -> None:
        if _origin(click) != "card":
            await self._answering.tell(click.place, said)
        await self._inbox.refresh_home(click.user.id)

    async def _recorded(self, click: Click, given: SubmittedResponse, recorded: Request) -> None:
        if given.origin == "list" and click.response_url:
            heading = confirmation(recorded, given.decision)
            message = await self._inbox.message(given.user.id, heading)
            await self._gateway.respond(click.response_url, message, replace=True)
        await self._answering.refresh_home(given)

    async def _details(self, click: Click) -> Reply:
        return Reply(then=partial(self._show_details, click))

    async def _show_details(self, click: Click) -> None:
        request_id, _, _ = click.actions[0].answer()
        request = await self._approvals.look(request_id, click.user.id, click.user.team_id)
        deliveries = await self._approvals.deliveries([request_id])
        everything = await asyncio.to_thread(
            details_modal.details_modal,
            request,
            self._clock.now(),
            deliveries.get(request_id, ()),
            self._approvals.views,
        )
        await self._answering.open(click, everything)
        await self._approvals.showed(request, click.user.id)

    async def _home_opened(self, opened: HomeOpened) -> Reply:
        return Reply(then=partial(self._inbox.open_home, opened.user) if opened.tab == "home" else None)


def _given(click: Click, request_id: str, seen: SeenVersion, decision: str) -> SubmittedResponse:
    return SubmittedResponse(
        request_id=request_id,
        seen=seen,
        user=click.user,
        channel_id=click.container.channel_id,
        decision=decision,
        origin=_origin(click),
    )


def _is_known_here(request: Request, click: Click) -> bool:
    """Whether the request names them, or the click came from a channel that is asked: they see its card anyway."""
    asked = f"slack:{click.container.channel_id}" in request.channels
    return asked or is_involved(request, frozenset({f"slack:{click.user.id}"}))


def _origin(click: Click) -> Origin:
    if click.container.is_ephemeral:
        return "list"
    return "card" if click.container.message_ts else "home"


def _faults(error: ValidationError) -> str:
    """Where a payload does not fit, without what stands there."""
    return "; ".join(".".join(map(str, fault["loc"])) for fault in error.errors())


def _explain(error: Exception) -> str:
    """What a person is told about a failure; all of it is in the log under the reference."""
    if isinstance(error, AssentError):
        return sentence(error)
    if isinstance(error, SlackError):
        return f"That did not work: {error}. Try again."
    if isinstance(error, TimeoutError):
        return "Slack is slow just now, and it is not certain that this was done. Look at the card, then try again."
    code = secrets.token_hex(4)
    log.error("a Slack listener failed", action="slack.error", reference=code, exc_info=error)
    return f"Something went wrong (reference {code}). If this still waits for your answer, answer again."
