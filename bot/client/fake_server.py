"""A server that is none: it answers the calls of a client in memory, and every request as a test has chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

from bot.approvals.validation.submission import read_submission, submission_faults
from bot.client.models import Request
from bot.client.transport.protocol import Call, HttpResponse, Lost
from bot.domain.errors import Invalid
from bot.domain.model.digest import payload_digest
from bot.schemas.responses import instant

if TYPE_CHECKING:
    from collections.abc import Generator

    from bot.schemas.requests import SubmitBody

URL = "http://offline.invalid"
GENESIS = "0" * 64
"""The hash of a chain in which nothing stands yet: offline there is none."""
_ONE = re.compile(r"/v1/requests/(?P<id>[^/]+)/?(?P<what>[a-z]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """How a request ends; `edits` are merged into its payload."""

    status: str
    reason: str | None = None
    choice: str | None = None
    edits: dict[str, Any] = field(default_factory=dict)


Rule = Chosen | Callable[[Request], Chosen] | Iterable[Chosen]
"""One outcome for all requests, a function of the request, or one outcome after the other."""


class Offline:
    """Answers calls; `asked` are the requests so far, as they ended, and `told` the notifications."""

    def __init__(self, rule: Rule = ()) -> None:
        self.asked: list[Request] = []
        self.told: list[dict[str, Any]] = []
        self._keys: dict[str, tuple[bytes | None, Request]] = {}
        self._events: list[dict[str, Any]] = []
        self.answers(rule)

    def answers(self, rule: Rule) -> None:
        """Choose how the requests to come end. One without a chosen outcome fails the test with AssertionError."""
        self._rule: Callable[[Request], Chosen] | None = rule if callable(rule) else None
        listed: Iterable[Chosen] = (
            () if callable(rule) else repeat(rule) if isinstance(rule, Chosen) else rule
        )
        self._chosen: Iterator[Chosen] = iter(listed)

    def make(self, call: Call) -> HttpResponse:
        """Answer a call as the API would."""
        body = json.loads(call.content) if call.content else {}
        match call.method, call.path:
            case "POST", "/v1/requests":
                return self._submit(call, body)
            case "POST", "/v1/notifications":
                self.told.append(body)
                return _answer(202, {"status": "accepted"})
            case "GET", "/v1/requests":
                return _answer(200, {"items": self.asked[::-1], "next_cursor": None})
            case "GET", "/v1/pending":
                return _answer(200, {"items": [], "next_cursor": None})
            case "GET", "/.well-known/jwks.json":
                return _answer(200, {"keys": [self._key.as_dict(private=False)]})
        return self._of_one(call)

    def listen(self, call: Call) -> Generator[bytes | HttpResponse | Lost]:
        """Give the events so far, and end."""
        one = _ONE.fullmatch(call.path)
        for event in self._events:
            if one is None or event["request_id"] == one["id"]:
                yield f"id: {event['id']}\ndata: {json.dumps(event)}\n\n".encode()
        yield HttpResponse(url=URL, status=204, content=b"")

    def close(self) -> None:
        """Nothing to close."""

    def _submit(self, call: Call, body: Any) -> HttpResponse:
        key = call.headers["Idempotency-Key"]
        if key in self._keys:
            content, known = self._keys[key]
            return _answer(200, known) if content == call.content else _problem(409, "idempotency_conflict")
        try:
            request = _opened(_checked(body), len(self.asked) + 1)
        except Invalid as error:
            faults = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
            return _problem(422, "invalid", title="The request is not valid", errors=faults)
        self._happened("request.created", request)
        _end(request, self._choose(request))
        self._happened("request.resolved", request)
        self.asked.append(request)
        self._keys[key] = call.content, request
        return _answer(201, request)

    def _choose(self, request: Request) -> Chosen:
        chosen = self._rule(request) if self._rule else next(self._chosen, None)
        if chosen is None:
            raise AssertionError(f"the test has chosen no outcome for {request.title!r}")
        if chosen.choice is not None and chosen.choice not in [c["id"] for c in request["choices"]]:
            raise AssertionError(f"{request.title!r} does not offer the choice {chosen.choice!r}")
        return chosen

    def _of_one(self, call: Call) -> HttpResponse:
        named = _ONE.fullmatch(call.path)
        request = next((r for r in self.asked if named and r.id == named["id"]), None)
        if named is None or request is None:
            return _problem(404, "not_found")
        match call.method, named["what"]:
            case "GET", "":
                return _answer(200, request)
            case "GET", "receipt":
                return _answer(200, {"receipt": self._receipt(request)})
            case "GET", "audit":
                return _answer(200, {"items": [e for e in self._events if e["request_id"] == request.id]})
            case "GET", "deliveries":
                return _answer(200, {"items": []})
        return _problem(409, "already_resolved", request=request)

    def _happened(self, type: str, request: Request) -> None:
        same = {name: request[name] for name in ("status", "version")}
        now = instant(datetime.now(UTC))
        event = {"id": len(self._events) + 1, "type": type, "request_id": request.id, "at": now, "data": {}}
        self._events.append(event | same)

    @cached_property
    def _key(self) -> Any:
        from joserfc.jwk import OKPKey  # noqa: PLC0415 - few tests verify receipts, and it is slow to import

        return OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)

    def _receipt(self, request: Request) -> str:
        from joserfc import jwt  # noqa: PLC0415 - as above

        from bot.receipts import ALGORITHM, TYPE  # noqa: PLC0415 - as above

        claims: dict[str, Any] = {
            "iss": URL,
            "sub": request.id,
            "status": request.status,
            "choice": request["outcome"]["choice"],
            "revision": request.revision,
            "payload_digest": payload_digest(request["outcome"]["payload"]),
            "respondents": [],
            "resolved_by": request["outcome"]["resolved_by"],
            "resolved_at": request.resolved_at,
            "by": request["outcome"]["by"],
            "seq": self._ended(request),
            "chain": GENESIS,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def _ended(self, request: Request) -> int:
        """The number of the event of an outcome."""
        ids: list[int] = [event["id"] for event in self._events if event["request_id"] == request.id]
        return ids[-1]


def _checked(body: Any) -> SubmitBody:
    """A submission that a server would take, as far as that can be told without knowing whom it reaches."""
    now = datetime.now(UTC)
    submission = read_submission(body, now)
    if faults := submission_faults(submission, now):
        raise Invalid(faults)
    return submission


def _opened(body: SubmitBody, number: int) -> Request:
    """A request as the API answers it, with what was asked in it."""
    now = instant(datetime.now(UTC))
    asked = body.model_dump(mode="json")
    return Request(
        asked
        | {
            "id": f"req_{number:026d}",
            "status": "pending",
            "version": 1,
            "revision": 1,
            "payload_digest": payload_digest(body.payload),
            "audience": asked["audience"] or [],
            "quorum": {"required": 1, "approved": 0, "rejected": 0, "text": "0 of 1 approval"},
            "step": {"index": 0, "count": 1, "name": None},
            "respondents": [],
            "responses": [],
            "unreachable": [],
            "outcome": None,
            "created_at": now,
            "resolved_at": None,
        }
    )


def _end(request: Request, chosen: Chosen) -> None:
    ended = {
        "status": chosen.status,
        "version": 2,
        "resolved_at": instant(datetime.now(UTC)),
        "outcome": {
            "decision": chosen.status,
            "choice": chosen.choice,
            "reason": chosen.reason,
            "values": chosen.edits,
            "payload": {**(request.payload or {}), **chosen.edits} if chosen.edits else request.payload,
            "edited": bool(chosen.edits),
            "resolved_by": "timeout" if chosen.status == "expired" else "respondents",
            "respondents": [],
            "surface": "api",
            "by": "the test",
        },
    }
    request.update(ended)


def _answer(status: int, body: Any) -> HttpResponse:
    return HttpResponse(url=URL, status=status, content=json.dumps(body).encode())


def _problem(status: int, code: str, **members: Any) -> HttpResponse:
    return _answer(status, {"code": code, "title": code.replace("_", " "), **members})
