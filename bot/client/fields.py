"""What can be said of a request and of an answer, so that editors and type checkers know every keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Timeout = Literal["expire", "approve", "reject", "skip", "escalate"]
Status = Literal["pending", "approved", "rejected", "skipped", "expired", "cancelled"]


class Fields(TypedDict, total=False):
    """The fields of a request; each is explained in the API's reference (`/docs`)."""

    title: str
    message: str | None
    details: Mapping[str, Any] | None
    audience: Sequence[str] | None
    destination: Mapping[str, str] | Sequence[Mapping[str, str]] | None
    quorum: int | str | Mapping[str, Any] | None
    reject_quorum: int | None
    kind: Literal["approval", "choice", "input", "feedback"] | None
    choices: Sequence[Mapping[str, Any]] | None
    feedback_type: str | None
    allow_skip: bool | None
    payload: Any
    form: Mapping[str, Any] | None
    level: Literal["info", "confirm", "verify"] | None
    verification_phrase: str | None
    reason: Literal["optional", "on_reject", "required"] | None
    steps: Sequence[Mapping[str, Any]] | None
    timeout_seconds: float | None
    timeout_at: str | None
    on_timeout: Timeout | None
    remind_after_seconds: float | Sequence[float] | None
    escalation: Sequence[Mapping[str, Any]] | None
    requester: str | None
    allow_self_approval: bool | None
    grace_seconds: float | None
    callback_url: str | None
    source_url: str | None
    labels: Mapping[str, Any] | None


class Answer(TypedDict, total=False):
    """What an answer has beside its decision."""

    respondent: str | None
    reason: str | None
    revision: int | None
    step: int | None


class Given(Answer, total=False):
    """What the answer to one request may have, too."""

    values: Mapping[str, Any] | None
    phrase: str | None


class Changes(TypedDict, total=False):
    """What is asked instead of what was; what is left out stays."""

    title: str | None
    message: str | None
    details: Mapping[str, Any] | None
    payload: Any
    reason: str | None


class Narrowed(TypedDict, total=False):
    """Which requests are meant, whatever became of them and whoever answers."""

    requester: str | None
    label: str | Sequence[str] | None
    """`key:value`, or several of them that all hold."""
    q: str | None
    """Words of the title, the message, …"""


class Filters(Narrowed, total=False):
    """Which requests are listed."""

    status: Status | None
    respondent: str | None


class Target(TypedDict, total=False):
    """Who is told, where nobody is asked: one of the two."""

    audience: Sequence[str] | None
    destination: Mapping[str, str] | Sequence[Mapping[str, str]] | None
