"""The sandbox's Web API refuses what Slack refuses, with Slack's errors, and fails the way Slack fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.sandbox.slack.sandbox import SlackSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from slack_sdk.web.async_client import AsyncSlackResponse

    from bot.sandbox.slack.workspace import Channel, User

HOME = {"type": "home", "blocks": [{"type": "divider"}]}
MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Hello"},
    "blocks": [{"type": "divider"}],
    "notify_on_close": True,
}


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def client(slack: SlackSandbox) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="Ana@example.com")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana])


async def error_of(call: Awaitable[AsyncSlackResponse]) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


class TestTokens:
    async def test_who_may_call(self, slack: SlackSandbox, client: AsyncWebClient) -> None:
        def with_token(token: str | None) -> AsyncWebClient:
            return AsyncWebClient(token, base_url=slack.api_url, retry_handlers=[])

        assert (await client.auth_test())["user_id"] == slack.workspace.bot.id
        assert await error_of(with_token("xoxb-wrong").auth_test()) == "invalid_auth"
        assert await error_of(with_token(None).auth_test()) == "not_authed"
        assert (
            await error_of(client.apps_connections_open(app_token=slack.bot_token))
            == "not_allowed_token_type"
        )
        assert await error_of(client.api_call("users.fire")) == "unknown_method"
        slack.revoke()
        assert await error_of(client.auth_test()) == "token_revoked"

    async def test_a_missing_scope_is_named(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        slack.workspace.scopes.remove("users:read")

        with pytest.raises(SlackApiError) as caught:
            await client.users_info(user=ana.id)

        assert caught.value.response["needed"] == "users:read"
        assert "chat:write" in caught.value.response["provided"]
        assert "users:read" not in caught.value.response.headers["X-OAuth-Scopes"].split(",")

    @pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk uses it
    async def test_installing_by_oauth_gives_a_token_that_works_once_a_code(
        self, slack: SlackSandbox, ana: User
    ) -> None:
        code = slack.add_install_code(ana)
        client = AsyncWebClient(base_url=slack.api_url, retry_handlers=[])
        keys = {"client_id": slack.backend.client_id, "client_secret": slack.backend.client_secret}

        installed = await client.oauth_v2_access(**keys, code=code)

        assert installed["team"]["id"] == slack.workspace.team_id
        assert (await client.auth_test(token=installed["access_token"]))["ok"]
        assert await error_of(client.oauth_v2_access(**keys, code=code)) == "invalid_code"


class TestDirectory:
    async def test_people_are_found_by_id_and_by_email_in_any_case(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        ana.confirmed = False

        found = (await client.users_lookupByEmail(email="ana@EXAMPLE.com"))["user"]

        assert found == (await client.users_info(user=ana.id))["user"]
        assert (found["id"], found["is_email_confirmed"], found["profile"]["email"]) == (
            ana.id,
            False,
            ana.email,
        )
        assert await error_of(client.users_info(user="U404")) == "user_not_found"

    async def test_the_deactivated_and_strangers_are_not_found_by_email(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        eve = slack.add_user("Eve", email="eve@other.example", team=slack.add_team())
        ana.deleted = True

        assert await error_of(client.users_lookupByEmail(email=ana.email or "")) == "users_not_found"
        assert await error_of(client.users_lookupByEmail(email=eve.email or "")) == "users_not_found"
        assert (await client.users_info(user=ana.id))["user"]["deleted"] is True
        stranger = (await client.users_info(user=eve.id))["user"]
        assert stranger["team_id"] != slack.workspace.team_id
        assert "email" not in stranger["profile"]

    async def test_lists_come_in_pages(self, slack: SlackSandbox, client: AsyncWebClient) -> None:
        people = {slack.add_user(f"P{n}").id for n in range(5)}
        room = slack.add_channel("all", [slack.workspace.users[one] for one in people], with_bot=False)

        seen: list[str] = []
        async for page in await client.conversations_members(channel=room.id, limit=2):
            seen += page["members"]

        assert sorted(seen) == sorted(people)
        assert await error_of(client.conversations_members(channel=room.id, cursor="%")) == "invalid_cursor"

    async def test_user_groups(self, slack: SlackSandbox, client: AsyncWebClient, ana: User) -> None:
        group = slack.add_group("oncall", [ana])

        assert (await client.usergroups_users_list(usergroup=group.id))["users"] == [ana.id]
        assert (await client.usergroups_list(include_users=True))["usergroups"][0]["users"] == [ana.id]
        group.disabled = True
        assert await error_of(client.usergroups_users_list(usergroup=group.id)) == "no_such_subteam"

    async def test_private_channels_are_hidden_from_an_app_outside(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        room = slack.add_channel("board", [ana], private=True, with_bot=False)
        assert await error_of(client.conversations_info(channel=room.id)) == "channel_not_found"

        room.members.add(slack.workspace.bot.id)

        assert (await client.conversations_info(channel=room.id))["channel"]["is_private"] is True


class TestMessages:
    async def test_a_message_to_a_person_opens_direct_messages(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        posted = await client.chat_postMessage(channel=ana.id, text="hello")

        assert posted["channel"].startswith("D")
        opened = await client.conversations_open(users=[ana.id], return_im=True)
        assert (opened["channel"]["id"], opened["already_open"]) == (posted["channel"], True)
        assert (
            await error_of(client.chat_update(channel=ana.id, ts=posted["ts"], text="x"))
            == "channel_not_found"
        )
        await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="changed")
        assert [message.text for message in slack.messages(ana)] == ["changed"]

    async def test_whom_it_cannot_reach(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        async def refusal(where: str) -> str:
            return await error_of(client.chat_postMessage(channel=where, text="hello"))

        gone = slack.add_user("Gone", deleted=True)
        outside = slack.add_channel("outside", [ana], with_bot=False)
        assert await refusal(gone.id) == "user_disabled"
        assert await refusal(slack.workspace.bot.id) == "cannot_dm_bot"
        assert await refusal("C404") == "channel_not_found"
        assert (await client.chat_postMessage(channel=outside.id, text="by chat:write.public"))["ok"]
        slack.workspace.scopes.remove("chat:write.public")
        assert await refusal(outside.id) == "not_in_channel"
        ops.archived = True
        assert await refusal(ops.id) == "is_archived"
        assert slack.violations == []

    async def test_only_its_own_messages_can_be_changed(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        await slack.say(ana, ops, "mine")
        (mine,) = slack.messages(ops)

        assert (
            await error_of(client.chat_update(channel=ops.id, ts=mine.ts, text="x")) == "cant_update_message"
        )
        assert (
            await error_of(client.chat_update(channel=ops.id, ts="1.000001", text="x")) == "message_not_found"
        )
        assert await error_of(client.chat_delete(channel=ops.id, ts=mine.ts)) == "cant_delete_message"

    async def test_an_update_without_blocks_keeps_them_and_an_empty_list_takes_them_away(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel
    ) -> None:
        await client.chat_postMessage(channel=ops.id, text="hello", blocks=[{"type": "divider"}])
        message = await slack.next_message(ops)

        await client.chat_update(channel=ops.id, ts=message.ts, text="one")
        assert [block["type"] for block in message.blocks] == ["divider"]
        await client.chat_update(channel=ops.id, ts=message.ts, text="two", blocks=[])
        assert message.blocks == []

    async def test_content_that_slack_would_not_take_is_refused_and_noted(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel
    ) -> None:
        header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
        long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2700}}

        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ops.id, text="t", blocks=[header])
        messages = caught.value.response["response_metadata"]["messages"]
        assert messages == ["[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]"]
        posting = client.chat_postMessage(channel=ops.id, text="t", blocks=[long] * 5)
        assert await error_of(posting) == "msg_blocks_too_long"
        assert await error_of(client.api_call("chat.postMessage", json={"channel": ops.id})) == "no_text"
        ts = (await client.chat_postMessage(channel=ops.id, text="fine"))["ts"]
        assert await error_of(client.chat_update(channel=ops.id, ts=ts, text="x" * 4001)) == "msg_too_long"
        noted = [violation.error for violation in slack.violations]
        assert noted == ["invalid_blocks", "msg_blocks_too_long", "no_text", "msg_too_long"]

    async def test_ephemeral_messages_reach_members_only(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        ben = slack.add_user("Ben")

        await client.chat_postEphemeral(channel=ops.id, user=ana.id, text="psst")

        assert [message.text for message in slack.ephemerals(ana)] == ["psst"]
        assert slack.messages(ops) == []
        refused = client.chat_postEphemeral(channel=ops.id, user=ben.id, text="psst")
        assert await error_of(refused) == "user_not_in_channel"

    async def test_history_needs_its_scope(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel
    ) -> None:
        for text in ("one", "two", "three"):
            await client.chat_postMessage(channel=ops.id, text=text)
        assert await error_of(client.conversations_history(channel=ops.id)) == "missing_scope"

        slack.workspace.scopes.add("channels:history")

        newest = await client.conversations_history(channel=ops.id, limit=2)
        assert ([message["text"] for message in newest["messages"]], newest["has_more"]) == (
            ["three", "two"],
            True,
        )


class TestViews:
    async def test_a_trigger_opens_one_view_within_three_seconds(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, clock: Clock
    ) -> None:
        used, late = (await slack.command(ana, "/approvals")), (await slack.command(ana, "/approvals"))

        await client.views_open(trigger_id=used.trigger_id, view=MODAL)
        assert (await used.view()).title == "Hello"
        again = client.views_open(trigger_id=used.trigger_id, view=MODAL)
        assert await error_of(again) == "exchanged_trigger_id"
        clock.now += 3.1
        assert (
            await error_of(client.views_open(trigger_id=late.trigger_id, view=MODAL)) == "expired_trigger_id"
        )
        assert await error_of(client.views_open(trigger_id="1.2.abc", view=MODAL)) == "invalid_trigger_id"

    async def test_three_modals_stand_on_each_other_and_no_more(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        async def trigger() -> str:
            return (await slack.command(ana, "/approvals")).trigger_id

        first = (await client.views_open(trigger_id=await trigger(), view=MODAL))["view"]
        for _ in range(2):
            top = (await client.views_push(trigger_id=await trigger(), view=MODAL))["view"]
        assert top["root_view_id"] == first["id"]
        pushing = client.views_push(trigger_id=await trigger(), view=MODAL)
        assert await error_of(pushing) == "push_limit_reached"

        await slack.close_view(slack.modals(ana)[-1])

        assert len(slack.modals(ana)) == 2
        assert await error_of(client.views_update(view_id=top["id"], view=MODAL)) == "not_found"

    async def test_a_stale_hash_conflicts(self, client: AsyncWebClient, ana: User) -> None:
        first = (await client.views_publish(user_id=ana.id, view=HOME))["view"]
        await client.views_publish(user_id=ana.id, view=HOME, hash=first["hash"])

        stale = client.views_publish(user_id=ana.id, view=HOME, hash=first["hash"])

        assert await error_of(stale) == "hash_conflict"

    async def test_a_faulty_view_is_named_in_slacks_words(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        typed = await slack.command(ana, "/approvals")
        bad = {**MODAL, "title": {"type": "plain_text", "text": "x" * 25}}

        with pytest.raises(SlackApiError) as caught:
            await client.views_open(trigger_id=typed.trigger_id, view=bad)

        assert caught.value.response["error"] == "invalid_arguments"
        (message,) = caught.value.response["response_metadata"]["messages"]
        assert message == "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
        assert (await client.views_open(trigger_id=typed.trigger_id, view=MODAL))["ok"]


class TestResponseUrls:
    async def test_five_uses_in_half_an_hour(
        self, slack: SlackSandbox, ana: User, ops: Channel, clock: Clock
    ) -> None:
        def new_url() -> str:
            return slack._response_url(ana.id, ops.id)

        url = AsyncWebhookClient(new_url(), retry_handlers=[])
        for number in range(5):
            assert (await url.send(text=f"{number}")).status_code == 200
        assert (await url.send(text="6")).status_code == 404
        old = AsyncWebhookClient(new_url(), retry_handlers=[])
        clock.now += 30 * 60 + 1
        assert "expired_url" in (await old.send(text="late")).body
        assert len(slack.ephemerals(ana)) == 5

    async def test_an_ephemeral_message_is_changed_and_deleted_by_its_response_url(
        self, slack: SlackSandbox, ana: User, ops: Channel, client: AsyncWebClient
    ) -> None:
        await client.chat_postEphemeral(channel=ops.id, user=ana.id, text="psst")
        (message,) = slack.ephemerals(ana)
        url = AsyncWebhookClient(slack._response_url(ana.id, ops.id, message), retry_handlers=[])

        await url.send(text="changed", replace_original=True)
        assert message.text == "changed"
        await url.send(delete_original=True)
        assert slack.ephemerals(ana) == []
        await url.send(text="for all", response_type="in_channel")
        assert [posted.text for posted in slack.messages(ops)] == ["for all"]


class TestFaults:
    async def test_a_rate_limit_says_when_to_come_back(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel
    ) -> None:
        slack.faults.next("chat.postMessage", status=429, retry_after=7)

        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ops.id, text="one")

        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "7"
        await client.chat_postMessage(channel=ops.id, text="two")
        assert [message.text for message in slack.messages(ops)] == ["two"]

    async def test_an_error_of_choice_for_the_calls_of_choice(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        slack.faults.next(
            "*", error="channel_not_found", times=None, where=lambda call: call["channel"] == ops.id
        )

        assert await error_of(client.chat_postMessage(channel=ops.id, text="one")) == "channel_not_found"
        assert (await client.chat_postMessage(channel=ana.id, text="two"))["ok"]
        assert slack.violations == []

    async def test_a_server_error(self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel) -> None:
        slack.faults.next("chat.postMessage", status=503)

        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ops.id, text="one")

        assert caught.value.response.status_code == 503

    @pytest.mark.parametrize(("drop", "done"), [("before", 0), ("after", 1)])
    async def test_a_connection_lost_before_or_after_the_work(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel, drop: Any, done: int
    ) -> None:
        slack.faults.next("chat.postMessage", drop=drop)

        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel=ops.id, text="one")

        assert len(slack.messages(ops)) == done

    async def test_the_default_retry_posts_twice_as_it_does_at_slack(
        self, slack: SlackSandbox, client: AsyncWebClient, ops: Channel
    ) -> None:
        slack.faults.next("chat.postMessage", drop="after")
        client.retry_handlers.append(AsyncConnectionErrorRetryHandler())

        await client.chat_postMessage(channel=ops.id, text="one")

        assert len(slack.messages(ops)) == 2

    async def test_enforced_limits_by_channel_and_by_method(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel, clock: Clock
    ) -> None:
        slack.api.enforce_limits = True

        await client.chat_postMessage(channel=ops.id, text="one")
        assert await error_of(client.chat_postMessage(channel=ops.id, text="two")) == "ratelimited"
        await client.chat_postMessage(channel=ana.id, text="elsewhere")
        clock.now += 1
        await client.chat_postMessage(channel=ops.id, text="two")
        for _ in range(20):
            await client.usergroups_list()
        assert await error_of(client.usergroups_list()) == "ratelimited"
        assert len(slack.calls("usergroups.list")) == 21
