"""Several processes on one database: what one begins another goes on with, whichever of them dies."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from bot.store.notify import commit_listener
from tests.support.cards import decided
from tests.support.process import LEASE_SECONDS, serving
from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    import pytest

    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User

CARA = "cara@example.com"


async def test_a_replica_finishes_what_a_dead_one_had_leased(
    postgres_url: str, slack: SlackSandbox, mailbox: Mailbox, ana: User
) -> None:
    clock = ManualClock()
    async with running(postgres_url, slack=slack, mailbox=mailbox, clock=clock) as survivor:
        held = slack.faults.next("chat.postMessage", delay=60)
        async with serving(postgres_url, slack=slack, mailbox=mailbox) as victim:
            mailbox.pause()
            request = await victim.submit(audience=[f"slack:{ana.id}", f"email:{CARA}"])
            await mailbox.next_message(CARA)
            await slack.wait_for(lambda: held.times == 0)
            await victim.kill()
        mailbox.heal()
        clock.at = datetime.now(UTC)
        survivor.advance(LEASE_SECONDS)
        card = await slack.next_message(ana)
        second = await mailbox.next_message(CARA)
        first = mailbox.messages(CARA)[0]
        assert second.message["Message-ID"] == first.message["Message-ID"]
        await survivor.answer(request, "approve", CARA)
        assert f"Approved by {CARA}" in await decided(slack, card)


async def test_a_waiter_at_one_replica_learns_of_an_answer_at_another(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_listener, "POLL_SECONDS", 3600)  # what wakes the waiters is the notification
    async with running(postgres_url) as here, serving(postgres_url) as there:
        request = await there.submit()
        waiters = [asyncio.create_task(here.get(request, wait=60)) for _ in range(5)]
        await there.answer(request, "approve", "ana@example.com")
        async with asyncio.timeout(20):
            assert [(await waiter)["status"] for waiter in waiters] == ["approved"] * 5


async def test_the_survivor_of_two_replicas_takes_the_clicks(
    postgres_url: str, slack: SlackSandbox, ana: User
) -> None:
    async with (
        serving(postgres_url, slack=slack, socket_mode=True) as one,
        serving(postgres_url, slack=slack, socket_mode=True) as two,
    ):
        request = await one.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
        await slack.wait_for(lambda: len(slack.sockets.connections) == 2, timeout=20)
        waiter = asyncio.create_task(two.get(request, wait=60))
        await one.kill()
        await slack.wait_for(lambda: len(slack.sockets.connections) == 1)
        await slack.click(ana, card, "Approve")
        assert "Approved by Ana" in await decided(slack, card)
        assert (await waiter)["status"] == "approved"


def cut_connections(postgres_url: str) -> int:
    """What a restart or a failover of the database does to everybody who is connected; how many were cut."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        cut = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(cut.fetchall())


async def test_a_database_that_cuts_every_connection_loses_nothing(
    postgres_url: str, slack: SlackSandbox, ana: User
) -> None:
    async with running(postgres_url, slack=slack) as here, running(postgres_url) as there:
        request = await here.submit(audience=[f"slack:{ana.id}"])
        first = await slack.next_message(ana, timeout=15)
        waiters = [asyncio.create_task(replica.get(request, wait=60)) for replica in (here, there)]
        assert await asyncio.to_thread(cut_connections, postgres_url)
        async with asyncio.timeout(15):
            while (await there.answer(request, "approve")).status == 503:
                pass
            assert [(await waiter)["status"] for waiter in waiters] == ["approved", "approved"]
        assert "Approved by operator" in await decided(slack, first)
        assert slack.messages() == [first]
