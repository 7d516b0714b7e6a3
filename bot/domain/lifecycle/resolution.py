"""From a verdict to what follows: the next step opens, a decision is held for a while, or the request is final."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.forms import forms
from bot.domain.lifecycle.response_rules import state_after
from bot.domain.messages import notifications, phrases
from bot.domain.model.digest import payload_digest
from bot.domain.model.frozen import replace
from bot.domain.model.request import HeldOutcome, Outcome, Request, ResolvedBy, Status, Surface
from bot.domain.model.spec import Kind
from bot.domain.model.transition import AuditEntry, Transition, with_history
from bot.domain.people import quorum
from bot.domain.people.audience import lowest_level

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.model.request import Json, Response


def widen(request: Request, widened: Request, fact: AuditEntry, now: datetime) -> Transition:
    """More people are asked in the open step: they are told, unless the answers there are were enough for them."""
    settled = Transition(request=widened) if widened.status.final else settle(widened, now)
    moved_on = (settled.request.step, settled.request.status) != (request.step, request.status)
    asks = () if moved_on else notifications.newly_asked(request, widened)
    return Transition(request=widened, facts=(fact,), tells=asks).then(settled)


def settle(request: Request, now: datetime) -> Transition:
    """What the quorum makes of the answers as they are now."""
    verdict = quorum.judge(request)
    if verdict.decision is None:
        return _released(request)
    if verdict.decision is Status.APPROVED and request.step + 1 < len(request.spec.steps):
        return next_step(request, now, verdict.text)
    outcome = _by_respondents(request, verdict.decision, verdict.choice)
    if not request.spec.grace_seconds:
        return resolve(request, outcome, now)
    return _hold(request, outcome, now)


def _released(request: Request) -> Transition:
    """Nothing is decided (any more)."""
    if request.held is None:
        return Transition(request=request)
    fact = AuditEntry(type="request.updated", data={"held": None})
    return Transition(request=replace(request, held=None), facts=(fact,))


def _hold(request: Request, outcome: Outcome, now: datetime) -> Transition:
    until = now + timedelta(seconds=request.spec.grace_seconds)
    if request.held and request.held.outcome.decision is outcome.decision:
        until = request.held.until
    held = replace(request, held=HeldOutcome(outcome=outcome, until=until))
    fact = AuditEntry(
        type="request.updated", data={"held": str(outcome.decision), "until": until.isoformat()}
    )
    return Transition(request=held, facts=(fact,))


def next_step(request: Request, now: datetime, text: str) -> Transition:
    """Close the open step as approved and open the next: its people are told now, not before."""
    name = request.current.name or f"Step {request.step + 1}"
    opened = open_step(with_history(request, now, f"{name} is approved: {text}."), request.step + 1, now)
    fact = AuditEntry(
        type="request.updated",
        data={"step": opened.step, "name": opened.current.name, "closed": name, "quorum": text},
    )
    asks = (*notifications.asks(opened.seated), *notifications.channel_cards(opened.channels))
    return Transition(request=opened, facts=(fact,), tells=asks).then(settle(opened, now))


def open_step(request: Request, index: int, now: datetime) -> Request:
    """The request with another step open, whose time begins now."""
    seconds = request.spec.steps[index].timeout_seconds
    return replace(
        request,
        step=index,
        opened_at=now,
        reminders=0,
        held=None,
        step_timeout_at=now + timedelta(seconds=seconds) if seconds else None,
    )


def _by_respondents(request: Request, decision: Status, choice: str | None) -> Outcome:
    """The outcome in the words of those whose answers brought it about, those of the steps before included."""
    agreeing = [
        r
        for r in request.responses
        if state_after(r.decision) == decision.value
        and (choice is None or r.decision == choice or r.step != request.step)
        and (decision is not Status.APPROVED or not _replaced(request, r))
    ]
    step = [r for r in request.responses if r.step == request.step]
    deciding = [r for r in agreeing if r.step == request.step] or step
    every = agreeing or deciding
    last = deciding[-1]
    respondents = tuple([r.respondent for r in every])
    return outcome_of(
        request,
        decision,
        ResolvedBy.RESPONDENTS,
        last.surface,
        by=phrases.names(request, respondents),
        reason=next((r.reason for r in reversed(deciding) if r.reason), None),
        respondents=respondents,
        choice=choice,
    )


def _replaced(request: Request, response: Response) -> bool:
    """Whether somebody else was asked in place of whoever approved."""
    lowest = lowest_level(request, response.step)
    seat = request.respondent(response.respondent) if lowest else None
    return seat is not None and max(seat.levels) < lowest


def outcome_of(
    request: Request,
    decision: Status,
    resolved_by: ResolvedBy,
    surface: Surface,
    *,
    by: str,
    reason: str | None,
    respondents: tuple[str, ...] = (),
    choice: str | None = None,
) -> Outcome:
    """An outcome with the payload and the values as they stand."""
    payload = forms.payload(request)
    return Outcome(
        decision=decision,
        choice=choice,
        respondents=respondents,
        resolved_by=resolved_by,
        surface=surface,
        by=by,
        reason=reason,
        values=feedback(request) if request.spec.kind is Kind.FEEDBACK else request.values,
        payload=payload,
        edited=payload is not request.spec.payload and payload != request.spec.payload,
    )


def feedback(request: Request, *more: Mapping[str, Json]) -> dict[str, Json]:
    """Everybody's feedback, and `more`: the mean score, how many gave one, the comments in the order they came."""
    given = [*(r.values for r in request.responses if r.values), *more]
    scores = [v["score"] for v in given if "score" in v]
    comments = [v["comment"] for v in given if v.get("comment")]
    return {
        "score": sum(scores) / len(scores) if scores else None,
        "count": len(scores),
        "comment": "\n".join(comments) or None,
        "comments": comments,
        "feedback_type": request.spec.feedback_type,
    }


def resolve(request: Request, outcome: Outcome, now: datetime) -> Transition:
    """The request with its outcome, for ever."""
    resolved = replace(
        request, status=outcome.decision, outcome=outcome, resolved_at=now, lookups=(), held=None
    )
    fact = AuditEntry(
        type="request.resolved",
        data={
            "status": str(outcome.decision),
            "resolved_by": str(outcome.resolved_by),
            "by": outcome.by,
            "reason": outcome.reason,
            "choice": outcome.choice,
            "respondents": list(outcome.respondents),
            "payload_digest": payload_digest(outcome.payload)
            if outcome.edited
            else request.spec.payload_digest,
        },
    )
    return Transition(
        request=resolved,
        facts=(fact,),
        tells=(*notifications.outcome_mails(resolved), *notifications.callback(resolved)),
    )
