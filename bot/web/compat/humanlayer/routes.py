"""The routes of both kinds."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from aiohttp import web

from bot.domain import errors
from bot.domain.access.authority import Scope, reads
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.digest import check_canonical
from bot.domain.model.request import Json, Request, Surface
from bot.ports import Idempotency
from bot.schemas.requests import SubmitBody, parse
from bot.schemas.responses import instant
from bot.web.calls.door import READING
from bot.web.calls.json_body import read_json, respond
from bot.web.compat.humanlayer.kinds import CONTACT, EXTENDED, EXTENSION, FUNCTION, Kind
from bot.web.openapi.calls import FINAL, WITH_BODY, Call, JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.ports import Reader, Store
    from bot.web.calls.door import Door

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
            text="The call belongs to the key that used its id; a key with `read` may name every call, also by the "
            "id of its request.",
            scopes=READING,
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
                text="Decides at once, as the operator; never what the key itself asked. Where several keys use the "
                "same `call_id`, the id of the request names the call.",
                scope=Scope.OPERATE,
                parameters=(CALL_ID,),
                body=kind.answer,
                answers={200: ("The call as decided.", kind.decided)},
                refusals=(*WITH_BODY, *FINAL, errors.StaleRevision, errors.SelfApproval),
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

    def __init__(self, door: Door, store: Store) -> None:
        self._door = door
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Ask, look, and answer, for each kind."""
        return [route for kind in (FUNCTION, CONTACT) for route in self._routes(kind)]

    def _routes(self, kind: Kind) -> list[web.RouteDef]:
        async def ask(http: web.Request) -> web.Response:
            call = await self._door.enter_to_submit(http)
            sent = await read_json(http)
            body = parse(kind.body, sent)
            check_canonical(sent["spec"], "/spec")
            if body.call_id.startswith(REQUEST):
                raise errors.Invalid(
                    [errors.Fault("/call_id", f"begins with {REQUEST}, as ids of requests do")]
                )
            submission = parse(SubmitBody, kind.submission(body))
            same = json.dumps(body.spec.model_dump(mode="json"), sort_keys=True).encode()
            key = Idempotency(
                key=_key(kind, body.call_id, call.caller.id), digest=hashlib.sha256(same).hexdigest()
            )
            request, new = await call.approvals.submit(submission, key)
            return respond(_document(kind, request), status=201 if new else 200)

        async def look(http: web.Request) -> web.Response:
            call = await self._door.enter(http, *READING)
            named = http.match_info["call_id"]
            own = await self._store.read(lambda tx: tx.idempotent(_key(kind, named, call.caller.id)))
            if own is None and not (named.startswith(REQUEST) or Scope.READ in call.caller.scopes):
                _unknown(named)
            request_id = own[1] if own else await self._named(kind, named)
            with _as_unknown(named):
                return respond(_document(kind, await call.approvals.get(request_id)))

        async def answer(http: web.Request) -> web.Response:
            call = await self._door.enter(http, Scope.OPERATE)
            body = parse(kind.answer, await read_json(http))
            named = http.match_info["call_id"]
            request_id = await self._named(kind, named)
            with _as_unknown(named):
                decided = await call.approvals.operate_by(
                    request_id, lambda request: _answer(kind, body, request), Surface.API
                )
            if not reads(call.caller, decided):
                return call.answer(decided)
            return respond(_document(kind, decided))

        return [
            web.post(f"{PREFIX}/{kind.path}", ask),
            web.get(f"{PREFIX}/{kind.path}/{{call_id}}", look),
            *(web.post(_answering(path), answer) for path in kind.answer_paths),
        ]

    async def _named(self, kind: Kind, named: str) -> str:
        """The id of the request that the call of this id, or the request's own, is; for those who read or decide all.

        Raises `NotFound`, and `Invalid` where it is not the only one.
        """
        if named.startswith(REQUEST):
            return named if await self._store.read(lambda tx: _is_call(tx, kind, named)) else _unknown(named)
        found = await self._store.read(lambda tx: tx.called(f"humanlayer:{kind.path}:{named}"))
        if len(found) > 1:
            told = f"is used by several keys; name the call by its request: {', '.join(found)}"
            raise errors.Invalid([errors.Fault("/call_id", told)])
        return found[0] if found else _unknown(named)


def _is_call(tx: Reader, kind: Kind, request_id: str) -> bool:
    """Whether a request was asked by these routes: what its payload says of itself, anybody could have written."""
    request = tx.request(request_id)
    if request is None or request.spec.submitted_by is None:
        return False
    sent = request.spec.payload.get("humanlayer") if isinstance(request.spec.payload, dict) else None
    call_id = sent.get("call_id") if isinstance(sent, dict) else None
    known = tx.idempotent(_key(kind, str(call_id), request.spec.submitted_by))
    return known is not None and known[1] == request_id


def _answer(kind: Kind, body: Any, request: Request) -> ResponseInput:
    decision, reason = kind.decision(body, kind.sent(request).spec)
    return ResponseInput(decision=decision, reason=reason)


@contextmanager
def _as_unknown(named: str) -> Iterator[None]:
    """Say of a call that may not be read what is said of an unknown one."""
    try:
        yield
    except errors.NotFound:
        _unknown(named)


def _unknown(named: str) -> NoReturn:
    raise errors.NotFound(f"There is no call {named[:80]!r} here.") from None


REQUEST = "req_"
"""How ids of requests begin, and no call's."""


def _key(kind: Kind, call_id: str, key_id: str) -> str:
    """Under what a call is recorded; no other idempotency key begins so, since those begin with the id of a key."""
    return f"humanlayer:{kind.path}:{call_id}/{key_id}"


def _document(kind: Kind, request: Request) -> dict[str, Json]:
    sent = kind.sent(request)
    status = kind.status(request, sent.spec) | {
        "requested_at": instant(request.created_at),
        "responded_at": instant(request.resolved_at),
    }
    return {**sent.model_dump(mode="json"), "status": status}
