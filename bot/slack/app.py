"""The Slack app: Bolt with its listeners, over HTTP, Socket Mode, or both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.api.client import SLACK_API
from bot.slack.api.errors import SlackError
from bot.slack.api.proxies import proxy_for
from bot.slack.inbound.actions import Actions
from bot.slack.inbound.bulk_responses import BulkResponder
from bot.slack.inbound.commands import Commands
from bot.slack.inbound.http import HttpEvents
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.modal_submissions import Submissions
from bot.slack.inbound.responses import Responses
from bot.slack.inbound.socket_mode import SocketMode
from bot.slack.inbound.thread_replies import Threads
from bot.slack.manifest import EVENTS_PATH
from bot.slack.outbound.inbox import Inbox

if TYPE_CHECKING:
    from slack_bolt.request.async_request import AsyncBoltRequest

    from bot.approvals import Approvals
    from bot.ports.system import Clock
    from bot.slack.api.client import Gateway

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 4.0
"""How long a stop waits for what was acknowledged and is still being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackConfig:
    """How Slack reaches the app: over HTTP with `signing_secret`, in Socket Mode with `app_token`."""

    signing_secret: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    api_url: str = SLACK_API


class SlackApp:
    """Everything that comes in from Slack. `answering` is the outbox's sender for `answering.SURFACE`."""

    def __init__(self, config: SlackConfig, approvals: Approvals, gateway: Gateway, clock: Clock) -> None:
        inbox = Inbox(approvals, gateway, clock)
        self.answering = Responses(approvals, gateway, inbox)
        acting, many = Actions(approvals), BulkResponder(approvals, self.answering, inbox)
        commands = Commands(approvals, gateway, clock, answering=self.answering, acting=acting, inbox=inbox)
        self._listeners = Listeners(
            approvals, gateway, clock, answering=self.answering, acting=acting, inbox=inbox
        )
        self._config = config
        self._gateway = gateway
        self._bolt = _bolt(config)
        submissions = Submissions(approvals, self.answering, acting, inbox, many)
        threads = Threads(approvals, gateway, acting, inbox)
        self._listeners.attach(self._bolt, commands, submissions, many, threads)
        self._watch_installation()
        self._trying: asyncio.Task[None] | None = None
        self._socket: SocketMode | None = None
        self._revoked: str | None = None

    def routes(self) -> list[web.RouteDef]:
        """The route of HTTP mode, where there is a signing secret."""
        if not self._config.signing_secret:
            return []
        return [web.post(EVENTS_PATH, HttpEvents(self._bolt, self._config.signing_secret).handle)]

    def start(self) -> None:
        """Try the bot token, and connect in Socket Mode; waits for neither."""
        self._trying = asyncio.create_task(self._try_token(), name="assent-slack-token")
        if self._config.app_token:
            self._socket = SocketMode(self._bolt, self._config.app_token)
            self._socket.start()

    async def _try_token(self) -> None:
        with contextlib.suppress(SlackError):  # the gateway remembers a token that Slack refuses
            await self._gateway.identity()

    async def stop(self) -> None:
        """Finish what was acknowledged, then disconnect; also where it was never started."""
        if self._trying:
            self._trying.cancel()
        await self._listeners.drain(DRAIN_SECONDS)
        if self._socket:
            await self._socket.stop()

    async def check(self) -> str | None:
        """What keeps cards from being posted or clicks from arriving, in words; None where nothing does."""
        return (
            self._revoked or self._gateway.refused or (await self._socket.check() if self._socket else None)
        )

    def _watch_installation(self) -> None:
        async def uninstalled() -> None:
            self._revoked = "the app was removed from the workspace; install it again and set SLACK_BOT_TOKEN"
            log.error(self._revoked, action="slack.uninstalled")

        async def tokens_revoked(event: dict[str, Any]) -> None:
            if (event.get("tokens") or {}).get("bot"):
                await uninstalled()

        async def channel_id_changed(event: dict[str, Any]) -> None:
            log.warning(
                "a channel has a new id: requests and groups that name the old one no longer reach it",
                action="slack.channel_id_changed",
                old=event.get("old_channel_id"),
                new=event.get("new_channel_id"),
            )

        self._bolt.event("app_uninstalled")(uninstalled)
        self._bolt.event("tokens_revoked")(tokens_revoked)
        self._bolt.event("channel_id_changed")(channel_id_changed)


class _Bolt(AsyncApp):
    """What nobody listens to is acknowledged as well: a link button's click, an event we never asked for."""

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        response = await super().async_dispatch(req)
        return BoltResponse(status=200) if response.status == 404 else response


def _bolt(config: SlackConfig) -> AsyncApp:
    """Bolt without calls of its own: everything we say goes through the gateway."""
    client = AsyncWebClient(base_url=config.api_url, retry_handlers=[])
    client.proxy = proxy_for(config.api_url)  # slack_sdk itself knows no NO_PROXY
    logger = logging.getLogger("bot.slack.bolt")
    logger.setLevel(logging.ERROR)  # below that, Bolt logs whole bodies

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None)

    return _Bolt(
        name="assent",
        logger=logger,
        client=client,
        signing_secret=config.signing_secret or "",
        authorize=authorize,
        ignoring_self_events_enabled=False,
    )
