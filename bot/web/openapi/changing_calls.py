"""The documentation of the calls in `bot.web.api.actions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.schemas.requests import (
    BulkBody,
    CommentBody,
    DelegateBody,
    EscalateBody,
    GroupBody,
    ReasonBody,
    ReviseBody,
    WithdrawBody,
)
from bot.web.calls.door import ANSWERING as DOOR_ANSWERING
from bot.web.calls.door import MANAGING, TALKING
from bot.web.openapi import schemas
from bot.web.openapi.calls import ANSWERING, FINAL, ID, MANAGED, WITH_BODY, Call

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bot.web.openapi.calls import JsonObject, Refusals

NAME: JsonObject = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The group's name: letters, digits, `_`, `.` and `-`.",
    "schema": {"type": "string"},
}


def _on_request(
    name: str,
    summary: str,
    text: str,
    body: type[BaseModel],
    example: JsonObject,
    *,
    scopes: tuple[Scope, ...],
    refusals: Refusals = (),
) -> Call:
    return Call(
        method="post",
        path=f"/v1/requests/{{id}}/{name}",
        id=name,
        summary=summary,
        text=text,
        scopes=scopes,
        parameters=(ID,),
        body=body,
        examples={name: example},
        answers={200: ("The request as it stands then.", schemas.Answered)},
        refusals=(*WITH_BODY, *FINAL, *refusals),
    )


CHANGES: tuple[Call, ...] = (
    _on_request(
        "remind",
        "Ask again",
        f"Everybody who has not answered is reminded, now. {MANAGED}",
        ReasonBody,
        {},
        scopes=MANAGING,
        refusals=(errors.NotYours,),
    ),
    _on_request(
        "escalate",
        "Ask the next level",
        "Those asked before may still answer, unless the level replaces them. For a respondent (scope `respond` or "
        "`operate`), or without one as the key's owner: the key that submitted the request, or one with `operate`.",
        EscalateBody,
        {"reason": "Nobody is in."},
        scopes=TALKING,
        refusals=(*ANSWERING, errors.NotYours),
    ),
    _on_request(
        "delegate",
        "Hand a request on",
        "Another person is asked in this respondent's place, whose link ends; both stay visible. Nobody who is "
        "asked already, or asked for this, can take it, and it is handed on five times at most.",
        DelegateBody,
        {"from": "email:ana@example.com", "to": "email:ben@example.com", "reason": "On holiday."},
        scopes=DOOR_ANSWERING,
        refusals=ANSWERING,
    ),
    _on_request(
        "withdraw",
        "Take an answer back",
        "While the request is pending, a decision that is held by `grace_seconds` included. Then they may answer "
        "again.",
        WithdrawBody,
        {"respondent": "email:ana@example.com"},
        scopes=DOOR_ANSWERING,
        refusals=ANSWERING,
    ),
    _on_request(
        "comments",
        "Ask back, or reply",
        "A respondent's question (scope `respond` or `operate`) reaches the requester; the requester's reply (no "
        "`respondent`; with the key that submitted the request, or `operate`) reaches everybody who has not answered. "
        "The request stays open.",
        CommentBody,
        {"respondent": "email:ana@example.com", "text": "Which order is this about?"},
        scopes=TALKING,
        refusals=(*ANSWERING, errors.NotYours),
    ),
    _on_request(
        "revise",
        "Ask something else instead",
        f"A new revision: every answer so far is set back, everybody sees what changed. {MANAGED}",
        ReviseBody,
        {"payload": {"tool": "refund", "amount": 900}, "reason": "Two items came back."},
        scopes=MANAGING,
        refusals=(errors.NotYours,),
    ),
    Call(
        method="post",
        path="/v1/responses",
        id="respond_to_all",
        summary="Answer several requests at once",
        text="Each gets its own response. Requests of level `verify` are refused. Scopes as for one answer.",
        scopes=DOOR_ANSWERING,
        body=BulkBody,
        examples={
            "several": {"requests": ["req_…"], "respondent": "email:ana@example.com", "decision": "approve"}
        },
        answers={200: ("What came of each, in the order asked.", schemas.Results)},
        refusals=WITH_BODY,
    ),
    Call(
        method="get",
        path="/v1/groups",
        id="groups",
        summary="List the groups",
        text="Those of the configuration file included.",
        scope=Scope.READ,
        answers={200: ("Every group, by name.", schemas.Groups)},
    ),
    Call(
        method="put",
        path="/v1/groups/{name}",
        id="put_group",
        summary="Set who is in a group",
        text="For requests to come. What the configuration file sets cannot be changed here.",
        scope=Scope.ADMIN,
        parameters=(NAME,),
        body=GroupBody,
        examples={"finance": {"members": ["ana@example.com", "slack:U0123456789"]}},
        answers={200: ("The group.", schemas.GroupOut)},
        refusals=WITH_BODY,
    ),
    Call(
        method="delete",
        path="/v1/groups/{name}",
        id="delete_group",
        summary="Forget a group",
        scope=Scope.ADMIN,
        parameters=(NAME,),
        answers={204: ("It is gone.", None)},
        refusals=(errors.NotFound, errors.Invalid),
    ),
)
