"""The state machine of a request.

Theory of operation: a request opens `pending` and leaves that state once, for a final one. Everything that can happen
to it is one of `events`; `apply` looks the event up in `TRANSITIONS`, and the function found there returns the
next request or raises a refusal, in which case nothing has changed. Only this module makes new states. Each change
carries its *facts* (the audit events) and its *tells* (who must be told what, later, by mail); cards are redrawn from
the stored state after every change, so they need no tell beyond the first.

    state     event         next
    ------    -----------   ------------------------------------------------------------
    pending   Respond       pending, or approved · rejected · skipped by the quorum
    pending   Operate       approved · rejected · skipped
    pending   Cancel        cancelled
    pending   Timer         pending before the deadline; then what `on_timeout` says
    pending   LookedUp      pending, with more people seated, or what the quorum makes of the answers now
    any       NotTold       the same state, showing who could not be told
    final     the same Respond again: unchanged; any other: `AlreadyResolved`
    final     LookedUp      the same state; people are only told where nobody had to decide (level `info`)
    final     Timer: unchanged
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.domain import notices, quorum, telling
from bot.domain.answers import Answer, check, state_after
from bot.domain.audience import admit, unite
from bot.domain.errors import AlreadyResolved, AlreadyResponded, StaleRevision
from bot.domain.events import Cancel, LookedUp, NotTold, Operate, Respond, Timer
from bot.domain.request import (
    APPROVE,
    REJECT,
    SKIP,
    Json,
    OnTimeout,
    Outcome,
    Request,
    ResolvedBy,
    Respondent,
    RespondentState,
    Response,
    Spec,
    Status,
    Surface,
    Unreached,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bot.domain.events import Event
    from bot.domain.policy import Ruling
    from bot.domain.telling import Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One audit event: its type and its data, JSON values only."""

    type: str
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an event made of a request. Without facts nothing changed."""

    request: Request
    facts: tuple[Fact, ...] = ()
    tells: tuple[Tell, ...] = ()


def open_request(request: Request, ruling: Ruling | None, now: datetime) -> Change:
    """The first change: the request is stored, everybody of the open step is to be told; policy may decide at once."""
    spec = request.spec
    created = Fact(
        type="request.created",
        data={
            "title": spec.title,
            "requester": spec.requester,
            "audience": [s for step in spec.steps for s in step.audience],
            "payload_digest": spec.payload_digest,
            "respondents": [r.id for r in request.respondents],
        },
    )
    asks = (*telling.asks(request.seated), *telling.channel_cards(request.channels))
    if ruling is None:
        return Change(request=request, facts=(created,), tells=asks)
    outcome = _outcome(
        spec, Status.APPROVED, ResolvedBy.POLICY, Surface.POLICY, by="policy", reason=ruling.reason
    )
    resolved = _resolve(request, outcome, now)
    if not ruling.tell:
        return replace(resolved, facts=(created, *resolved.facts), tells=telling.callback(request))
    still_to_tell = replace(resolved.request, lookups=request.lookups)
    return Change(
        request=still_to_tell, facts=(created, *resolved.facts), tells=(*asks, *telling.callback(request))
    )


def apply(request: Request, event: Event, now: datetime) -> Change:
    """What `event` at `now` makes of `request`; raises the refusal, in words, where it may not happen."""
    change = TRANSITIONS[type(event), request.status.final](request, event, now)
    if not change.facts:
        return change
    return replace(change, request=replace(change.request, version=request.version + 1))


def _respond(request: Request, event: Respond, now: datetime) -> Change:
    answer = event.answer
    seated, respondent = admit(request, event.actor, event.new_id)
    earlier = request.response_of(respondent.id)
    if earlier and answer.repeats(earlier):
        return Change(request=request)
    if earlier:
        raise AlreadyResponded(notices.already_responded(request, earlier))
    if event.revision is not None and event.revision != request.revision:
        raise StaleRevision("The request has changed since you opened it; look at it again, then answer.")
    check(request.spec, answer)
    response = Response(
        respondent=respondent.id,
        decision=answer.decision,
        reason=answer.reason,
        values=answer.values,
        surface=event.actor.surface,
        at=now,
        step=request.step,
    )
    answered = replace(
        seated,
        respondents=tuple(
            replace(r, state=state_after(answer.decision), trouble=None) if r is respondent else r
            for r in seated.respondents
        ),
        responses=(*request.responses, response),
    )
    fact = Fact(
        type="request.response",
        data={
            "respondent": respondent.id,
            "name": respondent.label,
            "decision": answer.decision,
            "reason": answer.reason,
            "values": answer.values,
            "surface": str(event.actor.surface),
            "as": sorted(event.actor.keys),
        },
    )
    settled = _settle(answered, now)
    receipt = telling.receipt(respondent) if event.actor.surface is Surface.EMAIL else ()
    return Change(request=settled.request, facts=(fact, *settled.facts), tells=(*receipt, *settled.tells))


def _settle(request: Request, now: datetime) -> Change:
    """End the request if the quorum says so."""
    verdict = quorum.judge(request)
    if verdict.decision is None:
        return Change(request=request)
    last = request.responses[-1]
    deciding = [r for r in request.responses if state_after(r.decision) == verdict.decision.value]
    choice = last.decision if verdict.decision is Status.APPROVED and request.spec.choices else None
    outcome = replace(
        _outcome(
            request.spec,
            verdict.decision,
            ResolvedBy.RESPONDENTS,
            last.surface,
            by=notices.names(request, [r.respondent for r in deciding]),
            reason=last.reason or next((r.reason for r in reversed(deciding) if r.reason), None),
        ),
        respondents=tuple(r.respondent for r in deciding),
        choice=choice,
    )
    return _resolve(request, outcome, now)


def _operate(request: Request, event: Operate, now: datetime) -> Change:
    answer = Answer(decision=event.decision, reason=event.reason)
    check(request.spec, answer, operator=True)
    status = {REJECT: Status.REJECTED, SKIP: Status.SKIPPED}.get(event.decision, Status.APPROVED)
    outcome = _outcome(
        request.spec, status, ResolvedBy.OPERATOR, event.surface, by=event.by, reason=answer.reason
    )
    chosen = event.decision if event.decision not in {APPROVE, REJECT, SKIP} else None
    return _resolve(request, replace(outcome, choice=chosen), now)


def _cancel(request: Request, event: Cancel, now: datetime) -> Change:
    return _resolve(
        request,
        _outcome(
            request.spec,
            Status.CANCELLED,
            ResolvedBy.REQUESTER,
            event.surface,
            by=event.by,
            reason=event.reason,
        ),
        now,
    )


ON_TIMEOUT: Mapping[OnTimeout, Status] = MappingProxyType(
    {
        OnTimeout.EXPIRE: Status.EXPIRED,
        OnTimeout.APPROVE: Status.APPROVED,
        OnTimeout.REJECT: Status.REJECTED,
        OnTimeout.SKIP: Status.SKIPPED,
    }
)


def _timer(request: Request, _event: Timer, now: datetime) -> Change:
    if request.timeout_at is None or now < request.timeout_at:
        return Change(request=request)
    status = ON_TIMEOUT[request.spec.on_timeout]
    reason = f"No decision by {notices.instant(request.timeout_at)}."
    outcome = _outcome(
        request.spec, status, ResolvedBy.TIMEOUT, Surface.TIMEOUT, by="the deadline", reason=reason
    )
    return _resolve(request, outcome, now)


def _looked_up(request: Request, event: LookedUp, now: datetime) -> Change:
    """Seat and tell the people found. What was answered already may be enough, now that everybody is counted."""
    if request.status.final and not request.lookups:
        return Change(request=request)
    changed = replace(
        request,
        respondents=unite(request.respondents, event.found),
        channels=(*request.channels, *event.channels),
        lookups=tuple(s for s in request.lookups if s not in event.selectors),
        unreached=(*request.unreached, *event.unreached),
        requester_keys=request.requester_keys | (event.requester_keys or frozenset()),
        requester_known=request.requester_known or event.requester_keys is not None,
    )
    told = {a for r in request.seated for a in r.addresses}
    fact = Fact(
        type="request.updated",
        data={"looked_up": list(event.selectors), "respondents": [r.id for r in changed.respondents]},
    )
    new = [replace(r, addresses=tuple(a for a in r.addresses if a not in told)) for r in changed.seated]
    settled = _settle(_unreachable(changed), now)
    asks = () if settled.facts else (*telling.asks(new), *telling.channel_cards(event.channels))
    return Change(request=settled.request, facts=(fact, *settled.facts), tells=(*asks, *settled.tells))


def _not_told(request: Request, event: NotTold, _now: datetime) -> Change:
    if any(u.target == event.target for u in request.unreached):
        return Change(request=request)
    note = Unreached(target=event.target, reason=event.reason)
    return Change(
        request=_unreachable(replace(request, unreached=(*request.unreached, note))),
        facts=(Fact(type="request.updated", data={"unreached": event.target, "reason": event.reason}),),
    )


def _unreachable(request: Request) -> Request:
    """The request, showing who is awaited though none of their addresses can be told."""
    reasons = {u.target: u.reason for u in request.unreached}

    def seen(r: Respondent) -> Respondent:
        targets = [f"{a.surface}:{a.value}" for a in r.addresses]
        if r.state is not RespondentState.WAITING or not targets or not reasons.keys() >= set(targets):
            return r
        return replace(r, state=RespondentState.UNREACHABLE, trouble=reasons[targets[-1]])

    return replace(request, respondents=tuple(map(seen, request.respondents)))


def _too_late(request: Request, event: Event, _now: datetime) -> Change:
    if isinstance(event, Respond) and _said_before(request, event):
        return Change(request=request)
    raise AlreadyResolved(notices.already_resolved(request), request)


def _said_before(request: Request, event: Respond) -> bool:
    mine = {i for r in request.respondents if r.keys & event.actor.keys for i in (r.id, *r.aliases)}
    return any(r.respondent in mine and event.answer.repeats(r) for r in request.responses)


def _nothing(request: Request, _event: Event, _now: datetime) -> Change:
    return Change(request=request)


TRANSITIONS: Mapping[tuple[type, bool], Callable[[Request, Any, datetime], Change]] = MappingProxyType(
    {
        (Respond, False): _respond,
        (Operate, False): _operate,
        (Cancel, False): _cancel,
        (Timer, False): _timer,
        (LookedUp, False): _looked_up,
        (NotTold, False): _not_told,
        (Respond, True): _too_late,
        (Operate, True): _too_late,
        (Cancel, True): _too_late,
        (Timer, True): _nothing,
        (LookedUp, True): _looked_up,
        (NotTold, True): _not_told,
    }
)
"""(event, is the request final) → what happens."""


def _outcome(
    spec: Spec, decision: Status, resolved_by: ResolvedBy, surface: Surface, *, by: str, reason: str | None
) -> Outcome:
    return Outcome(
        decision=decision,
        resolved_by=resolved_by,
        surface=surface,
        by=by,
        reason=reason,
        payload=spec.payload,
    )


def _resolve(request: Request, outcome: Outcome, now: datetime) -> Change:
    resolved = replace(request, status=outcome.decision, outcome=outcome, resolved_at=now, lookups=())
    fact = Fact(
        type="request.resolved",
        data={
            "status": str(outcome.decision),
            "resolved_by": str(outcome.resolved_by),
            "by": outcome.by,
            "reason": outcome.reason,
            "respondents": list(outcome.respondents),
            "payload_digest": request.spec.payload_digest,
        },
    )
    return Change(
        request=resolved, facts=(fact,), tells=(*telling.outcome_mails(resolved), *telling.callback(resolved))
    )
