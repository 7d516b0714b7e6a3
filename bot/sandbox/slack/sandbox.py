"""A Slack on this machine: the Web API, Socket Mode, people who click, and a page to look at it.

>>> async with SlackSandbox() as slack:  # a free port
...     ana = slack.add_user("Ana", email="ana@example.com")
...     settings = {"SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token}
...     card = await slack.next_message(ana)
...     click = await slack.click(ana, card, "Reject")
...     modal = await click.view()
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self, TypeVar

from aiohttp import web

from bot.sandbox.slack.browser_page import Browser
from bot.sandbox.slack.delivery import ACK_SECONDS, Ack, Delivery, HttpDelivery, SocketDelivery
from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.trigger_ids import Tickets
from bot.sandbox.slack.users import People
from bot.sandbox.slack.web_api.method import Backend
from bot.sandbox.slack.web_api.server import WebApi
from bot.sandbox.slack.workspace import Channel, Group, Message, User, View, Workspace
from bot.sandbox.waiting import WAIT_SECONDS, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.sandbox.slack.web_api.server import Call, Violation

T = TypeVar("T")


class SlackSandbox(People):
    """One workspace with the app installed. `clock` gives seconds since 1970.

    Interactions go to `app_url` if that is set, else to the app's Socket Mode connections.
    """

    def __init__(
        self,
        *,
        app_url: str | None = None,
        signing_secret: str = "signing-secret-of-the-sandbox",  # noqa: S107  made up, as the tokens are
        bot_token: str = "xoxb-sandbox",  # noqa: S107  likewise
        app_token: str = "xapp-sandbox",  # noqa: S107  likewise
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        workspace = Workspace(clock=clock)
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        watcher = Watcher(workspace)
        self.sockets = SocketDelivery(workspace, ack_seconds, watcher.changed)
        self.faults = Faults()
        self._http = HttpDelivery(signing_secret, clock, ack_seconds)
        self._http.url = app_url
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self.backend = Backend(workspace, Tickets(workspace), self.sockets.open_url)
        self.backend.tokens = {bot_token: "bot", app_token: "app"}
        self.api = WebApi(self.backend, self.faults, watcher.changed)
        super().__init__(self.api, watcher, self._send, lambda: self.origin)
        self._browser = Browser(self)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        port = self._runner.addresses[0][1]
        self.mounted_at(f"http://{self._host}:{port}")

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        """All of it as an aiohttp application, to serve by itself or to mount (see `mounted_at`)."""
        application = web.Application(client_max_size=4 * 1024 * 1024)
        application.add_routes(
            [
                web.route("*", "/api/{method}", self.api.handle),
                web.post("/response/{team}/{secret}", self.api.handle_response_url),
                web.get("/link/", self.sockets.handle),
                *self._browser.routes(),
            ]
        )
        application.on_startup.append(self._on_startup)
        application.on_shutdown.append(self._on_shutdown)
        return application

    def mounted_at(self, origin: str) -> None:
        """Say under which URL `application()` is reachable, without a slash at the end."""
        self.sockets.origin = origin

    @property
    def origin(self) -> str:
        return self.sockets.origin

    @property
    def api_url(self) -> str:
        """The value of `SLACK_API_URL`."""
        return f"{self.origin}/api/"

    @property
    def app_url(self) -> str | None:
        """Where the app takes events, interactivity and commands; None is Socket Mode."""
        return self._http.url

    @app_url.setter
    def app_url(self, url: str | None) -> None:
        self._http.url = url

    # Who and what there is.

    def add_team(self) -> str:
        """The id of another organisation, for people of shared channels."""
        return self.workspace.new_id("T")

    def add_user(
        self,
        name: str,
        *,
        email: str | None = None,
        confirmed: bool = True,
        deleted: bool = False,
        team: str | None = None,
    ) -> User:
        return self._shown(
            self.workspace.add_user(name, email=email, confirmed=confirmed, deleted=deleted, team_id=team)
        )

    def add_channel(
        self,
        name: str,
        members: Iterable[User] = (),
        *,
        private: bool = False,
        archived: bool = False,
        with_bot: bool = True,
    ) -> Channel:
        ids = {user.id for user in members} | ({self.workspace.bot.id} if with_bot else set())
        channel = self.workspace.add_channel(name, ids, kind="private" if private else "channel")
        channel.archived = archived
        return self._shown(channel)

    def add_group(self, handle: str, members: Iterable[User] = ()) -> Group:
        return self._shown(self.workspace.add_group(handle, [user.id for user in members]))

    def add_install_code(self, installer: User) -> str:
        """A code for `oauth.v2.access`, as the redirect after an installation carries it."""
        code = self.workspace.new_secret()
        self.backend.install_codes[code] = installer.id
        return code

    def revoke(self, token: str | None = None) -> None:
        """From now on the bot token (or another one) is `token_revoked`."""
        self.backend.revoked.add(token or self.bot_token)

    # What people see.

    def messages(self, where: Channel | User | None = None) -> list[Message]:
        """What stands in a channel, in the direct messages with somebody, or everywhere; ephemerals apart."""
        if where is None:
            everywhere = (self.workspace.history(channel_id) for channel_id in self.workspace.channels)
            return [message for history in everywhere for message in history]
        channel = self._channel(where)
        return list(self.workspace.history(channel.id)) if channel else []

    def ephemerals(self, user: User) -> list[Message]:
        """Messages that only this person sees, oldest first."""
        return [
            message
            for message in self.workspace.messages
            if message.visible_to == user.id and not message.deleted
        ]

    def home(self, user: User) -> View | None:
        return self.workspace.homes.get(user.id)

    def modals(self, user: User) -> list[View]:
        """The modals on somebody's screen, the topmost last."""
        return list(self.workspace.stack(user.id))

    async def next_message(
        self,
        channel: Channel | User | None = None,
        *,
        timeout: float = WAIT_SECONDS,
        where: Callable[[Message], bool] = lambda _: True,
    ) -> Message:
        """The oldest message not returned before, in a channel or in somebody's direct messages.

        The message is live: later updates show in it. Raises TimeoutError.
        """

        def here(message: Message) -> bool:
            wanted = self._channel(channel) if channel else None
            right_place = channel is None or (wanted is not None and message.channel == wanted.id)
            return right_place and message.visible_to is None and where(message)

        what = f"a message in {channel.name if channel else 'any channel'}"
        return await self.watcher.next_message(here, timeout, what)

    async def wait_for(self, condition: Callable[[], T], timeout: float = WAIT_SECONDS) -> T:
        """The first true value of `condition`, tried now and at each change in Slack. Raises TimeoutError."""
        return await self.watcher.until(condition, timeout, "what the test waits for")

    # What the app did.

    def calls(self, method: str | None = None) -> list[Call]:
        return [call for call in self.api.log if method in (None, call.method)]

    @property
    def violations(self) -> list[Violation]:
        """Everything the app sent that Slack would not take."""
        return self.api.violations

    def _channel(self, where: Channel | User) -> Channel | None:
        return where if isinstance(where, Channel) else self.workspace.existing_direct(where.id)

    def _shown(self, new: T) -> T:
        self.watcher.changed()
        return new

    async def _send(self, delivery: Delivery) -> Ack:
        await asyncio.sleep(self.faults.delivery_delay)
        return await (self._http if self._http.url else self.sockets).send(delivery)

    async def _on_startup(self, _application: web.Application) -> None:
        self._http.start()

    async def _on_shutdown(self, _application: web.Application) -> None:
        self._browser.close()
        await self.sockets.drop()
        await self._http.stop()
