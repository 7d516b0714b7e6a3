"""Socket Mode: what Slack sends over a WebSocket that we open, so that no public URL is needed.

https://docs.slack.dev/apis/events-api/using-socket-mode. Slack spreads what it sends over at most ten
connections, so each replica opens one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.slack.api.proxies import proxy_for

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

log = structlog.get_logger(__name__)

PING_SECONDS = 5.0
"""How often the connection is checked, and how soon a lost one is opened again."""


class _Client(SocketModeClient):
    """Takes the way to each WebSocket's own host: Slack's API and its sockets may need different proxies."""

    async def issue_new_wss_url(self) -> str:
        url = await super().issue_new_wss_url()
        self.proxy = proxy_for(url)
        return url


class _Handler(AsyncSocketModeHandler):
    """Bolt's, over our client."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self.app = app
        self.app_token = app_token
        self.client = _Client(app_token, logger=app.logger, web_client=app.client, ping_interval=PING_SECONDS)
        self.client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]  # as Bolt does itself


class SocketMode:
    """One connection, kept open. slack_sdk opens it again when it is lost or Slack asks for it."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._handler = _Handler(app, app_token)
        self._connecting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect; where Slack cannot be reached, that goes on until `stop`."""
        self._connecting = asyncio.create_task(
            self._handler.connect_async(),  # type: ignore[no-untyped-call]  # Bolt has no types here
            name="assent-slack-socket",
        )

    async def stop(self) -> None:
        """Close the connection."""
        if self._connecting:
            self._connecting.cancel()
        await self._handler.close_async()  # type: ignore[no-untyped-call]  # Bolt has no types here

    async def check(self) -> str | None:
        """None while it is connected, else what is wrong, in words."""
        if await self._handler.client.is_connected():
            return None
        return "Socket Mode is not connected; check SLACK_APP_TOKEN, and that Socket Mode is on for the app"
