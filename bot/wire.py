"""The JSON of the HTTP API: what comes in (validated by pydantic) and what goes out.

`parse` turns a body into one of the models below and reports every fault with its JSON pointer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
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
Flag = Annotated[bool, Field(strict=True)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2000)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]


def _rfc3339(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("must be an instant with its zone, for example 2030-01-31T09:00:00Z")
    return value


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d")
Instant = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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
    """What `decision` says when somebody picks this."""
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
    """One question put to people. Fields marked as not available yet are refused, never ignored."""

    title: Text
    """One line: what is to be decided."""
    message: str = ""
    """More about it, in Markdown."""
    details: dict[str, Scalar] = {}
    """A flat map, shown as a table."""
    audience: list[str] | None = None
    """Who may respond. Selectors: `slack:U…` a user, `slack:C…` or `slack:G…` a channel (any member may
    respond), `slack:S…` a user group, `slack:ana@example.com` a Slack user by email, `email:ana@example.com`
    by mail, `ana@example.com` by Slack and by mail, `group:NAME` from the configuration. Without it and
    without `destination` the configured default audience is asked.
    """
    destination: Destinations | None = None
    """The short form of an audience: one place or several."""
    quorum: Count | Literal["all", "majority"] | dict[str, Any] = 1
    """How many approvals decide: a number, `all` or `majority` (over half). Trees are not available yet."""
    reject_quorum: Count = 1
    """How many rejections decide. It also ends as rejected once the quorum can no longer be reached."""
    kind: Kind = Kind.APPROVAL
    """`approval`, or `choice` (then `choices` says of what). `input` and `feedback` are not available yet."""
    choices: list[ChoiceBody] = []
    """For kind `choice`: `decision` is the id of one of them."""
    feedback_type: str | None = None
    """For kind `feedback`."""
    allow_skip: Flag = False
    """People may also answer `skip`, which takes them out of the count."""
    payload: Json = None
    """The exact thing that will be done. The digest of its RFC 8785 form is shown and recorded; integers
    beyond 2^53 are refused, because JSON numbers cannot carry them exactly.
    """
    form: dict[str, Any] | None = None
    """A JSON Schema of the fields people may edit. Not available yet."""
    level: Level = Level.CONFIRM
    """`info`: people are told, and it is approved at once. `verify`: to approve, they type a phrase."""
    verification_phrase: Text | None = None
    """For level `verify`."""
    reason: ReasonRule = ReasonRule.OPTIONAL
    """When an answer must say why."""
    steps: list[StepBody] | None = None
    """Stages taken in order. Not available yet."""
    timeout_seconds: Seconds | None = None
    """Seconds until `on_timeout` happens; without a timeout it waits for ever."""
    timeout_at: Instant | None = None
    """The same as an instant to come. Give one or the other."""
    on_timeout: OnTimeout = OnTimeout.EXPIRE
    """What the deadline does. `escalate` is not available yet."""
    remind_after_seconds: Seconds | list[Seconds] | None = None
    """When those who have not answered are asked again. Not available yet."""
    escalation: list[EscalationBody] = []
    """Who is asked next. Not available yet."""
    allow_self_approval: Flag = False
    """Whether the requester's own answer counts."""
    callback_url: Url | None = None
    """Gets the outcome as a signed Standard Webhooks POST; a private address is refused unless allowed."""
    requester: Text | None = None
    """Who or what asks: `email:bob@example.com`, `slack:U…`, or any name of a workflow."""
    labels: dict[str, Scalar] = {}
    """For finding it again: `?label=env:prod`."""
    source_url: Url | None = None
    """Where it comes from, shown as a link."""


class RespondBody(_Body):
    """One answer."""

    respondent: Text | None = None
    """Who answers: `rsp_…`, `email:ana@example.com` or `slack:U…`. Without it the key decides, as operator.
    """
    decision: Text
    """`approve`, `reject`, `skip` where that is allowed, or the id of a choice."""
    reason: str | None = None
    """At most 3000 characters."""
    values: dict[str, Any] | None = None
    """Edited values of the request's form."""
    phrase: str | None = None
    """The verification phrase, typed exactly."""


class ReasonBody(_Body):
    """Why."""

    reason: str | None = None


class NotifyBody(_Body):
    """Something to tell people without asking."""

    message: Text
    """Markdown."""
    destination: Destinations | None = None
    """As for a request."""
    audience: list[str] | None = None
    """As for a request."""


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
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
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
    if at is None:
        return None
    text = at.isoformat(timespec="milliseconds")
    if not text.endswith("+00:00"):
        text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


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
