"""Slack answers slowly, or the process dies: clicks are acknowledged at once, and none of them is lost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support import command
from tests.support.process import START_SECONDS
from tests.support.product import KEY, running

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User
    from tests.support.product import Product

SLOW = 0.5
"""Seconds that Slack takes for every call."""


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


def be_slow(slack: SlackSandbox, seconds: float = SLOW) -> None:
    slack.faults.next("*", delay=seconds, times=None)


async def test_a_click_is_acknowledged_long_before_slack_answers(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    be_slow(slack)
    click = await slack.click(ana, card, "Approve")
    assert click.ack.ok
    assert click.ack.seconds < SLOW / 2
    await slack.wait_for(lambda: "Approved by Ana" in card.words)
    assert [r["surface"] for r in (await product.get(request))["responses"]] == ["slack"]
    assert slack.ephemerals(ana) == []


async def test_who_clicks_while_slack_is_down_is_told_that_it_is_on_its_way(
    product: Product, slack: SlackSandbox, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    monkeypatch.setattr("bot.slack.inbound.listeners.QUICK_SECONDS", 0)
    slack.faults.next("users.info", status=503, times=None)
    click = await slack.click(ana, card, "Approve")
    assert click.ack.ok
    assert "on its way" in (await click.ephemeral()).words
    slack.faults.clear()
    await slack.wait_for(lambda: "Approved by Ana" in card.words)
    assert len(slack.ephemerals(ana)) == 1


async def test_a_refusal_comes_after_the_acknowledgement(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    eve = slack.add_user("Eve", email="eve@example.com")
    ops = slack.add_channel("ops", [ana, eve])
    await product.submit(audience=[f"slack:{ops.id}"])
    card = await slack.next_message(ops)
    ops.members.remove(eve.id)
    be_slow(slack)
    click = await slack.click(eve, card, "Approve")
    assert click.ack.ok
    assert click.ack.seconds < SLOW / 2
    assert "not a member" in (await slack.next_message(eve)).words


async def test_a_form_opens_while_its_trigger_lives_and_keeps_its_answer(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    be_slow(slack)
    click = await slack.click(ana, card, "Reject")
    assert click.ack.seconds < SLOW / 2
    submitted = await slack.submit(await click.view(), {"Reason": "Not now"})
    assert submitted.ack.ok
    await slack.wait_for(lambda: "Not now" in card.words)


async def test_a_form_whose_answer_takes_too_long_says_that_it_is_on_its_way(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Reject")).view()
    slack.faults.next("users.info", delay=2.5)
    submitted = await slack.submit(modal, {"Reason": "Not now"})
    assert submitted.ack.ok
    assert "on its way" in modal.words
    await slack.wait_for(lambda: "Not now" in card.words)
    told = await slack.next_message(ana)
    assert "You rejected" in told.words


async def test_a_command_is_answered_later(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    await slack.next_message(ana)
    slack.faults.next("users.info", delay=2.2)
    listed = await slack.command(ana, "/approvals")
    assert listed.ack.ok
    assert "Refund" in (await listed.ephemeral()).words
    slack.faults.next("users.info", delay=2.2)
    approved = await slack.command(ana, "/approvals", f"approve {request['id']}")
    assert approved.ack.ok
    assert "on its way" in (await approved.ephemeral()).words
    assert "You approved" in (await approved.ephemeral()).words


async def test_what_was_acknowledged_is_finished_before_the_process_ends(
    database_url: str, slack: SlackSandbox, ana: User
) -> None:
    async with running(database_url, slack=slack) as product:
        await product.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
        be_slow(slack)
        click = await slack.click(ana, card, "Reject")
    assert click.ack.ok
    assert len(slack.modals(ana)) == 1


@contextlib.asynccontextmanager
async def process(
    database_url: str, slack: SlackSandbox, port: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`assent serve` as a process of its own, ready; killed at the end."""
    server = await command.start(
        "serve",
        ASSENT_DATABASE_URL=database_url,
        ASSENT_PORT=str(port),
        ASSENT_API_KEY=KEY,
        ASSENT_SECRET_KEYS="k" * 32,
        SLACK_API_URL=slack.api_url,
        SLACK_BOT_TOKEN=slack.bot_token,
        SLACK_APP_TOKEN=slack.app_token,
    )
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.communicate()


async def test_kill_9_right_after_an_acknowledged_click_loses_nothing(
    database_url: str, slack: SlackSandbox, ana: User
) -> None:
    async with running(database_url, slack=slack, socket_mode=True) as product:
        request = await product.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
    slack.faults.next("users.info", delay=60)
    async with process(database_url, slack):
        await slack.wait_for(lambda: slack.sockets.connections, timeout=START_SECONDS)
        click = await slack.click(ana, card, "Approve")
        assert click.ack.ok
    async with running(database_url, slack=slack, socket_mode=True) as product:
        await slack.wait_for(lambda: "Approved by Ana" in card.words, timeout=30)
        assert len((await product.get(request))["responses"]) == 1
