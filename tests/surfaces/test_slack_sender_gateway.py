"""Calls to Slack beside cards: answers to one person, modals, the Home tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.sandbox.slack.sandbox import SlackSandbox
from bot.slack.api.client import Gateway
from bot.slack.api.errors import Gone, SlackDown, Terminal, Throttled
from bot.slack.render import details_modal, home, modals
from bot.slack.render.cards import Message
from tests.support.slack_requests import NOW, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.workspace import User

LATE = Message("You were late.", [])


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
async def gateway(slack: SlackSandbox) -> AsyncIterator[Gateway]:
    gateway = Gateway(slack.bot_token, slack.api_url, timeout=2)
    yield gateway
    await gateway.close()


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana")


def response_url(slack: SlackSandbox, user: User, channel_id: str) -> str:
    secret = slack.backend.tickets.issue_response_url(user.id, channel_id)
    return f"{slack.origin}/response/{slack.workspace.team_id}/{secret}"


async def test_only_the_person_concerned_sees_an_ephemeral_message(
    slack: SlackSandbox, gateway: Gateway, ana: User
) -> None:
    ops = slack.add_channel("ops", [ana])
    await gateway.ephemeral(ops.id, ana.id, LATE)
    assert [message.text for message in slack.ephemerals(ana)] == ["You were late."]
    assert slack.messages(ops) == []


async def test_somebody_outside_the_channel_cannot_be_told_there(
    slack: SlackSandbox, gateway: Gateway, ana: User
) -> None:
    with pytest.raises(Terminal, match="they are not in this channel"):
        await gateway.ephemeral(slack.add_channel("ops").id, ana.id, LATE)


async def test_an_interaction_is_answered_five_times_and_no_more(
    slack: SlackSandbox, gateway: Gateway, ana: User
) -> None:
    url = response_url(slack, ana, slack.add_channel("ops", [ana]).id)
    for _ in range(5):
        await gateway.respond(url, LATE)
    assert len(slack.ephemerals(ana)) == 5
    with pytest.raises(Gone):
        await gateway.respond(url, LATE)


async def test_a_response_url_that_does_not_answer_is_slack_being_down(
    slack: SlackSandbox, gateway: Gateway, ana: User
) -> None:
    url = response_url(slack, ana, slack.add_channel("ops", [ana]).id)
    slack.faults.next("response_url", status=502)
    with pytest.raises(SlackDown):
        await gateway.respond(url, LATE)
    slack.faults.next("response_url", status=429, retry_after=3)
    with pytest.raises(Throttled) as caught:
        await gateway.respond(url, LATE)
    assert caught.value.after == 3


async def test_a_modal_opens(slack: SlackSandbox, gateway: Gateway, ana: User) -> None:
    await gateway.open_view(
        slack.backend.tickets.issue_trigger(ana.id), details_modal.details_modal(asked(), NOW)
    )
    [view] = slack.modals(ana)
    assert view.title == "Details"


async def test_a_trigger_lives_three_seconds_and_is_used_once(
    slack: SlackSandbox, gateway: Gateway, clock: Clock, ana: User
) -> None:
    used, old = (slack.backend.tickets.issue_trigger(ana.id) for _ in range(2))
    await gateway.open_view(used, modals.message_modal("Late", "Somebody was faster."))
    clock.at += 4
    for trigger in (used, old):
        with pytest.raises(Gone):
            await gateway.open_view(trigger, modals.message_modal("Late", "Somebody was faster."))


async def test_the_home_tab_is_published(slack: SlackSandbox, gateway: Gateway, ana: User) -> None:
    await gateway.publish_home(ana.id, home.home([asked()], 0, NOW))
    shown = slack.home(ana)
    assert shown
    assert shown.buttons == ["Approve", "Reject", "Details"]


async def test_an_answer_that_is_no_json_is_slack_being_down(slack: SlackSandbox, gateway: Gateway) -> None:
    slack.faults.next("auth.test", status=500)
    with pytest.raises(SlackDown) as caught:
        await gateway.identity()
    assert caught.value.ambiguous  # whoever answered so, it may have been done
    assert caught.value.answered
    assert (await gateway.identity())["team_id"] == slack.workspace.team_id


async def test_an_answer_that_takes_too_long_may_have_been_carried_out(slack: SlackSandbox) -> None:
    hasty = Gateway(slack.bot_token, slack.api_url, timeout=0.05)
    slack.faults.next("chat.postMessage", delay=0.2)
    with pytest.raises(SlackDown) as caught:
        await hasty.post(slack.add_channel("ops").id, LATE)
    assert caught.value.ambiguous
    await hasty.close()
