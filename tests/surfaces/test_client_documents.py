"""What the tutorial "Gate a function" shows runs as it stands."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import Client
from tests.support.documents import blocks
from tests.support.person import office, run_snippet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.client.testing import Offline
    from tests.support.product import Product

pytest_plugins = ["bot.pytest_plugin"]

ANA = "ana@example.com"


@pytest.fixture
async def product(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Product]:
    async with office(sqlite_url) as (product, _):
        monkeypatch.setenv("ASSENT_URL", product.url)
        monkeypatch.setenv("ASSENT_API_KEY", product.key)
        yield product


async def test_a_gated_function(product: Product) -> None:
    refund: Callable[[], str] = run_snippet("Gate a function")["refund"]
    for decision, said in [("approve", "refunded 1250 to 8841"), ("reject", "too much")]:
        running = asyncio.create_task(asyncio.to_thread(refund))
        async with asyncio.timeout(20):
            while not (waiting := (await product.call("GET", "/v1/pending")).json["items"]):
                assert not running.done()
            assert waiting[0]["payload"] == {"customer": "8841", "amount": 1250}
            await product.answer(waiting[0], decision, ANA, reason="too much")
            assert await running == said


def test_a_test_without_a_server(assent_offline: Offline) -> None:
    gated = run_snippet("Gate a function")
    run_snippet("Test without a server", **gated)["test_a_refund_pays_what_was_approved"](assent_offline)


def test_a_client_of_the_database(capsys: pytest.CaptureFixture[str]) -> None:
    snippet = threading.Thread(target=run_snippet, args=("Straight on the database",))
    snippet.start()
    with Client("sqlite:///assent.db") as person:
        while snippet.is_alive() and not (waiting := person.pending()):
            pass
        person.approve(waiting[0].id)
    snippet.join(20)
    printed = [line for line in capsys.readouterr().out.splitlines() if " action=" not in line]
    assert printed == [
        "request.created pending",
        "request.resolved approved",
        "approved",
    ]


async def test_a_program_that_answers(product: Product) -> None:
    [script] = blocks("python", "Answer by a program")
    names: dict[str, Any] = {}
    handling = threading.Thread(target=exec, args=(script, names))
    handling.start()
    for amount, status in [(50, "approved"), (500, "rejected")]:
        request = await product.submit(payload={"amount": amount}, labels={"env": "ci"})
        assert (await product.get(request, wait=20))["status"] == status
    names["handler"].stop()
    await asyncio.to_thread(handling.join, 20)
    assert not handling.is_alive()
