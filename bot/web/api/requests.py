"""The HTTP API: each handler authenticates, parses, calls one use case, and answers JSON."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from bot.approvals import MAX_WAIT_SECONDS
from bot.approvals.offload import aside
from bot.domain.access.authority import Scope
from bot.domain.errors import Fault, Invalid
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import SeenVersion
from bot.domain.model.request import Json, Request, Status
from bot.domain.people.audience import awaited
from bot.ports import MAX_PAGE, Idempotency, Query
from bot.schemas.requests import NotifyBody, ReasonBody, RespondBody, parse
from bot.schemas.responses import delivery_json, event_json, request_json
from bot.web.calls.actors import person, respondent, surface
from bot.web.calls.door import ANSWERING, MANAGING, READING
from bot.web.calls.json_body import positive_number, positive_whole, read_json, respond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.links import Links
    from bot.web.calls.door import Door

DEFAULT_PAGE = 50
MAX_IDEMPOTENCY_KEY = 255
_UNDECODED = re.compile(r"[\udc80-\udcff]")
"""What a byte of a header becomes that is not UTF-8 (PEP 383)."""


@dataclass(frozen=True, slots=True)
class Api:
    """The `/v1` calls."""

    door: Door
    links: Links

    def routes(self) -> list[web.RouteDef]:
        """Every call of the API."""
        one = "/v1/requests/{id}"
        return [
            web.post("/v1/requests", self.submit),
            web.get("/v1/requests", self.find),
            web.get(one, self.get),
            web.post(f"{one}/responses", self.answer),
            web.post(f"{one}/cancel", self.cancel),
            web.get(f"{one}/audit", self.audit),
            web.get(f"{one}/deliveries", self.deliveries),
            web.get("/v1/pending", self.pending),
            web.post("/v1/notifications", self.notify),
        ]

    async def submit(self, http: web.Request) -> web.Response:
        """`POST /v1/requests`."""
        call = await self.door.enter_to_submit(http)
        body = await read_json(http)
        parsed = await aside(lambda: call.approvals.read(body), body)
        once = await aside(lambda: idempotency(http, call.caller.id, body), body)
        request, new = await call.approvals.submit(parsed, once)
        location = {"Location": f"/v1/requests/{request.id}"}
        return call.answer(request, status=201 if new else 200, headers=location)

    async def find(self, http: web.Request) -> web.Response:
        """`GET /v1/requests`."""
        call = await self.door.enter(http, *READING)
        page = await call.approvals.find(_query(http))
        return respond({"items": [request_json(r) for r in page.items], "next_cursor": page.next_cursor})

    async def get(self, http: web.Request) -> web.Response:
        """`GET /v1/requests/{id}`, with `?wait=SECONDS` as soon as it is final."""
        call = await self.door.enter(http, *READING)
        request_id = http.match_info["id"]
        if "wait" not in http.query:
            return call.answer(await call.approvals.get(request_id))
        seconds = positive_number(http.query, "wait", MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
        return call.answer(await call.approvals.wait(request_id, seconds))

    async def answer(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/responses`: for a respondent, or as operator."""
        call = await self.door.enter(http, *ANSWERING)
        sent = await read_json(http)
        body, request_id = await aside(lambda: parse(RespondBody, sent), sent), http.match_info["id"]
        answer = ResponseInput(
            decision=body.decision, reason=body.reason, values=body.values or None, phrase=body.phrase
        )
        seen = SeenVersion(body.revision, body.step)
        if body.respondent is None:
            call.require(Scope.OPERATE)
            request = await call.approvals.operate(request_id, answer, call.name, surface(http), seen)
        else:
            actor = respondent(body.respondent, http)
            once = await aside(lambda: idempotency(http, f"{call.caller.id}:{request_id}", sent), sent)
            request = await call.approvals.respond(request_id, actor, answer, seen, once)
        return call.answer(request)

    async def cancel(self, http: web.Request) -> web.Response:
        """`POST /v1/requests/{id}/cancel`."""
        call = await self.door.enter(http, *MANAGING)
        body = parse(ReasonBody, await read_json(http, empty=True))
        reason = _reason(body.reason)
        return call.answer(
            await call.approvals.cancel(http.match_info["id"], reason, call.name, surface(http))
        )

    async def audit(self, http: web.Request) -> web.Response:
        """`GET /v1/requests/{id}/audit`."""
        call = await self.door.enter(http, *READING)
        events = await call.approvals.audit(http.match_info["id"])
        return respond({"items": [event_json(e) for e in events]})

    async def deliveries(self, http: web.Request) -> web.Response:
        """`GET /v1/requests/{id}/deliveries`: every card, mail and callback, and what became of it."""
        call = await self.door.enter(http, *READING)
        request = await call.approvals.get(http.match_info["id"])
        rows = await call.approvals.deliveries([request.id])
        return respond({"items": [delivery_json(d) for d in rows[request.id]]})

    async def pending(self, http: web.Request) -> web.Response:
        """`GET /v1/pending`: what waits, with each respondent's link for a key that may see links."""
        call = await self.door.enter(http, *READING)
        page = await call.approvals.find(_query(http, status=Status.PENDING))
        item = self._with_links if Scope.LINKS in call.caller.scopes else request_json
        return respond({"items": [item(r) for r in page.items], "next_cursor": page.next_cursor})

    def _with_links(self, request: Request) -> dict[str, Json]:
        links = [{"respondent": r.id, "url": self.links.url(r.id, r.generation)} for r in awaited(request)]
        return request_json(request) | {"links": links}

    async def notify(self, http: web.Request) -> web.Response:
        """`POST /v1/notifications`."""
        call = await self.door.enter(http, Scope.SUBMIT)
        await call.approvals.notify(parse(NotifyBody, await read_json(http)))
        return respond({"status": "accepted"}, status=202)


def idempotency(http: web.Request, within: str, body: Json) -> Idempotency | None:
    """The call's key, if it has one, which is known `within` an API key, or of an answer within a request, too."""
    key = http.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key.strip()) <= MAX_IDEMPOTENCY_KEY:
        raise Invalid([Fault("/Idempotency-Key", f"must have 1 to {MAX_IDEMPOTENCY_KEY} characters")])
    if _UNDECODED.search(key):
        raise Invalid([Fault("/Idempotency-Key", "is not UTF-8; send it as UTF-8, or in ASCII only")])
    same = json.dumps(body, sort_keys=True).encode()
    return Idempotency(key=f"{within}:{key.strip()}", digest=hashlib.sha256(same).hexdigest())


def _query(http: web.Request, status: Status | None = None) -> Query:
    query = http.query
    return Query(
        status=status or _status(query.get("status")),
        respondents=(person(query["respondent"]),) if query.get("respondent") else (),
        requester=query.get("requester") or None,
        labels=_labels(query.getall("label", ())),
        text=query.get("q") or None,
        limit=positive_whole(query, "limit", DEFAULT_PAGE, MAX_PAGE),
        cursor=_cursor(query.get("cursor")),
    )


MAX_LABELS = 20
"""Labels that one search may name: each is looked for in every request that has those before."""


def _labels(texts: Iterable[str]) -> tuple[str, ...]:
    named = tuple(text for text in texts if text)
    if not all(":" in text for text in named):
        raise Invalid([Fault("/label", "must be `key:value`, such as env:prod")])
    if len(named) > MAX_LABELS:
        raise Invalid([Fault("/label", f"is given more than {MAX_LABELS} times; name fewer")])
    return named


def _cursor(text: str | None) -> str | None:
    if text and not text.startswith("req_"):
        raise Invalid([Fault("/cursor", "must be the `next_cursor` of the page before")])
    return text or None


def _status(text: str | None) -> Status | None:
    if not text:
        return None
    try:
        return Status(text)
    except ValueError:
        raise Invalid([Fault("/status", f"must be one of {', '.join(Status)}")]) from None


def _reason(text: str | None) -> str | None:
    return (text or "").strip() or None
