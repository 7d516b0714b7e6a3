"""Submitted forms: what was typed becomes an answer or an act, and faults stand at their fields."""

from __future__ import annotations

import asyncio
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.domain.errors import AssentError, Invalid, StaleRevision, Unavailable
from bot.domain.forms import forms
from bot.domain.model.request import APPROVE, REJECT, SKIP
from bot.slack.inbound.actions import Deduplicator
from bot.slack.inbound.payloads import Reply
from bot.slack.inbound.responses import ON_ITS_WAY, PATIENT_SECONDS, SubmittedResponse, sentence
from bot.slack.render import details_modal, form_inputs, modals, together
from bot.slack.render.buttons import DELEGATE, EDIT, ESCALATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from bot.approvals import Approvals
    from bot.domain.errors import Fault
    from bot.domain.model.request import Request
    from bot.slack.inbound.actions import Actions
    from bot.slack.inbound.bulk_responses import BulkResponder
    from bot.slack.inbound.payloads import Submission, User, View
    from bot.slack.inbound.responses import Responses
    from bot.slack.outbound.inbox import Inbox

SLOW = "Slack is slow just now. You will be told what came of it."


class Submissions:
    """One listener a form, by callback id, in `forms`."""

    def __init__(
        self, approvals: Approvals, answering: Responses, acting: Actions, inbox: Inbox, many: BulkResponder
    ) -> None:
        self._approvals = approvals
        self._answering = answering
        self._acting = acting
        self._inbox = inbox
        self._once = Deduplicator()
        self.forms: Mapping[str, Callable[[Submission], Awaitable[Reply]]] = MappingProxyType(
            {
                modals.ANSWER: self._submitted,
                modals.ACT: self._acted,
                details_modal.READ: self._read,
                together.APPROVE_TOGETHER: many.approved,
                together.REJECT_TOGETHER: many.rejected,
            }
        )

    async def _submitted(self, submission: Submission) -> Reply:
        """What is too long for one view is read to its end before it can be answered."""
        reads = "part" in submission.view.about()
        return await (self._read_on if reads else self._answered)(submission)

    async def _answered(self, submission: Submission) -> Reply:
        view = submission.view
        request = await self._approvals.get(view.about()["request"])
        try:
            given = _given(submission, request)
            recorded = await self._answering.accept(given, PATIENT_SECONDS)
        except Invalid as error:
            return at_fields(error.faults, view, form_inputs.blocks_of(request))
        except Unavailable as error:  # at a field, so that what was typed stays
            return Reply(body={"response_action": "errors", "errors": {modals.REASON: error.detail}})
        except StaleRevision:
            return await self._again(view, submission.user)
        except AssentError as refusal:
            return say("Not recorded", refusal.detail)
        if recorded is None:
            return say("One moment", ON_ITS_WAY)
        return Reply(then=partial(self._answering.refresh_home, given))

    async def _read_on(self, submission: Submission) -> Reply:
        """The next part of what is too long for one view."""
        view, about = submission.view, submission.view.about()
        request = await self._approvals.look_to_act(about["request"], submission.user.id)
        if request.status.final or about["seen"] != (request.revision, request.step):
            return await self._again(view, submission.user)
        part, views = int(about["part"]) + 1, self._approvals.views
        make = partial(modals.answer_modal, request, about["decision"], part=part, views=views)
        return Reply(body={"response_action": "update", "view": await asyncio.to_thread(make)})

    async def _read(self, submission: Submission) -> Reply:
        """The next part of Details: asked of visibility anew each time, and from the beginning after a revision."""
        about, user = submission.view.about(), submission.user
        request = await self._approvals.look(about["request"], user.id, user.team_id)
        changed = about["seen"].revision != request.revision
        part = 0 if changed else int(about["part"])
        make = partial(details_modal.reading_modal, request, part, self._approvals.views, changed=changed)
        return Reply(body={"response_action": "update", "view": await asyncio.to_thread(make)})

    async def _again(self, view: View, user: User) -> Reply:
        """The form as it has to be now, and what has changed."""
        about = view.about()
        request = await self._approvals.look_to_act(about["request"], user.id)
        changed = [entry.text for entry in request.trail[int(about.get("trail", 0)) :]]
        make = partial(
            modals.answer_modal,
            request,
            about["decision"],
            changed=changed or ["It was changed."],
            reason=view.typed(modals.REASON),
            views=self._approvals.views,
        )
        return Reply(body={"response_action": "update", "view": await asyncio.to_thread(make)})

    async def _acted(self, submission: Submission) -> Reply:
        if submission.trigger_id and not self._once.first(submission.trigger_id):
            return Reply()
        act = asyncio.ensure_future(self._act(submission))
        await asyncio.wait({act}, timeout=PATIENT_SECONDS)
        if not act.done():
            return say("One moment", SLOW, then=partial(self._later, submission, act))
        try:
            act.result()
        except Invalid as error:
            return at_fields(error.faults, submission.view, {})
        except AssentError as refusal:
            return say("Not done", refusal.detail)
        return Reply(then=partial(self._inbox.refresh_home, submission.user.id))

    async def _later(self, submission: Submission, act: Awaitable[str]) -> None:
        try:
            said = await act
        except AssentError as refusal:
            said = sentence(refusal)
        await self._answering.tell(submission.place, said)

    async def _act(self, submission: Submission) -> str:
        view, user, about = submission.view, submission.user, submission.view.about()
        request_id, reason = about["request"], view.typed(modals.REASON)
        if about["act"] == ESCALATE:
            return await self._acting.escalate(user, request_id, reason, int(about["level"]), about["seen"])
        if about["act"] == DELEGATE:
            to = f"slack:{view.typed(modals.TO) or ''}"
            return await self._acting.delegate(user, request_id, to, reason, about["seen"])
        return await self._acting.ask(user, request_id, view.typed(modals.QUESTION) or "", about["seen"])


def _given(submission: Submission, request: Request) -> SubmittedResponse:
    """What a form says; raises `Invalid` for what cannot be read, `StaleRevision` where it is about other fields."""
    view, about = submission.view, submission.view.about()
    values: dict[str, Any] = {}
    decision = str(about["decision"])
    if decision == EDIT:
        decision = view.typed(modals.CHOICE) or APPROVE
    if decision not in {REJECT, SKIP} and not request.status.final:
        if about["seen"].revision != request.revision:
            raise StaleRevision("The request has changed since you opened it.")
        values, faults = forms.read(request, form_inputs.typed(request, view.entered))
        if faults:
            raise Invalid(faults)
    return SubmittedResponse(
        request_id=request.id,
        seen=about["seen"],
        user=submission.user,
        decision=decision,
        reason=(view.typed(modals.REASON) or "").strip() or None,
        phrase=view.typed(modals.PHRASE),
        values=values,
        origin="form",
    )


def at_fields(faults: Collection[Fault], view: View, blocks: Mapping[str, str]) -> Reply:
    """The faults at their fields, so that what was typed stays; `blocks` says where pointers lead.

    What belongs to no field is said at the first.
    """
    here = list(view.state.values)
    errors: dict[str, str] = {}
    for fault in faults:
        block = next(
            (b for p, b in blocks.items() if f"{fault.pointer}/".startswith(f"{p}/")), fault.pointer[1:]
        )
        detail = fault.detail
        if block not in here:
            block, detail = here[0], f"{block}: {detail}"
        errors[block] = f"{errors[block]}; {detail}" if block in errors else detail
    return Reply(body={"response_action": "errors", "errors": errors})


def say(title: str, text: str, then: Callable[[], Awaitable[None]] | None = None) -> Reply:
    """A message in the form's place."""
    return Reply(body={"response_action": "update", "view": modals.message_modal(title, text)}, then=then)
