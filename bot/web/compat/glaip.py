"""What GL AIP's human-in-the-loop client calls: list what waits, and decide it.

Its header is `X-API-Key`. It takes 404 and 409 for "already resolved", and tries again on 5xx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType, TypedDict

from bot.domain.access.authority import Scope
from bot.domain.errors import SelfApproval
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.request import APPROVE, REJECT, SKIP, Request, Status, Surface
from bot.ports.store import MAX_PAGE, Query
from bot.schemas.answers import described
from bot.schemas.requests import Body
from bot.schemas.responses import instant, request_json
from bot.web.calls.door import READING
from bot.web.calls.json_body import respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import FINAL

if TYPE_CHECKING:
    from aiohttp import web

    from bot.web.calls.door import Visit

DECISIONS = {"approved": APPROVE, "rejected": REJECT, "skipped": SKIP}


class DecisionBody(Body):
    """A decision as GL AIP's client posts it; it is the operator's."""

    model_config = ConfigDict(extra="ignore")

    request_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
    decision: Literal["approved", "rejected", "skipped"]
    operator_input: str | None = None
    """The reason."""
    run_id: str | None = None
    """Not looked at: the request's id says enough."""


@described
class PendingRow(TypedDict):
    """One request that waits, as GL AIP's client reads it."""

    request_id: str
    tool: str
    """The payload's `tool`, else the title."""
    arguments: dict[str, Any]
    """The rest of the payload; one that is no object stands under `payload`."""
    created_at: str
    agent_id: str | None
    """The requester."""
    hitl_metadata: dict[str, Any]
    """`required`, `decision`, `timeout_at`, `timeout_seconds`, and the request's `title`, `message`, `audience`,
    `quorum` and `labels`.
    """


PendingRows = TypeAliasType(
    "PendingRows", Annotated[list[PendingRow], Field(description="All of them, without a frame.")]
)


@described
class Decided(TypedDict):
    """The decision was recorded."""

    status: Literal["ok"]
    message: str


class Glaip:
    """The two calls."""

    @operation(
        method="GET",
        path="/agents/hitl/pending",
        id="glaip_pending",
        tag="compatible",
        summary="GL AIP: list what waits",
        text=f"A bare list, the newest first, at most {MAX_PAGE}.",
        scopes=READING,
        answers={200: ("What waits.", PendingRows)},
    )
    async def pending(self, _http: web.Request, call: Visit) -> web.Response:
        """What waits."""
        page = await call.approvals.find(Query(status=Status.PENDING, limit=MAX_PAGE))
        return respond([_row(request) for request in page.items])

    @operation(
        method="POST",
        path="/agents/hitl/decision",
        id="glaip_decision",
        tag="compatible",
        summary="GL AIP: decide",
        text="Decides at once, as the operator; never what the key itself submitted.",
        scopes=(Scope.OPERATE,),
        body=DecisionBody,
        answers={200: ("It is recorded.", Decided)},
        refusals=(*FINAL, SelfApproval),
    )
    async def decide(self, _http: web.Request, call: Visit, body: DecisionBody) -> web.Response:
        """Decide, as the operator."""
        request = await call.approvals.operate(
            body.request_id,
            ResponseInput(decision=DECISIONS[body.decision], reason=body.operator_input),
            call.name,
            Surface.API,
        )
        return respond(Decided(status="ok", message=f"{request.id} is {request.status}"))


def _row(request: Request) -> PendingRow:
    spec, payload = request.spec, request.spec.payload
    arguments = (
        dict(payload) if isinstance(payload, dict) else {} if payload is None else {"payload": payload}
    )
    tool = arguments.pop("tool") if isinstance(arguments.get("tool"), str) else spec.title
    document = request_json(request)
    allowed = (request.timeout_at - request.created_at).total_seconds() if request.timeout_at else None
    shown = {name: document[name] for name in ("title", "message", "audience", "quorum", "labels")}
    return {
        "request_id": request.id,
        "tool": tool,
        "arguments": arguments,
        "created_at": instant(request.created_at),
        "agent_id": spec.requester,
        "hitl_metadata": {
            "required": True,
            "decision": "pending",
            "timeout_at": instant(request.timeout_at),
            "timeout_seconds": allowed,
            **shown,
        },
    }
