"""Cards on their way to Slack: posted once, redrawn in place, and every failure named."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.messages.notifications import Notice
from bot.domain.model.request import Status
from bot.ports.delivery import Delivery, Failed, Lost, Retry, Sent
from bot.ports.store import DeliveryState
from bot.sandbox.slack.sandbox import SlackSandbox
from bot.slack.api.client import Gateway
from bot.slack.outbound.sender import BLIND, LOOK_AGAIN, SlackSender
from bot.slack.render.cards import Message as Said
from tests.support.slack_requests import NASTY, NOW, asked, nasty, resolved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.sandbox.slack.faults import Drop
    from bot.sandbox.slack.workspace import Channel, Message, User


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox() as sandbox:
        yield sandbox
        assert sandbox.api.violations == []


@pytest.fixture
async def gateway(slack: SlackSandbox) -> AsyncIterator[Gateway]:
    gateway = Gateway(slack.bot_token, slack.api_url, timeout=2)
    yield gateway
    await gateway.close()


@pytest.fixture
def sender(gateway: Gateway) -> SlackSender:
    return SlackSender(gateway, nothing_sent)


async def nothing_sent(_: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
    return {}


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana])


def card(where: User | Channel, receipt: dict[str, Any] | None = None, **members: Any) -> Delivery:
    row = Delivery(
        id="dlv_1",
        request_id="req_01",
        surface="slack",
        address=where.id,
        notice=Notice.CARD,
        respondent=None,
        receipt=receipt,
        attempts=0,
        created_at=NOW,
    )
    return replace(row, **members)


def delivered(where: User | Channel, state: str) -> DeliveryState:
    return DeliveryState(
        id="dlv_1",
        surface="slack",
        address=where.id,
        notice="card",
        respondent=None,
        state=state,
        attempts=0,
        error=None,
        at=NOW,
        receipt={"channel": where.id, "ts": "1.1"},
    )


async def sent(sender: SlackSender, where: User | Channel) -> Sent:
    result = await sender.send(card(where), asked(), NOW)
    assert isinstance(result, Sent)
    return result


async def only_message(slack: SlackSandbox, where: User | Channel) -> Message:
    [message] = slack.messages(where)
    return message


async def test_a_user_gets_a_direct_message(slack: SlackSandbox, sender: SlackSender, ana: User) -> None:
    result = await sent(sender, ana)
    message = await only_message(slack, ana)
    assert result == Sent({"channel": message.channel, "ts": message.ts}, 1)
    assert message.channel.startswith("D")
    assert message.buttons == ["Approve", "Reject", "Details"]


async def test_a_channel_gets_one_card(slack: SlackSandbox, sender: SlackSender, ops: Channel) -> None:
    await sent(sender, ops)
    message = await only_message(slack, ops)
    [posted] = [call.arguments for call in slack.api.log if call.method == "chat.postMessage"]
    assert (posted["unfurl_links"], posted["unfurl_media"]) == (False, False)
    assert "Refund €1,250" in message.text


async def test_a_card_is_redrawn_in_place(slack: SlackSandbox, sender: SlackSender, ana: User) -> None:
    receipt = (await sent(sender, ana)).receipt
    done = resolved(asked(), Status.APPROVED)
    assert await sender.send(card(ana, receipt), done, NOW) == Sent(receipt, 3)
    message = await only_message(slack, ana)
    assert message.buttons == []
    assert "Approved by Ana" in message.words
    assert message.parse == "none"


async def test_a_final_card_is_posted_where_none_stands_yet(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    assert isinstance(await sender.send(card(ana), resolved(asked(), Status.EXPIRED), NOW), Sent)
    assert (await only_message(slack, ana)).buttons == []


async def test_a_notification_is_a_message_without_a_request(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    told = card(ops, notice=Notice.NOTIFICATION, request_id=None, content="Deploy **done** <!channel>")
    assert isinstance(result := await sender.send(told, None, NOW), Sent)
    assert result.version == 0
    assert "<!channel>" in (await only_message(slack, ops)).words


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
async def test_slack_takes_whatever_is_asked(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, text: str
) -> None:
    request = nasty(text)
    result = await sender.send(card(ops), request, NOW)
    assert isinstance(result, Sent)
    final = resolved(request, Status.REJECTED, reason=text)
    assert isinstance(await sender.send(card(ops, result.receipt), final, NOW), Sent)


@pytest.mark.parametrize(("state", "has_card"), [("sent", True), ("retrying", True), ("failed", False)])
async def test_a_reminder_speaks_of_a_card_only_where_one_stands(
    slack: SlackSandbox, gateway: Gateway, ana: User, ops: Channel, state: str, *, has_card: bool
) -> None:
    async def deliveries(_: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        return {"req_01": tuple(delivered(where, state) for where in (ana, ops))}

    sender = SlackSender(gateway, deliveries)
    for where, members in ((ana, {"respondent": "rsp_ana"}), (ops, {})):
        told = card(where, notice=Notice.REMINDER, **members)
        assert isinstance(await sender.send(told, asked(), NOW), Sent)
    to_ana, to_ops = await only_message(slack, ana), await only_message(slack, ops)
    assert ("Its card is above" in to_ana.words) is has_card
    assert to_ops.thread_ts == ("1.1" if has_card else None)
    assert ("`/approvals` lists it" in to_ops.words) is not has_card


# One message a second and channel


async def test_a_second_post_to_a_channel_waits_its_turn_and_spends_no_attempt(
    sender: SlackSender, ops: Channel, ana: User
) -> None:
    await sent(sender, ops)
    soon = NOW + timedelta(seconds=0.4)
    second = await sender.send(card(ops), asked(), soon)
    assert second == Retry("one message a second", 0.6, counts=False, pause=ops.id)
    assert isinstance(await sender.send(card(ana), asked(), soon), Sent)
    assert isinstance(await sender.send(card(ops), asked(), NOW + timedelta(seconds=1)), Sent)


async def test_a_clock_that_is_set_back_keeps_nobody_waiting(sender: SlackSender, ops: Channel) -> None:
    await sent(sender, ops)
    assert isinstance(await sender.send(card(ops), asked(), NOW - timedelta(hours=1)), Sent)


async def test_an_update_need_not_wait(sender: SlackSender, ops: Channel) -> None:
    result = await sent(sender, ops)
    assert isinstance(await sender.send(card(ops, result.receipt), asked(), NOW), Sent)


# What goes wrong


async def test_a_throttled_method_is_left_alone_for_as_long_as_slack_says(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, ana: User
) -> None:
    slack.faults.next("chat.postMessage", status=429, retry_after=7)
    assert await sender.send(card(ops), asked(), NOW) == Retry(
        "Slack asks for a pause", 7.0, counts=False, pause=ops.id
    )
    later = await sender.send(card(ana), asked(), NOW)
    assert isinstance(later, Retry)
    assert 6 < (later.after or 0) <= 7
    assert [call.method for call in slack.api.log].count("chat.postMessage") == 1


async def test_while_slack_is_down_no_attempts_are_spent(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    slack.faults.next("*", status=503, times=None)
    result = await sender.send(card(ops), asked(), NOW)
    assert result == Retry(
        "Slack does not answer properly just now (503)", counts=False, pause="slack", unconfirmed=True
    )


@pytest.mark.parametrize("code", ["external_channel_migrating", "internal_error"])
async def test_what_slack_cannot_do_for_one_channel_spends_its_attempts_and_pauses_nothing(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, code: str
) -> None:
    slack.faults.next("chat.postMessage", error=code)
    assert await sender.send(card(ops), asked(), NOW) == Retry(f"Slack cannot do this just now ({code})")


async def test_a_message_that_cannot_be_updated_just_now_spends_its_attempts(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    receipt = (await sent(sender, ops)).receipt
    slack.faults.next("chat.update", error="update_failed")
    result = await sender.send(card(ops, receipt), asked(), NOW)
    assert result == Retry("Slack cannot do this just now (update_failed)")


async def test_a_slack_that_cannot_be_reached_is_down(ana: User) -> None:
    nowhere = Gateway("xoxb-none", "http://127.0.0.1:9/api/", timeout=2)
    result = await SlackSender(nowhere, nothing_sent).send(card(ana), asked(), NOW)
    await nowhere.close()
    assert result == Retry("Slack does not answer properly just now (no answer)", counts=False, pause="slack")


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_dropped_connection_is_tried_again_by_the_outbox_and_by_nobody_else(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, drop: Any
) -> None:
    slack.faults.next("chat.postMessage", drop=drop)
    result = await sender.send(card(ops), asked(), NOW)
    assert isinstance(result, Retry)
    assert result.counts
    assert len(slack.messages(ops)) == (1 if drop == "after" else 0)


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("kind", ["direct", "channel", "notification"])
async def test_a_post_whose_answer_gets_lost_stands_once_and_at_once(  # noqa: PLR0917
    slack: SlackSandbox, sender: SlackSender, ana: User, ops: Channel, drop: Drop, times: int, kind: str
) -> None:
    slack.workspace.scopes.add("channels:history")
    where = ops if kind == "channel" else ana
    members = {"notice": Notice.NOTIFICATION, "content": "hello"} if kind == "notification" else {}
    slack.faults.next("chat.postMessage", drop=drop, times=times)
    began = time.monotonic()
    result = await sender.send(card(where, **members), asked(), NOW)
    assert time.monotonic() - began < sum(LOOK_AGAIN)
    message = await only_message(slack, where)
    assert isinstance(result, Sent)
    assert result.receipt == {"channel": message.channel, "ts": message.ts}


async def test_a_post_behind_a_proxy_that_fails_after_slack_did_it_stands_once(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    slack.faults.next("chat.postMessage", drop="after")
    slack.faults.next("chat.postMessage", status=502)
    assert isinstance(await sender.send(card(ana), asked(), NOW), Sent)
    await only_message(slack, ana)


async def test_what_may_have_arrived_before_is_adopted_and_shows_what_is_true_now(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    first = await sent(sender, ana)
    newer = resolved(asked(), Status.APPROVED)
    result = await sender.send(card(ana, unconfirmed=True), newer, NOW + timedelta(minutes=1))
    assert result == Sent(first.receipt, newer.version)
    assert (await only_message(slack, ana)).buttons == []


async def test_what_stands_twice_is_taken_away_but_for_the_first(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    first = await sent(sender, ana)
    await sender.send(card(ana), asked(), NOW + timedelta(minutes=1))
    assert len(slack.messages(ana)) == 2
    result = await sender.send(card(ana, unconfirmed=True), asked(), NOW + timedelta(minutes=2))
    assert isinstance(result, Sent)
    assert result.receipt == first.receipt
    assert (await only_message(slack, ana)).ts == first.receipt["ts"]


async def test_it_is_found_behind_what_was_written_since(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    slack.api.backend.most_history = 15
    first = await sent(sender, ana)
    for n in range(40):
        await sender.send(
            card(ana, id=f"dlv_more{n}", notice=Notice.NOTIFICATION, content="x"),
            None,
            NOW + timedelta(minutes=n + 1),
        )
    early = card(ana, unconfirmed=True, created_at=NOW - timedelta(days=10_000))
    result = await sender.send(early, asked(), NOW + timedelta(days=1))
    assert isinstance(result, Sent)
    assert result.receipt == first.receipt


async def test_a_reminder_in_a_thread_is_found_there(
    slack: SlackSandbox, gateway: Gateway, ops: Channel
) -> None:
    slack.workspace.scopes.add("channels:history")
    [posted] = [await gateway.post(ops.id, Said("a card", []))]

    async def standing(_: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        return {"req_01": (replace(delivered(ops, "sent"), receipt=posted),)}

    slack.faults.next("chat.postMessage", drop="after", times=2)
    sender = SlackSender(gateway, standing)
    result = await sender.send(card(ops, notice=Notice.REMINDER, id="dlv_2"), asked(), NOW)
    assert isinstance(result, Sent)
    assert [m.thread_ts for m in slack.messages(ops)] == [None, posted["ts"]]


@pytest.mark.parametrize("trouble", [{"status": 429, "retry_after": 30}, {"status": 503}])
async def test_where_nobody_can_look_just_now_nothing_is_posted_twice(
    slack: SlackSandbox, sender: SlackSender, ana: User, trouble: dict[str, Any]
) -> None:
    slack.faults.next("chat.postMessage", drop="after")
    slack.faults.next("conversations.history", **trouble)
    result = await sender.send(card(ana), asked(), NOW)
    assert isinstance(result, Retry)
    assert result.unconfirmed
    assert result.after == (30 if "retry_after" in trouble else None)
    await only_message(slack, ana)


async def test_in_a_channel_that_nobody_may_read_it_is_posted_again_but_not_for_ever(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    slack.faults.next("chat.postMessage", drop="after", times=None)
    for attempts, after in enumerate(BLIND):
        later = NOW + timedelta(minutes=attempts)
        result = await sender.send(card(ops, attempts=attempts), asked(), later)
        assert isinstance(result, Retry)
        assert (result.after, result.counts, result.unconfirmed) == (after, True, True)
    last = await sender.send(card(ops, attempts=len(BLIND)), asked(), NOW + timedelta(days=1))
    assert isinstance(last, Failed)
    assert "may have arrived" in last.reason


async def test_an_update_that_got_no_answer_is_repeated_as_often_as_it_takes(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    receipt = (await sent(sender, ops)).receipt
    slack.faults.next("chat.update", drop="after", times=None)
    result = await sender.send(card(ops, receipt, attempts=50), asked(), NOW)
    assert isinstance(result, Retry)
    assert result.after is None


async def test_a_deleted_card_is_lost(slack: SlackSandbox, sender: SlackSender, ana: User) -> None:
    receipt = (await sent(sender, ana)).receipt
    (await only_message(slack, ana)).deleted = True
    result = await sender.send(card(ana, receipt), asked(), NOW)
    assert result == Lost("it is gone or can no longer be changed in Slack (message_not_found)")


@pytest.mark.parametrize("code", ["block_mismatch", "cant_update_message", "edit_window_closed"])
async def test_a_card_that_cannot_be_changed_is_lost(
    slack: SlackSandbox, sender: SlackSender, ana: User, code: str
) -> None:
    receipt = (await sent(sender, ana)).receipt
    slack.faults.next("chat.update", error=code)
    assert isinstance(await sender.send(card(ana, receipt), asked(), NOW), Lost)


@pytest.mark.parametrize(
    "code", ["channel_not_found", "is_archived", "not_in_channel", "missing_scope", "invalid_blocks"]
)
async def test_a_card_that_stands_is_tried_again_whatever_slack_says_of_it(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, code: str
) -> None:
    receipt = (await sent(sender, ops)).receipt
    slack.faults.next("chat.update", error=code)
    result = await sender.send(card(ops, receipt), asked(), NOW)
    assert isinstance(result, Retry)
    assert (result.counts, result.pause) == (True, None)


async def test_a_deactivated_person_cannot_be_told(
    slack: SlackSandbox, sender: SlackSender, ana: User
) -> None:
    ana.deleted = True
    assert await sender.send(card(ana), asked(), NOW) == Failed("their Slack account is deactivated")


async def test_an_archived_channel_cannot_be_told(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    ops.archived = True
    assert await sender.send(card(ops), asked(), NOW) == Failed("the channel is archived")


async def test_a_card_in_a_channel_that_is_archived_later_is_redrawn_when_it_is_back(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    receipt = (await sent(sender, ops)).receipt
    ops.archived = True
    refused = await sender.send(card(ops, receipt), asked(), NOW)
    assert isinstance(refused, Retry)
    assert "the channel is archived" in refused.reason
    ops.archived = False
    assert isinstance(await sender.send(card(ops, receipt), asked(title="Now"), NOW), Sent)
    assert "Now" in (await only_message(slack, ops)).words


async def test_a_card_in_a_channel_that_is_gone_is_tried_again(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    receipt = (await sent(sender, ops)).receipt
    elsewhere = {**receipt, "channel": "C0NOWHERE0"}
    refused = await sender.send(card(ops, elsewhere), asked(), NOW)
    assert isinstance(refused, Retry)
    assert "Slack does not know this channel" in refused.reason


async def test_a_channel_without_the_bot_says_what_to_do(slack: SlackSandbox, sender: SlackSender) -> None:
    private = slack.add_channel("board", private=True, with_bot=False)
    public = slack.add_channel("news", with_bot=False)
    slack.workspace.scopes.discard("chat:write.public")
    assert await sender.send(card(private), asked(), NOW) == Failed(
        "Slack does not know this channel, or it is private and Assent is not in it; invite Assent there"
    )
    assert await sender.send(card(public), asked(), NOW) == Failed(
        "Assent is not in this channel; invite it there"
    )


async def test_a_workspace_may_restrict_who_posts(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    slack.faults.next("chat.postMessage", error="restricted_action")
    assert await sender.send(card(ops), asked(), NOW) == Failed(
        "the workspace does not let Assent write there"
    )


async def test_a_code_that_nobody_knows_is_named(
    slack: SlackSandbox, sender: SlackSender, ops: Channel
) -> None:
    slack.faults.next("chat.postMessage", error="brand_new_error")
    assert await sender.send(card(ops), asked(), NOW) == Failed("Slack refuses it (brand_new_error)")


async def test_a_missing_scope_is_named(slack: SlackSandbox, sender: SlackSender, ana: User) -> None:
    slack.workspace.scopes.discard("im:write")
    assert await sender.send(card(ana), asked(), NOW) == Failed(
        "the Slack app lacks the scope im:write; add it and reinstall the app"
    )


async def test_a_revoked_token_pauses_slack_and_tells_the_operator_without_the_token(
    slack: SlackSandbox, sender: SlackSender, ops: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    slack.revoke()
    result = await sender.send(card(ops), asked(), NOW)
    assert isinstance(result, Retry)
    assert (result.after, result.counts, result.pause) == (300.0, False, "slack")
    assert "token_revoked" in caplog.text
    assert slack.bot_token not in caplog.text


async def test_a_card_without_its_request_is_not_sent(sender: SlackSender, ops: Channel) -> None:
    assert isinstance(await sender.send(card(ops), None, NOW), Failed)
