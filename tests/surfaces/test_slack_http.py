"""`POST /slack/events` before strangers, mistakes and Slack's own checks: 200, 400 or 401, never 5xx."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.support.product import Answer, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.sandbox import SlackSandbox

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
CLICK: dict[str, Any] = {
    "type": "block_actions",
    "team": {"id": "T0", "domain": "sandbox"},
    "user": {"id": "U0ANA", "username": "ana", "name": "ana", "team_id": "T0"},
    "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0", "is_ephemeral": False},
    "trigger_id": "1.2.3",
    "actions": [{"type": "button", "action_id": "assent.approve", "block_id": "b", "value": "req_1:1"}],
}


@pytest.fixture
async def product(sqlite_url: str, slack: SlackSandbox) -> AsyncIterator[Product]:
    async with running(sqlite_url, slack=slack) as product:
        yield product


def sign(slack: SlackSandbox, body: bytes, timestamp: str) -> str:
    digest = hmac.new(slack.signing_secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256)
    return f"v0={digest.hexdigest()}"


async def post(
    product: Product,
    slack: SlackSandbox,
    body: bytes,
    *,
    content_type: str = FORM,
    timestamp: str | None = None,
    signature: str | None = None,
) -> Answer:
    """Post as Slack does; signed unless another signature is given."""
    at = timestamp or str(int(time.time()))
    headers = {
        "Content-Type": content_type,
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": sign(slack, body, at) if signature is None else signature,
    }
    return await product.call("POST", "/slack/events", data=io.BytesIO(body), headers=headers)


def form(payload: object) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


async def test_the_address_is_verified_with_a_challenge(product: Product, slack: SlackSandbox) -> None:
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}).encode()
    answer = await post(product, slack, body, content_type=JSON)
    assert answer.status == 200
    assert answer.json == {"challenge": "3eZbrw1a"}
    assert (await post(product, slack, body, content_type=JSON, signature="v0=0")).status == 401


async def test_slack_checks_the_certificate_without_a_signature(product: Product) -> None:
    answer = await product.call("POST", "/slack/events", data={"ssl_check": "1", "token": "t"})
    assert answer.status == 200


@pytest.mark.parametrize(
    "begin", ["ssl_check=1&", "ssl_check=1&token=t&", "token=t&ssl_check=1&", "ssl_check=1&ssl_check=1&"]
)
async def test_a_click_is_no_check_of_the_certificate(product: Product, begin: str) -> None:
    headers = {"Content-Type": FORM}
    answer = await product.call("POST", "/slack/events", data=begin.encode() + form(CLICK), headers=headers)
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("timestamp", ["", "0", "now", "-1", "1e9", "٣", "9" * 5000, "1.5", " "])
async def test_a_timestamp_that_is_none_or_old(product: Product, slack: SlackSandbox, timestamp: str) -> None:
    body = form(CLICK)
    headers = {
        "Content-Type": FORM,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(slack, body, timestamp),
    }
    answer = await product.call("POST", "/slack/events", data=body, headers=headers)
    assert answer.status == 401


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_five_minutes_is_as_old_as_it_may_be(
    product: Product, slack: SlackSandbox, seconds: int
) -> None:
    now = int(time.time())
    assert (await post(product, slack, form(CLICK), timestamp=str(now + seconds))).status == 401
    assert (await post(product, slack, form(CLICK), timestamp=str(now + seconds // 2))).status == 200


@pytest.mark.parametrize("signature", ["", "v0=", "v0=" + "0" * 64, "v1=abc", "vö=ü", "\N{SNOWMAN}"])
async def test_a_signature_that_is_not_slacks(product: Product, slack: SlackSandbox, signature: str) -> None:
    assert (await post(product, slack, form(CLICK), signature=signature)).status == 401


async def test_a_signature_over_something_else(product: Product, slack: SlackSandbox) -> None:
    at = str(int(time.time()))
    signature = sign(slack, form(CLICK), at)
    forged = form(CLICK | {"user": {"id": "U0EVE"}})
    assert (await post(product, slack, forged, timestamp=at, signature=signature)).status == 401
    assert (await product.call("POST", "/slack/events", data=form(CLICK))).status == 401


DEEP = b'{"type":' + b"[" * 100_000


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"{", JSON),
        (b"[]", JSON),
        (b"null", JSON),
        (b'"text"', JSON),
        (b"1", JSON),
        (b"\xff\xfe", JSON),
        (b"payload=%FF%FE", FORM),
        (b"payload=\xff", FORM),
        (b"payload=", FORM),
        (b"payload=%7B", FORM),
        (b"payload=%5B%5D", FORM),
        (b"payload=null", FORM),
        (DEEP, JSON),
        (form({**CLICK, "actions": []}), FORM),
        (form({**CLICK, "actions": "approve"}), FORM),
        (form({k: v for k, v in CLICK.items() if k != "actions"}), FORM),
        (form({"type": "view_submission", "user": {"id": "U0ANA"}}), FORM),
        (b'{"type": "event_callback", "team_id": "T0"}', JSON),
        (b'{"type": NaN}', JSON),
        (b'{"hello": "world"}', JSON),
        (form({**CLICK, "actions": [None]}), FORM),
        (form({**CLICK, "user": None}), FORM),
        (form({**CLICK, "user": "U0ANA"}), FORM),
        (form({**CLICK, "user": {"id": 5}}), FORM),
        (form({**CLICK, "team": "T0", "user": {}}), FORM),
        (form({**CLICK, "container": []}), FORM),
        (form({"type": "view_submission", "view": {"callback_id": "assent.answer"}}), FORM),
        (form({"type": "view_submission", "user": {"id": "U"}, "view": []}), FORM),
        (b"command=%2Fapprovals&text=help", FORM),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_what_is_signed_but_malformed(
    product: Product, slack: SlackSandbox, body: bytes, content_type: str
) -> None:
    answer = await post(product, slack, body, content_type=content_type)
    assert answer.status == 400


@pytest.mark.parametrize(
    "payload",
    [
        {**CLICK, "actions": [{"type": "button", "action_id": "somebody.elses", "value": "x"}]},
        {**CLICK, "actions": [{"type": "button", "action_id": "assent.approve", "value": None}]},
        {**CLICK, "actions": [{"type": "button", "action_id": "assent.approve", "value": "\x00:1"}]},
        {**CLICK, "actions": [{"type": "button", "action_id": "assent.approve", "value": f"x:{'9' * 1900}"}]},
        {**CLICK, "type": "message_action", "callback_id": "other"},
        {**CLICK, "type": "something_new"},
        {
            "type": "view_submission",
            "user": {"id": "U0ANA"},
            "view": {"type": "modal", "callback_id": "other"},
        },
        {
            "type": "view_submission",
            "user": {"id": "U0ANA"},
            "view": {"type": "modal", "callback_id": "assent.answer"},
        },
        {"type": "view_closed", "user": {"id": "U0ANA"}, "view": {"type": "modal", "callback_id": "other"}},
    ],
    ids=lambda payload: f"{payload['type']} {str(payload.get('actions', payload.get('view')))[:50]}",
)
async def test_what_is_well_formed_is_acknowledged_known_or_not(
    product: Product, slack: SlackSandbox, payload: dict[str, Any]
) -> None:
    assert (await post(product, slack, form(payload))).status == 200


@pytest.mark.parametrize(
    "event", [{"type": "reaction_added"}, {"type": "message", "text": "hi"}, {"type": "app_home_opened"}, {}]
)
async def test_an_unknown_event_is_acknowledged(
    product: Product, slack: SlackSandbox, event: dict[str, str]
) -> None:
    body = json.dumps({"type": "event_callback", "team_id": "T0", "event": event}).encode()
    assert (await post(product, slack, body, content_type=JSON)).status == 200


async def test_a_body_beyond_one_mebibyte(product: Product, slack: SlackSandbox) -> None:
    assert (await post(product, slack, b"payload=" + b"x" * 1024 * 1024)).status == 413


async def test_other_methods_are_refused(product: Product) -> None:
    assert (await product.call("GET", "/slack/events")).status == 405


async def test_nothing_of_a_body_is_logged(
    product: Product,
    slack: SlackSandbox,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")
    for payload in (
        CLICK | {"token": "hush"},
        {"type": "something", "text": "hush"},
        CLICK | {"actions": "hush"},
    ):
        await post(product, slack, form(payload), signature="v0=0")
        await post(product, slack, form(payload))
    printed = capsys.readouterr()
    assert "hush" not in caplog.text + printed.out + printed.err


async def test_without_a_signing_secret_there_is_no_such_address(
    sqlite_url: str, slack: SlackSandbox
) -> None:
    async with running(sqlite_url, slack=slack, socket_mode=True) as product:
        assert (await post(product, slack, form(CLICK))).status == 404


async def test_a_removed_app_makes_the_server_unready(product: Product, slack: SlackSandbox) -> None:
    assert (await product.call("GET", "/readyz")).status == 200
    assert (await slack.event({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}})).ok
    assert (await product.call("GET", "/readyz")).status == 200
    assert (
        await slack.event({"type": "channel_id_changed", "old_channel_id": "C1", "new_channel_id": "C2"})
    ).ok
    assert (await slack.event({"type": "app_uninstalled"})).ok
    answer = await product.call("GET", "/readyz")
    assert answer.status == 503
    assert "removed from the workspace" in answer.json["checks"]["slack"]


async def test_a_refused_token_makes_the_server_unready_until_it_works_again(
    product: Product, slack: SlackSandbox
) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    slack.faults.next("*", error="token_revoked", times=None)
    await product.submit(audience=[f"slack:{ana.id}"])
    answer = await product.call("GET", "/readyz")
    assert (answer.status, "refuses the bot token" in answer.json["checks"]["slack"]) == (503, True)
    slack.faults.clear()
    await product.submit(audience=[f"slack:{ana.id}"])
    assert (await product.call("GET", "/readyz")).status == 200
