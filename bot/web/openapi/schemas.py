"""The shapes of the API's answers, for its OpenAPI document; the answers are plain dicts of `bot.schemas`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from bot.domain.model.request import Json, ResolvedBy, RespondentState, Status, Surface
from bot.domain.model.spec import Kind, Level, OnTimeout, ReasonRule


class _Out(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ChoiceOut(_Out):
    """One option of a `choice` request."""

    id: str
    label: str
    style: Literal["primary", "danger"] | None


class QuorumOut(_Out):
    """How far the open step is."""

    required: int
    approved: int
    rejected: int
    text: str
    """The same in words, as people read it."""


class StepOut(_Out):
    """The open step; of a final request, the last one that was."""

    index: int
    count: int
    name: str | None


class RespondentOut(_Out):
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


class ResponseOut(_Out):
    """One respondent's answer."""

    respondent: str
    decision: str
    reason: str | None
    values: dict[str, Any] | None
    surface: Surface
    at: AwareDatetime


class UnreachableOut(_Out):
    """A selector or address that could not be told."""

    target: str
    reason: str


class StageOut(_Out):
    """One step."""

    name: str | None
    audience: list[str]


class EscalationOut(_Out):
    """The escalation ladder."""

    level: int
    """How many levels have been asked."""
    levels: list[str]
    next_at: AwareDatetime | None
    """When the next level is asked by itself."""


class EditOut(_Out):
    """One value that was changed before the decision."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    field: str
    from_: Annotated[Json, Field(alias="from")]
    to: Json
    by: str
    at: AwareDatetime


class CommentOut(_Out):
    """A question back, or (without `respondent`) the requester's reply."""

    by: str
    respondent: str | None
    text: str
    surface: Surface
    at: AwareDatetime


class EntryOut(_Out):
    """What happened beside the answers, in a sentence."""

    at: AwareDatetime
    text: str


class HeldOut(_Out):
    """A decision that is not final yet: whoever decided can still withdraw."""

    decision: Status
    until: AwareDatetime


class OutcomeOut(_Out):
    """The one result."""

    decision: Literal["approved", "rejected", "skipped", "expired", "cancelled"]
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


class RequestOut(_Out):
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
    created_at: AwareDatetime
    remind_at: AwareDatetime | None
    """When those who have not answered are reminded next."""
    timeout_at: AwareDatetime | None
    """The deadline of the request or of its open step, whichever comes first."""
    on_timeout: OnTimeout
    resolved_at: AwareDatetime | None


class RequestBrief(_Out):
    """A request as it is answered to a key that may not read it."""

    id: str
    status: Status
    version: int


class Answered(RootModel[RequestOut | RequestBrief]):
    """The request; for a key that may not read it only `id`, `status` and `version`."""


class RequestPage(_Out):
    """One page, newest first."""

    items: list[RequestOut]
    next_cursor: str | None
    """The `cursor` of the next page, if there is one."""


class ResultOut(_Out):
    """What came of one of several answers: the request, or why it was refused."""

    id: str
    request: RequestOut | RequestBrief | None
    problem: dict[str, Any] | None


class Results(_Out):
    """What came of several answers."""

    items: list[ResultOut]


class GroupOut(_Out):
    """A group of people."""

    name: str
    members: list[str] | None
    """Selectors; null where they are computed for each request."""


class Groups(_Out):
    """Every group, by name."""

    items: list[GroupOut]


class LinkOut(_Out):
    """A respondent's personal link. Whoever has it can answer for them."""

    respondent: str
    url: str


class PendingOut(RequestOut):
    """A request that waits."""

    links: list[LinkOut] = []
    """Only for a key with the scope `links`."""


class PendingPage(_Out):
    """One page of what waits, newest first."""

    items: list[PendingOut]
    next_cursor: str | None


class EventOut(_Out):
    """One event of the audit chain."""

    id: int
    type: str
    request_id: str
    status: Status
    version: int
    at: AwareDatetime
    data: dict[str, Any]
    hash: str
    """Covers this event and all before it."""


class StreamedEvent(_Out):
    """One event of a stream."""

    id: str
    """What to go on after, a number."""
    event: str
    """The event's type."""
    data: Annotated[
        str,
        Field(
            json_schema_extra={
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/EventOut"},
            }
        ),
    ]
    """An `EventOut` on one line."""


class History(_Out):
    """All of a request's audit events, oldest first."""

    items: list[EventOut]


class ReceiptOut(_Out):
    """Proof of an outcome, for whoever does not ask here."""

    receipt: str
    """A compact JWS. Its claims: `iss` (this server), `sub` (the request), `iat`, `status`, `choice`,
    `revision`, `payload_digest` (of `outcome.payload`), `respondents`, `resolved_by`, `by`, `resolved_at`, and where
    the outcome stands in the audit trail: `seq` and `chain`, the number and the hash of its event.
    """


class KeyOut(_Out):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    """Names the key in the header of a receipt."""
    use: Literal["sig"]
    alg: Literal["Ed25519"]


class KeysOut(_Out):
    """The public keys that receipts are checked with: the newest first, which signs."""

    keys: list[KeyOut]


class DeliveryOut(_Out):
    """One card, mail or callback to one address, which of a callback is shown without query and password."""

    surface: str
    address: str
    notice: str
    respondent: str | None
    state: str
    attempts: int
    error: str | None
    at: AwareDatetime | None


class Deliveries(_Out):
    """Everything that was sent for a request, or is to be."""

    items: list[DeliveryOut]


class Accepted(_Out):
    """It is stored and will be delivered."""

    status: Literal["accepted"]


class Health(_Out):
    """The process answers."""

    status: Literal["ok"]


class Readiness(_Out):
    """Whether each part works: `ok`, or what is wrong in words."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, str]


class FaultOut(_Out):
    """One thing wrong with the input."""

    pointer: str
    """JSON pointer into the body; for a query parameter or header its name."""
    detail: str


class Problem(_Out):
    """What went wrong (RFC 9457), with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    """One sentence for a person: what was wrong, and how to mend it."""
    code: str
    request_id: str
    """The same as the header `X-Request-ID`."""
    errors: list[FaultOut] = []
    """With code `invalid`: every fault."""
    request: RequestOut | RequestBrief | None = None
    """With code `already_resolved`: the request as it was decided."""
