"""`POST /slack/events`: what Slack sends over HTTP, verified before anything of it is read.

https://docs.slack.dev/authentication/verifying-requests-from-slack. Bolt by itself parses a body before it
verifies it, and answers 500 to much of what a stranger may send.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.domain.errors import Malformed, Unauthenticated

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

MAX_AGE_SECONDS = 300
"""How old a signature may be."""
MALFORMED = "The body is not what Slack sends."
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SSL_CHECK = re.compile(rb"ssl_check=1(&token=\w{1,64})?", re.ASCII)
"""All of what Slack sends, unsigned, to see whether our certificate is good; anything more has to be signed."""


class HttpEvents:
    """The handler of the one URL for events, interactivity and commands."""

    def __init__(self, app: AsyncApp, signing_secret: str) -> None:
        self._app = app
        self._secret = signing_secret.encode()

    async def handle(self, request: web.Request) -> web.Response:
        """Bolt's answer; raises `Unauthenticated` for what Slack did not sign just now, `Malformed`."""
        raw = await request.read()
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not self._is_signed(raw, timestamp, signature):
            if _SSL_CHECK.fullmatch(raw):
                return web.Response()
            raise Unauthenticated(
                "This has no fresh signature of Slack; check SLACK_SIGNING_SECRET and this machine's clock."
            )
        answer = await self._app.async_dispatch(_parsed(raw, request))
        if answer.status >= 500:
            raise Malformed(MALFORMED)
        return await to_aiohttp_response(answer)

    def _is_signed(self, raw: bytes, timestamp: str, signature: str) -> bool:
        """Over the raw bytes, which slack_sdk's verifier cannot do: it wants text."""
        if not _TIMESTAMP.fullmatch(timestamp) or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
            return False
        digest = hmac.new(self._secret, b"v0:" + timestamp.encode() + b":" + raw, hashlib.sha256)
        return hmac.compare_digest(f"v0={digest.hexdigest()}".encode(), signature.encode(errors="replace"))


def _parsed(raw: bytes, request: web.Request) -> AsyncBoltRequest:
    try:
        parsed = AsyncBoltRequest(
            body=raw.decode(), query=request.query_string, headers=dict(request.headers)
        )
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise Malformed(MALFORMED) from None
    if not _is_shaped(parsed.body):
        raise Malformed(MALFORMED)
    return parsed


def _is_shaped(body: dict[str, Any]) -> bool:
    """Whether a body says what it is, and has the part that goes with it."""
    match body:
        case {"type": "block_actions", "actions": [*actions]}:
            return bool(actions) and all(isinstance(action, dict) for action in actions)
        case {"type": "view_submission" | "view_closed", "view": dict()}:
            return True
        case {"type": "event_callback", "event": dict()}:
            return True
        case {"type": "block_actions" | "view_submission" | "view_closed" | "event_callback"}:
            return False
        case {"type": str()} | {"command": str()} | {"ssl_check": str()}:
            return True
    return False
