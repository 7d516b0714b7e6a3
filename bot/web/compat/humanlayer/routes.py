"""The routes of both kinds."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from aiohttp import web

from bot.domain import errors
from bot.domain.answers import Answer
from bot.domain.digest import check_canonical
from bot.domain.request import Json, Request, Surface
from bot.ports import Idempotency
from bot.web.auth import Auth, Scope
from bot.web.body import read_json, respond
from bot.web.calls import FINAL, WITH_BODY, Call, JsonObject
from bot.web.compat.humanlayer.kinds import CONTACT, EXTENDED, EXTENSION, FUNCTION, Kind
from bot.wire.answers import instant
from bot.wire.bodies import SubmitBody, parse

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.ports import Store

PREFIX = "/humanlayer/v1"
CALL_ID: JsonObject = {
    "name": "call_id",
    "in": "path",
    "required": True,
    "description": "The client's own id of the call.",
    "schema": {"type": "string"},
}


def _answering(path: str) -> str:
    return f"{PREFIX}/agent/{path}/{{call_id}}/respond"


def _calls(kind: Kind, name: str, what: str, example: JsonObject) -> tuple[Call, ...]:
    one = f"{PREFIX}/{kind.path}/{{call_id}}"
    return (
        Call(
            method="post",
            path=f"{PREFIX}/{kind.path}",
            id=f"humanlayer_{name}",
            summary=f"HumanLayer: {what}",
            text=f"`spec.state.{EXTENSION}` may hold these fields of a request: `{'`, `'.join(sorted(EXTENDED))}`.",
            scope=Scope.SUBMIT,
            body=kind.body,
            examples={name: example},
            answers={
                200: ("The call that was asked before.", kind.document),
                201: ("The new call.", kind.document),
            },
            refusals=(*WITH_BODY, errors.NoAudience, errors.IdempotencyConflict, errors.StaleRevision),
        ),
        Call(
            method="get",
            path=one,
            id=f"humanlayer_{name}_status",
            summary=f"HumanLayer: look what became of it ({name})",
            scope=Scope.READ,
            parameters=(CALL_ID,),
            answers={200: ("The call as it stands.", kind.document)},
            refusals=(errors.NotFound, errors.StaleRevision),
        ),
        *(
            Call(
                method="post",
                path=_answering(path),
                id=f"humanlayer_{path}_respond",
                summary=f"HumanLayer: answer it ({name})",
                text="Decides at once, as the operator.",
                scope=Scope.OPERATE,
                parameters=(CALL_ID,),
                body=kind.answer,
                answers={200: ("The call as decided.", kind.document)},
                refusals=(*WITH_BODY, *FINAL, errors.StaleRevision),
            )
            for path in kind.answer_paths
        ),
    )


CHANNEL = {"email": {"address": "ana@example.com"}}
CALLS = (
    *_calls(
        FUNCTION,
        "function",
        "ask for approval of a function call",
        {
            "run_id": "agent-7",
            "call_id": "call-1",
            "spec": {"fn": "refund", "kwargs": {"amount": 1250}, "channel": CHANNEL},
        },
    ),
    *_calls(
        CONTACT,
        "contact",
        "ask a human a question",
        {"run_id": "agent-7", "call_id": "call-2", "spec": {"msg": "Which colour?", "channel": CHANNEL}},
    ),
)


class HumanLayer:
    """The routes of both kinds."""

    def __init__(self, approvals: Approvals, store: Store, auth: Auth) -> None:
        self._approvals = approvals
        self._store = store
        self._auth = auth

    def routes(self) -> list[web.RouteDef]:
        """Ask, look, and answer, for each kind."""
        return [route for kind in (FUNCTION, CONTACT) for route in self._routes(kind)]

    def _routes(self, kind: Kind) -> list[web.RouteDef]:
        async def ask(http: web.Request) -> web.Response:
            caller = await self._auth.caller(http, Scope.SUBMIT)
            self._auth.submissions.take(caller.id)
            sent = await read_json(http)
            body = parse(kind.body, sent)
            check_canonical(sent["spec"], "/spec")
            submission = parse(SubmitBody, kind.submission(body))
            same = json.dumps(body.spec.model_dump(mode="json"), sort_keys=True).encode()
            key = Idempotency(key=_key(kind, body.call_id), digest=hashlib.sha256(same).hexdigest())
            request, new = await self._approvals.submit(submission, key, key_id=caller.id)
            return respond(_document(kind, request), status=201 if new else 200)

        async def look(http: web.Request) -> web.Response:
            await self._auth.caller(http, Scope.READ)
            return respond(_document(kind, await self._find(kind, http)))

        async def answer(http: web.Request) -> web.Response:
            caller = await self._auth.caller(http, Scope.OPERATE)
            body = parse(kind.answer, await read_json(http))
            request = await self._find(kind, http)
            decision, reason = kind.decision(body, kind.sent(request).spec)
            decided = await self._approvals.operate(
                request.id, Answer(decision=decision, reason=reason), f"operator ({caller.name})", Surface.API
            )
            return respond(_document(kind, decided))

        return [
            web.post(f"{PREFIX}/{kind.path}", ask),
            web.get(f"{PREFIX}/{kind.path}/{{call_id}}", look),
            *(web.post(_answering(path), answer) for path in kind.answer_paths),
        ]

    async def _find(self, kind: Kind, http: web.Request) -> Request:
        call_id = http.match_info["call_id"]
        known = await self._store.read(lambda tx: tx.idempotent(_key(kind, call_id)))
        if known is None:
            raise errors.NotFound(f"There is no call {call_id[:80]!r} here.")
        return await self._approvals.get(known[1])


def _key(kind: Kind, call_id: str) -> str:
    return f"humanlayer:{kind.path}:{call_id}"


def _document(kind: Kind, request: Request) -> dict[str, Json]:
    sent = kind.sent(request)
    status = kind.status(request, sent.spec) | {
        "requested_at": instant(request.created_at),
        "responded_at": instant(request.resolved_at),
    }
    return {**sent.model_dump(mode="json"), "status": status}
