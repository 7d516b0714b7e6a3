"""The pages behind personal links: what was asked, a form to answer, and what became of it.

A GET changes nothing, whoever makes it: mail scanners open every link. Only a posted form decides, through
the same use case as every other surface.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from bot.domain.errors import AssentError, Fault, Invalid, StaleRevision, Unavailable
from bot.domain.forms import forms
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import SeenVersion, Timer
from bot.domain.model.request import RespondentState
from bot.domain.people import naming
from bot.rendering import differences
from bot.resources import resource
from bot.web.pages.form import Form, UnreadableForm, read_form
from bot.web.pages.view import Opened, changes, context, edits_since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from bot.approvals import Approvals
    from bot.links import Links
    from bot.ports.system import Clock

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
NOTHING_SHOWN = 0
"""No revision: what does not say which one it answers is never taken for an answer to the one that is asked now."""


def routes(
    approvals: Approvals, links: Links, rendering: Environment, clock: Clock, *, banner: str | None = None
) -> list[web.RouteDef]:
    """The personal links under `/r/` and the style sheets under `/static/`. `banner` heads every page."""
    pages = _Pages(approvals, links, rendering, clock, banner)
    return [
        web.route(hdrs.METH_ANY, "/r/{token:.*}", pages.handle),
        web.route(
            hdrs.METH_ANY, "/R/{token:.*}", pages.handle
        ),  # some mail programs write addresses in capitals
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
            return await self._show(opened, news=_news(opened, http.query.get("done")))
        if http.headers.get("Sec-Fetch-Site") == "cross-site":
            return await self._problem(
                HTTPStatus.FORBIDDEN,
                "Another website sent this answer, so it was not recorded. Open the link from your mail.",
            )
        try:
            form = await read_form(http, [f.name for f in forms.fields(opened.request)])
        except UnreadableForm as error:
            return await self._problem(error.status, error.text)
        return await (self._act if form.action else self._answer)(token, opened, form)

    async def _open(self, token: str) -> Opened | None:
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
        return Opened(now, respondent, genuine[-1] and respondent.state is not RespondentState.DELEGATED)

    async def _answer(self, token: str, opened: Opened, form: Form) -> web.Response:
        request = opened.request
        if opened.state == "reassigned":
            return await self._show(opened, HTTPStatus.CONFLICT)
        try:
            if opened.may_answer and form.opened_revision in {None, request.revision}:
                form.check(request)
            shown = form.opened_revision or NOTHING_SHOWN
            await self.approvals.respond(request.id, opened.actor, form.answer(request), SeenVersion(shown))
        except AssentError as refusal:
            now = await self._open(token) or opened
            if not (now.response and form.repeats(now.request, now.response)):
                return await self._refuse(now, form, refusal)
        return _see_other(token)

    async def _act(self, token: str, opened: Opened, form: Form) -> web.Response:
        """What a respondent does beside answering."""
        if _done_before(opened, form):
            return _see_other(token, form.action)
        if not opened.live:
            return await self._show(opened, HTTPStatus.CONFLICT)
        try:
            if opened.may_answer:
                form.check_action()
            await self._use_case(opened, form)
        except AssentError as refusal:
            return await self._refuse(await self._open(token) or opened, form, refusal)
        return _see_other(token, form.action)

    async def _use_case(self, opened: Opened, form: Form) -> None:
        request_id, actor, reason = opened.request.id, opened.actor, form.reason.strip() or None
        match form.action:
            case "ask":
                await self.approvals.ask_back(request_id, actor, form.text)
            case "delegate":
                await self.approvals.delegate(request_id, actor, form.to.strip(), reason)
            case "escalate":
                await self.approvals.escalate(request_id, reason, actor=actor)
            case "withdraw":
                await self.approvals.withdraw(request_id, actor)
            case _:
                raise Invalid([Fault("/action", "is unknown here; open the link again and act there")])

    async def _refuse(self, opened: Opened, form: Form, refusal: AssentError) -> web.Response:
        """The page for what was not done; while the link is open, with everything typed."""
        status = HTTPStatus(refusal.status)
        if opened.state != "open":
            return await self._show(opened, status, form=form, notice=_sentence(refusal))
        match refusal:
            case Invalid():
                faults = {f.pointer: f.detail for f in refusal.faults}
                return await self._show(opened, status, form=form, faults=faults)
            case StaleRevision():
                return await self._changed(opened, form)
            case Unavailable():
                return await self._unavailable(
                    "open", **await self._names(opened, form=form, notice=refusal.detail)
                )
            case _:
                return await self._show(opened, status, "refused", notice=refusal.detail)

    async def _changed(self, opened: Opened, form: Form) -> web.Response:
        """The request as it is now, with what is new; of what was typed, all that can still be meant."""
        request = opened.request
        edits = edits_since(form.seen, request)
        new = {edit.field for edit in edits}
        kept = Form(reason=form.reason, values={n: v for n, v in form.values.items() if n not in new})
        return await self._show(
            opened,
            HTTPStatus.CONFLICT,
            "changed",
            form=kept,
            changes=changes(form.seen, request),
            new=differences(request, edits),
        )

    async def _show(
        self, opened: Opened, status: HTTPStatus = HTTPStatus.OK, state: str | None = None, **more: Any
    ) -> web.Response:
        """The page of a genuine link."""
        state = state or opened.state
        if state == "open" and (refusal := opened.refusal):
            state, more = "refused", {"notice": refusal.detail}
        return await self._page(state, status, **await self._names(opened, **more))

    async def _names(self, opened: Opened, **more: Any) -> dict[str, Any]:
        return await asyncio.to_thread(context, opened, self.approvals.views, **more)

    async def _problem(self, status: HTTPStatus, text: str) -> web.Response:
        return await self._page("problem", status, heading="Your answer was not recorded", notice=text)

    async def _unavailable(self, template: str, **names: Any) -> web.Response:
        response = await self._page(template, HTTPStatus.SERVICE_UNAVAILABLE, **names)
        response.headers["Retry-After"] = RETRY_SECONDS
        return response

    async def _page(self, template: str, status: HTTPStatus, **names: Any) -> web.Response:
        """Render in a thread: a large payload takes tens of milliseconds, and nobody else should wait."""
        text = await asyncio.to_thread(self._rendered, template, names)
        return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)

    def _rendered(self, template: str, names: dict[str, Any]) -> str:
        page = self.rendering.get_template(f"web/{template}.html")
        return page.render(state=template, banner=self.banner, **names)


def _see_other(token: str, done: str | None = None) -> web.Response:
    location = f"/r/{token}?done={done}" if done else f"/r/{token}"
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": location})


def _sentence(refusal: AssentError) -> str:
    """A refusal in words, where the field it is about is not on the page."""
    if isinstance(refusal, Invalid):
        return "; ".join(f"{f.pointer.rpartition('/')[2]}: {f.detail}" for f in refusal.faults)
    return refusal.detail


def _done_before(opened: Opened, form: Form) -> bool:
    """Whether a second click finds done what the first one did."""
    request, respondent = opened.request, opened.respondent
    match form.action:
        case "ask":
            mine = [c.text for c in request.comments if c.respondent == respondent.id]
            return form.text.strip() in mine[-1:]
        case "delegate":
            return respondent.state is RespondentState.DELEGATED
        case "escalate":
            return form.level not in {"", str(request.level)}
        case "withdraw":
            return opened.state == "open" and _news(opened, "withdraw") is not None
    return False


def _news(opened: Opened, done: str | None) -> str | None:
    """What came of an action, in the words of the request's own record."""
    request, respondent = opened.request, opened.respondent
    if done == "ask":
        mine = [c.text for c in request.comments if c.respondent == respondent.id]
        return f"You asked: {mine[-1]}" if mine else None
    told = {"escalate": "Escalated ", "withdraw": f"{naming.label(request, respondent)} took "}.get(
        done or ""
    )
    return next((e.text for e in reversed(request.trail) if told and e.text.startswith(told)), None)
