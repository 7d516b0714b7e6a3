"""`GET /metrics`: what was committed, answered and sent is counted, and nothing in it names anybody."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from bot import __version__
from bot.domain.errors import Unavailable
from bot.sandbox.mail.relay import Mailbox
from bot.web.calls.operation import routes_of
from bot.web.server import application
from bot.web.server.metrics import Metrics
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from tests.support.product import Product

Samples = dict[str, float]


def samples(text: str) -> Samples:
    """Every sample, its name written as `name{label=value,…}`."""
    return {
        f"{s.name}{{{','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))}}}".replace("{}", ""): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def read(product: Product) -> Samples:
    answer = await product.call("GET", "/metrics", headers={"Authorization": ""})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


async def test_requests_are_counted_when_they_are_committed(product: Product) -> None:
    for _ in range(2):
        same = await product.call(
            "POST",
            "/v1/requests",
            json={"title": "T", "audience": ["email:ana@example.com"]},
            headers={"Idempotency-Key": "k"},
        )
    rejected, told = await product.submit(), await product.submit(level="info")
    await product.answer(rejected, "reject")
    await product.answer(rejected, "approve")
    assert (await product.call("POST", "/v1/requests", json={"title": ""})).status == 422
    assert (same.json["status"], told["status"]) == ("pending", "approved")
    found = await read(product)
    assert found["assent_requests_opened_total"] == 3
    assert found["assent_requests_pending"] == 1
    resolved = {s: found[f"assent_requests_resolved_total{{status={s}}}"] for s in ("approved", "rejected")}
    assert resolved == {"approved": 1, "rejected": 1}
    assert found["assent_requests_resolved_total{status=expired}"] == 0
    assert found[f"assent_build_info{{version={__version__}}}"] == 1


async def test_answers_are_counted_by_route_and_never_by_path(product: Product) -> None:
    request = await product.submit()
    for _ in range(3):
        await product.get(request)
    await product.call("GET", "/v1/requests/req_nobody")
    await product.get(request, wait="0.01")
    for path in ("/secret-1", "/secret-2", "/r/" + "a" * 39):
        await product.call("GET", path)
    await product.call("DELETE", "/v1/requests")
    found = await read(product)
    one = "method=GET,route=/v1/requests/{id}"
    assert found[f"assent_http_requests_total{{{one},status=200}}"] == 3
    assert found[f"assent_http_requests_total{{{one},status=404}}"] == 1
    assert found[f"assent_http_request_duration_seconds_count{{{one}}}"] == 4
    assert found[f"assent_http_request_duration_seconds_bucket{{le=+Inf,{one}}}"] == 4
    assert found[f"assent_http_requests_total{{{one}?wait,status=200}}"] == 1
    assert found["assent_http_requests_total{method=*,route=none,status=404}"] == 2
    assert found["assent_http_requests_total{method=*,route=none,status=405}"] == 1


async def test_it_holds_no_secret_and_no_name(product: Product) -> None:
    request = await product.submit(requester="email:bob@example.com", labels={"env": "prod"})
    await product.answer(request, "approve", "ana@example.com")
    text = (await product.call("GET", "/metrics")).text
    for private in (KEY, request["id"], request["respondents"][0]["id"], "example.com", "prod", "127.0.0.1"):
        assert private not in text


async def test_deliveries_are_counted_by_what_became_of_them(sqlite_url: str) -> None:
    async with Mailbox() as mailbox, running(sqlite_url, mailbox=mailbox) as product:
        mailbox.fail("rcpt", "550 5.1.1 nobody here", times=1)
        refused = await product.submit(audience=["email:gone@example.com"])
        async with asyncio.timeout(20):
            while not (await product.get(refused))["unreachable"]:
                await product.assent.dispatcher.settle()
        await product.submit()
        await mailbox.next_message("ana@example.com")
        await product.assent.dispatcher.settle()
        found = await read(product)
    assert found["assent_deliveries_total{result=failed,surface=email}"] == 1
    assert found["assent_deliveries_total{result=sent,surface=email}"] == 1


async def test_what_cannot_be_sent_shows_as_queued(database_url: str, unused_tcp_port: int) -> None:
    relay = {
        "assent_smtp_url": f"smtp://127.0.0.1:{unused_tcp_port}?tls=none",
        "assent_mail_from": "a@example.com",
    }
    async with running(database_url, **relay) as product:
        assert (await read(product))["assent_deliveries_queued"] == 0
        await product.submit(audience=["email:ana@example.com", "email:ben@example.com"])
        assert (await read(product))["assent_deliveries_queued"] == 2


async def test_a_database_that_is_away_does_not_silence_the_rest() -> None:
    async def load() -> tuple[int, int]:
        raise Unavailable("away")

    metrics = Metrics(dict, load)
    server = TestServer(application.build(routes_of(metrics), {}, metrics.answered))
    async with TestClient(server) as client:
        await client.get("/healthz")
        answer = await client.get("/metrics")
        found = samples(await answer.text())
    assert answer.status == 200
    assert math.isnan(found["assent_requests_pending"])
    assert found["assent_http_requests_total{method=GET,route=/healthz,status=200}"] == 1
