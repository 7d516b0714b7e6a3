"""The JSON of the HTTP API: what comes in (validated by pydantic) and what goes out.

`parse` turns a body into one of the models below and reports every fault with its JSON pointer.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
)

from bot.domain import quorum
from bot.domain.digest import escape_pointer
from bot.domain.errors import Fault, Invalid
from bot.domain.request import Json, Kind, Level, OnTimeout, ReasonRule, Request

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from bot.ports import AuditEvent, DeliveryState

MAX_TIMEOUT_SECONDS = 10 * 366 * 24 * 3600
"""Ten years; further away is a mistake, not a deadline."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Scalar = str | int | float | bool
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2000)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False)


class EmailDestination(_Body):
    """Tell somebody by mail."""

    type: Literal["email"]
    email: str


class SlackDestination(_Body):
    """Tell a Slack user (by id or email) or a channel: exactly one of the three."""

    type: Literal["slack"]
    email: str | None = None
    userId: str | None = None  # noqa: N815 - the name clients already send
    channelId: str | None = None  # noqa: N815 - the name clients already send


Destination = Annotated[EmailDestination | SlackDestination, Field(discriminator="type")]
Destinations = Annotated[
    Annotated[Destination, Tag("one")] | Annotated[list[Destination], Tag("many")],
    Discriminator(lambda value: "many" if isinstance(value, list) else "one"),
]


class ChoiceBody(_Body):
    """One option of a `choice` request."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,60}$")]
    label: Text
    style: Literal["primary", "danger"] | None = None


class StepBody(_Body):
    """One stage of a multi-step request."""

    name: str | None = None
    audience: list[str] = []
    quorum: int | str | dict[str, Any] = 1
    reject_quorum: Count = 1
    timeout_seconds: Seconds | None = None
    on_timeout: OnTimeout | None = None


class EscalationBody(_Body):
    """One level of the escalation ladder."""

    name: Text
    after_seconds: Seconds | None = None
    audience: list[str] = []


class SubmitBody(_Body):
    """`POST /v1/requests`."""

    title: Text
    message: str = ""
    details: dict[str, Scalar] = {}
    audience: list[str] | None = None
    destination: Destinations | None = None
    quorum: Count | Literal["all", "majority"] | dict[str, Any] = 1
    reject_quorum: Count = 1
    kind: Kind = Kind.APPROVAL
    choices: list[ChoiceBody] = []
    feedback_type: str | None = None
    allow_skip: bool = False
    payload: Json = None
    form: dict[str, Any] | None = None
    level: Level = Level.CONFIRM
    verification_phrase: Text | None = None
    reason: ReasonRule = ReasonRule.OPTIONAL
    steps: list[StepBody] | None = None
    timeout_seconds: Seconds | None = None
    timeout_at: AwareDatetime | None = None
    on_timeout: OnTimeout = OnTimeout.EXPIRE
    remind_after_seconds: Seconds | list[Seconds] | None = None
    escalation: list[EscalationBody] = []
    allow_self_approval: bool = False
    callback_url: Url | None = None
    requester: Text | None = None
    labels: dict[str, Scalar] = {}
    source_url: Url | None = None


class RespondBody(_Body):
    """`POST /v1/requests/{id}/responses`. Without `respondent` the key itself answers, as operator."""

    respondent: Text | None = None
    decision: Text
    reason: str | None = None
    values: dict[str, Any] | None = None
    phrase: str | None = None


class ReasonBody(_Body):
    """`POST /v1/requests/{id}/cancel` and its siblings."""

    reason: str | None = None


class NotifyBody(_Body):
    """`POST /v1/notifications`: tell people without asking."""

    message: Text
    destination: Destinations | None = None
    audience: list[str] | None = None


B = TypeVar("B", bound=_Body)


def parse(model: type[B], body: Json) -> B:
    """`body` as a `model`; raises `Invalid` with every fault and its pointer."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        for fault in error.errors(include_url=False):
            faults.setdefault(_pointer(body, fault), []).append(_sentence(fault))
        raise Invalid(
            Fault(p, " or ".join(dict.fromkeys(sentences))) for p, sentences in faults.items()
        ) from None


def _pointer(body: Json, fault: ErrorDetails) -> str:
    """The JSON pointer of a fault; its location also names members of unions, which are not in the JSON."""
    absent = (fault["loc"][-1],) if fault["type"] == "missing" else ()
    value, parts = body, []
    for part in fault["loc"][: -1 if absent else None]:
        with suppress(KeyError, TypeError):
            value = value[part]
            parts.append(part)
    return "".join(f"/{escape_pointer(str(part))}" for part in (*parts, *absent))


def _sentence(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Input ")
    match error["type"]:
        case "extra_forbidden":
            return "is not a field of this call; check the spelling or leave it out"
        case "missing":
            return "is needed"
        case "union_tag_not_found":
            return "needs a `type`, which says what it is"
        case "string_pattern_mismatch":
            return "must be an http or https URL" if "https" in message else message
        case "model_type" | "model_attributes_type":
            return "must be a JSON object"
        case _:
            return message[0].lower() + message[1:]


def instant(at: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def request_json(request: Request) -> dict[str, Json]:
    """A request as the API answers it."""
    spec, step = request.spec, request.current
    verdict = quorum.judge(request)
    return {
        "id": request.id,
        "status": request.status.value,
        "kind": spec.kind.value,
        "version": request.version,
        "revision": request.revision,
        "title": spec.title,
        "message": spec.message,
        "details": spec.details,
        "payload": spec.payload,
        "payload_digest": spec.payload_digest,
        "form": spec.form,
        "choices": [{"id": c.id, "label": c.label, "style": c.style} for c in spec.choices],
        "level": spec.level.value,
        "reason": spec.reason.value,
        "allow_skip": spec.allow_skip,
        "requester": spec.requester,
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
        "respondents": [
            {
                "id": r.id,
                "name": r.name,
                "email": r.email,
                "slack_user_id": r.slack_user_id,
                "state": r.state.value,
                "trouble": r.trouble,
            }
            for r in request.respondents
        ],
        "responses": [
            {
                "respondent": r.respondent,
                "decision": r.decision,
                "reason": r.reason,
                "values": r.values,
                "surface": r.surface.value,
                "at": instant(r.at),
            }
            for r in request.responses
        ],
        "unreachable": [{"target": u.target, "reason": u.reason} for u in request.unreached],
        "outcome": _outcome_json(request),
        "created_at": instant(request.created_at),
        "timeout_at": instant(request.timeout_at),
        "on_timeout": spec.on_timeout.value,
        "resolved_at": instant(request.resolved_at),
    }


def _outcome_json(request: Request) -> dict[str, Json] | None:
    outcome = request.outcome
    if outcome is None:
        return None
    return {
        "decision": outcome.decision.value,
        "choice": outcome.choice,
        "reason": outcome.reason,
        "values": outcome.values,
        "payload": outcome.payload,
        "edited": outcome.edited,
        "resolved_by": outcome.resolved_by.value,
        "respondents": list(outcome.respondents),
        "surface": outcome.surface.value,
        "by": outcome.by,
    }


def delivery_json(delivery: DeliveryState) -> dict[str, Json]:
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


def event_json(event: AuditEvent) -> dict[str, Json]:
    """An audit event as the API answers it."""
    return {
        "id": event.seq,
        "type": event.type,
        "request_id": event.request_id,
        "status": event.status.value,
        "version": event.version,
        "at": instant(event.at),
        "data": event.data,
        "hash": event.hash,
    }
