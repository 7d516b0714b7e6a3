"""What the HTTP API answers of requests, deliveries and audit events; `answers` has their shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, overload

from bot.domain.model.hours import working
from bot.domain.people import quorum

if TYPE_CHECKING:
    from bot.domain.model.request import Request
    from bot.ports.store import AuditEvent, DeliveryState
    from bot.schemas.answers import (
        DeliveryOut,
        EscalationOut,
        EventOut,
        HeldOut,
        OutcomeOut,
        RequestBrief,
        RequestOut,
    )


@overload
def instant(at: datetime) -> str: ...
@overload
def instant(at: datetime | None) -> str | None: ...
def instant(at: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    if at is None:
        return None
    text = at.isoformat(timespec="milliseconds")
    if not text.endswith("+00:00"):
        text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


def request_json(request: Request) -> RequestOut:
    """A request as the API answers it; without the phrase to be typed, which people read where they answer."""
    spec, step = request.spec, request.current
    verdict = quorum.judge(request)
    return {
        "id": request.id,
        "status": request.status,
        "kind": spec.kind,
        "version": request.version,
        "revision": request.revision,
        "title": spec.title,
        "message": spec.message,
        "details": spec.details,
        "payload": spec.payload,
        "payload_digest": spec.payload_digest,
        "form": spec.form,
        "feedback_type": spec.feedback_type,
        "choices": [{"id": c.id, "label": c.label, "style": c.style} for c in spec.choices],
        "level": spec.level,
        "reason": spec.reason,
        "allow_skip": spec.allow_skip,
        "requester": spec.requester,
        "submitted_by": spec.submitted_by_name or spec.submitted_by,
        "labels": spec.labels,
        "source_url": spec.source_url,
        "audience": list(step.audience),
        "quorum": {
            "required": verdict.required,
            "approved": verdict.approved,
            "rejected": verdict.rejected,
            "text": verdict.text,
        },
        "step": {"index": request.step, "count": len(spec.steps), "name": step.name},
        "steps": [{"name": s.name, "audience": list(s.audience)} for s in spec.steps],
        "escalation": _escalation_json(request),
        "respondents": [
            {
                "id": r.id,
                "name": r.name,
                "email": r.email,
                "slack_user_id": r.slack_user_id,
                "state": r.state,
                "trouble": r.trouble,
                "step": r.step,
                "delegate_of": r.delegate_of,
            }
            for r in request.known
        ],
        "responses": [
            {
                "respondent": r.respondent,
                "decision": r.decision,
                "reason": r.reason,
                "values": r.values,
                "surface": r.surface,
                "at": instant(r.at),
            }
            for r in request.responses
        ],
        "values": request.values,
        "edits": [
            {"field": e.field, "from": e.old, "to": e.new, "by": e.by, "at": instant(e.at)}
            for e in request.edits
        ],
        "comments": [
            {
                "by": c.by,
                "respondent": c.respondent,
                "text": c.text,
                "surface": c.surface,
                "at": instant(c.at),
            }
            for c in request.comments
        ],
        "trail": [{"at": instant(e.at), "text": e.text} for e in request.trail],
        "held": _held_json(request),
        "unreachable": [{"target": u.target, "reason": u.reason} for u in request.unreached],
        "outcome": _outcome_json(request),
        "created_at": instant(request.created_at),
        "remind_at": instant(_remind_at(request)),
        "timeout_at": instant(request.deadline),
        "on_timeout": spec.on_timeout,
        "resolved_at": instant(request.resolved_at),
    }


def brief_json(request: Request) -> RequestBrief:
    """What a call is answered of a request that its key may not read."""
    return {"id": request.id, "status": request.status, "version": request.version}


def _escalation_json(request: Request) -> EscalationOut | None:
    """How far the ladder was climbed, and when the next level is asked by itself."""
    if not request.spec.escalation:
        return None
    return {
        "level": request.level,
        "levels": [level.name for level in request.spec.escalation],
        "next_at": None if request.status.final else instant(request.escalate_at),
    }


def _remind_at(request: Request) -> datetime | None:
    """When people are reminded next: whoever has no time zone of their own, within the working hours."""
    at = None if request.status.final else request.remind_at
    return working(request.spec.hours, at, None) if at else None


def _held_json(request: Request) -> HeldOut | None:
    """The decision that waiters do not see yet."""
    held = request.held
    return {"decision": held.outcome.decision, "until": instant(held.until)} if held else None


def _outcome_json(request: Request) -> OutcomeOut | None:
    outcome = request.outcome
    if outcome is None:
        return None
    return {
        "decision": outcome.decision,
        "choice": outcome.choice,
        "reason": outcome.reason,
        "values": outcome.values,
        "payload": outcome.payload,
        "edited": outcome.edited,
        "resolved_by": outcome.resolved_by,
        "respondents": list(outcome.respondents),
        "surface": outcome.surface,
        "by": outcome.by,
    }


def delivery_json(delivery: DeliveryState) -> DeliveryOut:
    """A delivery as the API answers it."""
    return {
        "surface": delivery.surface,
        "address": delivery.address,
        "notice": delivery.notice,
        "respondent": delivery.respondent,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "at": instant(delivery.at),
    }


def event_json(event: AuditEvent) -> EventOut:
    """An audit event as the API answers it."""
    return {
        "id": event.seq,
        "type": event.type,
        "request_id": event.request_id,
        "status": event.status,
        "version": event.version,
        "at": instant(event.at),
        "data": event.data,
        "hash": event.hash,
    }
