"""Several requests ticked on the Home tab and answered together: each gets its own response."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, Fault
from bot.domain.messages import phrases
from bot.domain.model.request import APPROVE, REJECT
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
        """Approve what is ticked."""
        selected = _selected(click)
        if not selected:
            return Reply(then=partial(self._show, click, "Nothing ticked", NOTHING))
        text = await self._answer(click.user, selected, APPROVE, None)
        return Reply(then=partial(self._show, click, "Approve selected", text))

    async def reject(self, click: Click) -> Reply:
        """Ask why, for all that is ticked."""
        selected = _selected(click)
        if not selected:
            return Reply(then=partial(self._show, click, "Nothing ticked", NOTHING))
        user = click.user.id
        looked = [await self._approvals.look_to_act(request_id, user) for request_id in selected]
        titles = [request.spec.title for request in looked]
        form = modals.reject_selected_modal(_ticked(click), titles)
        return Reply(then=partial(self._answering.open, click, form))

    async def rejected(self, submission: Submission) -> Reply:
        """Reject them all for the reason that was typed."""
        view, reason = submission.view, (submission.view.typed(modals.REASON) or "").strip()
        if not reason:
            return at_fields([Fault("/reason", "a reason is needed: say in a few words why")], view, {})
        selected = dict(map(seen_request, json.loads(view.private_metadata)["selected"]))
        text = await self._answer(submission.user, selected, REJECT, reason)
        return say("Reject selected", text, then=partial(self._inbox.refresh_home, submission.user.id))

    async def _answer(
        self, user: User, selected: Mapping[str, SeenVersion], decision: str, reason: str | None
    ) -> str:
        """Record what can be before Slack has to be answered; the rest is queued."""
        now = asyncio.get_running_loop().time
        ends = now() + PATIENT_SECONDS

        async def answer(request_id: str) -> Request:
            request = await self._approvals.look_to_act(request_id, user.id)
            if why := alone(request, self._approvals.views):
                raise AssentError(f"It has to be answered by itself: it {why}.")
            given = SubmittedResponse(
                request_id=request_id,
                seen=selected[request_id],
                user=user,
                decision=decision,
                reason=reason,
                origin="home",
            )
            recorded = await self._answering.accept(given, max(QUICK_SECONDS, ends - now()))
            if recorded is None:
                raise _OnItsWayError(ON_ITS_WAY)
            return recorded

        return await self._told(user, decision, await self._approvals.respond_to_many(selected, answer))

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
        for request_id, refusal in refused.items():
            try:
                request = await self._approvals.look_to_act(request_id, user.id)
            except AssentError:  # nothing of it is told, its title least
                lines.append(f"• {sentence(refusal)}")
                continue
            title = clip(flat(request.spec.title), 80)
            lines.append(f"• “{title}”: {sentence(refusal)}")
        return "\n".join(lines)

    async def _show(self, click: Click, title: str, text: str) -> None:
        await self._answering.open(click, modals.message_modal(title, text), otherwise=text)
        await self._inbox.refresh_home(click.user.id)


def _selected(click: Click) -> dict[str, SeenVersion]:
    """The ids of the ticked requests, each with what was seen of it."""
    return dict(map(seen_request, _ticked(click)))


def _ticked(click: Click) -> list[str]:
    boxes = [fields[SELECT] for fields in click.view.state.values.values() if SELECT in fields]
    return [value for box in boxes for value in box.entered]
