"""The whole product in this process, listening on a port of its own, with a clock that the test may move."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import loads
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, ClientTimeout

from bot.bootstrap import Assent
from bot.settings import Settings
from bot.store.queries import api_keys
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from multidict import CIMultiDictProxy
    from yarl import URL

    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox

KEY = "a-bootstrap-key-of-the-tests"
Json = Any


class ManualClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def json(self) -> Json:
        """The body as JSON, whatever its media type."""
        return loads(self.text)


class Api:
    """A running server's HTTP API. `http` sends the key with every scope; paths are relative to its URL."""

    http: ClientSession

    async def call(self, method: str, path: str | URL, **options: Any) -> Answer:
        """One call, its answer read; `options` are aiohttp's (`json`, `data`, `headers`, `params`)."""
        async with self.http.request(method, path, **options) as response:
            return Answer(response.status, response.headers, await response.text())

    async def submit(self, **fields: Json) -> Json:
        """A new request, to Ana by mail unless told otherwise."""
        body = {"title": "Refund €1,250 to customer 8841", "audience": ["email:ana@example.com"]} | fields
        answer = await self.call("POST", "/v1/requests", json=body)
        assert answer.status == 201, answer.text
        return answer.json

    async def submit_with(self, headers: dict[str, str], **fields: Json) -> Json:
        """As `submit`, with the key in `headers`."""
        body = {"title": "Refund €1,250 to customer 8841", "audience": ["email:ana@example.com"]} | fields
        answer = await self.call("POST", "/v1/requests", json=body, headers=headers)
        assert answer.status == 201, answer.text
        return answer.json

    async def answer(self, request: Json, decision: str, email: str | None = None, **fields: Json) -> Answer:
        """Answer for a respondent, or as operator."""
        body = {"decision": decision} | ({"respondent": f"email:{email}"} if email else {}) | fields
        return await self.call("POST", f"/v1/requests/{request['id']}/responses", json=body)

    async def get(self, request: Json, **params: Json) -> Json:
        """The request as it stands."""
        answer = await self.call("GET", f"/v1/requests/{request['id']}", params=params)
        assert answer.status == 200, answer.text
        return answer.json


@dataclass
class Product(Api):
    """The running product."""

    assent: Assent
    http: ClientSession
    clock: ManualClock | None
    key: str = KEY

    @property
    def url(self) -> str:
        return self.assent.url

    async def new_key(self, *scopes: str, name: str = "limited") -> dict[str, str]:
        """The headers of a key that has only these scopes."""
        now = datetime.now(UTC)
        store = self.assent.store
        _, key = await store.run_write(lambda c: api_keys.create(c, name, frozenset(scopes), now))
        return {"Authorization": f"Bearer {key}"}

    def advance(self, seconds: float) -> None:
        """Let time pass, and let the product notice."""
        assert self.clock, "start it with a clock"
        self.clock.at += timedelta(seconds=seconds)
        self.assent.supervisor.hint(self.assent.supervisor._hints)


@contextlib.asynccontextmanager
async def running(
    database_url: str,
    *,
    slack: SlackSandbox | None = None,
    mailbox: Mailbox | None = None,
    clock: ManualClock | None = None,
    socket_mode: bool = False,
    **settings: Any,
) -> AsyncIterator[Product]:
    """Run Assent over `database_url`; `settings` are named as in the environment, in lower case."""
    port = free_port()
    values: dict[str, Any] = {
        "assent_database_url": database_url,
        "assent_port": port,
        "assent_api_key": KEY,
        "assent_secret_keys": "k" * 32,
    }
    if mailbox:
        values |= {"assent_smtp_url": mailbox.url, "assent_mail_from": "Assent <assent@example.com>"}
    if slack:
        values |= {"slack_api_url": slack.api_url, "slack_bot_token": slack.bot_token}
        values |= (
            {"slack_app_token": slack.app_token}
            if socket_mode
            else {"slack_signing_secret": slack.signing_secret}
        )
        slack.app_url = None if socket_mode else f"http://127.0.0.1:{port}/slack/events"
    assent = Assent(Settings.model_validate(values | settings), clock=clock)
    await assent.start()
    try:
        async with ClientSession(
            assent.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=ClientTimeout(total=20)
        ) as http:
            yield Product(assent, http, clock)
    finally:
        await assent.stop()
