"""Socket Mode: the same clicks without a public URL, over connections that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.slack.inbound import socket_mode
from tests.support.product import Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.sandbox import SlackSandbox


@pytest.fixture(autouse=True)
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_mode, "PING_SECONDS", 0.1)


@pytest.fixture
async def product(database_url: str, slack: SlackSandbox) -> AsyncIterator[Product]:
    async with running(database_url, slack=slack, socket_mode=True) as product:
        await connected(slack)
        yield product


async def connected(slack: SlackSandbox, number: int = 1) -> None:
    await slack.wait_for(lambda: len(slack.sockets.connections) == number)


async def test_clicks_forms_commands_and_the_home_tab(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(title="First", audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    click = await slack.click(ana, card, "Approve")
    assert click.ack.ok
    await slack.wait_for(lambda: "Approved by Ana" in card.words)

    second = await product.submit(title="Second", audience=[f"slack:{ana.id}"], reason="on_reject")
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Reject")).view()
    assert (await slack.submit(modal, {"Reason": " "})).errors
    await slack.command(ana, "/approvals")
    await slack.open_home(ana)
    await slack.wait_for(lambda: (home := slack.home(ana)) and "Second" in home.words)
    assert not (await slack.submit(modal, {"Reason": "No"})).errors
    assert (await product.get(second))["status"] == "rejected"


async def test_unknown_things_are_acknowledged(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    assert (await slack.event({"type": "reaction_added", "user": ana.id})).ok
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    card.blocks[-1]["elements"][0]["action_id"] = "somebody.elses"
    assert (await slack.click(ana, card, "Approve")).ack.ok


@pytest.mark.parametrize("how", ["refresh", "drop"])
async def test_a_lost_connection_is_opened_again(product: Product, slack: SlackSandbox, how: str) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    await product.submit(audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    (before,) = slack.sockets.connections
    await (slack.sockets.disconnect() if how == "refresh" else slack.sockets.drop())
    await slack.wait_for(lambda: before not in slack.sockets.connections)
    for _ in range(5):  # a connection may be replaced under a click; then a person presses again
        await slack.wait_for(lambda: slack.sockets.connections)
        if (await slack.click(ana, card, "Approve")).ack.ok:
            break
    await slack.wait_for(lambda: "Approved by Ana" in card.words)


async def test_the_server_is_unready_while_it_is_not_connected(sqlite_url: str, slack: SlackSandbox) -> None:
    slack.faults.next("apps.connections.open", error="invalid_auth", times=3)
    async with running(sqlite_url, slack=slack, socket_mode=True) as product:
        answer = await product.call("GET", "/readyz")
        assert answer.status == 503
        assert "SLACK_APP_TOKEN" in answer.json["checks"]["slack"]
        await connected(slack)
        assert (await product.call("GET", "/readyz")).status == 200


async def test_replicas_share_the_work(postgres_url: str, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    async with (
        running(postgres_url, slack=slack, socket_mode=True) as one,
        running(postgres_url, slack=slack, socket_mode=True) as other,
    ):
        await connected(slack, 2)
        requests = [await one.submit(title=f"Number {i}", audience=[f"slack:{ana.id}"]) for i in range(4)]
        for _ in requests:
            card = await slack.next_message(ana)
            assert (await slack.click(ana, card, "Approve")).ack.ok
        assert {(await other.get(request, wait=5))["status"] for request in requests} == {"approved"}
