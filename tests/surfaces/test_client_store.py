"""A client straight on the database, and whoever else shares it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from bot.client import ApiError, AsyncClient, Client, Unreachable
from bot.sandbox.mail.relay import Mailbox
from tests.support.product import running

if TYPE_CHECKING:
    from pathlib import Path

    from bot.sandbox.slack.sandbox import SlackSandbox

ANA = "ana@example.com"


async def test_a_server_on_the_same_database_tells_people_and_takes_their_answers(
    database_url: str, slack: SlackSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSENT_SECRET_KEYS", "k" * 32)
    ben = slack.add_user("Ben", email="ben@example.com")
    async with (
        Mailbox() as mailbox,
        running(database_url, slack=slack, mailbox=mailbox) as product,
        AsyncClient(database_url) as client,
    ):
        asked = [f"email:{ANA}", f"slack:{ben.id}"]
        request = await client.submit(title="Refund", audience=asked, quorum=2, payload={"amount": 1250})
        await asyncio.gather(mailbox.next_message(ANA), slack.next_message(ben))
        waiting = asyncio.create_task(client.wait(request.id))
        await product.answer(request, "approve", ANA)
        await product.answer(request, "approve", ben.email, reason="go")
        async with asyncio.timeout(20):
            outcome = await waiting
            happened = [event.type async for event in client.events(request.id)]
        assert outcome.reason == "go"
        assert (happened[0], happened[-1]) == ("request.created", "request.resolved")
        async with AsyncClient(product.url, product.key) as remote:
            receipt = await remote.receipt(request.id)
        assert (await client.verify(receipt, {"amount": 1250}))["sub"] == request.id


def test_two_programs_meet_in_the_database_without_a_server(sqlite_url: str, tmp_path: Path) -> None:
    with Client(sqlite_url) as workflow, Client(sqlite_url) as person:
        request = workflow.submit(title="Refund", audience=[f"email:{ANA}"], idempotency_key="run-7")
        [waiting] = person.pending()
        assert waiting.links[0]["url"].startswith("http://127.0.0.1:8080/r/")
        answering = threading.Thread(
            target=person.approve, args=(waiting.id,), kwargs={"respondent": f"email:{ANA}"}
        )
        answering.start()
        outcome = workflow.wait(request.id, timeout=20)
        answering.join()
        assert outcome.text == f"Refund was approved by {ANA}"
    with Client(sqlite_url) as later:
        again = later.submit(title="Refund", audience=[f"email:{ANA}"], idempotency_key="run-7")
        assert (again.id, again.status) == (request.id, "approved")
        with pytest.raises(ApiError, match="already_resolved"):
            later.cancel(request.id)


def test_on_postgresql_without_the_servers_keys_there_are_no_links_and_no_receipts(postgres_url: str) -> None:
    with Client(postgres_url) as client:
        request = client.submit(title="Refund", audience=[f"email:{ANA}"])
        assert "links" not in client.pending()[0]
        client.approve(request.id)
        with pytest.raises(ApiError, match="Set ASSENT_SECRET_KEYS"):
            client.receipt(request.id)


async def test_nor_are_there_any_beside_a_server_that_has_its_keys_from_its_settings(sqlite_url: str) -> None:
    async with running(sqlite_url) as product, AsyncClient(sqlite_url) as client:
        request = await client.submit(title="Refund", audience=[f"email:{ANA}"])
        assert "links" not in (await client.pending())[0]
        await product.answer(request, "approve", ANA)
        with pytest.raises(ApiError, match="Set ASSENT_SECRET_KEYS"):
            await client.receipt(request.id)


def test_what_keeps_a_database_from_being_used_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Unreachable, match=r"postgresql://ana@127\.0\.0\.1:1/none") as caught:
        Client("postgresql://ana:s3cret@127.0.0.1:1/none").pending()
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("ASSENT_PORT", "many")
    with pytest.raises(Unreachable, match="ASSENT_PORT"):
        Client("sqlite:///assent.db").pending()
