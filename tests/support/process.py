"""`assent serve` as a process of its own, which tests end as machines do and start again where it was."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.support import command
from tests.support.ports import free_port
from tests.support.product import KEY, Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox

START_SECONDS = 30.0
LEASE_SECONDS = 25.0
"""After this no delivery belongs to a dead process any more."""
SECRETS = re.compile(rf"/r/[a-z2-7]{{39}}|xoxb-sandbox|xapp-sandbox|{KEY}|k{{32}}")


class Ended(NamedTuple):
    """How a process ended, and how long that took."""

    status: int
    seconds: float


class Server(Api):
    """One server on one port and one database, through any number of lives; `log` holds the lines of all."""

    def __init__(self, environ: dict[str, str], port: int, http: ClientSession) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = http
        self.log: list[str] = []
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = process = await command.start(
            "serve", stdout=asyncio.subprocess.DEVNULL, **self._environ
        )
        ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read(process, ready))
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        assert process.returncode is None, "\n".join(self.log)

    async def kill(self) -> None:
        """`kill -9`."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> Ended:
        """SIGTERM, as a deployment sends it."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        status = await self._end(signal.SIGTERM)
        return Ended(status, loop.time() - since)

    async def _end(self, how: signal.Signals) -> int:
        process, reading = self._process, self._reading
        assert process, "it was never started"
        assert reading, "it was never started"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        async with asyncio.timeout(START_SECONDS):
            await reading
            return await process.wait()

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        assert process.stderr
        async for line in process.stderr:
            self.log.append(line.decode())
            if "serve.ready" in self.log[-1]:
                ready.set()
        ready.set()


@contextlib.asynccontextmanager
async def serving(
    database_url: str,
    *,
    slack: SlackSandbox | None = None,
    mailbox: Mailbox | None = None,
    socket_mode: bool = False,
    **settings: str,
) -> AsyncIterator[Server]:
    """A running server, killed at the end; `settings` are as in the environment. It must log no secret."""
    port = free_port()
    environ = {
        "ASSENT_DATABASE_URL": database_url,
        "ASSENT_PORT": str(port),
        "ASSENT_API_KEY": KEY,
        "ASSENT_SECRET_KEYS": "k" * 32,
    }
    if mailbox:
        environ |= {"ASSENT_SMTP_URL": mailbox.url, "ASSENT_MAIL_FROM": "Assent <assent@example.com>"}
    if slack:
        environ |= {"SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token}
        if socket_mode:
            environ["SLACK_APP_TOKEN"] = slack.app_token
        else:
            environ["SLACK_SIGNING_SECRET"] = slack.signing_secret
            slack.app_url = f"http://127.0.0.1:{port}/slack/events"
    async with ClientSession(
        f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=ClientTimeout(total=70),
        connector=TCPConnector(force_close=True, limit=0),
    ) as http:
        server = Server(environ | settings, port, http)
        await server.start()
        try:
            yield server
        finally:
            await server.kill()
            assert SECRETS.findall("".join(server.log)) == []
