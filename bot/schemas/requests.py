"""The JSON that comes in over the HTTP API, validated by pydantic.

`parse` turns a body into one of the models below and reports every fault with its JSON pointer.
"""

from __future__ import annotations

import re
from contextlib import suppress
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

from bot.domain.errors import Fault, Invalid
from bot.domain.model.digest import escape_pointer
from bot.domain.model.request import Json
from bot.domain.model.spec import Kind, Level, OnTimeout, ReasonRule

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


MAX_TIMEOUT_SECONDS = 100 * 366 * 24 * 3600
"""A hundred years; further away is a mistake, not a deadline."""

MAX_GRACE_SECONDS = 24 * 3600
"""A day; whoever needs longer to think should not decide yet."""
MAX_BULK = 100
MAX_MEMBERS = 200
"""Most labels of a request, and most lines of its details."""
MAX_REMINDERS = 100
MAX_REQUESTER = 500
"""Characters."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Scalar = str | int | float | bool
Flag = Annotated[bool, Field(strict=True)]


def _with_plain_scheme(url: object) -> object:
    """Schemes are case-insensitive, and canonical in lower case (RFC 3986 §3.1)."""
    if not isinstance(url, str):
        return url
    scheme, colon, rest = url.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


Url = Annotated[
    str,
    BeforeValidator(_with_plain_scheme),
    StringConstraints(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2000),
]
Seconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]


def _rfc3339(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("must be an instant with its zone, for example 2030-01-31T09:00:00Z")
    return value


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d")
Instant = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


class Body(BaseModel):
    """What comes in: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EmailDestination(Body):
    """Tell somebody by mail."""

    type: Literal["email"]
    email: str


class SlackDestination(Body):
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


class ChoiceBody(Body):
    """One option of a `choice` request."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,60}$")]
    """What `decision` says when somebody picks this."""
    label: Text
    style: Literal["primary", "danger"] | None = None


Quorum = Count | Literal["all", "majority"] | dict[str, Any]


class StepBody(Body):
    """One stage of a multi-step request; what it leaves out is as for the whole request."""

    name: Text | None = None
    audience: list[str] | None = None
    destination: Destinations | None = None
    quorum: Quorum | None = None
    reject_quorum: Count | None = None
    timeout_seconds: Seconds | None = None
    """Counted from the opening of the step."""
    on_timeout: OnTimeout | None = None
    """`approve` opens the next step; everything else ends the request."""


class EscalationBody(Body):
    """One level of the escalation ladder: who is asked next."""

    name: Text
    after_seconds: Seconds | None = None
    """Counted from the opening of the step, or from the level before; without it, only by hand."""
    audience: list[str] | None = None
    destination: Destinations | None = None
    quorum: Quorum = 1
    """Met by this level's people it decides, as well as the rule of those asked before."""
    replace: Flag = False
    """Those asked before may not answer any more."""


class SubmitBody(Body):
    """One question put to people."""

    title: Text
    """One line: what is to be decided."""
    message: str = ""
    """More about it, in Markdown."""
    details: Annotated[dict[str, Scalar], Field(max_length=MAX_MEMBERS)] = Field(default_factory=dict)
    """A flat map, shown as a table."""
    audience: list[str] | None = None
    """Who may respond. Selectors: `slack:U…` a user, `slack:C…` or `slack:G…` a channel (any member may
    respond), `slack:S…` a user group, `slack:ana@example.com` a Slack user by email, `email:ana@example.com`
    by mail, `ana@example.com` by Slack and by mail, `group:NAME` from the configuration. Without it and
    without `destination` the configured default audience is asked. One audience has at most 1,000 people.
    """
    destination: Destinations | None = None
    """The short form of an audience: one place or several."""
    quorum: Quorum = 1
    """How many approvals decide: a number, `all`, `majority` (over half), or a tree:
    `{"all_of": [{"from": "group:security", "approvals": 1}, {"any_of": […]}]}`. `from` is one of the audience's
    selectors, `approvals` a number (default 1), `all` or `majority`, `rejections` how many of theirs rule it out. One
    person fills one place in a tree; with `"distinct": false` at its root they count in every group they are in.
    Without a quorum, `feedback` is collected from everybody.
    """
    reject_quorum: Count = 1
    """How many rejections decide. It also ends as rejected once the quorum can no longer be reached."""
    kind: Kind = Kind.APPROVAL
    """`approval`, `choice` (then `choices` says of what: as many as the quorum must choose the same), `input` (a
    `form` to fill in), or `feedback` (`values` of a `score` from 0 to 1 and a `comment`; the outcome has the mean).
    """
    choices: list[ChoiceBody] = Field(default_factory=list)
    """For kind `choice`: `decision` is the id of one of them."""
    feedback_type: str | None = None
    """For kind `feedback`: what it is about."""
    allow_skip: Flag = False
    """People may also answer `skip`, which takes them out of the count."""
    payload: Json = None
    """The exact thing that will be done. The digest of its RFC 8785 form is shown and recorded; integers
    beyond 2^53 are refused, because JSON numbers cannot carry them exactly.
    """
    form: dict[str, Any] | None = None
    """A JSON Schema object of the fields people may edit (`readOnly`: only see) or must fill in. Current values are
    the payload's. A `default` stands in the field where the payload has no value, and counts once it is sent back. A
    change sets back who approved other values before.
    """
    level: Level = Level.CONFIRM
    """`info`: people are told, and it is approved at once unless a policy rejects it. `verify`: whoever approves types
    a phrase, an operator too.
    """
    verification_phrase: Text | None = None
    """For level `verify`."""
    reason: ReasonRule = ReasonRule.OPTIONAL
    """When an answer must say why."""
    steps: list[StepBody] | None = None
    """Stages taken in order; a step's people are told when it opens. A rejection in any step ends the request."""
    timeout_seconds: Seconds | None = None
    """Seconds until `on_timeout` happens; without a timeout it waits for ever."""
    timeout_at: Instant | None = None
    """The same as an instant to come. Give one or the other."""
    on_timeout: OnTimeout = OnTimeout.EXPIRE
    """What the deadline does. `escalate` asks the next level, which has as long again. `approve` is not for level
    `verify`, kind `choice` or `input`: silence types, chooses and fills in nothing.
    """
    remind_after_seconds: Seconds | Annotated[list[Seconds], Field(max_length=MAX_REMINDERS)] | None = None
    """When those who have not answered are asked again: a list of seconds, or one number repeated; from the
    opening of the step or the last escalation, within the configured working hours.
    """
    escalation: list[EscalationBody] = Field(default_factory=list)
    """Who is asked next, one level after the other."""
    grace_seconds: Annotated[float, Field(ge=0, le=MAX_GRACE_SECONDS, allow_inf_nan=False, strict=True)] = 0
    """How long the quorum's decision is held back, so that whoever decided can still withdraw."""
    allow_self_approval: Flag = False
    """Whether the requester's own answer counts."""
    callback_url: Url | None = None
    """Gets the outcome as a signed Standard Webhooks POST; a private address is refused unless allowed."""
    requester: Annotated[Text, Field(max_length=MAX_REQUESTER)] | None = None
    """Who or what asks: `email:bob@example.com`, `slack:U…`, or any name of a workflow."""
    labels: Annotated[dict[str, Scalar], Field(max_length=MAX_MEMBERS)] = Field(default_factory=dict)
    """For finding it again: `?label=env:prod`."""
    source_url: Url | None = None
    """Where it comes from, shown as a link."""


Revision = Annotated[int, Field(ge=1, strict=True)]
Index = Annotated[int, Field(ge=0, strict=True)]


class RespondBody(Body):
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
    revision: Revision | None = None
    """The `revision` that was looked at; it is 409 `stale_revision` where the question was changed since."""
    step: Index | None = None
    """The `step.index` that is answered; it is 409 `step_closed` where that is over. Without it the answer is for the
    open step: give it, or an `Idempotency-Key`, so that an answer sent twice never answers a further step.
    """


Why = Annotated[str, Field(max_length=3000)]


class ReasonBody(Body):
    """Why."""

    reason: Why | None = None


class EscalateBody(Body):
    """Ask the next level now."""

    reason: Why | None = None
    respondent: Text | None = None
    """Which respondent wants it; without one, the key's owner does."""


class DelegateBody(Body):
    """One respondent hands the request on to another person."""

    model_config = ConfigDict(validate_by_name=True)

    from_: Annotated[Text, Field(alias="from")]
    """Whose place is taken: `rsp_…`, `email:…` or `slack:U…`."""
    to: Text
    """Who takes it: the selector of one person."""
    reason: Why | None = None


class WithdrawBody(Body):
    """A respondent takes their answer back."""

    respondent: Text


class CommentBody(Body):
    """A respondent's question, or without `respondent` the requester's reply."""

    text: Text
    respondent: Text | None = None


class ReviseBody(Body):
    """What is asked instead; what is left out stays. Every answer so far is set back."""

    title: Text | None = None
    message: str | None = None
    details: Annotated[dict[str, Scalar], Field(max_length=MAX_MEMBERS)] | None = None
    payload: Json = None
    reason: Why | None = None
    """Why, for those who had answered."""


class Looked(Body):
    """One of several requests, as it was looked at."""

    id: Text
    revision: Revision | None = None
    step: Index | None = None


class BulkBody(Body):
    """The same answer to several requests. Those of level `verify` are refused."""

    requests: Annotated[list[Text | Looked], Field(min_length=1, max_length=MAX_BULK)]
    """Ids, each alone or as `{"id", "revision", "step"}` with what was looked at."""
    respondent: Text | None = None
    """As for one response."""
    decision: Text
    reason: str | None = None
    revision: Revision | None = None
    """As for one response: of every request that does not say its own."""
    step: Index | None = None
    """Likewise."""

    @property
    def seen(self) -> dict[str, tuple[int | None, int | None]]:
        """The revision and the step that were looked at, by id."""
        every = [Looked(id=r) if isinstance(r, str) else r for r in self.requests]
        return {
            r.id: (
                self.revision if r.revision is None else r.revision,
                self.step if r.step is None else r.step,
            )
            for r in every
        }


class GroupBody(Body):
    """Who is in a group."""

    members: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    """Selectors."""


class NotifyBody(Body):
    """Something to tell people without asking."""

    message: Text
    """Markdown."""
    destination: Destinations | None = None
    """As for a request."""
    audience: list[str] | None = None
    """As for a request."""


B = TypeVar("B", bound=Body)


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
        case "union_tag_invalid":
            return f"has a `type` that is not known; it must be one of: {error['ctx']['expected_tags']}"
        case "string_pattern_mismatch" if "https" in message:
            return "must be an http or https URL"
        case kind:
            return _SENTENCES.get(kind, message[0].lower() + message[1:])


_SENTENCES = {
    "extra_forbidden": "is not a field of this call; check the spelling or leave it out",
    "missing": "is needed",
    "union_tag_not_found": "needs a `type`, which says what it is",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}
