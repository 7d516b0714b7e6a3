"""The one page to open: Slack and the mailbox, beside what the workflow learned and what to try."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.sandbox.mail.page import mail_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.demo.workflow import News
    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox

ASSETS = Path(__file__).parent / "assets"
SLACK_PATH, MAIL_PATH = "/slack", "/mail/"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPage:
    """What the page shows; `ask` lets the workflow ask for something more."""

    slack: SlackSandbox
    mailbox: Mailbox
    api_url: str
    key: str
    ask: Callable[[], None]
    news: list[News] = field(default_factory=list)

    def application(self) -> web.Application:
        """The page, with Slack and the mailbox under it."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", _asset("demo.html")),
                web.get("/demo.css", _asset("demo.css")),
                web.get("/demo.js", _asset("demo.js")),
                web.get("/news", self._news),
                web.post("/ask", self._ask),
            ]
        )
        application.router.add_get(SLACK_PATH, _with_slash)
        application.add_subapp(f"{SLACK_PATH}/", self.slack.application())
        application.add_subapp(MAIL_PATH, mail_page(self.mailbox))
        return application

    async def _news(self, request: web.Request) -> web.Response:
        """What is new after the first `after` entries; how many mails there are; how to call the API."""
        after = request.query.get("after", "")
        news = self.news[int(after) if after.isdecimal() else 0 :]
        body = {
            "news": [{"status": one.status, "text": one.text} for one in news],
            "mails": len(self.mailbox.messages()),
            "api": self.api_url,
            "key": self.key,
        }
        return web.json_response(body, headers=_HEADERS)

    async def _ask(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":  # which no page of another origin can send
            raise web.HTTPUnsupportedMediaType
        self.ask()
        return web.json_response({}, status=202)


def _asset(name: str) -> Any:
    async def serve(_: web.Request) -> web.FileResponse:
        return web.FileResponse(ASSETS / name, headers=_HEADERS)

    return serve


async def _with_slash(_: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(f"{SLACK_PATH}/")
