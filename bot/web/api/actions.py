"""The HTTP calls that change what is asked, and of whom: remind, escalate, delegate, withdraw, talk, revise, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.domain.errors import AssentError
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import SeenVersion
from bot.schemas import answers
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
from bot.web.calls.actors import respondent, surface
from bot.web.calls.door import ANSWERING, MANAGING, TALKING
from bot.web.calls.idempotency import known_within, sent_with
from bot.web.calls.json_body import problem_json, respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import AS_RESPONDENT, FINAL, ID, MANAGED, part

if TYPE_CHECKING:
    from bot.domain.model.request import Request
    from bot.web.calls.door import Visit

NAME = part("name", "The group's name: letters, digits, `_`, `.` and `-`.")
AS_IT_STANDS = "The request as it stands then."


class Changes:
    """The `/v1` calls around an answer."""

    @operation(
        method="POST",
        path="/v1/responses",
        id="respond_to_all",
        tag="answers",
        summary="Answer several requests at once",
        text="Each gets its own response. Requests of level `verify` are refused. Scopes as for one answer.",
        scopes=ANSWERING,
        body=BulkBody,
        empty=True,
        examples={
            "several": {"requests": ["req_…"], "respondent": "email:ana@example.com", "decision": "approve"}
        },
        answers={200: ("What came of each, in the order asked.", answers.Results)},
    )
    async def answer_all(self, http: web.Request, call: Visit, body: BulkBody) -> web.Response:
        """One answer to several requests, each its own response."""
        answer = ResponseInput(decision=body.decision, reason=body.reason)
        seen = {i: SeenVersion(*of_each) for i, of_each in body.seen.items()}
        where = surface(http)
        if body.respondent is None:
            call.require(Scope.OPERATE)
            results = await call.approvals.respond_to_many(
                seen,
                lambda request_id: call.approvals.operate(
                    request_id, answer, call.name, where, seen[request_id]
                ),
            )
        else:
            actor, sent = respondent(body.respondent, http), await sent_with(http)

            async def answered(request_id: str) -> Request:
                once = sent and known_within(sent, f"{call.caller.id}:{request_id}")
                return await call.approvals.respond(request_id, actor, answer, seen[request_id], once)

            results = await call.approvals.respond_to_many(seen, answered)
        return respond(
            answers.Results(
                items=[_result(call, request_id, result) for request_id, result in results.items()]
            )
        )

    @operation(
        method="POST",
        path="/v1/requests/{id}/withdraw",
        id="withdraw",
        tag="answers",
        summary="Take an answer back",
        text="While the request is pending, a decision that is held by `grace_seconds` included. Then they may answer "
        "again.",
        scopes=ANSWERING,
        parameters=(ID,),
        body=WithdrawBody,
        empty=True,
        examples={"withdraw": {"respondent": "email:ana@example.com"}},
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, *AS_RESPONDENT),
    )
    async def withdraw(self, http: web.Request, call: Visit, body: WithdrawBody) -> web.Response:
        """A respondent takes their answer back."""
        actor = respondent(body.respondent, http)
        return call.answer(await call.approvals.withdraw(http.match_info["id"], actor))

    @operation(
        method="POST",
        path="/v1/requests/{id}/comments",
        id="comments",
        tag="requests",
        summary="Ask back, or reply",
        text="A respondent's question (scope `respond` or `operate`) reaches the requester; the requester's reply (no "
        "`respondent`; with the key that submitted the request, or `operate`) reaches everybody who has not answered. "
        "The request stays open.",
        scopes=TALKING,
        parameters=(ID,),
        body=CommentBody,
        empty=True,
        examples={"comments": {"respondent": "email:ana@example.com", "text": "Which order is this about?"}},
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, *AS_RESPONDENT, errors.NotYours),
    )
    async def comment(self, http: web.Request, call: Visit, body: CommentBody) -> web.Response:
        """A respondent's question, or the requester's reply."""
        request_id = http.match_info["id"]
        if body.respondent is None:
            call.require(*MANAGING)
            return call.answer(await call.approvals.reply(request_id, body.text, call.name, surface(http)))
        call.require(*ANSWERING)
        actor = respondent(body.respondent, http)
        return call.answer(await call.approvals.ask_back(request_id, actor, body.text))

    @operation(
        method="POST",
        path="/v1/requests/{id}/revise",
        id="revise",
        tag="requests",
        summary="Ask something else instead",
        text=f"A new revision: every answer so far is set back, everybody sees what changed. {MANAGED}",
        scopes=MANAGING,
        parameters=(ID,),
        body=ReviseBody,
        empty=True,
        examples={"revise": {"payload": {"tool": "refund", "amount": 900}, "reason": "Two items came back."}},
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, errors.NotYours),
    )
    async def revise(self, http: web.Request, call: Visit, body: ReviseBody) -> web.Response:
        """Ask something else instead."""
        return call.answer(await call.approvals.revise(http.match_info["id"], body, call.name, surface(http)))

    @operation(
        method="POST",
        path="/v1/requests/{id}/remind",
        id="remind",
        tag="requests",
        summary="Ask again",
        text=f"Everybody who has not answered is reminded, now. {MANAGED}",
        scopes=MANAGING,
        parameters=(ID,),
        body=ReasonBody,
        empty=True,
        examples={"remind": {}},
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, errors.NotYours),
    )
    async def remind(self, http: web.Request, call: Visit, _body: ReasonBody) -> web.Response:
        """Remind everybody who has not answered."""
        return call.answer(await call.approvals.remind(http.match_info["id"], call.name))

    @operation(
        method="POST",
        path="/v1/requests/{id}/escalate",
        id="escalate",
        tag="requests",
        summary="Ask the next level",
        text="Those asked before may still answer, unless the level replaces them. For a respondent (scope `respond` "
        "or `operate`), or without one as the key's owner: the key that submitted the request, or one with `operate`.",
        scopes=TALKING,
        parameters=(ID,),
        body=EscalateBody,
        empty=True,
        examples={"escalate": {"reason": "Nobody is in."}},
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, *AS_RESPONDENT, errors.NotYours),
    )
    async def escalate(self, http: web.Request, call: Visit, body: EscalateBody) -> web.Response:
        """Ask the next level, as a respondent or as the key's owner."""
        actor = None
        if body.respondent is None:
            call.require(*MANAGING)
        else:
            call.require(*ANSWERING)
            actor = respondent(body.respondent, http)
        request = await call.approvals.escalate(http.match_info["id"], _words(body.reason), actor=actor)
        return call.answer(request)

    @operation(
        method="POST",
        path="/v1/requests/{id}/delegate",
        id="delegate",
        tag="answers",
        summary="Hand a request on",
        text="Another person is asked in this respondent's place, whose link ends; both stay visible. Nobody who is "
        "asked already, or asked for this, can take it, and it is handed on five times at most.",
        scopes=ANSWERING,
        parameters=(ID,),
        body=DelegateBody,
        empty=True,
        examples={
            "delegate": {
                "from": "email:ana@example.com",
                "to": "email:ben@example.com",
                "reason": "On holiday.",
            }
        },
        answers={200: (AS_IT_STANDS, answers.Answered)},
        refusals=(*FINAL, *AS_RESPONDENT),
    )
    async def delegate(self, http: web.Request, call: Visit, body: DelegateBody) -> web.Response:
        """One respondent hands the request on."""
        actor = respondent(body.from_, http, "/from")
        request = await call.approvals.delegate(http.match_info["id"], actor, body.to, _words(body.reason))
        return call.answer(request)

    @operation(
        method="GET",
        path="/v1/groups",
        id="groups",
        tag="groups",
        summary="List the groups",
        text="Those of the configuration file included.",
        scopes=(Scope.READ,),
        answers={200: ("Every group, by name.", answers.Groups)},
    )
    async def groups(self, _http: web.Request, call: Visit) -> web.Response:
        """Every group, by name."""
        every = await call.approvals.groups.every()
        return respond(
            answers.Groups(
                items=[
                    {"name": name, "members": None if members is None else list(members)}
                    for name, members in sorted(every.items())
                ]
            )
        )

    @operation(
        method="PUT",
        path="/v1/groups/{name}",
        id="put_group",
        tag="groups",
        summary="Set who is in a group",
        text="For requests to come. What the configuration file sets cannot be changed here.",
        scopes=(Scope.ADMIN,),
        parameters=(NAME,),
        body=GroupBody,
        empty=True,
        examples={"finance": {"members": ["ana@example.com", "slack:U0123456789"]}},
        answers={200: ("The group.", answers.GroupOut)},
    )
    async def put_group(self, http: web.Request, call: Visit, body: GroupBody) -> web.Response:
        """Set who is in a group."""
        name = http.match_info["name"]
        await call.approvals.groups.put(name, body.members)
        return respond(answers.GroupOut(name=name, members=body.members))

    @operation(
        method="DELETE",
        path="/v1/groups/{name}",
        id="delete_group",
        tag="groups",
        summary="Forget a group",
        scopes=(Scope.ADMIN,),
        parameters=(NAME,),
        answers={204: ("It is gone.", None)},
        refusals=(errors.NotFound, errors.Invalid),
    )
    async def delete_group(self, http: web.Request, call: Visit) -> web.Response:
        """Forget a group."""
        await call.approvals.groups.delete(http.match_info["name"])
        return web.Response(status=204)


def _words(text: str | None) -> str | None:
    return (text or "").strip() or None


def _result(call: Visit, request_id: str, result: Request | AssentError) -> answers.ResultOut:
    if isinstance(result, AssentError):
        return {"id": request_id, "request": None, "problem": problem_json(result)}
    return {"id": request_id, "request": call.json(result), "problem": None}
