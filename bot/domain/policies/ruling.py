"""What the policies make of a change: what is asked anew, or changed by an answer, is ruled on like a new request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Fault, Invalid
from bot.domain.forms import forms
from bot.domain.lifecycle.resolution import outcome_of, resolve
from bot.domain.model.events import Revise
from bot.domain.model.frozen import replace
from bot.domain.model.request import ResolvedBy, Surface
from bot.domain.policies.policy import rejects, rule

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.events import Event
    from bot.domain.model.request import Request
    from bot.domain.model.transition import Transition
    from bot.domain.policies.policy import Policies


def ruled(before: Request, event: Event, change: Transition, policies: Policies, now: datetime) -> Transition:
    """The change as the policies let it happen.

    A revision that one of them decides is decided. Values that come with an answer, and would make of the request
    what a policy rejects, are refused with it: raises `Invalid`.
    """
    if change.request.revision == before.revision:
        return change
    if isinstance(event, Revise):
        return _asked_anew(change, policies, now)
    merged = replace(change.request.spec, payload=forms.payload(change.request))
    if ruling := rejects(merged, policies.policies):
        raise Invalid([Fault("/values", f"would make it what the {ruling.by} rejects: {ruling.reason}")])
    return change


def _asked_anew(change: Transition, policies: Policies, now: datetime) -> Transition:
    request = change.request
    ruling = rule(request.spec, auto_approve=policies.auto_approve, policies=policies.policies)
    if ruling is None or request.status.final:
        return change
    outcome = outcome_of(
        request, ruling.decision, ResolvedBy.POLICY, Surface.POLICY, by=ruling.by, reason=ruling.reason
    )
    decided = resolve(request, outcome, now)
    return decided._replace(facts=(*change.facts, *decided.facts))
