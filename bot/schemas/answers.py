"""The JSON that the HTTP API answers: mypy checks what is answered, and the OpenAPI document describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypeAliasType, TypedDict

from bot.domain.model.request import Json, ResolvedBy, RespondentState, Status, Surface
from bot.domain.model.spec import Kind, Level, OnTimeout, ReasonRule

described = with_config(ConfigDict(use_attribute_docstrings=True))
"""The text below a member describes it."""

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339, UTC, milliseconds."""

Final = Annotated[
    Status, WithJsonSchema({"type": "string", "enum": [status.value for status in Status if status.final]})
]


@described
class ChoiceOut(TypedDict):
    """One option of a `choice` request."""

    id: str
    label: str
    style: Literal["primary", "danger"] | None


@described
class QuorumOut(TypedDict):
    """How far the open step is."""

    required: int
    approved: int
    rejected: int
    text: str
    """The same in words, as people read it."""


@described
class StepOut(TypedDict):
    """The open step; of a final request, the last one that was."""

    index: int
    count: int
    name: str | None


@described
class RespondentOut(TypedDict):
    """One person of the audience, whatever addresses reach them."""

    id: str
    name: str | None
    email: str | None
    slack_user_id: str | None
    state: RespondentState
    trouble: str | None
    """Why they cannot be told, in words."""
    step: int
    """The step they are asked in."""
    delegate_of: str | None
    """The respondent who handed the request on to them."""


@described
class ResponseOut(TypedDict):
    """One respondent's answer."""

    respondent: str
    decision: str
    reason: str | None
    values: dict[str, Any] | None
    surface: Surface
    at: Instant


@described
class UnreachableOut(TypedDict):
    """A selector or address that could not be told."""

    target: str
    reason: str


@described
class StageOut(TypedDict):
    """One step."""

    name: str | None
    audience: list[str]


@described
class EscalationOut(TypedDict):
    """The escalation ladder."""

    level: int
    """How many levels have been asked."""
    levels: list[str]
    next_at: Instant | None
    """When the next level is asked by itself."""


_From = TypedDict("_From", {"from": Json})
"""The member whose name no attribute can have."""


@described
class EditOut(_From):
    """One value that was changed before the decision."""

    field: str
    to: Json
    by: str
    at: Instant


@described
class CommentOut(TypedDict):
    """A question back, or (without `respondent`) the requester's reply."""

    by: str
    respondent: str | None
    text: str
    surface: Surface
    at: Instant


@described
class EntryOut(TypedDict):
    """What happened beside the answers, in a sentence."""

    at: Instant
    text: str


@described
class HeldOut(TypedDict):
    """A decision that is not final yet: whoever decided can still withdraw."""

    decision: Status
    until: Instant


@described
class OutcomeOut(TypedDict):
    """The one result."""

    decision: Final
    choice: str | None
    reason: str | None
    values: dict[str, Any]
    payload: Json
    """What was approved: the payload with the respondents' edits merged in."""
    edited: bool
    resolved_by: ResolvedBy
    respondents: list[str]
    """Ids of those whose answers decided."""
    surface: Surface
    by: str
    """Who decided, in words."""


@described
class RequestOut(TypedDict):
    """A request as it stands. A final one never changes its outcome; reading never changes `version`."""

    id: str
    status: Status
    kind: Kind
    version: int
    """Rises with every change."""
    revision: int
    """Rises when the question itself changes."""
    title: str
    message: str
    details: dict[str, str]
    payload: Json
    payload_digest: str
    """`sha256:` and the digest of the payload's RFC 8785 form."""
    form: dict[str, Any] | None
    feedback_type: str | None
    choices: list[ChoiceOut]
    level: Level
    reason: ReasonRule
    allow_skip: bool
    requester: str | None
    submitted_by: str | None
    """The name of the API key that it came with."""
    labels: dict[str, str]
    source_url: str | None
    audience: list[str]
    quorum: QuorumOut
    step: StepOut
    steps: list[StageOut]
    escalation: EscalationOut | None
    respondents: list[RespondentOut]
    responses: list[ResponseOut]
    values: dict[str, Any]
    """What respondents have filled in or changed so far."""
    edits: list[EditOut]
    comments: list[CommentOut]
    trail: list[EntryOut]
    held: HeldOut | None
    unreachable: list[UnreachableOut]
    outcome: OutcomeOut | None
    created_at: Instant
    remind_at: Instant | None
    """When those who have not answered are reminded next."""
    timeout_at: Instant | None
    """The deadline of the request or of its open step, whichever comes first."""
    on_timeout: OnTimeout
    resolved_at: Instant | None


@described
class RequestBrief(TypedDict):
    """A request as it is answered to a key that may not read it."""

    id: str
    status: Status
    version: int


Answered = TypeAliasType(
    "Answered",
    Annotated[
        RequestOut | RequestBrief,
        Field(description="The request; for a key that may not read it only `id`, `status` and `version`."),
    ],
)


@described
class RequestPage(TypedDict):
    """One page, newest first."""

    items: list[RequestOut]
    next_cursor: str | None
    """The `cursor` of the next page, if there is one."""


@described
class FaultOut(TypedDict):
    """One thing wrong with the input."""

    pointer: str
    """JSON pointer into the body; for a query parameter or header its name."""
    detail: str


@described
class ProblemOut(TypedDict):
    """Why one of several answers was refused (RFC 9457), with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    """One sentence for a person: what was wrong, and how to mend it."""
    code: str
    errors: NotRequired[list[FaultOut]]
    """With code `invalid`: every fault."""
    request: NotRequired[RequestOut | RequestBrief]
    """With code `already_resolved`: the request as it was decided."""


@described
class Problem(ProblemOut):
    """What went wrong (RFC 9457), with a stable `code`."""

    request_id: str
    """The same as the header `X-Request-ID`."""


@described
class ResultOut(TypedDict):
    """What came of one of several answers: the request, or why it was refused."""

    id: str
    request: RequestOut | RequestBrief | None
    problem: ProblemOut | None


@described
class Results(TypedDict):
    """What came of several answers."""

    items: list[ResultOut]


@described
class GroupOut(TypedDict):
    """A group of people."""

    name: str
    members: list[str] | None
    """Selectors; null where they are computed for each request."""


@described
class Groups(TypedDict):
    """Every group, by name."""

    items: list[GroupOut]


@described
class LinkOut(TypedDict):
    """A respondent's personal link. Whoever has it can answer for them."""

    respondent: str
    url: str


@described
class PendingOut(RequestOut):
    """A request that waits."""

    links: NotRequired[list[LinkOut]]
    """Only for a key with the scope `links`."""


@described
class PendingPage(TypedDict):
    """One page of what waits, newest first."""

    items: list[PendingOut]
    next_cursor: str | None


@described
class EventOut(TypedDict):
    """One event of the audit chain."""

    id: int
    type: str
    request_id: str
    status: Status
    version: int
    at: Instant
    data: dict[str, Any]
    hash: str
    """Covers this event and all before it."""


@described
class History(TypedDict):
    """All of a request's audit events, oldest first."""

    items: list[EventOut]


@described
class DeliveryOut(TypedDict):
    """One card, mail or callback to one address, which of a callback is shown without query and password."""

    surface: str
    address: str
    notice: str
    respondent: str | None
    state: str
    attempts: int
    error: str | None
    at: Instant | None


@described
class Deliveries(TypedDict):
    """Everything that was sent for a request, or is to be."""

    items: list[DeliveryOut]


@described
class Accepted(TypedDict):
    """It is stored and will be delivered."""

    status: Literal["accepted"]
