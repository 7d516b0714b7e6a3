"""What the policies make of a change: what is asked anew, or changed by an answer, is ruled on like a new request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain import forms
from bot.domain.errors import Fault, Invalid
from bot.domain.events import Revise
from bot.domain.policy import rejects, rule
from bot.domain.request import ResolvedBy, Surface
from bot.domain.settling import outcome_of, resolve
from bot.domain.values import replace

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.change import Change
    from bot.domain.events import Event
    from bot.domain.policy import Policies
    from bot.domain.request import Request


def ruled(before: Request, event: Event, change: Change, policies: Policies, now: datetime) -> Change:
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


def _asked_anew(change: Change, policies: Policies, now: datetime) -> Change:
    request = change.request
    ruling = rule(request.spec, auto_approve=policies.auto_approve, policies=policies.policies)
    if ruling is None or request.status.final:
        return change
    outcome = outcome_of(
        request, ruling.decision, ResolvedBy.POLICY, Surface.POLICY, by=ruling.by, reason=ruling.reason
    )
    decided = resolve(request, outcome, now)
    return decided._replace(facts=(*change.facts, *decided.facts))
