"""Every call of the API as it is documented: its parameters, its answers and its refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.approvals import MAX_WAIT_SECONDS
from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.domain.model.request import Status
from bot.ports import MAX_PAGE
from bot.schemas.requests import NotifyBody, ReasonBody, RespondBody, SubmitBody
from bot.web.api.events import HEARTBEAT_SECONDS
from bot.web.calls.door import ANSWERING as DOOR_ANSWERING
from bot.web.calls.door import MANAGING, READING
from bot.web.openapi import schemas

if TYPE_CHECKING:
    from pydantic import BaseModel

JsonObject = dict[str, Any]
Refusals = tuple[type[errors.AssentError], ...]

SUBMIT_EXAMPLE: JsonObject = {
    "title": "Refund €1,250 to customer 8841",
    "message": "Order 5531 arrived broken. *Evidence* in the ticket.",
    "audience": ["slack:U0123456789", "email:ana@example.com"],
    "quorum": 2,
    "payload": {"tool": "refund", "amount": 1250, "customer": "8841"},
    "details": {"Order": "5531", "Requested by": "support-agent"},
    "timeout_seconds": 3600,
    "on_timeout": "expire",
    "requester": "email:bob@example.com",
    "labels": {"env": "prod"},
    "source_url": "https://ci.example.com/run/1",
}
SHORT_EXAMPLE: JsonObject = {
    "title": "Deploy v7?",
    "destination": {"type": "email", "email": "ana@example.com"},
}
RESPOND_EXAMPLE: JsonObject = {
    "respondent": "email:ana@example.com",
    "decision": "approve",
    "reason": "The evidence is clear.",
}
OPERATOR_EXAMPLE: JsonObject = {"decision": "reject", "reason": "Not during the freeze."}
CANCEL_EXAMPLE: JsonObject = {"reason": "The order was cancelled."}
NOTIFY_EXAMPLE: JsonObject = {"message": "v7 is *live*.", "audience": ["email:ana@example.com"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as documented. Answers are of the type `media`: `str` is plain text, None no body.

    The key needs the `scope`, or one of the `scopes`; without either, the body decides which.
    """

    method: str
    path: str
    id: str
    summary: str
    text: str = ""
    key: bool = True
    scope: Scope | None = None
    scopes: tuple[Scope, ...] = ()
    parameters: tuple[JsonObject, ...] = ()
    body: type[BaseModel] | None = None
    examples: JsonObject = field(default_factory=dict)
    media: str = "application/json"
    answers: dict[int, tuple[str, type[BaseModel | str] | None]]
    refusals: Refusals = ()


def _query(name: str, text: str, **schema: Any) -> JsonObject:
    return {"name": name, "in": "query", "description": text, "schema": schema}


ID: JsonObject = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The request's id, `req_…`.",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body is the same request, answered with 200 instead of 201.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
REPEATED: JsonObject = IDEMPOTENCY_KEY | {
    "description": "The same key with the same answer is the same answer, which is recorded once: also where the next "
    "step asks the same person."
}
LAST_EVENT_ID: tuple[JsonObject, ...] = (
    {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Go on after this event; browsers send it by themselves when they connect again.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    _query("last_event_id", "The same, for the first connection.", type="string", pattern="^[0-9]{1,18}$"),
)
EVENTS_TEXT = f"""\
Server-sent events, named `request.created`, `.response`, `.updated`, `.reminded`, `.escalated`, `.delegated` and
`.resolved`. A comment every {HEARTBEAT_SECONDS:g} seconds says that the stream is alive.

"""
WAIT = _query(
    "wait",
    f"Answer as soon as the request is final, or after so many seconds ({MAX_WAIT_SECONDS:g} at most).",
    type="number",
    exclusiveMinimum=0,
)
STATUS = _query("status", "Only requests with this status.", type="string", enum=list(Status))
FILTERS = (
    _query(
        "respondent",
        "Only requests that ask this person: `rsp_…`, `email:ana@example.com`, `slack:U…`.",
        type="string",
    ),
    _query("requester", "Only requests by this requester, written as it was submitted.", type="string"),
    _query(
        "label",
        "Only requests with this label, `key:value`; given several times, with all of them.",
        type="string",
    ),
    _query("q", "Only requests whose title contains this, in upper or lower case.", type="string"),
    _query(
        "limit",
        f"How many at most; more than {MAX_PAGE} is lowered.",
        type="integer",
        minimum=1,
        default=50,
    ),
    _query("cursor", "The `next_cursor` of the page before.", type="string"),
)

MANAGED = "For the key that submitted the request, or one with the scope `operate`."

ALWAYS: Refusals = (
    errors.Malformed,
    errors.Unauthenticated,
    errors.ForbiddenScope,
    errors.RateLimited,
    errors.Unavailable,
)
WITH_BODY: Refusals = (errors.TooLarge, errors.Invalid)
FINAL: Refusals = (errors.NotFound, errors.AlreadyResolved)
ANSWERING: Refusals = (
    errors.NotInAudience,
    errors.SelfApproval,
    errors.AlreadyResponded,
    errors.StepClosed,
    errors.StaleRevision,
)

CALLS: tuple[Call, ...] = (
    Call(
        method="post",
        path="/v1/requests",
        id="submit",
        summary="Ask people",
        text="Stored when it answers 201; everybody of the audience is told right after.",
        scope=Scope.SUBMIT,
        parameters=(IDEMPOTENCY_KEY,),
        body=SubmitBody,
        examples={"refund": SUBMIT_EXAMPLE, "short": SHORT_EXAMPLE},
        answers={
            200: ("The request that this key opened before.", schemas.RequestOut),
            201: ("The new request; its address is in `Location`.", schemas.RequestOut),
        },
        refusals=(*WITH_BODY, errors.NoAudience, errors.IdempotencyConflict),
    ),
    Call(
        method="get",
        path="/v1/requests",
        id="list",
        summary="List requests",
        text="Newest first. All filters given must match. A key with `submit` alone lists what it submitted itself.",
        scopes=READING,
        parameters=(STATUS, *FILTERS),
        answers={200: ("One page.", schemas.RequestPage)},
        refusals=(errors.Invalid,),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}",
        id="get",
        summary="Read a request, or wait for its outcome",
        text="With `wait` it answers in the moment the request becomes final, always with 200: see `status`.",
        scopes=READING,
        parameters=(ID, WAIT),
        answers={200: ("The request as it stands.", schemas.RequestOut)},
        refusals=(errors.NotFound, errors.Invalid),
    ),
    Call(
        method="post",
        path="/v1/requests/{id}/responses",
        id="respond",
        summary="Answer",
        text="For a respondent (scope `respond` or `operate`), or without `respondent` as operator (scope `operate`): "
        "that decides at once, whatever the quorum. The same answer again is recorded once. With `operate` no key "
        "answers what it submitted itself. Say with `revision` what you looked at.",
        scopes=DOOR_ANSWERING,
        parameters=(ID, REPEATED),
        body=RespondBody,
        examples={"respondent": RESPOND_EXAMPLE, "operator": OPERATOR_EXAMPLE},
        answers={200: ("The request after the answer.", schemas.Answered)},
        refusals=(*WITH_BODY, *FINAL, *ANSWERING, errors.IdempotencyConflict),
    ),
    Call(
        method="post",
        path="/v1/requests/{id}/cancel",
        id="cancel",
        summary="Take a question back",
        text=MANAGED,
        scopes=MANAGING,
        parameters=(ID,),
        body=ReasonBody,
        examples={"cancel": CANCEL_EXAMPLE},
        answers={200: ("The cancelled request.", schemas.Answered)},
        refusals=(*WITH_BODY, *FINAL, errors.NotYours),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/audit",
        id="audit",
        summary="Read a request's history",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("Its audit events, oldest first.", schemas.History)},
        refusals=(errors.NotFound,),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/events",
        id="request_events",
        summary="Follow a request",
        text=f"{EVENTS_TEXT}The stream begins with the request's first event and ends after `request.resolved`.",
        scopes=READING,
        parameters=(ID, *LAST_EVENT_ID),
        media="text/event-stream",
        answers={
            200: ("Its events, each as it happens.", schemas.StreamedEvent),
            204: ("It was resolved, and you have seen all of it: do not connect again.", None),
        },
        refusals=(errors.NotFound, errors.Invalid),
    ),
    Call(
        method="get",
        path="/v1/events",
        id="events",
        summary="Follow every request",
        text=f"{EVENTS_TEXT}A key with `submit` alone follows what it submitted itself. "
        "The stream begins with what happens next; its first `id` comes at once, without an "
        "event, so that whoever connects again with it misses nothing.",
        scopes=READING,
        parameters=LAST_EVENT_ID,
        media="text/event-stream",
        answers={200: ("All events, each as it happens.", schemas.StreamedEvent)},
        refusals=(errors.Invalid,),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/receipt",
        id="receipt",
        summary="Get a signed receipt of the outcome",
        text="Check it with the keys of `/.well-known/jwks.json`, and compare `payload_digest` with what you run.",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("The receipt.", schemas.ReceiptOut)},
        refusals=(errors.NotFound, errors.NotFinal),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/deliveries",
        id="deliveries",
        summary="See what became of each card, mail and callback",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("Every delivery, oldest first.", schemas.Deliveries)},
        refusals=(errors.NotFound,),
    ),
    Call(
        method="get",
        path="/v1/pending",
        id="pending",
        summary="List what waits",
        text="As the list of requests. A key with the scope `links` also gets the personal link of everybody "
        "who has not answered.",
        scopes=READING,
        parameters=FILTERS,
        answers={200: ("One page.", schemas.PendingPage)},
        refusals=(errors.Invalid,),
    ),
    Call(
        method="post",
        path="/v1/notifications",
        id="notify",
        summary="Tell people without asking",
        scope=Scope.SUBMIT,
        body=NotifyBody,
        examples={"notify": NOTIFY_EXAMPLE},
        answers={202: ("It will be delivered.", schemas.Accepted)},
        refusals=(*WITH_BODY, errors.NoAudience),
    ),
    Call(
        method="get",
        path="/.well-known/jwks.json",
        id="jwks",
        summary="Get the keys that receipts are checked with",
        key=False,
        answers={200: ("A JWK set.", schemas.KeysOut)},
    ),
    Call(
        method="get",
        path="/healthz",
        id="healthz",
        summary="Is the process alive?",
        key=False,
        answers={200: ("It is.", schemas.Health)},
    ),
    Call(
        method="get",
        path="/readyz",
        id="readyz",
        summary="Do the database, the deliveries and Slack work?",
        key=False,
        answers={
            200: (
                "It works here; `delivery` names what cannot be reached just now, and is sent to later.",
                schemas.Readiness,
            ),
            503: ("Something does not.", schemas.Readiness),
        },
    ),
    Call(
        method="get",
        path="/metrics",
        id="metrics",
        summary="What was done here, and what waits, for Prometheus",
        key=False,
        media="text/plain",
        answers={200: ("Prometheus text.", str)},
    ),
)
