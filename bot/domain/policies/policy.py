"""Rules that decide without asking anybody, and say why.

A policy names what it wants of a request by dotted paths (`title`, `requester`, `key`, `labels.env`, `payload.amount`,
…): a value, a text with `*`, a list of those, or `{min, max}` for a number. All of them must fit. What is not there
matches nothing. A value that cannot be held against what is wanted (a list where a text is wanted, a number that is
none) makes the policy *fail*: nobody knows then whether it speaks of this request.

Whatever the order, a `reject` that matches wins, and where one fails, people decide: nothing else may approve what it
might have rejected, not level `info` and not `ASSENT_AUTO_APPROVE`. Of the others the first that matches rules, and one
that fails counts as `ask`. No policy approves at level `verify`, or what only people can choose, fill in or rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from math import inf, isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.domain.model.request import Status
from bot.domain.model.spec import Kind, Level, Spec

if TYPE_CHECKING:
    from bot.domain.model.request import Json


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


class Policies(NamedTuple):
    """What the configuration says about requests that nobody need decide."""

    policies: Sequence[Policy] = ()
    auto_approve: bool = False


def rule(spec: Spec, *, auto_approve: bool, policies: Sequence[Policy] = ()) -> Ruling | None:
    """The policy's ruling on a request as it is asked now, or None where people must decide."""
    verdicts = [(policy, speaks_of(policy, spec)) for policy in policies]
    if rejecting := next((p for p, fits in verdicts if fits and p.then is Then.REJECT), None):
        return _ruling(rejecting)
    if any(fits is None and policy.then is Then.REJECT for policy, fits in verdicts):
        return None
    if auto_approve:
        return Ruling("ASSENT_AUTO_APPROVE is on: nobody was asked.", tell=False)
    if spec.level is Level.INFO:
        return Ruling("For information only: nobody had to decide.", tell=True)
    found, fits = next(((p, fits) for p, fits in verdicts if fits is not False), (None, False))
    return _ruling(found) if found and fits and found.then is Then.APPROVE else None


def rejects(spec: Spec, policies: Sequence[Policy]) -> Ruling | None:
    """The ruling of the policy that rejects this request, if there is one."""
    return next((_ruling(p) for p in policies if p.then is Then.REJECT and speaks_of(p, spec)), None)


def _ruling(policy: Policy) -> Ruling:
    return Ruling(
        policy.reason or f"The policy {policy.name!r} decides this: nobody was asked.",
        tell=False,
        decision=Status.APPROVED if policy.then is Then.APPROVE else Status.REJECTED,
        by=f"policy {policy.name}",
    )


def speaks_of(policy: Policy, spec: Spec) -> bool | None:
    """Whether a policy speaks of this request; None where that cannot be told."""
    if policy.then is Then.APPROVE and (spec.level is Level.VERIFY or spec.kind is not Kind.APPROVAL):
        return False
    try:
        found = [_held_against(spec, path, wanted, policy.then) for path, wanted in policy.when.items()]
    except Exception:  # noqa: BLE001 - whatever goes wrong, it approves nothing
        return None
    if False in found:
        return False
    return None if None in found else True


def _held_against(spec: Spec, path: str, wanted: Any, then: Then) -> bool | None:
    """Whether what stands at a path fits.

    Where several things stand there (`{"a": {"b": 1}, "a.b": 2}`), all must fit for a yes, and one is enough else.
    """
    found = [_fits(value, wanted) for value in _members(spec, path)]
    if not found:
        return False
    if then is not Then.APPROVE and True in found:
        return True
    if None in found:
        return None
    return all(found) if then is Then.APPROVE else False


MEMBERS = (
    "title",
    "message",
    "requester",
    "key",
    "kind",
    "level",
    "source_url",
    "labels",
    "details",
    "payload",
)
"""What a policy can look at; `key` is the name of the API key that the request came with."""

WITH_MEMBERS = frozenset({"labels", "details", "payload"})


def _members(spec: Spec, path: str) -> list[Json]:
    """What stands at a dotted path; a name may have dots in it, and a number counts in a list."""
    name, *rest = path.split(".")
    if name not in MEMBERS:
        return []
    values: list[tuple[Json, tuple[str, ...]]] = [
        (spec.submitted_by_name if name == "key" else getattr(spec, name), tuple(rest))
    ]
    found = []
    while values:
        value, parts = values.pop()
        if not parts and value is not None:
            found.append(value)
        if isinstance(value, Mapping):
            names = [(".".join(parts[:n]), parts[n:]) for n in range(1, len(parts) + 1)]
            values += [(value[one], left) for one, left in names if one in value]
        elif isinstance(value, list) and parts and parts[0].isdecimal() and int(parts[0]) < len(value):
            values.append((value[int(parts[0])], parts[1:]))
    return found


def _fits(value: Json, wanted: Any) -> bool | None:
    """Whether a value is what is wanted; None where it is of another sort, so that nobody can tell."""
    if isinstance(wanted, Mapping):
        if not _number(value) or isnan(value):
            return None
        return bool(wanted.get("min", value) <= value <= wanted.get("max", value))
    if isinstance(wanted, list | tuple):
        fitting = [_fits(value, one) for one in wanted]
        return True if True in fitting else None if None in fitting else False
    if isinstance(wanted, str):
        return fnmatchcase(value, wanted) if isinstance(value, str) else None
    if isinstance(value, bool) is not isinstance(wanted, bool) or not isinstance(value, bool | int | float):
        return None
    return bool(value == wanted)


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def holds(when: Mapping[str, Any], spec: Spec) -> bool:
    """Whether all that is wanted is there and fits, as for a policy that approves."""
    try:
        return all(_held_against(spec, path, wanted, Then.APPROVE) for path, wanted in when.items())
    except Exception:  # noqa: BLE001 - what cannot be held against it does not fit
        return False


def policy_fault(policy: Policy) -> str | None:
    """What is wrong with a configured policy, in words."""
    if fault := when_fault(policy.when):
        return f"policy {policy.name}: {fault}"
    if policy.then is not Then.ASK and not policy.when:
        return f"policy {policy.name}: would decide everything; say `when` (ASSENT_AUTO_APPROVE is for tests)"
    return None


def when_fault(when: Mapping[str, Any]) -> str | None:
    """What is wrong with what is wanted of a request, in words."""
    for path, wanted in when.items():
        name, dot, inside = path.partition(".")
        fault = None
        if name not in MEMBERS:
            fault = f"{path!r} is nothing to look at; there are {', '.join(MEMBERS)}"
        elif dot and (name not in WITH_MEMBERS or not inside):
            fault = f"{path!r} is nothing to look at; {name} has no members"
        elif not dot and name in {"labels", "details"}:
            fault = f"{path!r} is a whole table; say which of it, for example {name}.env"
        elif wrong := _wanted_fault(wanted):
            fault = f"{path}: {wrong}"
        if fault:
            return fault
    return None


def _wanted_fault(wanted: Any) -> str | None:
    if isinstance(wanted, Mapping):
        known = wanted and wanted.keys() <= {"min", "max"} and all(map(_number, wanted.values()))
        if not known or any(map(isnan, wanted.values())):
            return "must have a number as `min`, `max` or both"
        return "has a `min` above its `max`" if wanted.get("min", -inf) > wanted.get("max", inf) else None
    if isinstance(wanted, list | tuple):
        if not wanted:
            return "is an empty list, which nothing is in"
        return next(filter(None, map(_wanted_fault, wanted)), None)
    if isinstance(wanted, str | bool) or (_number(wanted) and not isnan(wanted)):
        return None
    return "must be a text, a number, true, false, a list of those, or { min, max }"
