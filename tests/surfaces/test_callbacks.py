"""Outcomes posted to a requester's URL: signed, retried, and never to a private address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from bot.delivery import callbacks
from bot.delivery.backoff import JITTER
from bot.delivery.callbacks import CallbackSender
from bot.delivery.signing import check_secret, secret_from
from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.messages.notifications import Notice
from bot.domain.model.events import Operate
from bot.domain.model.request import Request, Surface
from bot.domain.model.spec import Spec, Step
from bot.ports.delivery import Delivery, Failed, Result, Retry, Sent
from bot.schemas.responses import request_json
from tests.support import command
from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from tests.support.product import Product

NOW = datetime.now(UTC)
SECRET = secret_from("5f" * 32)
OLD_SECRET = secret_from("a0" * 32)


@dataclass
class Receiver:
    """A web server that keeps what it is sent and answers as told; after the last answer, 204."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)
    received: list[tuple[web.Request, bytes]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, http: web.Request) -> web.Response:
        async with self._news:
            self.received.append((http, await http.read()))
            self._news.notify_all()
        await self.answering.wait()
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answering.set()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    async with TestServer(application) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
        receiver.answering.set()


@pytest.fixture
async def sender() -> AsyncIterator[CallbackSender]:
    """Allowed to go to this machine."""
    sender = CallbackSender([SECRET, OLD_SECRET], allow_private=True)
    yield sender
    await sender.close()


@pytest.fixture
async def guarded() -> AsyncIterator[CallbackSender]:
    sender = CallbackSender([SECRET], allow_private=False)
    yield sender
    await sender.close()


def decided() -> Request:
    spec = Spec(title="Refund", payload_digest="sha256:0", steps=(Step(audience=("email:ana@example.com",)),))
    request = Request(id="req_1", spec=spec, created_at=NOW, opened_at=NOW)
    event = Operate(answer=ResponseInput(decision="approve", reason="Fine"), by="Ana", surface=Surface.API)
    return lifecycle.apply(request, event, NOW + timedelta(seconds=1)).request


def delivery(url: str) -> Delivery:
    return Delivery(
        id="dlv_1",
        request_id="req_1",
        surface="callback",
        address=url,
        notice=Notice.CALLBACK,
        respondent=None,
        receipt=None,
        attempts=0,
        created_at=NOW,
    )


async def send(sender: CallbackSender, url: str) -> Result:
    return await sender.send(delivery(url), decided(), NOW)


async def test_a_receiver_verifies_it_with_any_of_the_secrets(
    receiver: Receiver, sender: CallbackSender
) -> None:
    request = decided()
    assert await send(sender, receiver.url) == Sent({}, request.version)
    ((http, body),) = receiver.received
    assert http.method == "POST"
    assert http.content_type == "application/json"
    assert http.headers["webhook-id"] == "dlv_1"
    for secret in (SECRET, OLD_SECRET):
        event = Webhook(secret).verify(body, dict(http.headers))
        assert event == {
            "type": "request.resolved",
            "timestamp": event["data"]["resolved_at"],
            "data": json.loads(json.dumps(request_json(request))),
        }


async def test_a_key_of_its_own_has_a_secret_of_its_own(sqlite_url: str, receiver: Receiver) -> None:
    async with running(
        sqlite_url, assent_callback_allow_private=True, assent_webhook_secret=SECRET
    ) as product:
        made = await command.run(
            "keys", "create", "--name", "ci", "--scopes", "submit", "--json", ASSENT_DATABASE_URL=sqlite_url
        )
        for key in (product.key, made.json["key"]):
            product.http.headers["Authorization"] = f"Bearer {key}"
            await product.submit(level="info", callback_url=receiver.url)
        await receiver.wait_for(2)
    secrets = (SECRET, made.json["callback_secret"])
    signed_with = {secret for secret in secrets for r in receiver.received if verifies(secret, r)}
    assert signed_with == set(secrets)
    assert all(sum(verifies(secret, r) for secret in secrets) == 1 for r in receiver.received)


def verifies(secret: str, received: tuple[web.Request, bytes]) -> bool:
    http, body = received
    with contextlib.suppress(WebhookVerificationError):
        return bool(Webhook(secret).verify(body, dict(http.headers)))
    return False


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int, receiver: Receiver, sender: CallbackSender) -> None:
    receiver.answers = [web.Response(status=status, headers={"Location": receiver.url + "/elsewhere"})]
    assert await send(sender, receiver.url) == Retry(f"the receiver answered {status}")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 425, 500, 502, 504])
async def test_a_refusal_is_tried_again(status: int, receiver: Receiver, sender: CallbackSender) -> None:
    receiver.answers = [web.Response(status=status, headers={"Retry-After": "77"})]
    assert await send(sender, receiver.url) == Retry(f"the receiver answered {status}")


async def test_gone_is_the_end(receiver: Receiver, sender: CallbackSender) -> None:
    receiver.answers = [web.Response(status=410)]
    assert isinstance(await send(sender, receiver.url), Failed)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("77", 77.0),
        ("0", 0.0),
        ((NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90.0),
        ((NOW - timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0.0),
        ("9" * 400, callbacks.LONGEST_PAUSE),
        ("Fri, 31 Dec 2100 00:00:00 GMT", callbacks.LONGEST_PAUSE),
        ("soon", None),
        ("-5", None),
        ("Fri, 99 Dec 2100", None),
    ],
    ids=["number", "zero", "date", "past", "huge", "far", "word", "negative", "no date"],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_throttled_callback_waits_as_long_as_it_is_told(
    status: int, retry_after: str, seconds: float | None, receiver: Receiver, sender: CallbackSender
) -> None:
    receiver.answers = [web.Response(status=status, headers={"Retry-After": retry_after})]
    result = await send(sender, receiver.url)
    assert isinstance(result, Retry)
    assert result.after == (seconds if seconds is None else pytest.approx(seconds, abs=1.0))


async def test_a_receiver_that_does_not_answer_is_left(
    receiver: Receiver, sender: CallbackSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "TIMEOUT_SECONDS", 0.2)
    receiver.answering.clear()
    assert await send(sender, receiver.url) == Retry("the receiver did not answer within 0.2 seconds")


async def test_a_receiver_that_is_down_or_drops_is_tried_again(sender: CallbackSender) -> None:
    async def drop(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert isinstance(await send(sender, f"http://127.0.0.1:{port}/"), Retry)
    assert await send(sender, f"http://127.0.0.1:{port}/") == Retry("the receiver could not be reached")
    assert await send(sender, f"https://127.0.0.1:{port}/") == Retry("the receiver could not be reached")


async def test_the_reason_shows_nothing_of_the_url(sender: CallbackSender) -> None:
    for url in ("http://user:hunter2@127.0.0.1:1/hook?token=hunter2", "http://hunter2:hunter2/"):
        result = await send(sender, url)
        assert isinstance(result, Retry | Failed)
        assert "hunter2" not in result.reason


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"]
)
async def test_no_connection_is_made_to_this_machine(
    host: str, receiver: Receiver, guarded: CallbackSender
) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    assert isinstance(await send(guarded, url), Failed)
    assert not receiver.received


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name stand for these addresses."""

    def getaddrinfo(_host: str, port: int | None, *_: Any, **__: Any) -> list[Any]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port or 0, 0, 0) if ":" in address else (address, port or 0),
            )
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.7", "10.0.0.8"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00::1"],
    ],
)
async def test_a_name_that_stands_for_a_private_address_is_refused(
    addresses: list[str], receiver: Receiver, guarded: CallbackSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *addresses)
    result = await send(guarded, receiver.url.replace("127.0.0.1", "rebound.example.com"))
    assert isinstance(result, Failed)
    assert "where callbacks may not go" in result.reason
    assert not receiver.received


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "http://localhost:8080/",
        "https://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1:9999/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user:pw@192.168.0.1/",
    ],
)
async def test_a_private_callback_is_refused_at_submit(url: str, sqlite_url: str) -> None:
    async with running(sqlite_url) as product:
        body = {"title": "T", "audience": ["email:ana@example.com"], "callback_url": url}
        answer = await product.call("POST", "/v1/requests", json=body)
    assert answer.status == 422
    assert [e["pointer"] for e in answer.json["errors"]] == ["/callback_url"]
    assert "ASSENT_CALLBACK_ALLOW_PRIVATE" in answer.json["errors"][0]["detail"]


async def test_a_name_is_resolved_at_submit(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"title": "T", "audience": ["email:ana@example.com"], "callback_url": "https://hooks.example.com/"}
    async with running(sqlite_url) as product:
        resolve_to(monkeypatch, "93.184.215.14", "10.0.0.7")
        refused = await product.call("POST", "/v1/requests", json=body)
        assert refused.status == 422
        assert "10.0.0.7" not in refused.text
        resolve_to(monkeypatch, "93.184.215.14")
        assert (await product.call("POST", "/v1/requests", json=body)).status == 201


async def test_a_private_address_is_one_whatever_the_case_of_the_scheme(sqlite_url: str) -> None:
    body = {"title": "T", "audience": ["email:ana@example.com"]}
    async with running(sqlite_url) as product:
        for url, status in (("HTTP://127.0.0.1/", 422), ("HTTP://8.8.8.8/hook", 201)):
            answer = await product.call("POST", "/v1/requests", json=body | {"callback_url": url})
            assert answer.status == status


async def test_a_name_that_cannot_be_resolved_now_is_taken(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with running(sqlite_url) as product:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        assert (await product.submit(callback_url="https://hooks.example.com/"))["status"] == "pending"


async def test_what_is_no_url_of_a_host_is_refused_at_submit(sqlite_url: str) -> None:
    async with running(sqlite_url, assent_callback_allow_private=True) as product:
        for url in (
            "ftp://example.com/",
            "https://",
            "http://[::1/",
            "http://example.com:99999/",
            "javascript:1",
        ):
            body = {"title": "T", "audience": ["email:ana@example.com"], "callback_url": url}
            answer = await product.call("POST", "/v1/requests", json=body)
            assert (answer.status, [e["pointer"] for e in answer.json["errors"]]) == (422, ["/callback_url"])


@pytest.mark.parametrize("host", ["exa..mple.test", "a" * 64 + ".test", ".test", "ex\u00admple.test"])
async def test_a_host_that_cannot_be_is_refused_at_submit_and_never_tried_again(
    host: str, sqlite_url: str, sender: CallbackSender
) -> None:
    url = f"http://{host}/hook"
    async with running(sqlite_url, assent_callback_allow_private=True) as product:
        body = {"title": "T", "audience": ["email:ana@example.com"], "callback_url": url}
        answer = await product.call("POST", "/v1/requests", json=body)
    assert (answer.status, [e["pointer"] for e in answer.json["errors"]]) == (422, ["/callback_url"])
    assert await send(sender, url) == Failed("the callback URL is not valid")


async def attempts(product: Product, receiver: Receiver, most: int = 100) -> list[timedelta]:
    """Move the clock from one attempt to the next until there are no more; when each came, after the first."""
    assert product.clock
    began = product.clock.at
    times: list[timedelta] = []
    while len(times) < most:
        await receiver.wait_for(len(times) + 1)
        times.append(product.clock.at - began)
        await product.assent.dispatcher.settle()
        due = await product.assent.dispatcher.next_due()
        if due is None:
            break
        product.advance((due - product.clock.at).total_seconds())
    return times


def posting(database_url: str) -> AbstractAsyncContextManager[Product]:
    return running(
        database_url, clock=ManualClock(), assent_webhook_secret=SECRET, assent_callback_allow_private=True
    )


async def test_a_failing_callback_is_tried_three_times_in_forty_seconds_then_for_a_day(
    database_url: str, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=500) for _ in range(100)]
    async with posting(database_url) as product:
        request = await product.submit(callback_url=receiver.url)
        await product.answer(request, "approve", "ana@example.com")
        times = await attempts(product, receiver)
    assert times[2] <= timedelta(seconds=40)
    assert timedelta(hours=12) < times[-1] <= timedelta(days=1) * (1 + JITTER)
    assert len({http.headers["webhook-id"] for http, _ in receiver.received}) == 1


async def test_a_callback_ends_with_the_first_success(database_url: str, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=500), web.Response(status=301)]
    async with posting(database_url) as product:
        request = await product.submit(callback_url=receiver.url)
        await product.answer(request, "reject", "ana@example.com", reason="Too much")
        assert len(await attempts(product, receiver)) == 3
        _, body = receiver.received[-1]
        assert json.loads(body)["data"] == await product.get(request)


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, and far too long to be it", "5f" * 32]
)
def test_a_secret_of_another_form_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as refused:
        check_secret(secret)
    assert secret not in str(refused.value).replace("whsec_$", "").replace("be whsec_ ", "")


def test_a_generated_secret_is_one_that_is_allowed() -> None:
    check_secret(secret_from("0f" * 32))
