"""Several requests ticked on the Home tab and answered together: each gets its own response."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, Fault
from bot.domain.messages import phrases
from bot.domain.model.request import APPROVE, REJECT
from bot.slack.inbound.actions import refuse_final, refuse_older
from bot.slack.inbound.modal_submissions import at_fields, say
from bot.slack.inbound.payloads import Reply, seen_request
from bot.slack.inbound.responses import (
    ON_ITS_WAY,
    PATIENT_SECONDS,
    QUICK_SECONDS,
    SubmittedResponse,
    sentence,
)
from bot.slack.render import modals
from bot.slack.render.home import SELECT, alone
from bot.slack.render.text import clip, flat
from bot.slack.render.together import selected, together_modal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.approvals import Approvals
    from bot.domain.model.events import SeenVersion
    from bot.domain.model.request import Request
    from bot.slack.inbound.payloads import Click, Submission, User
    from bot.slack.inbound.responses import Responses
    from bot.slack.outbound.inbox import Inbox

NOTHING = "Tick the requests first, then press the button again."


class _OnItsWayError(AssentError):
    """The answer was queued."""


class BulkResponder:
    """Answers what is ticked; what came of it is said in words, one line for each request that was refused."""

    def __init__(self, approvals: Approvals, answering: Responses, inbox: Inbox) -> None:
        self._approvals = approvals
        self._answering = answering
        self._inbox = inbox

    async def approve(self, click: Click) -> Reply:
        """Show what is ticked, to be approved."""
        return Reply(then=partial(self._confirm, click, APPROVE))

    async def reject(self, click: Click) -> Reply:
        """Show what is ticked, and ask why it is to be rejected."""
        return Reply(then=partial(self._confirm, click, REJECT))

    async def _confirm(self, click: Click, decision: str) -> None:
        """Nothing is decided yet: the form names each request that it will answer."""
        fine: list[Request] = []
        left_out: list[str] = []
        for request_id, seen in _selected(click).items():
            try:
                fine.append(await self._answerable(click.user, request_id, seen))
            except AssentError as refusal:
                left_out.append(await self._refusal(click.user, request_id, refusal))
        if fine:
            form = await asyncio.to_thread(together_modal, decision, fine, left_out)
        elif left_out:
            form = modals.message_modal("Nothing to answer", "\n".join(left_out))
        else:
            form = modals.message_modal("Nothing ticked", NOTHING)
        await self._answering.open(click, form)

    async def _answerable(self, user: User, request_id: str, seen: SeenVersion) -> Request:
        """The request as it was ticked; raises why it cannot be answered so."""
        request = await self._approvals.look_to_act(request_id, user.id)
        refuse_final(request)
        refuse_older(request, seen)
        if why := alone(request, self._approvals.views):
            raise AssentError(f"It has to be answered by itself: it {why}.")
        return request

    async def approved(self, submission: Submission) -> Reply:
        """Approve what the form named."""
        return await self._confirmed(submission, APPROVE, None)

    async def rejected(self, submission: Submission) -> Reply:
        """Reject what the form named for the reason that was typed."""
        reason = (submission.view.typed(modals.REASON) or "").strip()
        if not reason:
            fault = Fault("/reason", "a reason is needed: say in a few words why")
            return at_fields([fault], submission.view, {})
        return await self._confirmed(submission, REJECT, reason)

    async def _confirmed(self, submission: Submission, decision: str, reason: str | None) -> Reply:
        named = dict(map(seen_request, selected(submission.view.private_metadata)))
        text = await self._answer(submission.user, named, decision, reason)
        refresh = partial(self._inbox.refresh_home, submission.user.id)
        return say("Approved" if decision == APPROVE else "Rejected", text, then=refresh)

    async def _answer(
        self, user: User, named: Mapping[str, SeenVersion], decision: str, reason: str | None
    ) -> str:
        """Record what can be before Slack has to be answered; the rest is queued."""
        now = asyncio.get_running_loop().time
        ends = now() + PATIENT_SECONDS

        async def answer(request_id: str) -> Request:
            await self._answerable(user, request_id, named[request_id])
            given = SubmittedResponse(
                request_id=request_id,
                seen=named[request_id],
                user=user,
                decision=decision,
                reason=reason,
                origin="home",
            )
            recorded = await self._answering.accept(given, max(QUICK_SECONDS, ends - now()))
            if recorded is None:
                raise _OnItsWayError(ON_ITS_WAY)
            return recorded

        return await self._told(user, decision, await self._approvals.respond_to_many(named, answer))

    async def _told(self, user: User, decision: str, results: Mapping[str, Request | AssentError]) -> str:
        late = sum(isinstance(r, _OnItsWayError) for r in results.values())
        refused = {
            i: r
            for i, r in results.items()
            if isinstance(r, AssentError) and not isinstance(r, _OnItsWayError)
        }
        did = phrases.PAST_TENSE.get(decision, "approved")
        said = f"You {did} {len(results) - len(refused) - late} of {len(results)}."
        lines = [f"{said} Slack is slow just now; {late} more are on their way." if late else said]
        lines += [f"• {await self._refusal(user, i, refusal)}" for i, refusal in refused.items()]
        return "\n".join(lines)

    async def _refusal(self, user: User, request_id: str, refusal: AssentError) -> str:
        """Why one of them was not answered, with its title where this person may see that."""
        try:
            request = await self._approvals.look_to_act(request_id, user.id)
        except AssentError:
            return sentence(refusal)
        return f"“{clip(flat(request.spec.title), 80)}”: {sentence(refusal)}"


def _selected(click: Click) -> dict[str, SeenVersion]:
    """The ids of the ticked requests, each with what was seen of it."""
    return dict(map(seen_request, _ticked(click)))


def _ticked(click: Click) -> list[str]:
    boxes = [fields[SELECT] for fields in click.view.state.values.values() if SELECT in fields]
    return [value for box in boxes for value in box.entered]
