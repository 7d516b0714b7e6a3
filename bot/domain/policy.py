"""Rules that decide without asking anybody: the first that matches rules, and says why.

A policy names what it wants of a request by dotted paths (`title`, `requester`, `labels.env`, `payload.amount`, …): a
value, a text with `*`, a list of those, or `{min, max}` for a number. What is not there, or of another type, matches
nothing, so that a mistyped policy asks people. No policy approves at level `verify`, or what only people can choose,
fill in or rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bot.domain.request import Status
from bot.domain.spec import Kind, Level, Spec

if TYPE_CHECKING:
    from bot.domain.request import Json


class Then(StrEnum):
    """What a policy does with what it matches; `ask` ends the search, so that people decide."""

    APPROVE = "approve"
    REJECT = "reject"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One rule of the configuration."""

    name: str
    then: Then
    when: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """Decided by policy, with the reason in words. `tell`: people are still informed."""

    reason: str
    tell: bool
    decision: Status = Status.APPROVED
    by: str = "policy"


def rule(spec: Spec, *, auto_approve: bool, policies: Sequence[Policy] = ()) -> Ruling | None:
    """The policy's ruling on a new request, or None where people must decide."""
    if auto_approve:
        return Ruling("ASSENT_AUTO_APPROVE is on: nobody was asked.", tell=False)
    if spec.level is Level.INFO:
        return Ruling("For information only: nobody had to decide.", tell=True)
    found = next((policy for policy in policies if matches(policy, spec)), None)
    if found is None or found.then is Then.ASK:
        return None
    return Ruling(
        found.reason or f"The policy {found.name!r} decides this: nobody was asked.",
        tell=False,
        decision=Status.APPROVED if found.then is Then.APPROVE else Status.REJECTED,
        by=f"policy {found.name}",
    )


def matches(policy: Policy, spec: Spec) -> bool:
    """Whether a policy speaks of this request."""
    if policy.then is Then.APPROVE and (spec.level is Level.VERIFY or spec.kind is not Kind.APPROVAL):
        return False
    return all(_fits(_member(spec, path), wanted) for path, wanted in policy.when.items())


MEMBERS = ("title", "message", "requester", "kind", "level", "source_url", "labels", "details", "payload")
"""What a policy can look at."""


def _member(spec: Spec, path: str) -> Json:
    """What stands at a dotted path; None where nothing does."""
    name, *rest = path.split(".")
    value: Any = getattr(spec, name) if name in MEMBERS else None
    for part in rest:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _fits(value: Json, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return _number(value) and wanted.get("min", value) <= value <= wanted.get("max", value)
    if isinstance(wanted, list | tuple):
        return any(_fits(value, one) for one in wanted)
    if isinstance(wanted, str):
        return isinstance(value, str) and fnmatchcase(value, wanted)
    return isinstance(value, bool) is isinstance(wanted, bool) and value is not None and bool(value == wanted)


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def policy_fault(policy: Policy) -> str | None:
    """What is wrong with a configured policy, in words."""
    for path, wanted in policy.when.items():
        if path.partition(".")[0] not in MEMBERS:
            return f"policy {policy.name}: {path!r} is nothing to look at; there are {', '.join(MEMBERS)}"
        if isinstance(wanted, Mapping) and not (
            wanted and wanted.keys() <= {"min", "max"} and all(map(_number, wanted.values()))
        ):
            return f"policy {policy.name}: {path}: must have a number as `min`, `max` or both"
    if policy.then is not Then.ASK and not policy.when:
        return f"policy {policy.name}: would decide everything; say `when` (ASSENT_AUTO_APPROVE is for tests)"
    return None
