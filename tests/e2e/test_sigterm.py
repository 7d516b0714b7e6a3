"""The process is told to end: whoever waits is answered, and what is in hand is finished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.cards import decided
from tests.support.process import serving

if TYPE_CHECKING:
    from bot.sandbox.mail.relay import Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User

CARA = "cara@example.com"


async def test_sigterm_answers_waiters_and_ends_in_time_though_nobody_else_answers(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox, ana: User
) -> None:
    async with serving(database_url, slack=slack, mailbox=mailbox) as server:
        request = await server.submit(audience=[f"slack:{ana.id}"])
        card = await slack.next_message(ana)
        slack.faults.next("*", delay=60, times=None)
        mailbox.pause()
        held_up = await server.submit(audience=[f"email:{CARA}"])
        await mailbox.next_message(CARA)
        waiting = [asyncio.create_task(server.get(each, wait=60)) for each in (request, held_up)]
        click = await slack.click(ana, card, "Reject")
        assert click.ack.ok

        ended = await server.terminate()

        assert ended.status == 0
        assert ended.seconds < 10
        assert [(await each)["status"] for each in waiting] == ["pending", "pending"]
        slack.faults.clear()
        mailbox.heal()
        await server.start()
        await slack.click(ana, card, "Approve")
        assert "Approved by Ana" in await decided(slack, card)


async def test_sigterm_finishes_the_delivery_in_hand(
    database_url: str, slack: SlackSandbox, mailbox: Mailbox, ana: User
) -> None:
    slack.faults.next("chat.postMessage", delay=1)
    async with serving(database_url, slack=slack, mailbox=mailbox) as server:
        request = await server.submit(audience=[f"slack:{ana.id}"])
        await slack.wait_for(lambda: slack.calls("conversations.open"))
        ended = await server.terminate()
        assert ended.status == 0
        card = await slack.next_message(ana)
        await server.start()
        await server.answer(request, "approve")
        assert "Approved by" in await decided(slack, card)
        assert len(slack.messages(ana)) == 1
