"""The state machine of a request.

Theory of operation: a request opens `pending` and leaves that state once, for a final one. Everything that can happen
to it is one of `events`; `apply` looks the event up in `TRANSITIONS`, and the function found there returns the
next request or raises a refusal, in which case nothing has changed. Only this package makes new states. Each change
carries its *facts* (the audit events) and its *tells* (who must be told what, later, by mail); cards are redrawn from
the stored state after every change, so they need no tell beyond the first.

    state     event         next
    ------    -----------   ------------------------------------------------------------
    pending   Respond       the next step, or approved · rejected · skipped by the quorum; new values set others back
    pending   Withdraw      pending, without that answer
    pending   Operate       approved · rejected · skipped
    pending   Cancel        cancelled
    pending   Revise        pending, from the first step, without any answer
    pending   Delegate      pending, with another person in the seat
    pending   Escalate      pending, with the next level's people
    pending   Remind, Say   pending
    pending   Timer         a held decision; else what `on_timeout` says; else the next level, a reminder
    pending   LookedUp      pending, with more people seated, or what the quorum makes of the answers now
    any       NotTold       the same state, showing who could not be told
    final     the same Respond again: unchanged; any other: `AlreadyResolved`
    final     LookedUp      the same state; people are only told where nobody had to decide (level `info`)
    final     Timer: unchanged

With `grace_seconds` the quorum's decision is held for so long before it is final, and `Withdraw` undoes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from bot.domain.errors import (
    AlreadyResolved,
    AlreadyResponded,
    AssentError,
    Fault,
    Invalid,
    NotInAudience,
    StaleRevision,
    StepClosed,
)
from bot.domain.lifecycle.delegation import delegate, escalate
from bot.domain.lifecycle.reach import told_of_losses
from bot.domain.lifecycle.resolution import feedback, open_step, outcome_of, resolve, settle, widen
from bot.domain.lifecycle.response_rules import check, state_after
from bot.domain.lifecycle.revisions import edit, revise, say, with_values, withdraw
from bot.domain.lifecycle.timers import pass_time, remind
from bot.domain.messages import notifications, phrases
from bot.domain.model.events import (
    AddComment,
    AudienceResolved,
    Cancel,
    Delegate,
    DeliveryFailed,
    Escalate,
    Operate,
    Remind,
    Respond,
    Revise,
    Timer,
    Withdraw,
)
from bot.domain.model.frozen import replace
from bot.domain.model.request import (
    APPROVE,
    LADDER,
    REJECT,
    SKIP,
    OpenSelector,
    Request,
    ResolvedBy,
    Respondent,
    RespondentState,
    Response,
    Status,
    Surface,
    Unreached,
)
from bot.domain.model.spec import Kind
from bot.domain.model.transition import AuditEntry, Transition, with_history
from bot.domain.people import naming
from bot.domain.people.audience import admit, merge_respondents

if TYPE_CHECKING:
    from bot.domain.model.events import Event, SeenVersion
    from bot.domain.policies.policy import Ruling

Seat = TypeVar("Seat", Respondent, OpenSelector)


def at_first_step(request: Request, now: datetime) -> Request:
    """A request that has not opened yet, with the clock of its first step set."""
    return open_step(request, 0, now)


def open_request(request: Request, ruling: Ruling | None, now: datetime) -> Transition:
    """The first change: the request is stored, everybody of the open step is to be told; policy may decide at once."""
    spec = request.spec
    created = AuditEntry(
        type="request.created",
        data={
            "title": spec.title,
            "requester": spec.requester,
            "audience": [s for step in spec.steps for s in step.audience],
            "payload_digest": spec.payload_digest,
            "respondents": [r.id for r in request.respondents],
        },
    )
    asks = (*notifications.asks(request.seated), *notifications.channel_cards(request.channels))
    if ruling is None:
        return Transition(request=request, facts=(created,), tells=asks)
    outcome = outcome_of(
        request, ruling.decision, ResolvedBy.POLICY, Surface.POLICY, by=ruling.by, reason=ruling.reason
    )
    resolved = resolve(request, outcome, now)
    if not ruling.tell:
        return resolved._replace(facts=(created, *resolved.facts), tells=notifications.callback(request))
    still_to_tell = replace(resolved.request, lookups=request.lookups)
    return Transition(
        request=still_to_tell,
        facts=(created, *resolved.facts),
        tells=(*asks, *notifications.callback(request)),
    )


def apply(request: Request, event: Event, now: datetime) -> Transition:
    """What `event` at `now` makes of `request`; raises the refusal, in words, where it may not happen."""
    change = TRANSITIONS[type(event), request.status.final](request, event, now)
    if not change.facts:
        return change
    newer = replace(_unreachable(change.request), version=request.version + 1)
    return told_of_losses(request, change._replace(request=newer), now)


def _respond(request: Request, event: Respond, now: datetime) -> Transition:
    answer = event.answer
    try:
        seated, respondent = admit(request, event.actor, event.new_id)
    except StepClosed:
        if _said_before(request, event):
            return Transition(request=request)
        raise
    earlier = request.response_of(respondent.id)
    if earlier and answer.repeats(earlier):
        return Transition(request=request)
    if earlier:
        raise AlreadyResponded(phrases.already_responded(request, earlier))
    step = event.seen.step
    if step is not None and step < request.step and _said_before(request, event):
        return Transition(request=request)
    _check_seen(request, event.seen, event.actor.surface)
    check(seated, answer)
    edited = Transition(request=seated)
    if seated.spec.kind is not Kind.FEEDBACK:
        edited = edit(seated, respondent, answer.values, now)
    if edited.request.step != request.step:
        return edited
    settled = settle(_record(edited.request, respondent, event, now), now)
    receipt = notifications.receipt(respondent) if event.actor.surface is Surface.EMAIL else ()
    return Transition(
        request=settled.request,
        facts=(_response_fact(seated, respondent, event), *edited.facts, *settled.facts),
        tells=(*receipt, *edited.tells, *settled.tells),
    )


_PROGRAMS = frozenset({Surface.API, Surface.CLI, Surface.MCP})


def _check_seen(request: Request, seen: SeenVersion, surface: Surface) -> None:
    """Raise where an answer is to something else than what is asked now; a program is told what it made up."""
    revision, step = seen
    if revision is not None and revision > request.revision and surface in _PROGRAMS:
        raise Invalid([Fault("/revision", f"is not there yet: the request is at {request.revision}")])
    if revision is not None and revision != request.revision:
        raise StaleRevision("The request has changed since you opened it; look at it again, then answer.")
    if step is not None and step != request.step:
        raise _other_step(step, request)


def _other_step(step: int, request: Request) -> AssentError:
    if step > request.step:
        return NotInAudience("The step that you answer is not open yet; you will be told when it is.")
    return StepClosed("The request has moved on since you opened it; look at it again, then answer.")


def _record(request: Request, respondent: Respondent, event: Respond, now: datetime) -> Request:
    answer = event.answer
    response = Response(
        respondent=respondent.id,
        decision=answer.decision,
        reason=answer.reason,
        values=answer.values,
        surface=event.actor.surface,
        at=now,
        step=request.step,
    )
    return replace(
        request,
        respondents=tuple(
            replace(r, state=state_after(answer.decision), trouble=None) if r.id == respondent.id else r
            for r in request.respondents
        ),
        responses=(*request.responses, response),
    )


def _response_fact(request: Request, respondent: Respondent, event: Respond) -> AuditEntry:
    answer = event.answer
    return AuditEntry(
        type="request.response",
        data={
            "respondent": respondent.id,
            "name": naming.label(request, respondent),
            "decision": answer.decision,
            "reason": answer.reason,
            "values": answer.values,
            "surface": str(event.actor.surface),
            "as": sorted(event.actor.keys),
        },
    )


def _operate(request: Request, event: Operate, now: datetime) -> Transition:
    answer = event.answer
    _check_seen(request, event.seen, event.surface)
    check(request, answer, operator=True)
    if answer.decision not in {REJECT, SKIP} and request.spec.kind is not Kind.FEEDBACK:
        request = with_values(request, answer.values, event.by, now)
    status = {REJECT: Status.REJECTED, SKIP: Status.SKIPPED}.get(answer.decision, Status.APPROVED)
    outcome = outcome_of(
        request,
        status,
        ResolvedBy.OPERATOR,
        event.surface,
        by=event.by,
        reason=answer.reason,
        choice=answer.decision if answer.decision not in {APPROVE, REJECT, SKIP} else None,
    )
    if request.spec.kind is Kind.FEEDBACK and answer.values:
        outcome = replace(outcome, values=feedback(request, answer.values))
    return resolve(request, outcome, now)


def _cancel(request: Request, event: Cancel, now: datetime) -> Transition:
    outcome = outcome_of(
        request, Status.CANCELLED, ResolvedBy.REQUESTER, event.surface, by=event.by, reason=event.reason
    )
    return resolve(request, outcome, now)


def _remind(request: Request, event: Remind, now: datetime) -> Transition:
    return remind(request, event.by, now)


def _looked_up(request: Request, event: AudienceResolved, now: datetime) -> Transition:
    """Seat and tell the people found. What was answered already may be enough, now that everybody is counted."""
    if request.status.final and not request.lookups:
        return Transition(request=request)
    answered = {_question(p) for p in event.places}
    changed = replace(
        request,
        respondents=merge_respondents(request.respondents, [_where_asked(r, request) for r in event.found]),
        places=(*request.places, *(_where_asked(p, request) for p in event.rooms)),
        lookups=(
            *(p for p in request.lookups if _question(p) not in answered),
            *(_where_asked(p, request) for p in event.lookups),
        ),
        unreached=(*request.unreached, *event.unreached),
        requester_keys=request.requester_keys | (event.requester_keys or frozenset()),
        requester_known=request.requester_known or event.requester_keys is not None,
        requester_name=request.requester_name or event.requester_name,
    )
    fact = AuditEntry(
        type="request.updated",
        data={
            "looked_up": [p.selector for p in event.places],
            "respondents": [r.id for r in changed.respondents],
        },
    )
    return widen(request, changed, fact, now)


def _question(place: OpenSelector) -> tuple[str, tuple[str, ...], tuple[int, ...], int | None]:
    """What tells one open question from another; a level's moves to the step in which it is reached."""
    step = place.step if place.levels == (0,) else None
    return place.selector, place.groups, place.levels, step


def _where_asked(seat: Seat, request: Request) -> Seat:
    """Somebody of a level that was reached meanwhile is asked in the step in which that was."""
    if seat.step == LADDER and min(seat.levels) <= request.level:
        return replace(seat, step=request.escalated[min(seat.levels) - 1])
    return seat


def _not_told(request: Request, event: DeliveryFailed, now: datetime) -> Transition:
    if any(u.target == event.target for u in request.unreached):
        return Transition(request=request)
    if event.target == "callback":
        request = with_history(request, now, f"The callback did not arrive: {event.reason}.")
    note = Unreached(target=event.target, reason=event.reason)
    return Transition(
        request=replace(request, unreached=(*request.unreached, note)),
        facts=(AuditEntry(type="request.updated", data={"unreached": event.target, "reason": event.reason}),),
    )


def _unreachable(request: Request) -> Request:
    """The request, showing who is awaited though none of their addresses can be told."""
    if not request.unreached:
        return request
    reasons = {u.target: u.reason for u in request.unreached}

    def seen(r: Respondent) -> Respondent:
        targets = [f"{a.surface}:{a.value}" for a in r.addresses]
        if r.state is not RespondentState.WAITING or not targets or not reasons.keys() >= set(targets):
            return r
        return replace(r, state=RespondentState.UNREACHABLE, trouble=reasons[targets[-1]])

    return replace(request, respondents=tuple(map(seen, request.respondents)))


def _too_late(request: Request, event: Event, _now: datetime) -> Transition:
    if isinstance(event, Respond) and _said_before(request, event):
        return Transition(request=request)
    raise AlreadyResolved(phrases.already_resolved(request), request)


def _said_before(request: Request, event: Respond) -> bool:
    mine = {i for r in request.respondents if r.keys & event.actor.keys for i in (r.id, *r.aliases)}
    return any(r.respondent in mine and event.answer.repeats(r) for r in request.responses)


def _nothing(request: Request, _event: Event, _now: datetime) -> Transition:
    return Transition(request=request)


Handler = Callable[[Request, Any, datetime], Transition]

_WHILE_PENDING: Mapping[type, Handler] = MappingProxyType(
    {
        Respond: _respond,
        Operate: _operate,
        Cancel: _cancel,
        Withdraw: withdraw,
        AddComment: say,
        Revise: revise,
        Remind: _remind,
        Escalate: escalate,
        Delegate: delegate,
        Timer: pass_time,
        AudienceResolved: _looked_up,
        DeliveryFailed: _not_told,
    }
)
_ONCE_FINAL: Mapping[type, Handler] = MappingProxyType(
    dict.fromkeys(_WHILE_PENDING, _too_late)
    | {Timer: _nothing, AudienceResolved: _looked_up, DeliveryFailed: _not_told}
)
TRANSITIONS: Mapping[tuple[type, bool], Handler] = MappingProxyType(
    {(event, False): handler for event, handler in _WHILE_PENDING.items()}
    | {(event, True): handler for event, handler in _ONCE_FINAL.items()}
)
"""(event, is the request final) → what happens."""
