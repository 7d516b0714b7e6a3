"""`assent doctor`: what would keep a server from working, and how to mend it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from bot.cli import display

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    from bot.settings import Settings

TOLERATED_SKEW = 60
"""Seconds by which this machine's clock may be off; at 300 every click from Slack is refused."""

NEEDED_SCOPES = frozenset({"chat:write", "commands", "im:write", "users:read", "users:read.email"})
"""What every installation needs; the manifest's other scopes are for channels and user groups."""


class Finding(NamedTuple):
    """One thing that was looked at; `text` says what was found or, where it is not ok, how to mend it."""

    check: str
    ok: bool
    text: str


async def doctor(*, json: bool = False) -> int:
    """Look at settings, database, Slack, mail and clock; exits with 1 and names each fault.

    Parameters
    ----------
    json
        Print JSON.
    """
    findings = [finding async for finding in examine()]
    if json:
        display.print_json([finding._asdict() for finding in findings])
    else:
        display.print_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def examine() -> AsyncIterator[Finding]:
    """Look at everything that a server with these settings needs."""
    from bot import settings

    try:
        found = settings.load()
    except settings.SettingsError as error:
        for fault in error.faults:
            yield Finding("settings", ok=False, text=fault)
        return
    yield Finding("settings", ok=True, text=f"complete; links begin with {found.base_url}")
    for name, advice in settings.misspelt():
        yield Finding("settings", ok=False, text=f"{name} is no setting of Assent: {advice}")
    database = await _database(found)
    yield database
    if database.ok and (finding := _seal(found)):
        yield finding
    if database.ok and not _has_key(found):
        text = (
            "nobody can ask: there is no API key. Make one with `assent keys create`, or set ASSENT_API_KEY."
        )
        yield Finding("keys", ok=False, text=text)
    if found.slack_bot_token is None and found.smtp is None:
        text = "nobody can be asked: set SLACK_BOT_TOKEN (see `assent manifest`), ASSENT_SMTP_URL, or both."
        yield Finding("people", ok=False, text=text)
    async for finding in _slack(found):
        yield finding
    yield await _mail(found)


async def _database(settings: Settings) -> Finding:
    from bot.domain.errors import Unavailable
    from bot.store import migrations
    from bot.store.database import errors

    url = settings.assent_database_url
    try:
        with errors.errors_in_words(url):
            current = migrations.check(url)
    except Unavailable as error:
        return Finding("database", ok=False, text=f"{error}. Look at ASSENT_DATABASE_URL.")
    if not current:
        return Finding("database", ok=False, text="its schema is behind: run `assent db upgrade`.")
    try:
        pooler = await _pooler(url)
    except Unavailable as error:
        return Finding("database", ok=False, text=f"{error}.")
    return Finding("database", ok=True, text=f"reachable{pooler}, its schema is up to date")


def _seal(settings: Settings) -> Finding | None:
    """Say where the keys here are not those that sealed the audit trail, or its seal does not hold."""
    from bot.store import trail
    from bot.store.execution import sessions

    if not settings.secrets:
        return None  # a server makes them
    with sessions.reading(settings.assent_database_url) as connection:
        sealed, fault = trail.seal_fault(connection, settings.secrets)
    if fault is None or (sealed.seq and not sealed.key):
        return None  # the next start seals what has no seal yet
    return Finding("audit trail", ok=False, text=f"{fault}. Look with `assent audit verify`.")


async def _pooler(url: str) -> str:
    """Say whether a pooler lends connections for one transaction, which works, but tells nobody of commits."""
    from bot.store.database import postgres

    if not url.startswith(postgres.SCHEMES):
        return ""
    reached = postgres.Postgres(postgres.parameters(url))
    await reached.look()
    if not reached.by_transaction:
        return ""
    return " (through a pooler in transaction mode, where replicas hear of each other a quarter of a second late)"


def _has_key(settings: Settings) -> bool:
    from bot.store.execution.sessions import reading
    from bot.store.queries import api_keys

    if settings.assent_api_key:
        return True
    with reading(settings.assent_database_url) as connection:
        return any(key.revoked_at is None for key in api_keys.every(connection))


async def _slack(settings: Settings) -> AsyncIterator[Finding]:
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.slack.api.proxies import proxy_for

    if settings.slack_bot_token is None:
        yield Finding("Slack", ok=True, text="off: SLACK_BOT_TOKEN is not set")
        yield Finding("clock", ok=True, text="not compared: that takes Slack's")
        return
    token = settings.slack_bot_token.get_secret_value()
    client = AsyncWebClient(token, base_url=settings.slack_api_url, timeout=10, retry_handlers=[])
    client.proxy = proxy_for(settings.slack_api_url)  # slack_sdk itself knows no NO_PROXY
    async for finding in _bot(client):
        yield finding
    if settings.slack_app_token:
        yield await _socket_mode(client, settings.slack_app_token.get_secret_value())
    else:
        yield Finding(
            "Slack signing secret", ok=True, text="set; only a click shows whether it is the right one"
        )


async def _bot(client: AsyncWebClient) -> AsyncIterator[Finding]:
    before = time.time()
    try:
        answer = await client.auth_test()
    except _slack_errors() as error:
        yield Finding("Slack token", ok=False, text=_slack_trouble(error, client, "look at SLACK_BOT_TOKEN"))
        return
    yield Finding("Slack token", ok=True, text=f"{answer['user']} in {answer['team']}")
    yield _scopes(answer)
    yield _clock(answer, (before + time.time()) / 2)


def _scopes(answer: AsyncSlackResponse) -> Finding:
    from bot.slack.manifest import manifest

    granted = {scope.strip() for scope in _header(answer, "x-oauth-scopes").split(",")}
    lacking = [scope for scope in manifest()["oauth_config"]["scopes"]["bot"] if scope not in granted]
    if missing := ", ".join(scope for scope in lacking if scope in NEEDED_SCOPES):
        text = f"missing {missing}: add them under OAuth & Permissions, then install the app again."
        return Finding("Slack scopes", ok=False, text=text)
    text = f"enough, without {', '.join(lacking)} for channels and user groups" if lacking else "complete"
    return Finding("Slack scopes", ok=True, text=text)


def _clock(answer: AsyncSlackResponse, now: float) -> Finding:
    skew = round(now - parsedate_to_datetime(_header(answer, "date")).timestamp())
    if abs(skew) <= TOLERATED_SKEW:
        return Finding("clock", ok=True, text="agrees with Slack's")
    text = f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} Slack's: set this machine's clock by NTP."
    return Finding("clock", ok=False, text=text)


async def _socket_mode(client: AsyncWebClient, token: str) -> Finding:
    try:
        await client.apps_connections_open(app_token=token)
    except _slack_errors() as error:
        advice = "look at SLACK_APP_TOKEN, which begins with xapp- and needs the scope connections:write"
        return Finding("Slack app token", ok=False, text=_slack_trouble(error, client, advice))
    return Finding("Slack app token", ok=True, text="opens Socket Mode")


def _slack_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError
    from slack_sdk.errors import SlackClientError

    return SlackClientError, ClientError, TimeoutError


def _slack_trouble(error: Exception, client: AsyncWebClient, advice: str) -> str:
    from slack_sdk.errors import SlackApiError

    if isinstance(error, SlackApiError) and isinstance(error.response.data, dict):
        return f"Slack answered {error.response.data['error']}: {advice}."
    return f"Slack does not answer at {client.base_url}: {error or 'too slow'}. Is SLACK_API_URL right?"


def _header(answer: AsyncSlackResponse, name: str) -> str:
    return next((str(value) for key, value in answer.headers.items() if key.lower() == name), "")


async def _mail(settings: Settings) -> Finding:
    from bot.email.addresses import parse_sender
    from bot.email.mailer import Mailer

    if settings.smtp is None:
        return Finding("mail", ok=True, text="off: ASSENT_SMTP_URL is not set")
    sender = parse_sender(settings.assent_mail_from).address if settings.assent_mail_from else None
    if trouble := await Mailer(settings.smtp).check(str(sender) if sender else None):
        return Finding("mail", ok=False, text=f"{trouble.why}. Look at ASSENT_SMTP_URL.")
    return Finding("mail", ok=True, text=f"{settings.smtp} takes mail")
