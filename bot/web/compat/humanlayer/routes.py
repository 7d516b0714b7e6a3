"""The routes of both kinds."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from bot.domain import errors
from bot.domain.access.authority import Scope, reads
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.digest import check_canonical
from bot.domain.model.request import Json, Request, Surface
from bot.ports.store import Idempotency
from bot.schemas.requests import SubmitBody, parse
from bot.schemas.responses import instant
from bot.web.calls.door import READING
from bot.web.calls.json_body import respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import FINAL, part
from bot.web.compat.humanlayer.kinds import CONTACT, EXTENDED, EXTENSION, FUNCTION, Kind
from bot.web.compat.humanlayer.models import (
    ContactAnswer,
    ContactDecided,
    FunctionAnswer,
    FunctionCall,
    FunctionCallBody,
    FunctionDecided,
    HumanContact,
    HumanContactBody,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from bot.ports.store import Reader, Store
    from bot.web.calls.door import Visit

PREFIX = "/humanlayer/v1"
CALL_ID = part("call_id", "The client's own id of the call.")
CHANNEL = {"email": {"address": "ana@example.com"}}
EXTENDED_TEXT = (
    f"`spec.state.{EXTENSION}` may hold these fields of a request: `{'`, `'.join(sorted(EXTENDED))}`."
)
LOOK_TEXT = (
    "The call belongs to the key that used its id; a key with `read` may name every call, also by the "
    "id of its request."
)
ANSWER_TEXT = (
    "Decides at once, as the operator; never what the key itself asked. Where several keys use the "
    "same `call_id`, the id of the request names the call."
)
ASK_REFUSALS = (errors.NoAudience, errors.IdempotencyConflict, errors.StaleRevision)
ANSWER_REFUSALS = (*FINAL, errors.StaleRevision, errors.SelfApproval)


class _Calls:
    """What the calls of both kinds do."""

    kind: ClassVar[Kind]

    def __init__(self, store: Store) -> None:
        self._store = store

    async def _ask(self, call: Visit, sent: Json) -> web.Response:
        kind = self.kind
        body = parse(kind.body, sent)
        check_canonical(sent["spec"], "/spec")
        if body.call_id.startswith(REQUEST):
            raise errors.Invalid([errors.Fault("/call_id", f"begins with {REQUEST}, as ids of requests do")])
        submission = parse(SubmitBody, kind.submission(body))
        same = json.dumps(body.spec.model_dump(mode="json"), sort_keys=True).encode()
        key = Idempotency(
            key=_key(kind, body.call_id, call.caller.id), digest=hashlib.sha256(same).hexdigest()
        )
        request, new = await call.approvals.submit(submission, key)
        return respond(_document(kind, request), status=201 if new else 200)

    async def _look(self, call: Visit, named: str) -> web.Response:
        kind = self.kind
        own = await self._store.read(lambda tx: tx.idempotent(_key(kind, named, call.caller.id)))
        if own is None and not (named.startswith(REQUEST) or Scope.READ in call.caller.scopes):
            _unknown(named)
        request_id = own[1] if own else await self._named(kind, named)
        with _as_unknown(named):
            return respond(_document(kind, await call.approvals.get(request_id)))

    async def _answer(self, call: Visit, named: str, body: FunctionAnswer | ContactAnswer) -> web.Response:
        kind = self.kind
        request_id = await self._named(kind, named)
        with _as_unknown(named):
            decided = await call.approvals.operate_by(
                request_id, lambda request: _answer(kind, body, request), Surface.API
            )
        if not reads(call.caller, decided):
            return call.answer(decided)
        return respond(_document(kind, decided))

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


class FunctionCalls(_Calls):
    """Approval of a function call."""

    kind = FUNCTION

    @operation(
        method="POST",
        path=f"{PREFIX}/function_calls",
        id="humanlayer_function",
        tag="compatible",
        summary="HumanLayer: ask for approval of a function call",
        text=EXTENDED_TEXT,
        scopes=(Scope.SUBMIT,),
        submits=True,
        sent=FunctionCallBody,
        examples={
            "function": {
                "run_id": "agent-7",
                "call_id": "call-1",
                "spec": {"fn": "refund", "kwargs": {"amount": 1250}, "channel": CHANNEL},
            }
        },
        answers={
            200: ("The call that was asked before.", FunctionCall),
            201: ("The new call.", FunctionCall),
        },
        refusals=ASK_REFUSALS,
    )
    async def ask(self, _http: web.Request, call: Visit, body: Json) -> web.Response:
        """Ask; the same `call_id` with the same `spec` asks once."""
        return await self._ask(call, body)

    @operation(
        method="GET",
        path=f"{PREFIX}/function_calls/{{call_id}}",
        id="humanlayer_function_status",
        tag="compatible",
        summary="HumanLayer: look what became of it (function)",
        text=LOOK_TEXT,
        scopes=READING,
        parameters=(CALL_ID,),
        answers={200: ("The call as it stands.", FunctionCall)},
        refusals=(errors.NotFound, errors.StaleRevision),
    )
    async def look(self, http: web.Request, call: Visit) -> web.Response:
        """What became of it."""
        return await self._look(call, http.match_info["call_id"])

    @operation(
        method="POST",
        path=f"{PREFIX}/agent/function_calls/{{call_id}}/respond",
        id="humanlayer_function_calls_respond",
        tag="compatible",
        summary="HumanLayer: answer it (function)",
        text=ANSWER_TEXT,
        scopes=(Scope.OPERATE,),
        parameters=(CALL_ID,),
        body=FunctionAnswer,
        answers={200: ("The call as decided.", FunctionDecided)},
        refusals=ANSWER_REFUSALS,
    )
    async def answer(self, http: web.Request, call: Visit, body: FunctionAnswer) -> web.Response:
        """Decide, as the operator."""
        return await self._answer(call, http.match_info["call_id"], body)


class ContactRequests(_Calls):
    """A question to a human."""

    kind = CONTACT

    @operation(
        method="POST",
        path=f"{PREFIX}/contact_requests",
        id="humanlayer_contact",
        tag="compatible",
        summary="HumanLayer: ask a human a question",
        text=EXTENDED_TEXT,
        scopes=(Scope.SUBMIT,),
        submits=True,
        sent=HumanContactBody,
        examples={
            "contact": {
                "run_id": "agent-7",
                "call_id": "call-2",
                "spec": {"msg": "Which colour?", "channel": CHANNEL},
            }
        },
        answers={
            200: ("The call that was asked before.", HumanContact),
            201: ("The new call.", HumanContact),
        },
        refusals=ASK_REFUSALS,
    )
    async def ask(self, _http: web.Request, call: Visit, body: Json) -> web.Response:
        """Ask; the same `call_id` with the same `spec` asks once."""
        return await self._ask(call, body)

    @operation(
        method="GET",
        path=f"{PREFIX}/contact_requests/{{call_id}}",
        id="humanlayer_contact_status",
        tag="compatible",
        summary="HumanLayer: look what became of it (contact)",
        text=LOOK_TEXT,
        scopes=READING,
        parameters=(CALL_ID,),
        answers={200: ("The call as it stands.", HumanContact)},
        refusals=(errors.NotFound, errors.StaleRevision),
    )
    async def look(self, http: web.Request, call: Visit) -> web.Response:
        """What became of it."""
        return await self._look(call, http.match_info["call_id"])

    @operation(
        method="POST",
        path=f"{PREFIX}/agent/human_contacts/{{call_id}}/respond",
        id="humanlayer_human_contacts_respond",
        tag="compatible",
        summary="HumanLayer: answer it (contact)",
        text=ANSWER_TEXT,
        scopes=(Scope.OPERATE,),
        parameters=(CALL_ID,),
        body=ContactAnswer,
        answers={200: ("The call as decided.", ContactDecided)},
        refusals=ANSWER_REFUSALS,
    )
    @operation(
        method="POST",
        path=f"{PREFIX}/agent/contact_requests/{{call_id}}/respond",
        id="humanlayer_contact_requests_respond",
        tag="compatible",
        summary="HumanLayer: answer it (contact)",
        text=ANSWER_TEXT,
        scopes=(Scope.OPERATE,),
        parameters=(CALL_ID,),
        body=ContactAnswer,
        answers={200: ("The call as decided.", ContactDecided)},
        refusals=ANSWER_REFUSALS,
    )
    async def answer(self, http: web.Request, call: Visit, body: ContactAnswer) -> web.Response:
        """Decide, as the operator."""
        return await self._answer(call, http.match_info["call_id"], body)


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
