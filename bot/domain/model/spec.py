"""What was asked, as frozen values: the question, who is asked in which order, and by which rules it is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Kind(StrEnum):
    """What is asked for."""

    APPROVAL = "approval"
    CHOICE = "choice"
    INPUT = "input"
    FEEDBACK = "feedback"


class Level(StrEnum):
    """How much a respondent must do: nothing (`info`), one click (`confirm`), type a phrase (`verify`)."""

    INFO = "info"
    CONFIRM = "confirm"
    VERIFY = "verify"


class ReasonRule(StrEnum):
    """When a response must carry a reason."""

    OPTIONAL = "optional"
    ON_REJECT = "on_reject"
    REQUIRED = "required"


class OnTimeout(StrEnum):
    """What the deadline does."""

    EXPIRE = "expire"
    APPROVE = "approve"
    REJECT = "reject"
    SKIP = "skip"
    ESCALATE = "escalate"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option of a `choice` request."""

    id: str
    label: str
    style: Literal["primary", "danger"] | None = None


QuorumRule = int | str | dict[str, Any]
"""A number of approvals, `"all"`, `"majority"`, or a tree of per-group minimums (see `domain.rules`)."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage: who is asked, and the rule that ends it. A one-step request is the usual case."""

    name: str | None = None
    audience: tuple[str, ...]
    quorum: QuorumRule = 1
    reject_quorum: int = 1
    timeout_seconds: float | None = None
    on_timeout: OnTimeout | None = None


@dataclass(frozen=True, kw_only=True)
class EscalationLevel:
    """Who is asked next when those before do not answer: their own `quorum` decides as well as the step's.

    `after_seconds` count from the opening of the step or the level before. `replace`: those before may not answer
    any more.
    """

    name: str
    audience: tuple[str, ...]
    after_seconds: float | None = None
    quorum: QuorumRule = 1
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Hours:
    """When people work: weekdays (Monday is 0), and the time of day in their own zone, or else in `zone`."""

    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    start: str = "09:00"
    end: str = "17:00"
    zone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What was asked. `payload` is exactly what will be done; `payload_digest` is `sha256:` of its canonical JSON."""

    title: str
    message: str = ""
    details: dict[str, str] = field(default_factory=dict)
    payload: Any = None
    payload_digest: str
    form: dict[str, Any] | None = None
    kind: Kind = Kind.APPROVAL
    choices: tuple[Choice, ...] = ()
    feedback_type: str | None = None
    level: Level = Level.CONFIRM
    verification_phrase: str | None = None
    reason: ReasonRule = ReasonRule.OPTIONAL
    allow_skip: bool = False
    allow_self_approval: bool = False
    requester: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    source_url: str | None = None
    callback_url: str | None = None
    submitted_by: str | None = None
    """The id of the API key that it came with, whose secret signs the callback."""
    submitted_by_name: str | None = None
    """The name of that key, which stays known when the key is revoked."""
    steps: tuple[Step, ...]
    escalation: tuple[EscalationLevel, ...] = ()
    remind_after_seconds: tuple[float, ...] = ()
    remind_every_seconds: float | None = None
    grace_seconds: float = 0
    hours: Hours | None = None
    timeout_seconds: float | None = None
    """How long one wait lasts, where the deadline escalates and the next level gets as long again."""
    on_timeout: OnTimeout = OnTimeout.EXPIRE
