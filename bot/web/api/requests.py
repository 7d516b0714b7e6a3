"""The HTTP API: each handler calls one use case, and answers JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.approvals import MAX_WAIT_SECONDS
from bot.approvals.offload import aside
from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.domain.errors import Fault, Invalid
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import SeenVersion
from bot.domain.model.request import Json, Request, Respondent, Status
from bot.domain.people.audience import awaited
from bot.ports.store import MAX_PAGE, Query
from bot.schemas import answers
from bot.schemas.requests import NotifyBody, ReasonBody, RespondBody, SubmitBody
from bot.schemas.responses import delivery_json, event_json, request_json
from bot.web.calls.actors import person, respondent, surface
from bot.web.calls.door import ANSWERING, MANAGING, READING
from bot.web.calls.idempotency import idempotency
from bot.web.calls.json_body import positive_number, positive_whole, respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import AS_RESPONDENT, FINAL, ID, MANAGED, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from bot.links import Links
    from bot.web.calls.door import Visit

DEFAULT_PAGE = 50

STATUS = query("status", "Only requests with this status.", type="string", enum=list(Status))
FILTERS = (
    query(
        "respondent",
        "Only requests that ask this person: `rsp_…`, `email:ana@example.com`, `slack:U…`.",
        type="string",
    ),
    query("requester", "Only requests by this requester, written as it was submitted.", type="string"),
    query(
        "label",
        "Only requests with this label, `key:value`; given several times, with all of them.",
        type="string",
    ),
    query("q", "Only requests whose title contains this, in upper or lower case.", type="string"),
    query(
        "limit",
        f"How many at most; more than {MAX_PAGE} is lowered.",
        type="integer",
        minimum=1,
        default=DEFAULT_PAGE,
    ),
    query("cursor", "The `next_cursor` of the page before.", type="string"),
)
WAIT = query(
    "wait",
    f"Answer as soon as the request is final, or after so many seconds ({MAX_WAIT_SECONDS:g} at most).",
    type="number",
    exclusiveMinimum=0,
)


@dataclass(frozen=True, slots=True)
class Api:
    """The `/v1` calls."""

    links: Links

    @operation(
        method="POST",
        path="/v1/requests",
        id="submit",
        tag="requests",
        summary="Ask people",
        text="Stored when it answers 201; everybody of the audience is told right after.",
        scopes=(Scope.SUBMIT,),
        submits=True,
        sent=SubmitBody,
        examples={
            "refund": {
                "title": "Refund €1,250 to customer 8841",
                "message": "Order 5531 arrived broken. *Evidence* in the ticket.",
                "audience": ["slack:U0123456789", "email:ana@example.com"],
                "quorum": 2,
                "payload": {"tool": "refund", "amount": 1250, "customer": "8841"},
                "details": {"Order": "5531", "Requested by": "support-agent"},
                "timeout_seconds": 3600,
                "on_timeout": "expire",
                "requester": "email:bob@example.com",
                "labels": {"env": "prod"},
                "source_url": "https://ci.example.com/run/1",
            },
            "short": {
                "title": "Deploy v7?",
                "destination": {"type": "email", "email": "ana@example.com"},
            },
        },
        answers={
            200: ("The request that this key opened before.", answers.RequestOut),
            201: ("The new request; its address is in `Location`.", answers.RequestOut),
        },
        refusals=(errors.NoAudience,),
    )
    async def submit(self, http: web.Request, call: Visit, body: Json) -> web.Response:
        """Ask; the same `Idempotency-Key` again is the same request."""
        parsed = await aside(lambda: call.approvals.read(body), body)
        once = await idempotency(http, call.caller.id)
        request, new = await call.approvals.submit(parsed, once)
        location = {"Location": f"/v1/requests/{request.id}"}
        return call.answer(request, status=201 if new else 200, headers=location)

    @operation(
        method="GET",
        path="/v1/requests",
        id="list",
        tag="requests",
        summary="List requests",
        text="Newest first. All filters given must match. A key with `submit` alone lists what it submitted itself.",
        scopes=READING,
        parameters=(STATUS, *FILTERS),
        answers={200: ("One page.", answers.RequestPage)},
        refusals=(Invalid,),
    )
    async def find(self, http: web.Request, call: Visit) -> web.Response:
        """One page of requests."""
        page = await call.approvals.find(_query(http))
        return respond(
            answers.RequestPage(items=[request_json(r) for r in page.items], next_cursor=page.next_cursor)
        )

    @operation(
        method="GET",
        path="/v1/requests/{id}",
        id="get",
        tag="requests",
        summary="Read a request, or wait for its outcome",
        text="With `wait` it answers in the moment the request becomes final, always with 200: see `status`.",
        scopes=READING,
        parameters=(ID, WAIT),
        answers={200: ("The request as it stands.", answers.RequestOut)},
        refusals=(errors.NotFound, Invalid),
    )
    async def get(self, http: web.Request, call: Visit) -> web.Response:
        """One request, with `?wait=SECONDS` as soon as it is final."""
        request_id = http.match_info["id"]
        if "wait" not in http.query:
            return call.answer(await call.approvals.get(request_id))
        seconds = positive_number(http.query, "wait", MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)
        return call.answer(await call.approvals.wait(request_id, seconds))

    @operation(
        method="POST",
        path="/v1/requests/{id}/responses",
        id="respond",
        tag="answers",
        summary="Answer",
        text="For a respondent (scope `respond` or `operate`), or without `respondent` as operator (scope `operate`): "
        "that decides at once, whatever the quorum. The same answer again is recorded once; with an `Idempotency-Key` "
        "also where the next step asks the same person. With `operate` no key "
        "answers what it submitted itself. Say with `revision` what you looked at.",
        scopes=ANSWERING,
        parameters=(ID,),
        body=RespondBody,
        examples={
            "respondent": {
                "respondent": "email:ana@example.com",
                "decision": "approve",
                "reason": "The evidence is clear.",
            },
            "operator": {"decision": "reject", "reason": "Not during the freeze."},
        },
        answers={200: ("The request after the answer.", answers.Answered)},
        refusals=(*FINAL, *AS_RESPONDENT),
    )
    async def answer(self, http: web.Request, call: Visit, body: RespondBody) -> web.Response:
        """Answer for a respondent, or as operator."""
        request_id = http.match_info["id"]
        answer = ResponseInput(
            decision=body.decision, reason=body.reason, values=body.values or None, phrase=body.phrase
        )
        seen = SeenVersion(body.revision, body.step)
        if body.respondent is None:
            call.require(Scope.OPERATE)
            request = await call.approvals.operate(request_id, answer, call.name, surface(http), seen)
        else:
            actor = respondent(body.respondent, http)
            once = await idempotency(http, f"{call.caller.id}:{request_id}")
            request = await call.approvals.respond(request_id, actor, answer, seen, once)
        return call.answer(request)

    @operation(
        method="POST",
        path="/v1/requests/{id}/cancel",
        id="cancel",
        tag="requests",
        summary="Take a question back",
        text=MANAGED,
        scopes=MANAGING,
        parameters=(ID,),
        body=ReasonBody,
        empty=True,
        examples={"cancel": {"reason": "The order was cancelled."}},
        answers={200: ("The cancelled request.", answers.Answered)},
        refusals=(*FINAL, errors.NotYours),
    )
    async def cancel(self, http: web.Request, call: Visit, body: ReasonBody) -> web.Response:
        """Cancel a request that waits."""
        reason = _reason(body.reason)
        return call.answer(
            await call.approvals.cancel(http.match_info["id"], reason, call.name, surface(http))
        )

    @operation(
        method="GET",
        path="/v1/requests/{id}/audit",
        id="audit",
        tag="audit",
        summary="Read a request's history",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("Its audit events, oldest first.", answers.History)},
        refusals=(errors.NotFound,),
    )
    async def audit(self, http: web.Request, call: Visit) -> web.Response:
        """All of a request's audit events."""
        events = await call.approvals.audit(http.match_info["id"])
        return respond(answers.History(items=[event_json(e) for e in events]))

    @operation(
        method="GET",
        path="/v1/requests/{id}/deliveries",
        id="deliveries",
        tag="deliveries",
        summary="See what became of each card, mail and callback",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("Every delivery, oldest first.", answers.Deliveries)},
        refusals=(errors.NotFound,),
    )
    async def deliveries(self, http: web.Request, call: Visit) -> web.Response:
        """Every card, mail and callback, and what became of it."""
        request = await call.approvals.get(http.match_info["id"])
        rows = await call.approvals.deliveries([request.id])
        return respond(answers.Deliveries(items=[delivery_json(d) for d in rows[request.id]]))

    @operation(
        method="GET",
        path="/v1/pending",
        id="pending",
        tag="requests",
        summary="List what waits",
        text="As the list of requests. A key with the scope `links` also gets the personal link of everybody "
        "who has not answered.",
        scopes=READING,
        parameters=FILTERS,
        answers={200: ("One page.", answers.PendingPage)},
        refusals=(Invalid,),
    )
    async def pending(self, http: web.Request, call: Visit) -> web.Response:
        """What waits, with each respondent's link for a key that may see links."""
        page = await call.approvals.find(_query(http, status=Status.PENDING))
        items = [self._pending(r, links=Scope.LINKS in call.caller.scopes) for r in page.items]
        return respond(answers.PendingPage(items=items, next_cursor=page.next_cursor))

    def _pending(self, request: Request, *, links: bool) -> answers.PendingOut:
        told = [answers.LinkOut(respondent=r.id, url=self._link(r)) for r in awaited(request) if links]
        shown: answers.PendingOut = {**request_json(request), "links": told}
        if not links:
            del shown["links"]
        return shown

    def _link(self, respondent: Respondent) -> str:
        return self.links.url(respondent.id, respondent.generation)

    @operation(
        method="POST",
        path="/v1/notifications",
        id="notify",
        tag="notifications",
        summary="Tell people without asking",
        scopes=(Scope.SUBMIT,),
        body=NotifyBody,
        examples={"notify": {"message": "v7 is *live*.", "audience": ["email:ana@example.com"]}},
        answers={202: ("It will be delivered.", answers.Accepted)},
        refusals=(errors.NoAudience,),
    )
    async def notify(self, _http: web.Request, call: Visit, body: NotifyBody) -> web.Response:
        """Tell people."""
        await call.approvals.notify(body)
        return respond(answers.Accepted(status="accepted"), status=202)


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
