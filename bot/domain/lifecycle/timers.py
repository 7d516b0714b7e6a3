"""What happens by itself: a held decision becomes final, deadlines pass, the ladder is climbed, people are reminded.

However late the timer comes, it does what was due once: a reminder that was missed is not sent three times, and after
the deadline nobody is reminded of anything.
"""

from __future__ import annotations

import math
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import RateLimited
from bot.domain.lifecycle.delegation import climb
from bot.domain.lifecycle.resolution import next_step, outcome_of, resolve
from bot.domain.lifecycle.response_rules import wants_people
from bot.domain.messages import notifications, phrases
from bot.domain.model.frozen import replace
from bot.domain.model.request import Request, ResolvedBy, RespondentState, Status, Surface
from bot.domain.model.spec import Kind, OnTimeout
from bot.domain.model.transition import AuditEntry, Transition, with_history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.messages.notifications import Notification
    from bot.domain.model.events import Timer

ON_TIMEOUT: Mapping[OnTimeout, Status] = MappingProxyType(
    {
        OnTimeout.EXPIRE: Status.EXPIRED,
        OnTimeout.APPROVE: Status.APPROVED,
        OnTimeout.REJECT: Status.REJECTED,
        OnTimeout.SKIP: Status.SKIPPED,
        OnTimeout.ESCALATE: Status.EXPIRED,
    }
)
"""What a deadline makes of a request; `escalate` where nobody is left to turn to."""


def pass_time(request: Request, _event: Timer, now: datetime) -> Transition:
    """Everything that is due at `now`, in its order."""
    change = Transition(request=request)
    while due := _due(change.request, now):
        change = change.then(due)
    return change


def _due(request: Request, now: datetime) -> Transition | None:
    """The next thing that is due."""
    if request.due_at is None or now < request.due_at:
        return None
    if request.held:
        return resolve(request, request.held.outcome, now)
    if request.deadline and now >= request.deadline:
        return _deadline(request, request.deadline, now)
    if (at := request.escalate_at) and now >= at:
        return climb(request, now, by="the clock", reason=f"No decision by {phrases.instant(at)}.", since=at)
    return _remind(request, now)


def _deadline(request: Request, at: datetime, now: datetime) -> Transition:
    whole = at == request.timeout_at
    rule = request.spec.on_timeout if whole else request.current.on_timeout or request.spec.on_timeout
    reason = f"No decision by {phrases.instant(at)}."
    if rule is OnTimeout.ESCALATE and request.next_level:
        longer = _longer(request, now, whole=whole)
        return climb(longer, now, by="the deadline", reason=reason)
    if request.spec.kind is Kind.FEEDBACK and any(r.values for r in request.responses):
        status, reason = Status.APPROVED, f"Collected until {phrases.instant(at)}."
    else:
        status = ON_TIMEOUT[rule]
    if status is Status.APPROVED and wants_people(request.spec):
        status, reason = Status.EXPIRED, f"{reason} Silence cannot type a phrase, choose or fill in."
    if status is Status.APPROVED and not whole and request.step + 1 < len(request.spec.steps):
        return next_step(replace(request, step_timeout_at=None), now, reason.rstrip("."))
    outcome = outcome_of(
        request, status, ResolvedBy.TIMEOUT, Surface.TIMEOUT, by="the deadline", reason=reason
    )
    return resolve(request, outcome, now)


def _longer(request: Request, now: datetime, *, whole: bool) -> Request:
    """The next level gets as long as those before had."""
    if not whole:
        again = timedelta(seconds=request.current.timeout_seconds or 0)
        return replace(request, step_timeout_at=now + again)
    return replace(request, timeout_at=now + timedelta(seconds=request.spec.timeout_seconds or 0))


def _remind(request: Request, now: datetime) -> Transition:
    """One reminder for all that have become due."""
    done = request
    while (at := done.remind_at) and now >= at:
        done = replace(done, reminders=_caught_up(done, now))
    fact = AuditEntry(type="request.reminded", data={"by": "the schedule", "number": done.reminders})
    return Transition(
        request=done, facts=(fact,), tells=notifications.reminders(request, now, _last(request))
    )


def _last(request: Request) -> datetime | None:
    """When the reminder before was due."""
    return request.reminder(request.reminders) if request.reminders else None


def _caught_up(request: Request, now: datetime) -> int:
    missed = 0
    if every := request.spec.remind_every_seconds:
        missed = int((now - request.opened_at).total_seconds() / every)
    return max(missed, request.reminders + 1)


def remind(request: Request, by: str, now: datetime) -> Transition:
    """Ask those who are awaited again, because somebody wants it; also where they could not be told before."""
    _not_again_yet(request, now)
    waiting = ", ".join(phrases.waiting_for(request))
    at_once = replace(request, spec=replace(request.spec, hours=None))
    tells = notifications.reminders(at_once, now)
    words = f"{by} reminded {waiting or 'everybody'}."
    said = with_history(_tried_again(request, tells), now, words, reminder=True)
    fact = AuditEntry(type="request.reminded", data={"by": by, "number": request.reminders})
    return Transition(request=said, facts=(fact,), tells=tells)


REMIND_EVERY = timedelta(minutes=1)


def _not_again_yet(request: Request, now: datetime) -> None:
    """One manual reminder a minute is enough, whoever sends it and by whatever way."""
    last = max((entry.at for entry in request.trail if entry.reminder), default=None)
    if last is not None and now < last + REMIND_EVERY:
        seconds = math.ceil((last + REMIND_EVERY - now).total_seconds())
        raise RateLimited(
            f"Everybody was reminded less than a minute ago; try again in {seconds} s.", seconds
        )


def _tried_again(request: Request, tells: tuple[Notification, ...]) -> Request:
    """Nobody is unreachable while they are being told."""
    targets = {f"{t.surface}:{t.address}" for t in tells}
    told = {t.respondent for t in tells}
    return replace(
        request,
        unreached=tuple(u for u in request.unreached if u.target not in targets),
        respondents=tuple(
            replace(r, state=RespondentState.WAITING, trouble=None)
            if r.id in told and r.state is RespondentState.UNREACHABLE
            else r
            for r in request.respondents
        ),
    )
