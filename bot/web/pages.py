"""The pages behind personal links: what was asked, a form to answer, and what became of it.

A GET changes nothing, whoever makes it: mail scanners open every link. Only a posted form decides, through
the same use case as every other surface.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from bot.domain import lifecycle, notices, quorum
from bot.domain.answers import decisions, wants_phrase
from bot.domain.audience import Actor, admit
from bot.domain.errors import AssentError, Invalid, SelfApproval, StaleRevision, StepClosed, Unavailable
from bot.domain.events import Timer
from bot.domain.request import (
    APPROVE,
    REJECT,
    SKIP,
    Request,
    Respondent,
    RespondentState,
    Spec,
    Status,
    Surface,
)
from bot.resources import resource
from bot.web.page_form import Form, UnreadableForm, read_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from bot.approvals import Approvals
    from bot.links import Links
    from bot.ports import Clock

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
        # `no-referrer` would make the form's own POST send `Origin: null`.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }
)
ALLOWED = "GET, HEAD, POST"
RETRY_SECONDS = "5"


def routes(
    approvals: Approvals, links: Links, rendering: Environment, clock: Clock, *, banner: str | None = None
) -> list[web.RouteDef]:
    """The personal links under `/r/` and the style sheets under `/static/`. `banner` heads every page."""
    pages = _Pages(approvals, links, rendering, clock, banner)
    return [
        web.route(hdrs.METH_ANY, "/r/{token:.*}", pages.handle),
        web.get("/static/{name}", _style_sheet),
    ]


async def _style_sheet(http: web.Request) -> web.StreamResponse:
    known = {path.name: path for path in resource("templates/web").glob("*.css")}
    path = known.get(http.match_info["name"])
    if path is None:
        raise web.HTTPNotFound
    headers = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
    return web.FileResponse(path, headers=headers)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A genuine link: its request as it is now, and whose it is. A link that was replaced is not `live`."""

    request: Request
    respondent: Respondent
    live: bool

    @property
    def state(self) -> str:
        """Which page shows it."""
        if not self.live:
            return "reassigned"
        if self.request.response_of(self.respondent.id):
            return "recorded"
        return {Status.PENDING: "open", Status.EXPIRED: "expired", Status.CANCELLED: "cancelled"}.get(
            self.request.status, "decided"
        )


@dataclass(frozen=True, slots=True)
class _Pages:
    approvals: Approvals
    links: Links
    rendering: Environment
    clock: Clock
    banner: str | None

    async def handle(self, http: web.Request) -> web.Response:
        """Every request to a link, whatever its method."""
        try:
            return await self._handle(http)
        except Unavailable as error:
            return await self._unavailable("problem", heading=error.title, notice=error.detail)

    async def _handle(self, http: web.Request) -> web.Response:
        if http.method not in ALLOWED.split(", "):
            response = await self._problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "A link can only be opened and answered."
            )
            response.headers["Allow"] = ALLOWED
            return response
        token = http.match_info["token"].lower()
        opened = await self._open(token)
        if opened is None:
            return await self._page("unknown", HTTPStatus.NOT_FOUND)
        if http.method != hdrs.METH_POST or "prefetch" in http.headers.get("Sec-Purpose", ""):
            return await self._show(opened)
        if http.headers.get("Sec-Fetch-Site") == "cross-site":
            return await self._problem(
                HTTPStatus.FORBIDDEN,
                "Another website sent this answer, so it was not recorded. Open the link from your mail.",
            )
        try:
            form = await read_form(http)
        except UnreadableForm as error:
            return await self._problem(error.status, error.text)
        return await self._answer(token, opened, form)

    async def _open(self, token: str) -> _Opened | None:
        """Whose link this is; None for anything that was not made here."""
        respondent_id = self.links.respondent_id(token)
        request = await self.approvals.of_respondent(respondent_id) if respondent_id else None
        respondent = request.respondent(respondent_id) if request and respondent_id else None
        if not (respondent_id and request and respondent):
            return None
        genuine = [
            self.links.verify(token, respondent_id, generation)
            for generation in range(respondent.generation + 1)
        ]
        if not any(genuine):
            return None
        # The deadline may have passed a moment ago, before the store's own timer came to it.
        now = lifecycle.apply(request, Timer(), self.clock.now()).request
        return _Opened(now, respondent, genuine[-1] and respondent.state is not RespondentState.DELEGATED)

    async def _answer(self, token: str, opened: _Opened, form: Form) -> web.Response:
        request, respondent = opened.request, opened.respondent
        if opened.state == "reassigned":
            return await self._show(opened, HTTPStatus.CONFLICT)
        try:
            if opened.state == "open" and form.opened_revision in {None, request.revision}:
                form.check(request)
            actor = Actor(keys=frozenset({respondent.id}), surface=Surface.EMAIL)
            await self.approvals.respond(request.id, actor, form.answer, form.opened_revision)
        except AssentError as refusal:
            return await self._refuse(await self._open(token) or opened, form, refusal)
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": f"/r/{token}"})

    async def _refuse(self, opened: _Opened, form: Form, refusal: AssentError) -> web.Response:
        """The page for an answer that was not recorded; while the link is open, with everything typed."""
        status = HTTPStatus(refusal.status)
        if opened.state != "open":
            return await self._show(opened, status, notice=refusal.detail)
        match refusal:
            case Invalid():
                faults = {f.pointer: f.detail for f in refusal.faults}
                return await self._show(opened, status, form=form, faults=faults)
            case StaleRevision():
                kept = Form(reason=form.reason)
                changes = _changes(form.seen, opened.request)
                return await self._show(opened, status, "changed", form=kept, changes=changes)
            case Unavailable():
                context = _context(opened, form=form, notice=refusal.detail)
                return await self._unavailable("open", **context)
            case _:
                return await self._show(opened, status, "refused", notice=refusal.detail)

    async def _show(
        self, opened: _Opened, status: HTTPStatus = HTTPStatus.OK, state: str | None = None, **more: Any
    ) -> web.Response:
        """The page of a genuine link."""
        state = state or opened.state
        if state == "open" and (refusal := _refusal(opened)):
            state, more = "refused", {"notice": refusal}
        return await self._page(state, status, **_context(opened, **more))

    async def _problem(self, status: HTTPStatus, text: str) -> web.Response:
        return await self._page("problem", status, heading="Your answer was not recorded", notice=text)

    async def _unavailable(self, template: str, **context: Any) -> web.Response:
        response = await self._page(template, HTTPStatus.SERVICE_UNAVAILABLE, **context)
        response.headers["Retry-After"] = RETRY_SECONDS
        return response

    async def _page(self, template: str, status: HTTPStatus, **context: Any) -> web.Response:
        """Render in a thread: a large payload takes tens of milliseconds, and nobody else should wait."""
        page = self.rendering.get_template(f"web/{template}.html")
        text = await asyncio.to_thread(page.render, state=template, banner=self.banner, **context)
        return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def _refusal(opened: _Opened) -> str | None:
    """Why this person's answer could not count, as far as that is known before they give one."""
    actor = Actor(keys=frozenset({opened.respondent.id}), surface=Surface.EMAIL)
    try:
        admit(opened.request, actor, new_id="")
    except (SelfApproval, StepClosed) as refusal:
        return refusal.detail
    except AssentError:
        return None
    return None


def _context(opened: _Opened, **more: Any) -> dict[str, Any]:
    """What the templates show of a request; `more` says what was wrong with an answer."""
    request, respondent = opened.request, opened.respondent
    spec, response = request.spec, request.response_of(respondent.id)
    return {
        "request": request,
        "spec": spec,
        "respondent": respondent,
        "requester": notices.requester(request),
        "progress": quorum.judge(request).text,
        "waiting": notices.waiting_for(request),
        "without_answer": notices.without_answer(request),
        "outcome": notices.outcome(request),
        "receipt": notices.recorded(request, response) if response else None,
        "response": response,
        "history": [
            (r, notices.names(request, [r.respondent]), notices.decided(r.decision, request))
            for r in request.responses
        ],
        "choices": [(d, _label(d, spec)) for d in decisions(spec)],
        "phrase": spec.verification_phrase if any(wants_phrase(spec, d) for d in decisions(spec)) else None,
        "seen": ".".join(_fingerprints(request).values()),
        "form": Form(),
        "faults": {},
        "notice": None,
        **more,
    }


def _label(decision: str, spec: Spec) -> str:
    built_in = {APPROVE: "Approve", REJECT: "Reject", SKIP: "Skip"}
    return next((c.label for c in spec.choices if c.id == decision), built_in.get(decision, decision))


def _fingerprints(request: Request) -> dict[str, str]:
    """A short digest of each part that people read, by its name."""
    spec = request.spec
    parts = {
        "title": spec.title,
        "message": spec.message,
        "details": spec.details,
        "payload": spec.payload_digest,
        "deadline": str(request.timeout_at),
        "rules": [str(spec.kind), str(spec.level), *decisions(spec), str(request.current.quorum)],
    }
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12] for name, part in parts.items()}


def _changes(seen: str, request: Request) -> list[str]:
    """The names of the parts that are no longer as the person saw them."""
    now = _fingerprints(request)
    before = dict(zip(now, seen.split("."), strict=False))
    return [name for name, digest in now.items() if before.get(name, digest) != digest]
