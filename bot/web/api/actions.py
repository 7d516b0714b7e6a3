"""The HTTP calls that change what is asked, and of whom: remind, escalate, delegate, withdraw, talk, revise, groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from bot.approvals.offload import aside
from bot.domain.access.authority import Scope
from bot.domain.errors import AssentError
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import SeenVersion
from bot.schemas.requests import (
    Body,
    BulkBody,
    CommentBody,
    DelegateBody,
    EscalateBody,
    GroupBody,
    ReasonBody,
    ReviseBody,
    WithdrawBody,
    parse,
)
from bot.web.api.requests import idempotency
from bot.web.calls.actors import respondent, surface
from bot.web.calls.door import ANSWERING, MANAGING, TALKING
from bot.web.calls.json_body import problem_json, read_json, respond

if TYPE_CHECKING:
    from bot.domain.model.request import Json, Request
    from bot.web.calls.door import Door, Visit

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Changes:
    """The `/v1` calls around an answer."""

    door: Door

    def routes(self) -> list[web.RouteDef]:
        """Every call of this part of the API."""
        one = "/v1/requests/{id}"
        return [
            web.post("/v1/responses", self.answer_all),
            web.post(f"{one}/withdraw", self.withdraw),
            web.post(f"{one}/comments", self.comment),
            web.post(f"{one}/revise", self.revise),
            web.post(f"{one}/remind", self.remind),
            web.post(f"{one}/escalate", self.escalate),
            web.post(f"{one}/delegate", self.delegate),
            web.get("/v1/groups", self.groups),
            web.put("/v1/groups/{name}", self.put_group),
            web.delete("/v1/groups/{name}", self.delete_group),
        ]

    async def answer_all(self, http: web.Request) -> web.Response:
        """`POST /v1/responses`: one answer to several requests, each its own response."""
        call, body = await self._read(http, BulkBody, *ANSWERING)
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
            actor, said = respondent(body.respondent, http), body.model_dump()

            async def answered(request_id: str) -> Request:
                once = idempotency(http, f"{call.caller.id}:{request_id}", said)
                return await call.approvals.respond(request_id, actor, answer, seen[request_id], once)

            results = await call.approvals.respond_to_many(seen, answered)
        return respond(
            {"items": [_result(call, request_id, result) for request_id, result in results.items()]}
        )

    async def withdraw(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/withdraw`: a respondent takes their answer back."""
        call, body = await self._read(http, WithdrawBody, *ANSWERING)
        actor = respondent(body.respondent, http)
        return call.answer(await call.approvals.withdraw(http.match_info["id"], actor))

    async def comment(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/comments`: a respondent's question, or the requester's reply."""
        call, body = await self._read(http, CommentBody, *TALKING)
        request_id = http.match_info["id"]
        if body.respondent is None:
            call.require(*MANAGING)
            return call.answer(await call.approvals.reply(request_id, body.text, call.name, surface(http)))
        call.require(*ANSWERING)
        actor = respondent(body.respondent, http)
        return call.answer(await call.approvals.ask_back(request_id, actor, body.text))

    async def revise(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/revise`: ask something else instead."""
        call, body = await self._read(http, ReviseBody, *MANAGING)
        return call.answer(await call.approvals.revise(http.match_info["id"], body, call.name, surface(http)))

    async def remind(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/remind`."""
        call, _ = await self._read(http, ReasonBody, *MANAGING)
        return call.answer(await call.approvals.remind(http.match_info["id"], call.name))

    async def escalate(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/escalate`: as a respondent, or as the key's owner."""
        call, body = await self._read(http, EscalateBody, *TALKING)
        actor = None
        if body.respondent is None:
            call.require(*MANAGING)
        else:
            call.require(*ANSWERING)
            actor = respondent(body.respondent, http)
        request = await call.approvals.escalate(http.match_info["id"], _words(body.reason), actor=actor)
        return call.answer(request)

    async def delegate(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/delegate`: one respondent hands the request on."""
        call, body = await self._read(http, DelegateBody, *ANSWERING)
        actor = respondent(body.from_, http, "/from")
        request = await call.approvals.delegate(http.match_info["id"], actor, body.to, _words(body.reason))
        return call.answer(request)

    async def groups(self, http: web.Request) -> web.Response:
        """`GET /v1/groups`."""
        call = await self.door.enter(http, Scope.READ)
        every = await call.approvals.groups.every()
        return respond(
            {
                "items": [
                    {"name": name, "members": None if members is None else list(members)}
                    for name, members in sorted(every.items())
                ]
            }
        )

    async def put_group(self, http: web.Request) -> web.Response:
        """`PUT /v1/groups/{name}`."""
        call, body = await self._read(http, GroupBody, Scope.ADMIN)
        name = http.match_info["name"]
        await call.approvals.groups.put(name, body.members)
        return respond({"name": name, "members": body.members})

    async def delete_group(self, http: web.Request) -> web.Response:
        """`DELETE /v1/groups/{name}`."""
        call = await self.door.enter(http, Scope.ADMIN)
        await call.approvals.groups.delete(http.match_info["name"])
        return web.Response(status=204)

    async def _read(self, http: web.Request, model: type[B], *scopes: Scope) -> tuple[Visit, B]:
        call = await self.door.enter(http, *scopes)
        sent = await read_json(http, empty=True)
        return call, await aside(lambda: parse(model, sent), sent)


def _words(text: str | None) -> str | None:
    return (text or "").strip() or None


def _result(call: Visit, request_id: str, result: Request | AssentError) -> dict[str, Json]:
    if isinstance(result, AssentError):
        return {"id": request_id, "request": None, "problem": problem_json(result)}
    return {"id": request_id, "request": call.json(result), "problem": None}
