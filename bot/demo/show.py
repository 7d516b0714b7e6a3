"""Put the demo together, run it until it is told to end, and leave nothing behind."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from aiohttp import web
from rich.console import Console
from rich.text import Text

from bot import logs
from bot.bootstrap import Assent, until_signalled
from bot.client import AsyncClient
from bot.delivery.signing import secret_from
from bot.demo.page import SLACK_PATH, DemoPage
from bot.demo.team import Team, samples
from bot.demo.workflow import News, Workflow
from bot.sandbox.mail.relay import Mailbox
from bot.sandbox.slack.sandbox import SlackSandbox
from bot.settings import Settings

HOST = "127.0.0.1"
PAGE_PORT, API_PORT = 8090, 8080
"""Where the page and Assent are, if those ports are free."""
MARKS = {"pending": ("?", "cyan"), "approved": ("✔", "green"), "skipped": ("–", "yellow")}


def run(*, port: int | None = None, socket_mode: bool = False) -> int:
    """Run the demo until SIGTERM or SIGINT; the exit code.

    `port` is that of the page; without one PAGE_PORT, or any free one where that is taken. `socket_mode`
    connects Slack and Assent by Socket Mode, else by HTTP. Raises OSError when `port` is taken.
    """
    logs.configure(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="assent-demo-") as folder:
        page_port = free_port(PAGE_PORT) if port is None else port
        uvloop.run(_run(Path(folder), page_port, socket_mode=socket_mode))
    return 0


async def _run(folder: Path, page_port: int, *, socket_mode: bool) -> None:
    ending = asyncio.create_task(until_signalled())
    api_port, key = free_port(API_PORT), secrets.token_hex(16)
    api_url = f"http://{HOST}:{api_port}"
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    news: list[News] = []

    def tell(one: News) -> None:
        news.append(one)
        mark, style = MARKS.get(one.status, ("✘", "red"))
        console.print(Text.assemble((mark, style), " ", one.text))

    async with AsyncExitStack() as stack:
        mailbox = await stack.enter_async_context(Mailbox())
        slack = SlackSandbox(app_url=None if socket_mode else f"{api_url}/slack/events")
        client = await stack.enter_async_context(AsyncClient(api_url, key))
        workflow = Workflow(client, plan := samples(Team.joining(slack)), tell)
        page = DemoPage(slack=slack, mailbox=mailbox, api_url=api_url, key=key, ask=workflow.start, news=news)
        page_url = await _serve(page, page_port, stack)
        slack.mounted_at(page_url + SLACK_PATH)
        assent = Assent(_settings(folder, api_port, key, mailbox, slack))
        await assent.start()
        stack.push_async_callback(assent.stop)
        stack.push_async_callback(workflow.stop)
        console.print(_welcome(page_url, api_url, key))
        for _ in plan:
            workflow.start()
        await ending


async def _serve(page: DemoPage, port: int, stack: AsyncExitStack) -> str:
    runner = web.AppRunner(page.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, port).start()
    return f"http://{HOST}:{runner.addresses[0][1]}"


def _settings(folder: Path, port: int, key: str, mailbox: Mailbox, slack: SlackSandbox) -> Settings:
    """Those of a real installation; nothing of this process's environment counts."""
    over_http = {"slack_signing_secret": slack.signing_secret}
    over_socket = {"slack_app_token": slack.app_token}
    return Settings.model_validate(
        {
            "assent_database_url": f"sqlite:///{folder / 'assent.db'}",
            "assent_host": HOST,
            "assent_port": port,
            "assent_secret_keys": secrets.token_hex(32),
            "assent_webhook_secret": secret_from(secrets.token_hex(32)),
            "assent_api_key": key,
            "slack_api_url": slack.api_url,
            "slack_bot_token": slack.bot_token,
            "assent_smtp_url": mailbox.url,
            "assent_mail_from": "Assent <assent@example.com>",
        }
        | (over_http if slack.app_url else over_socket)
    )


def _welcome(page_url: str, api_url: str, key: str) -> str:
    return f"""\
Assent runs on this machine with a Slack, a mailbox and a sample workflow. Open

    {page_url}/

Its API, where every request can be seen and answered too, is at {api_url}:

    curl -H "Authorization: Bearer {key}" {api_url}/v1/pending

Ctrl-C ends it, and nothing is kept. What the workflow asks and learns:
"""


def free_port(preferred: int) -> int:
    """`preferred` where nothing listens on it, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("this machine has no free port")
