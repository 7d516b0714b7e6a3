"""The link pages on a real server and a real store, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer

from bot.approvals import Approvals, Rules
from bot.domain.model.request import Request, Surface
from bot.links import Links
from bot.rendering import templates
from bot.schemas.requests import SubmitBody, parse
from bot.store import SqlStore
from bot.store.migrations import upgrade
from bot.web.pages import link_pages
from bot.web.server import application
from tests.support.html_forms import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ASKED_AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
KEY = "k" * 32


@dataclass
class ManualClock:
    """Stands still until the test moves it."""

    at: datetime = ASKED_AT

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class RandomIds:
    def request(self, now: datetime) -> str:
        return f"req_{int(now.timestamp() * 1000):012x}{secrets.token_hex(6)}"

    def respondent(self) -> str:
        return "rsp_" + base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=").lower()


@dataclass
class Site:
    """The pages as served. `client` is a browser's stand-in that does not follow redirects by itself."""

    approvals: Approvals
    store: SqlStore
    links: Links
    clock: ManualClock
    client: TestClient[Any, Any]

    async def ask(self, **fields: Any) -> Request:
        """Submit a request, to Ana unless told otherwise."""
        body = {"title": "Refund €1,250 to customer 8841", "audience": ["email:ana@example.com"]} | fields
        request, _ = await self.approvals.submit(parse(SubmitBody, body))
        return request

    def link(self, request: Request, email: str = "ana@example.com") -> str:
        """The path of somebody's personal link."""
        respondent = request.respondent(f"email:{email}")
        assert respondent is not None
        return f"/r/{self.links.token(respondent.id, respondent.generation)}"

    def url(self, request: Request, email: str = "ana@example.com") -> str:
        return str(self.client.make_url(self.link(request, email)))


@dataclass
class Visit:
    """A page, and where it came from."""

    status: int
    state: str
    page: Page


@dataclass
class Visitor:
    """Whoever has a link: opens it, presses buttons, and follows where that leads."""

    site: Site
    link: str

    async def opens(self) -> Visit:
        """Look at the page."""
        return await self._read(await self.site.client.get(self.link))

    async def presses(
        self, button: str = "Submit", visit: Visit | None = None, **filled: str | bool
    ) -> Visit:
        """Fill in the page (as it was at `visit`) and press a button."""
        page = (visit or await self.opens()).page
        return await self._read(await self.site.client.post(self.link, data=page.press(button, **filled)))

    async def _read(self, response: Any) -> Visit:
        html = await response.text()
        state = html.partition('data-state="')[2].partition('"')[0]
        return Visit(response.status, state, Page(html))


async def who(site: Site, request: Request, email: str = "ana@example.com") -> Visitor:
    """The person with this address, with the link that they have now."""
    return Visitor(site, site.link(await site.approvals.get(request.id), email))


@contextlib.asynccontextmanager
async def serving(
    database_url: str, *, banner: str | None = None, keys: Sequence[str] = (KEY,)
) -> AsyncIterator[Site]:
    """Serve the pages over `database_url` on a port of their own."""
    await asyncio.to_thread(upgrade, database_url)
    store, clock, links = SqlStore(database_url), ManualClock(), Links("http://127.0.0.1", keys)
    await store.start()
    rules = Rules(surfaces=frozenset({Surface.EMAIL}))
    approvals = Approvals(store, clock, RandomIds(), None, rules)
    routes = link_pages.routes(approvals, links, templates(), clock, banner=banner)
    server = TestServer(application.build(routes, {}))
    await server.start_server(access_log=None)
    try:
        async with TestClient(server) as client:
            yield Site(approvals, store, links, clock, client)
    finally:
        await store.stop()
