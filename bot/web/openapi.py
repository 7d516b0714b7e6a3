"""The OpenAPI 3.1 document of the API: every call, its parameters, its answers and its refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot import __version__
from bot.approvals import MAX_WAIT_SECONDS
from bot.domain import errors
from bot.domain.request import Status
from bot.ports import MAX_PAGE
from bot.web import schemas
from bot.web.auth import Scope
from bot.wire import NotifyBody, ReasonBody, RespondBody, SubmitBody

if TYPE_CHECKING:
    from bot.domain.errors import AssentError

JsonObject = dict[str, Any]
Refusals = tuple[type["AssentError"], ...]

INTRODUCTION = """\
Ask people for approval, and learn of their answer. Send a key with every call: `Authorization: Bearer KEY`.

Every answer has an `X-Request-ID` (yours, if you sent one). What goes wrong is `application/problem+json`
with a stable `code`, a `detail` for people, and for code `invalid` every fault with its JSON pointer.
Instants are RFC 3339 in UTC. A body has at most 1 MiB. Answers may get more members; ignore unknown ones.
"""

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
    """One call as documented: `str` is plain text, any model JSON.

    `scope` None with `key` means that the body decides which scope is needed.
    """

    method: str
    path: str
    id: str
    summary: str
    text: str = ""
    key: bool = True
    scope: Scope | None = None
    parameters: tuple[JsonObject, ...] = ()
    body: type[BaseModel] | None = None
    examples: JsonObject = field(default_factory=dict)
    answers: dict[int, tuple[str, type[BaseModel | str]]]
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
    _query("label", "Only requests with this label, `key:value`.", type="string"),
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

ALWAYS: Refusals = (errors.Malformed, errors.Unauthenticated, errors.ForbiddenScope, errors.Unavailable)
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
        text="Newest first. All filters given must match.",
        scope=Scope.READ,
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
        scope=Scope.READ,
        parameters=(ID, WAIT),
        answers={200: ("The request as it stands.", schemas.RequestOut)},
        refusals=(errors.NotFound, errors.Invalid),
    ),
    Call(
        method="post",
        path="/v1/requests/{id}/responses",
        id="respond",
        summary="Answer",
        text="For a respondent (scope `respond`), or without `respondent` as operator (scope `operate`): "
        "that decides at once, whatever the quorum. The same answer again is recorded once.",
        parameters=(ID,),
        body=RespondBody,
        examples={"respondent": RESPOND_EXAMPLE, "operator": OPERATOR_EXAMPLE},
        answers={200: ("The request after the answer.", schemas.RequestOut)},
        refusals=(*WITH_BODY, *FINAL, *ANSWERING),
    ),
    Call(
        method="post",
        path="/v1/requests/{id}/cancel",
        id="cancel",
        summary="Take a question back",
        scope=Scope.SUBMIT,
        parameters=(ID,),
        body=ReasonBody,
        examples={"cancel": CANCEL_EXAMPLE},
        answers={200: ("The cancelled request.", schemas.RequestOut)},
        refusals=(*WITH_BODY, *FINAL),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/audit",
        id="audit",
        summary="Read a request's history",
        scope=Scope.READ,
        parameters=(ID,),
        answers={200: ("Its audit events, oldest first.", schemas.History)},
        refusals=(errors.NotFound,),
    ),
    Call(
        method="get",
        path="/v1/requests/{id}/deliveries",
        id="deliveries",
        summary="See what became of each card and mail",
        scope=Scope.READ,
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
        scope=Scope.READ,
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
            200: ("Everything works.", schemas.Readiness),
            503: ("Something does not.", schemas.Readiness),
        },
    ),
    Call(
        method="get",
        path="/metrics",
        id="metrics",
        summary="What was done here, and what waits, for Prometheus",
        key=False,
        answers={200: ("Prometheus text.", str)},
    ),
)


def document(base_url: str) -> JsonObject:
    """The OpenAPI document of a server at `base_url`."""
    bodies = {call.body for call in CALLS if call.body}
    answers = {model for call in CALLS for _, model in call.answers.values() if issubclass(model, BaseModel)}
    models = sorted(bodies | answers | {schemas.Problem}, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    paths: JsonObject = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Assent",
            "version": __version__,
            "summary": "Human approval for workflows",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "headers": {
                "RequestId": {"description": "Names this call in the log.", "schema": {"type": "string"}}
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": f"Scopes: {', '.join(Scope)}."}
            },
        },
    }


def _operation(call: Call) -> JsonObject:
    scope = f"Needs the scope `{call.scope}`." if call.scope else ""
    operation: JsonObject = {
        "operationId": call.id,
        "summary": call.summary,
        "description": " ".join(filter(None, (call.text, scope))),
        "parameters": list(call.parameters),
        "responses": {str(status): _answer(status, *answer) for status, answer in call.answers.items()},
    }
    if call.body:
        content = {"schema": _ref(call.body), "examples": {n: {"value": v} for n, v in call.examples.items()}}
        required = call.body is not ReasonBody
        operation["requestBody"] = {"required": required, "content": {"application/json": content}}
    if not call.key:
        return operation | {"security": []}
    refusals = sorted({*ALWAYS, *call.refusals}, key=lambda error: (error.status, error.code))
    for status, group in groupby(refusals, key=lambda error: error.status):
        operation["responses"][str(status)] = _refusal(list(group))
    return operation


def _answer(status: int, text: str, model: type[BaseModel | str]) -> JsonObject:
    location = (
        {"Location": {"description": "Its path.", "schema": {"type": "string"}}} if status == 201 else {}
    )
    content = (
        {"application/json": {"schema": _ref(model)}}
        if issubclass(model, BaseModel)
        else {"text/plain": {"schema": {"type": "string"}}}
    )
    return {
        "description": text,
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}, **location},
        "content": content,
    }


def _refusal(group: list[type[AssentError]]) -> JsonObject:
    problem = {
        "allOf": [_ref(schemas.Problem), {"properties": {"code": {"enum": [error.code for error in group]}}}]
    }
    return {
        "description": " ".join(f"`{e.code}`: {e.title[0].lower()}{e.title[1:]}." for e in group),
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        "content": {"application/problem+json": {"schema": problem}},
    }


def _ref(model: type[BaseModel]) -> JsonObject:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
