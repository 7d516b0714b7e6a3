"""Second thoughts: an answer is taken back, a question is asked back, values or the whole question change."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import Fault, Invalid, RateLimited
from bot.domain.forms import forms
from bot.domain.lifecycle.resolution import open_step, settle
from bot.domain.lifecycle.response_rules import state_after
from bot.domain.messages import notifications, phrases
from bot.domain.model.frozen import replace
from bot.domain.model.request import Comment, Edit, Request, Respondent, RespondentState
from bot.domain.model.transition import AuditEntry, Transition, with_history
from bot.domain.people import naming
from bot.domain.people.audience import admit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bot.domain.model.events import AddComment, Revise, Withdraw
    from bot.domain.model.request import Json, Response

MAX_COMMENT = 3000
MAX_COMMENTS = 200


def withdraw(request: Request, event: Withdraw, now: datetime) -> Transition:
    """Take an answer back; the person is awaited again."""
    request, respondent = admit(request, event.actor, "")
    response = request.response_of(respondent.id)
    if response is None:
        raise Invalid(
            [Fault("/respondent", "has not answered this request, so there is nothing to take back")]
        )
    freed = _set_back(request, lambda r: r.respondent in (respondent.id, *respondent.aliases))
    name = naming.label(request, respondent)
    changed = with_history(freed, now, f"{name} took their answer back.")
    fact = AuditEntry(
        type="request.updated",
        data={"withdrawn": respondent.id, "name": name, "decision": response.decision},
    )
    return Transition(request=changed, facts=(fact,)).then(settle(changed, now))


def say(request: Request, event: AddComment, now: datetime) -> Transition:
    """Add a question or a reply to the request, and tell the other side."""
    text = event.text.strip()
    if not text or len(text) > MAX_COMMENT:
        raise Invalid([Fault("/text", f"must have 1 to {MAX_COMMENT} characters")])
    if len(request.comments) >= MAX_COMMENTS:
        raise Invalid(
            [Fault("/text", f"is one too many: {MAX_COMMENTS} comments are the most; talk elsewhere")]
        )
    asker = None
    if event.actor:
        request, asker = admit(request, event.actor, event.new_id)
    by = naming.label(request, asker) if asker else event.by
    _not_too_often(request, asker.id if asker else None, by, now)
    comment = Comment(by=by, respondent=asker.id if asker else None, text=text, surface=event.surface, at=now)
    words = f"{by} asked: {text}" if asker else f"{by} replied: {text}"
    fact = AuditEntry(
        type="request.updated",
        data={"comment": text, "by": by, "respondent": comment.respondent, "surface": str(event.surface)},
    )
    if asker:
        tells = notifications.requester_news(request, words)
    else:
        waiting = [r for r in request.seated if r.state is RespondentState.WAITING]
        tells = notifications.news(waiting, words)
    return Transition(
        request=replace(request, comments=(*request.comments, comment)), facts=(fact,), tells=tells
    )


COMMENTS_AN_HOUR = 30
"""Of one respondent, or of one requester's key."""


def _not_too_often(request: Request, respondent: str | None, by: str, now: datetime) -> None:
    mine = [c.at for c in request.comments if c.respondent == respondent and (respondent or c.by == by)]
    recent = [at for at in mine if at > now - timedelta(hours=1)]
    if len(recent) >= COMMENTS_AN_HOUR:
        seconds = math.ceil((recent[-COMMENTS_AN_HOUR] + timedelta(hours=1) - now).total_seconds())
        told = f"{COMMENTS_AN_HOUR} questions or comments an hour are the most; try again in {seconds} s."
        raise RateLimited(told, seconds)


def revise(request: Request, event: Revise, now: datetime) -> Transition:
    """Put another question in the place of this one: every answer is set back, everybody sees what is new."""
    old = forms.payload(request)
    spec = replace(request.spec, **event.changes)
    fresh = replace(request, spec=spec, values={})
    edits = _edits(old, spec.payload, event.by, now)
    if spec == request.spec and not edits:
        return Transition(request=request)
    answered = [r for r in request.respondents if r.state.answered]
    words = phrases.revised(event.by, [(e.field, e.old, e.new) for e in edits], event.reason)
    reopened = (
        open_step(_set_back(fresh, lambda _: True), 0, now)
        if request.step
        else _set_back(fresh, lambda _: True)
    )
    changed = replace(
        with_history(reopened, now, words),
        revision=request.revision + 1,
        edits=(*request.edits, *edits),
        held=None,
    )
    fact = AuditEntry(
        type="request.updated",
        data={
            "revision": changed.revision,
            "by": event.by,
            "reason": event.reason,
            "payload_digest": spec.payload_digest,
            "changes": [{"field": e.field, "from": e.old, "to": e.new} for e in edits],
            "set_back": [r.id for r in answered],
        },
    )
    waiting = [r for r in changed.seated if r.state is RespondentState.WAITING]
    return Transition(request=changed, facts=(fact,), tells=notifications.news(waiting, words))


def with_values(request: Request, values: Mapping[str, Json] | None, by: str, now: datetime) -> Request:
    """The request with values filled in or changed by somebody; a change is a new revision."""
    if not values:
        return request
    before = forms.payload(request)
    edits = _edits(before, forms.merged(before, values), by, now)
    if not edits:
        return request
    return replace(
        request,
        values={**request.values, **{e.field: e.new for e in edits}},
        edits=(*request.edits, *edits),
        revision=request.revision + 1,
    )


def edit(
    request: Request, editor: Respondent, values: Mapping[str, Json] | None, now: datetime
) -> Transition:
    """Apply values that come with an answer. Who approved other values before is set back, and told.

    Where that was in an earlier step, all steps are taken again from the first, this one included.
    """
    by = naming.label(request, editor)
    valued = with_values(request, values, by, now)
    if valued is request:
        return Transition(request=request)
    edits = valued.edits[len(request.edits) :]
    affected = [r for r in request.responses if _approves(r) and r.respondent != editor.id]
    freed = _set_back(valued, lambda r: r in affected)
    if any(r.step < request.step for r in affected):
        freed = open_step(freed, 0, now)
    set_back = [r for r in freed.respondents if any(a.respondent == r.id for a in affected)]
    words = phrases.edited(by, [(e.field, e.old, e.new) for e in edits], naming.labels(request, set_back))
    changed = with_history(freed, now, words)
    fact = AuditEntry(
        type="request.updated",
        data={
            "by": by,
            "changes": [{"field": e.field, "from": e.old, "to": e.new} for e in edits],
            "set_back": [r.id for r in set_back],
            "revision": changed.revision,
        },
    )
    return Transition(request=changed, facts=(fact,), tells=notifications.news(set_back, words))


def _approves(response: Response) -> bool:
    return state_after(response.decision) is RespondentState.APPROVED


def _edits(before: Json, after: Json, by: str, now: datetime) -> tuple[Edit, ...]:
    return tuple(
        Edit(field=name, old=old, new=new, by=by, at=now)
        for name, old, new in forms.differences(before, after)
    )


def _set_back(request: Request, which: Callable[[Response], bool]) -> Request:
    """The request without these answers; who gave them is awaited again."""
    gone = {r.respondent for r in request.responses if which(r)}
    return replace(
        request,
        responses=tuple(r for r in request.responses if not which(r)),
        respondents=tuple(
            replace(r, state=RespondentState.WAITING) if r.id in gone else r for r in request.respondents
        ),
    )
