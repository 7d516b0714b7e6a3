"""The mailbox as a web page: who got which mail, as it would look in their inbox, live.

`mail_page(mailbox)` is an application of its own: mount it with `app.add_subapp("/mail/", …)`.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.sandbox.mail.relay import Mail, Mailbox

_ASSETS = Path(__file__).parent / "assets"
_MAILBOX: web.AppKey[Mailbox] = web.AppKey("mailbox")
_STREAMS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("streams")

_HEADERS = {
    "Cache-Control": "no-store",
    # A mail is shown in a sandboxed frame that inherits this: its inline styles apply, and nothing is loaded.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def mail_page(mailbox: Mailbox) -> web.Application:
    """The page, its assets, one mail as JSON, and the stream of mails as server-sent events."""
    app = web.Application()
    app[_MAILBOX] = mailbox
    app[_STREAMS] = set()
    app.on_shutdown.append(_end_streams)
    app.router.add_get("/", _asset("mail.html"))
    app.router.add_get("/mail.css", _asset("mail.css"))
    app.router.add_get("/mail.js", _asset("mail.js"))
    app.router.add_get("/messages/{id:[0-9]+}", _message)
    app.router.add_get("/events", _events)
    return app


def _asset(name: str) -> Any:
    async def serve(_: web.Request) -> web.FileResponse:
        return web.FileResponse(_ASSETS / name, headers=_HEADERS)

    return serve


async def _message(request: web.Request) -> web.Response:
    wanted = int(request.match_info["id"])
    mail = next((mail for mail in request.app[_MAILBOX].messages() if mail.id == wanted), None)
    if mail is None:
        raise web.HTTPNotFound(text="There is no such mail.")
    headers = [[name, str(value)] for name, value in mail.message.items()]
    return web.json_response(
        {**_summary(mail), "text": mail.text, "html": mail.html, "headers": headers}, headers=_HEADERS
    )


async def _events(request: web.Request) -> web.StreamResponse:
    """Each mail after `Last-Event-ID` (0: from the first), then each new one."""
    mailbox, streams = request.app[_MAILBOX], request.app[_STREAMS]
    response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
    last = request.headers.get("Last-Event-ID", "")
    seen = int(last) if last.isdecimal() else 0
    task = asyncio.current_task()
    if task:
        streams.add(task)
    try:
        await response.prepare(request)
        while True:
            mails = await mailbox.wait_beyond(seen)
            await response.write(_frames(mails))
            seen = mails[-1].id
    except (asyncio.CancelledError, ConnectionResetError):
        return response
    finally:
        streams.discard(task)


def _frames(mails: Iterable[Mail]) -> bytes:
    return "".join(f"id: {mail.id}\ndata: {json.dumps(_summary(mail))}\n\n" for mail in mails).encode()


def _summary(mail: Mail) -> dict[str, Any]:
    preview = " ".join(mail.text.split())
    return {
        "id": mail.id,
        "to": mail.recipient,
        "from": str(mail.message["From"]),
        "subject": mail.subject,
        "preview": preview[:140],
        "at": mail.received_at.isoformat(),
    }


async def _end_streams(app: web.Application) -> None:
    for task in app[_STREAMS]:
        task.cancel()
