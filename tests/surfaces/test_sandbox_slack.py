"""The Slack sandbox as Slack's own client and framework see it, over HTTP and Socket Mode."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.sandbox import SlackSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.workspace import Channel, User


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox(ack_seconds=0.5) as sandbox:
        yield sandbox


@pytest.fixture
def client(slack: SlackSandbox) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana])


def card(*labels: str) -> list[dict[str, Any]]:
    buttons = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": label},
            "action_id": label.lower(),
            "value": "r1",
        }
        for label in labels
    ]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": "*Deploy?*"}}] + (
        [{"type": "actions", "elements": buttons}] if buttons else []
    )


REASON_MODAL = {
    "type": "modal",
    "callback_id": "reason",
    "title": {"type": "plain_text", "text": "Reject"},
    "submit": {"type": "plain_text", "text": "Reject"},
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "reason"},
        }
    ],
}


def new_bolt(slack: SlackSandbox) -> AsyncApp:
    app = AsyncApp(
        client=AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[]),
        signing_secret=slack.signing_secret,
    )

    @app.action("approve")
    async def approve(ack: Any, body: dict[str, Any], client: AsyncWebClient, respond: Any) -> None:
        await ack()
        await client.chat_update(
            channel=body["channel"]["id"],
            ts=body["container"]["message_ts"],
            text="approved",
            blocks=[
                {"type": "section", "text": {"type": "plain_text", "text": f"Approved: {body['user']['id']}"}}
            ],
        )
        await respond("Recorded", replace_original=False)

    @app.action("reject")
    async def reject(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=REASON_MODAL)

    @app.view("reason")
    async def reason(ack: Any, view: dict[str, Any], client: AsyncWebClient, body: dict[str, Any]) -> None:
        value = view["state"]["values"]["why"]["reason"]["value"]
        if value == "no":
            await ack(response_action="errors", errors={"why": "Say more."})
            return
        await ack()
        await client.chat_postMessage(channel=body["user"]["id"], text=f"because {value}")

    @app.command("/approvals")
    async def approvals(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"{command['text']} in {command['channel_id']}")

    @app.event("app_home_opened")
    async def home(event: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": card("Approve")})

    return app


@asynccontextmanager
async def over_http(slack: SlackSandbox) -> AsyncIterator[None]:
    bolt = new_bolt(slack)

    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await bolt.async_dispatch(await to_bolt_request(request)))

    application = web.Application()
    application.router.add_post("/slack/events", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.app_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def over_sockets(slack: SlackSandbox) -> AsyncIterator[None]:
    client = AsyncWebClient(base_url=slack.api_url)
    handler = AsyncSocketModeHandler(new_bolt(slack), slack.app_token, web_client=client)
    await handler.connect_async()
    await slack.wait_for(lambda: slack.sockets.connections)
    try:
        yield
    finally:
        await handler.close_async()


@pytest.fixture(params=[over_http, over_sockets])
async def app(request: pytest.FixtureRequest, slack: SlackSandbox) -> AsyncIterator[None]:
    async with request.param(slack):
        yield


@pytest.mark.usefixtures("app")
class TestAppOverBothTransports:
    async def test_a_click_updates_the_card_and_answers_the_clicker_alone(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        await client.chat_postMessage(channel=ops.id, text="Deploy?", blocks=card("Approve", "Reject"))
        message = await slack.next_message(ops)
        assert message.buttons == ["Approve", "Reject"]

        click = await slack.click(ana, message, "Approve")

        assert click.ack.ok
        assert click.shown is None
        assert (await click.ephemeral()).text == "Recorded"
        assert message.words == f"Approved: {ana.id}"
        assert message.edited
        assert slack.violations == []

    async def test_a_modal_takes_a_reason_and_says_what_is_wrong_with_it(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User
    ) -> None:
        await client.chat_postMessage(channel=ana.id, text="Deploy?", blocks=card("Reject"))
        click = await slack.click(ana, await slack.next_message(ana), "Reject")
        modal = await click.view()
        assert modal.labels == ["Reason"]

        empty = await slack.submit(modal)
        short = await slack.submit(modal, {"Reason": "no"})

        assert empty.errors == {"Reason": "Please complete this required field."}
        assert empty.ack.status is None  # Slack's client never sends an incomplete form
        assert (short.response_action, short.errors) == ("errors", {"Reason": "Say more."})
        assert slack.modals(ana) == [modal]

        done = await slack.submit(modal, {"Reason": "too late today"})

        assert done.errors == {}
        assert slack.modals(ana) == []
        assert (await slack.next_message(ana)).text == "because too late today"

    async def test_a_command_is_escaped_and_its_answer_is_for_one_person(
        self, slack: SlackSandbox, ana: User, ops: Channel
    ) -> None:
        ben = slack.add_user("Ben")
        typed = await slack.command(ana, "/approvals", "delegate @ben a<b", channel=ops)

        answer = await typed.ephemeral()

        assert answer.text == f"delegate <@{ben.id}|ben> a&lt;b in {ops.id}"
        assert slack.ephemerals(ben) == []

    async def test_the_home_tab_is_published_when_it_is_opened(self, slack: SlackSandbox, ana: User) -> None:
        await slack.open_home(ana)

        home = await slack.wait_for(lambda: slack.home(ana))

        assert home is not None
        assert home.buttons == ["Approve"]

    async def test_a_click_that_arrives_twice_reaches_the_app_twice(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        await client.chat_postMessage(channel=ops.id, text="Deploy?", blocks=card("Approve"))
        slack.faults.twice()

        await slack.click(ana, await slack.next_message(ops), "Approve")

        await slack.wait_for(lambda: len(slack.calls("chat.update")) == 2)

    async def test_an_action_nobody_listens_to_tells_the_clicker(
        self, slack: SlackSandbox, client: AsyncWebClient, ana: User, ops: Channel
    ) -> None:
        await client.chat_postMessage(channel=ops.id, text="Deploy?", blocks=card("Unheard"))

        click = await slack.click(ana, await slack.next_message(ops), "Unheard")

        assert not click.ack.ok
        assert click.shown == "This app did not respond. Try again."


async def test_it_can_be_mounted_in_another_application() -> None:
    slack = SlackSandbox()
    application = web.Application()
    application.add_subapp("/slack/", slack.application())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.mounted_at(f"http://127.0.0.1:{runner.addresses[0][1]}/slack")
    try:
        ana = slack.add_user("Ana")
        async with over_sockets(slack):
            typed = await slack.command(ana, "/approvals", "all")
            assert (await typed.ephemeral()).text.startswith("all in D")
    finally:
        await runner.cleanup()
