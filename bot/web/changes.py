"""The HTTP calls that change what is asked, and of whom: remind, escalate, delegate, withdraw, talk, revise, groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from bot.domain.answers import Answer
from bot.domain.errors import AssentError
from bot.web.api import idempotency
from bot.web.auth import Auth, Scope, require, require_one
from bot.web.body import problem_json, read_json, respond, respond_request
from bot.web.who import operator, respondent, surface
from bot.wire.answers import request_json
from bot.wire.bodies import (
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

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.domain.request import Json, Request
    from bot.ports import ApiKey

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Changes:
    """The `/v1` calls around an answer."""

    approvals: Approvals
    auth: Auth

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
        caller, body = await self._read(http, BulkBody)
        answer = Answer(decision=body.decision, reason=body.reason)
        if body.respondent is None:
            require(caller, Scope.OPERATE)
            who = operator(caller), surface(http)
            results = await self.approvals.to_all(
                body.requests, lambda request_id: self.approvals.operate(request_id, answer, *who)
            )
        else:
            require(caller, Scope.RESPOND)
            actor, said = respondent(body.respondent, http), body.model_dump()

            async def answered(request_id: str) -> Request:
                once = idempotency(http, f"{caller.id}:{request_id}", said)
                return await self.approvals.respond(request_id, actor, answer, once=once)

            results = await self.approvals.to_all(body.requests, answered)
        return respond({"items": [_result(request_id, result) for request_id, result in results.items()]})

    async def withdraw(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/withdraw`: a respondent takes their answer back."""
        _, body = await self._read(http, WithdrawBody, Scope.RESPOND)
        actor = respondent(body.respondent, http)
        return respond_request(await self.approvals.withdraw(http.match_info["id"], actor))

    async def comment(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/comments`: a respondent's question, or the requester's reply."""
        caller, body = await self._read(http, CommentBody)
        request_id = http.match_info["id"]
        if body.respondent is None:
            require(caller, Scope.SUBMIT)
            by = await self._requester(request_id, caller)
            return respond_request(await self.approvals.reply(request_id, body.text, by, surface(http)))
        require(caller, Scope.RESPOND)
        actor = respondent(body.respondent, http)
        return respond_request(await self.approvals.ask_back(request_id, actor, body.text))

    async def revise(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/revise`: ask something else instead."""
        caller, body = await self._read(http, ReviseBody, Scope.SUBMIT)
        request_id = http.match_info["id"]
        by = await self._requester(request_id, caller)
        return respond_request(await self.approvals.revise(request_id, body, by, surface(http)))

    async def remind(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/remind`."""
        caller, _ = await self._read(http, ReasonBody)
        require_one(caller, Scope.SUBMIT, Scope.OPERATE)
        return respond_request(await self.approvals.remind(http.match_info["id"], operator(caller)))

    async def escalate(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/escalate`: as a respondent, or as the key's owner."""
        caller, body = await self._read(http, EscalateBody)
        if body.respondent is None:
            require_one(caller, Scope.SUBMIT, Scope.OPERATE)
        else:
            require(caller, Scope.RESPOND)
        request = await self.approvals.escalate(
            http.match_info["id"],
            _words(body.reason),
            by=operator(caller),
            actor=respondent(body.respondent, http) if body.respondent else None,
        )
        return respond_request(request)

    async def delegate(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/delegate`: one respondent hands the request on."""
        caller, body = await self._read(http, DelegateBody)
        require_one(caller, Scope.RESPOND, Scope.OPERATE)
        actor = respondent(body.from_, http, "/from")
        by = None if Scope.RESPOND in caller.scopes else operator(caller)
        request = await self.approvals.delegate(
            http.match_info["id"], actor, body.to, _words(body.reason), by=by
        )
        return respond_request(request)

    async def groups(self, http: web.Request) -> web.Response:
        """`GET /v1/groups`."""
        await self.auth.caller(http, Scope.READ)
        every = await self.approvals.groups.every()
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
        _, body = await self._read(http, GroupBody, Scope.ADMIN)
        name = http.match_info["name"]
        await self.approvals.groups.put(name, body.members)
        return respond({"name": name, "members": body.members})

    async def delete_group(self, http: web.Request) -> web.Response:
        """`DELETE /v1/groups/{name}`."""
        await self.auth.caller(http, Scope.ADMIN)
        await self.approvals.groups.delete(http.match_info["name"])
        return web.Response(status=204)

    async def _read(self, http: web.Request, model: type[B], scope: Scope | None = None) -> tuple[ApiKey, B]:
        caller = await self.auth.caller(http, scope)
        return caller, parse(model, await read_json(http, empty=True))

    async def _requester(self, request_id: str, caller: ApiKey) -> str:
        """Who asks, in words: as the request says, else the key's name."""
        return (await self.approvals.get(request_id)).spec.requester or caller.name


def _words(text: str | None) -> str | None:
    return (text or "").strip() or None


def _result(request_id: str, result: Request | AssentError) -> dict[str, Json]:
    if isinstance(result, AssentError):
        return {"id": request_id, "request": None, "problem": problem_json(result)}
    return {"id": request_id, "request": request_json(result), "problem": None}
