"""The only place that builds and wires objects."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop
from aiohttp import web

from bot import logs
from bot.approvals import Approvals, Rules
from bot.clock_and_ids import RandomIds, SystemClock
from bot.delivery.airflow import Airflow
from bot.delivery.callbacks import CallbackSender
from bot.delivery.dispatcher import Dispatcher
from bot.delivery.prefect import Prefect
from bot.delivery.signing import secret_from
from bot.delivery.worker_loops import Supervisor, Work
from bot.domain.model.request import Surface
from bot.domain.policies.payload_views import Views
from bot.email.addresses import parse_sender
from bot.email.mailer import Mailer
from bot.email.message import Composer
from bot.email.sender import EmailSender
from bot.links import Links
from bot.receipts import Receipts
from bot.rendering import templates
from bot.settings import (
    SIGNING_KEY,
    WEBHOOK_KEY,
    Settings,
    secret_texts,
    stored_secret,
    stored_webhook_secret,
)
from bot.slack.api.client import Gateway
from bot.slack.api.directory import SlackDirectory
from bot.slack.app import SlackApp, SlackConfig
from bot.slack.outbound.sender import SlackSender
from bot.store import SqlOutbox, SqlStore, migrations
from bot.store.database.file_lock import alone
from bot.store.keyring import Keyring
from bot.store.queries import api_keys
from bot.store.queries.gauges import load
from bot.store.queries.unit_of_work import DEADLINES, DELIVERY, LOOKUPS
from bot.web.api import actions, keys, receipts, requests
from bot.web.api.events import Events
from bot.web.calls.auth import Auth
from bot.web.calls.door import Door
from bot.web.calls.operation import routes_of
from bot.web.compat.glaip import Glaip
from bot.web.compat.humanlayer.routes import ContactRequests, FunctionCalls
from bot.web.openapi.docs_page import DocsPage
from bot.web.operations import OPERATIONS
from bot.web.pages import link_pages
from bot.web.server import application, connections
from bot.web.server.base_path import published_under
from bot.web.server.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from bot.delivery.orchestrators import Receiver
    from bot.ports.delivery import Sender
    from bot.ports.system import Clock

log = structlog.get_logger(__name__)

AUTO_APPROVE_BANNER = "ASSENT_AUTO_APPROVE is on: every request is approved at once, and nobody is asked."
SHUTDOWN_SECONDS = 3.0
"""How long open answers may take when the process ends."""
STOP_SECONDS = 9.0
"""How long all of the end may take."""
SETTLE_SECONDS = 4.0
"""How long deliveries in hand may take then; what is not sent by that time is sent after the next start."""


class Assent:
    """The whole service of one process, from its settings."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        logs.keep_secret(secret_texts(settings))
        self.clock = clock or SystemClock()
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Migrate, connect, listen, and begin to deliver; raises what keeps it from doing so."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """Stop accepting, answer waiters, finish what is in hand, disconnect; within 10 s."""
        self.approvals.drain()
        self.events.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._stack.aclose()

    async def _open(self) -> None:
        await asyncio.to_thread(migrations.upgrade, self.settings.assent_database_url)
        self.store = SqlStore(self.settings.assent_database_url, self._sealing_keys())
        await self.store.start()
        self._stack.push_async_callback(self.store.stop)

    async def _start(self) -> None:
        settings = self.settings
        is_alone = self._stack.enter_context(alone(settings.assent_database_url))
        await self._open()
        outbox = SqlOutbox(self.store)
        if is_alone:
            await outbox.release(self.clock.now())
        elif settings.assent_database_url.startswith("sqlite"):
            log.warning(
                "another server works on this SQLite file; for several servers use PostgreSQL",
                action="store.shared",
            )
        links = Links(settings.base_url, self._signing_keys())
        gateway = self._gateway()
        directory = (
            SlackDirectory(gateway, self.clock, allow_external=settings.slack_allow_external)
            if gateway
            else None
        )
        self.approvals = Approvals(self.store, self.clock, RandomIds(), directory, self._rules())
        self.slack = self._slack(gateway) if gateway else None
        senders = self._senders(links, gateway, outbox)
        self.dispatcher = Dispatcher(outbox, senders, self.clock, self.approvals.not_told)
        self.metrics = Metrics(lambda: dict(self.store.happened), lambda: self.store.run_read(load))
        self.dispatcher.tried = self.metrics.delivered
        self.supervisor = self._supervise()
        self._stack.push_async_callback(self.dispatcher.settle, SETTLE_SECONDS)
        await self.supervisor.start()
        self._stack.push_async_callback(self.supervisor.stop)
        await self._listen(links)
        if self.slack:
            self.slack.start()

    def _rules(self) -> Rules:
        settings = self.settings
        if settings.assent_auto_approve:
            log.warning(AUTO_APPROVE_BANNER, action="policy.auto_approve")
        return Rules(
            groups=settings.groups,
            default_audience=settings.assent_default_audience,
            hours=settings.working_hours.hours if settings.working_hours else None,
            policies=settings.policies,
            auto_approve=settings.assent_auto_approve,
            callback_allow_private=settings.assent_callback_allow_private,
            orchestrators=tuple(receiver.place for receiver in self._receivers()),
            surfaces=self._surfaces(),
            visibility=settings.assent_visibility,
            views=Views(settings.views),
        )

    def _surfaces(self) -> frozenset[Surface]:
        surfaces = {Surface.SLACK: self.settings.slack_bot_token, Surface.EMAIL: self.settings.smtp}
        return frozenset(s for s, on in surfaces.items() if on)

    def _signing_keys(self) -> list[str]:
        if self.settings.assent_secret_keys:
            return [key.get_secret_value() for key in self.settings.assent_secret_keys]
        return [self._generated(SIGNING_KEY, "ASSENT_SECRET_KEYS")]

    def _sealing_keys(self) -> list[str]:
        return self._signing_keys()

    def _webhook_secret(self) -> str:
        if self.settings.assent_webhook_secret:
            return self.settings.assent_webhook_secret.get_secret_value()
        return self._generated(WEBHOOK_KEY, "ASSENT_WEBHOOK_SECRET", stored_webhook_secret)

    def _generated(
        self, file: str, setting: str, kept: Callable[[Path, str], tuple[str, bool]] = stored_secret
    ) -> str:
        secret, new = kept(self.settings.data_folder, file)
        if new:
            log.warning(
                "a secret is not set: made one and keep it; several replicas need the same, so set it",
                action="settings.generated",
                setting=setting,
                file=str(self.settings.data_folder / file),
            )
        return secret

    def _receivers(self) -> list[Receiver]:
        airflow, prefect = self.settings.assent_airflow_url, self.settings.assent_prefect_url
        receivers: list[Receiver] = [Airflow(airflow.get_secret_value())] if airflow else []
        if prefect:
            on_reject = self.settings.assent_prefect_on_reject
            receivers.append(Prefect(prefect.get_secret_value(), on_reject=on_reject))
        return receivers

    def _gateway(self) -> Gateway | None:
        token = self.settings.slack_bot_token
        if token is None:
            return None
        gateway = Gateway(token.get_secret_value(), self.settings.slack_api_url)
        self._stack.push_async_callback(gateway.close)
        return gateway

    def _slack(self, gateway: Gateway) -> SlackApp:
        signing_secret, app_token = self.settings.slack_signing_secret, self.settings.slack_app_token
        config = SlackConfig(
            signing_secret=signing_secret.get_secret_value() if signing_secret else None,
            app_token=app_token.get_secret_value() if app_token else None,
            api_url=self.settings.slack_api_url,
        )
        slack = SlackApp(config, self.approvals, gateway, self.clock)
        self._stack.push_async_callback(slack.stop)
        return slack

    def _senders(self, links: Links, gateway: Gateway | None, outbox: SqlOutbox) -> dict[str, Sender]:
        callbacks = CallbackSender(
            [self._webhook_secret()],
            allow_private=self.settings.assent_callback_allow_private,
            receivers=self._receivers(),
            secret_of=lambda key_id: self.store.run_read(lambda c: api_keys.callback_secret(c, key_id)),
        )
        self._stack.push_async_callback(callbacks.close)
        senders: dict[str, Sender] = {"callback": callbacks}
        if gateway and self.slack:
            cards = SlackSender(gateway, self.approvals.deliveries, self.approvals.views)
            senders |= {"slack": cards, "slack-answer": self.slack.answering}
        if self.settings.smtp:
            mailer = Mailer(self.settings.smtp, timeout=12, connect_timeout=6)
            self._stack.push_async_callback(mailer.close)
            composer = Composer(
                templates(self.settings.templates),
                parse_sender(self.settings.assent_mail_from or ""),
                self.approvals.views,
            )
            senders["email"] = EmailSender(mailer, composer, links, outbox.requests)
        return senders

    def _supervise(self) -> Supervisor:
        works = [
            Work(name=DELIVERY, run_once=self.dispatcher.run_once, next_due=self.dispatcher.next_due),
            Work(name=DEADLINES, run_once=self.approvals.tick, next_due=self.approvals.next_due),
            Work(name=LOOKUPS, run_once=self.approvals.look_up, next_due=_never),
        ]
        supervisor = Supervisor(works, self.clock)
        self.store.wakeups.on_commit(supervisor.hint)
        self.dispatcher.progressed = partial(supervisor.hint, [DELIVERY])
        return supervisor

    async def _listen(self, links: Links) -> None:
        settings = self.settings
        key = settings.assent_api_key.get_secret_value() if settings.assent_api_key else None
        auth = Auth(key, lambda digest: self.store.run_read(lambda c: api_keys.find(c, digest)))
        banner = AUTO_APPROVE_BANNER if settings.assent_auto_approve else None
        rendering = templates(settings.templates, root=settings.base_path)
        docs = DocsPage(settings.base_url, OPERATIONS, rendering, banner=banner)
        routes = [
            *routes_of(self.metrics, docs),
            *self._api(links, auth),
            *link_pages.routes(self.approvals, links, rendering, self.clock, banner=banner),
            *(self.slack.routes() if self.slack else ()),
        ]
        checks = {"database": self.store.check, "delivery": self.supervisor.check}
        if self.slack:
            checks["slack"] = self.slack.check
        notes = {
            "delivery": self.dispatcher.down
        }  # what is down elsewhere takes no server out of its balancer
        await self._set_up(
            application.build(
                routes, checks, self.metrics.answered, notes, proxies=settings.assent_trusted_proxies
            )
        )
        site = web.TCPSite(self._runner, settings.assent_host, settings.assent_port, backlog=1024)
        await site.start()

    def _api(self, links: Links, auth: Auth) -> list[web.RouteDef]:
        door = Door(auth, self.approvals)
        self.events = Events(door, self.store)
        keyring = Keyring(self.store, self.clock, lambda: secret_from(secrets.token_hex(32)))
        signing = Receipts(self.settings.base_url, links.keys)
        return routes_of(
            requests.Api(links),
            actions.Changes(),
            keys.Keys(door, keyring),
            self.events,
            receipts.ReceiptCalls(signing, self.clock),
            Glaip(),
            FunctionCalls(self.store),
            ContactRequests(self.store),
            door=door,
        )

    async def _set_up(self, app: web.Application) -> None:
        app.on_response_prepare.append(published_under(self.settings.base_path))
        self._runner = connections.Runner(app, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        self._stack.push_async_callback(self._runner.cleanup)


async def _never() -> datetime | None:
    return None


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    logs.configure()
    _calm_collector()
    sys.setswitchinterval(SWITCH_SECONDS)
    return uvloop.run(_serve(settings))


SWITCH_SECONDS = 0.0005
"""How long a thread may keep the event loop waiting. At Python's 5 ms a health check that ran beside a request to
3,000 people took three to four times as long: each of its steps waited for the writer's thread."""


def _calm_collector() -> None:
    """Look for garbage cycles seldom, and never among what was loaded at start.

    At the default thresholds the collector took a fifth of the time under load; requests make next to no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _serve(settings: Settings) -> int:
    assent = Assent(settings)
    try:
        await assent.start()
    except OSError as error:
        sys.stderr.write(f"assent: {_trouble(error, settings)}\n")
        return 1
    log.info("Assent listens", action="serve.ready", url=assent.url, base_url=settings.base_url)
    await until_signalled()
    log.info("stopping", action="serve.stopping")
    await assent.stop()
    return 0


def _trouble(error: OSError, settings: Settings) -> str:
    """What keeps it from starting, in words: only an error about a file names one, else it is the address."""
    if error.filename is not None:
        return (
            f"cannot use {error.filename} ({error.strerror}); the database and the generated secrets are kept there: "
            "make it writable, or see ASSENT_DATABASE_URL, ASSENT_SECRET_KEYS and ASSENT_WEBHOOK_SECRET"
        )
    return (
        f"cannot listen on {settings.assent_host}:{settings.assent_port} ({error.strerror}); "
        "set ASSENT_HOST and ASSENT_PORT, or end what uses the port"
    )


async def until_signalled() -> None:
    """Wait for SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
