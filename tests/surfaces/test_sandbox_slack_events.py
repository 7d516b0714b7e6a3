"""What the sandbox sends to an app: signatures, payloads, retries, Socket Mode envelopes."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.sandbox import SlackSandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.workspace import Channel, Message, User


def option(label: str, value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": label}, "value": value}


CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Deploy?*"}},
    {
        "type": "actions",
        "block_id": "buttons",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "style": "primary",
                "text": {"type": "plain_text", "text": "Approve"},
                "value": "req_1:1",
            },
            {
                "type": "static_select",
                "action_id": "size",
                "placeholder": {"type": "plain_text", "text": "Size"},
                "options": [option("Small", "s"), option("Large", "l")],
            },
            {"type": "overflow", "action_id": "more", "options": [option("Details", "d")]},
        ],
    },
]


def field_of(label: str, element: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": label.lower(),
        "label": {"type": "plain_text", "text": label},
        "element": {"action_id": "it", **element},
        **members,
    }


FORM = {
    "type": "modal",
    "callback_id": "form",
    "private_metadata": "req_1",
    "notify_on_close": True,
    "title": {"type": "plain_text", "text": "Edit"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        field_of("Reason", {"type": "plain_text_input", "max_length": 10}, optional=True),
        field_of("Amount", {"type": "number_input", "is_decimal_allowed": False, "min_value": "1"}),
        field_of("Mail", {"type": "email_text_input", "initial_value": "ana@example.com"}),
        field_of("Size", {"type": "radio_buttons", "options": [option("Small", "s"), option("Large", "l")]}),
        field_of(
            "Tell", {"type": "checkboxes", "options": [option("Ben", "b"), option("Chi", "c")]}, optional=True
        ),
    ],
}


@dataclass
class Recorder:
    """An app that keeps what it gets and answers what it is told to."""

    requests: list[tuple[dict[str, str], str]] = field(default_factory=list)
    answer: Any = None
    statuses: list[int] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.text()))
        status = self.statuses.pop(0) if self.statuses else 200
        if self.answer is None:
            return web.Response(status=status)
        return web.json_response(self.answer, status=status)

    def payload(self, number: int = -1) -> dict[str, Any]:
        """The interactive payload of one request."""
        payload: dict[str, Any] = json.loads(parse_qs(self.requests[number][1])["payload"][0])
        return payload


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox(ack_seconds=0.5) as sandbox:
        yield sandbox


@pytest.fixture
async def app(slack: SlackSandbox) -> AsyncIterator[Recorder]:
    recorder = Recorder()
    application = web.Application()
    application.router.add_post("/slack/events", recorder.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.app_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield recorder
    await runner.cleanup()


@pytest.fixture
def client(slack: SlackSandbox) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana])


@pytest.fixture
async def card(slack: SlackSandbox, client: AsyncWebClient, ops: Channel) -> Message:
    await client.chat_postMessage(channel=ops.id, text="Deploy?", blocks=CARD)
    return await slack.next_message(ops)


async def test_every_post_is_signed(slack: SlackSandbox, app: Recorder, ana: User) -> None:
    await slack.command(ana, "/approvals", "all")

    (headers, body) = app.requests[0]
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    assert not SignatureVerifier("another secret").is_valid_request(body, headers)


async def test_a_click_carries_what_was_clicked_by_whom_and_where(
    slack: SlackSandbox, app: Recorder, ana: User, ops: Channel, card: Message
) -> None:
    click = await slack.click(ana, card, "Approve")

    payload = app.payload()
    assert payload["type"] == "block_actions"
    assert payload["user"] == {
        "id": ana.id,
        "username": "ana",
        "name": "ana",
        "team_id": slack.workspace.team_id,
    }
    assert payload["team"]["id"] == slack.workspace.team_id
    assert payload["channel"] == {"id": ops.id, "name": "ops"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": card.ts,
        "channel_id": ops.id,
        "is_ephemeral": False,
    }
    assert payload["message"]["blocks"] == card.blocks
    assert payload["trigger_id"] == click.trigger_id
    assert payload["response_url"].startswith(slack.origin)
    (action,) = payload["actions"]
    assert action.pop("action_ts")
    assert action == {
        "type": "button",
        "action_id": "approve",
        "block_id": "buttons",
        "text": {"type": "plain_text", "text": "Approve"},
        "value": "req_1:1",
        "style": "primary",
    }


async def test_selects_carry_the_option_and_stay_selected(
    slack: SlackSandbox, app: Recorder, ana: User, card: Message
) -> None:
    await slack.click(ana, card, "size", choose="Large")

    payload = app.payload()
    assert payload["actions"][0]["selected_option"] == option("Large", "l")
    assert payload["state"]["values"]["buttons"]["size"]["selected_option"] == option("Large", "l")

    await slack.click(ana, card, "more", choose="Details")
    assert app.payload()["actions"][0]["selected_option"]["value"] == "d"
    with pytest.raises(LookupError, match="no option 'Huge', only: Small, Large"):
        await slack.click(ana, card, "size", choose="Huge")
    with pytest.raises(LookupError, match="there is no 'Reject' here, only: Approve, approve"):
        await slack.click(ana, card, "Reject")


async def test_a_person_of_another_organisation_is_seen_as_one(
    slack: SlackSandbox, app: Recorder, ops: Channel, card: Message
) -> None:
    eve = slack.add_user("Eve", team=slack.add_team())
    ops.members.add(eve.id)

    await slack.click(eve, card, "Approve")

    assert app.payload()["user"]["team_id"] == eve.team_id != slack.workspace.team_id


async def test_a_click_on_an_ephemeral_message_comes_without_the_message(
    slack: SlackSandbox, app: Recorder, client: AsyncWebClient, ana: User, ops: Channel
) -> None:
    await client.chat_postEphemeral(channel=ops.id, user=ana.id, text="Deploy?", blocks=CARD)
    (message,) = slack.ephemerals(ana)

    await slack.click(ana, message, "Approve")

    assert app.payload()["container"]["is_ephemeral"] is True
    assert "message" not in app.payload()


async def test_a_command_is_a_form(slack: SlackSandbox, app: Recorder, ana: User, ops: Channel) -> None:
    await slack.say(ana, ops, "/approvals show #ops")

    fields = {name: value[0] for name, value in parse_qs(app.requests[0][1]).items()}
    assert fields["command"] == "/approvals"
    assert fields["text"] == f"show <#{ops.id}|ops>"
    assert (fields["user_id"], fields["channel_name"]) == (ana.id, "ops")


class TestForms:
    @pytest.fixture
    async def form(self, slack: SlackSandbox, app: Recorder, client: AsyncWebClient, ana: User) -> Any:
        typed = await slack.command(ana, "/approvals")
        await client.views_open(trigger_id=typed.trigger_id, view=FORM)
        return await typed.view()

    async def test_what_was_filled_in_arrives_as_state(
        self, slack: SlackSandbox, app: Recorder, form: Any
    ) -> None:
        await slack.submit(form, {"Amount": 12, "Size": "Large", "Tell": ["Ben"]})

        view = app.payload()["view"]
        assert (app.payload()["type"], view["callback_id"], view["private_metadata"]) == (
            "view_submission",
            "form",
            "req_1",
        )
        assert view["state"]["values"] == {
            "reason": {"it": {"type": "plain_text_input", "value": None}},
            "amount": {"it": {"type": "number_input", "value": "12"}},
            "mail": {"it": {"type": "email_text_input", "value": "ana@example.com"}},
            "size": {"it": {"type": "radio_buttons", "selected_option": option("Large", "l")}},
            "tell": {"it": {"type": "checkboxes", "selected_options": [option("Ben", "b")]}},
        }

    async def test_slacks_client_checks_the_fields_itself(
        self, slack: SlackSandbox, app: Recorder, form: Any
    ) -> None:
        before = len(app.requests)

        tried = await slack.submit(form, {"Reason": "x" * 11, "Amount": 0, "Mail": "nobody"})

        assert tried.errors == {
            "Reason": "Please enter at most 10 characters.",
            "Amount": "Please enter a number of at least 1.",
            "Mail": "Please enter a valid email address.",
            "Size": "Please complete this required field.",
        }
        assert len(app.requests) == before

    @pytest.mark.parametrize(
        ("answer", "titles"),
        [
            (None, []),
            ({"response_action": "clear"}, []),
            (
                {
                    "response_action": "update",
                    "view": {**FORM, "title": {"type": "plain_text", "text": "New"}},
                },
                ["New"],
            ),
            ({"response_action": "push", "view": FORM}, ["Edit", "Edit"]),
            ({"response_action": "errors", "errors": {"amount": "Too much."}}, ["Edit"]),
        ],
    )
    async def test_the_answer_says_what_becomes_of_the_form(
        self, slack: SlackSandbox, app: Recorder, form: Any, answer: Any, titles: list[str]
    ) -> None:
        app.answer = answer

        await slack.submit(form, {"Amount": 1, "Size": "Small"})

        assert [view.title for view in slack.modals(slack.workspace.users[form.user])] == titles
        assert slack.violations == []

    @pytest.mark.parametrize(
        "answer",
        [
            {"response_action": "errors", "errors": {"nowhere": "x"}},
            {"response_action": "errors"},
            {"response_action": "dance"},
            {"response_action": "update", "view": {"type": "modal"}},
            {"ok": True},
        ],
    )
    async def test_an_answer_that_slack_would_not_take_keeps_the_form_open(
        self, slack: SlackSandbox, app: Recorder, ana: User, form: Any, answer: Any
    ) -> None:
        app.answer = answer

        submitted = await slack.submit(form, {"Amount": 1, "Size": "Small"})

        assert submitted.shown == "We had some trouble connecting. Try again?"
        assert slack.modals(ana) == [form]
        assert [violation.where for violation in slack.violations] == ["view_submission"]

    async def test_closing_tells_the_app_that_asked_for_it(
        self, slack: SlackSandbox, app: Recorder, ana: User, form: Any
    ) -> None:
        await slack.close_view(form)

        assert (app.payload()["type"], app.payload()["is_cleared"]) == ("view_closed", False)
        assert slack.modals(ana) == []


async def test_an_event_not_acknowledged_is_sent_again(slack: SlackSandbox, app: Recorder, ana: User) -> None:
    app.statuses = [500, 500]

    ack = await slack.open_home(ana)

    assert ack.ok
    assert [headers.get("X-Slack-Retry-Num") for headers, _ in app.requests] == [None, "1", "2"]
    bodies = {body for _, body in app.requests}
    assert len(bodies) == 1
    event = json.loads(bodies.pop())
    assert (event["type"], event["event"]["type"], event["event"]["user"]) == (
        "event_callback",
        "app_home_opened",
        ana.id,
    )


async def test_nobody_there_is_told_to_the_person(slack: SlackSandbox, ana: User) -> None:
    typed = await slack.command(ana, "/approvals")

    assert typed.ack.status is None
    assert typed.shown == "/approvals failed with the error “dispatch_failed”."


class TestSocketMode:
    @asynccontextmanager
    async def connected(self, slack: SlackSandbox) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        opened = await AsyncWebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)
        async with aiohttp.ClientSession() as session, session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            yield socket

    async def test_a_connection_url_works_once(self, slack: SlackSandbox) -> None:
        url = slack.sockets.open_url()
        async with aiohttp.ClientSession() as session, session.ws_connect(url):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)

    async def test_several_connections_take_turns(self, slack: SlackSandbox, ana: User) -> None:
        async with self.connected(slack) as one, self.connected(slack) as two:
            for socket in (one, two):
                typing = asyncio.create_task(slack.command(ana, "/approvals"))
                envelope = await socket.receive_json()
                await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "hello"}})
                assert (envelope["type"], envelope["payload"]["command"]) == ("slash_commands", "/approvals")
                assert (await (await typing).ephemeral()).text == "hello"

    async def test_a_connection_lost_before_the_acknowledgement(self, slack: SlackSandbox, ana: User) -> None:
        async with self.connected(slack) as socket:
            typing = asyncio.create_task(slack.command(ana, "/approvals"))
            await socket.receive_json()
            await socket.close()
            assert (await typing).shown is not None

    async def test_slack_asks_a_connection_to_go(self, slack: SlackSandbox) -> None:
        async with self.connected(slack) as socket:
            going = asyncio.create_task(slack.sockets.disconnect("refresh_requested"))
            assert (await socket.receive_json())["reason"] == "refresh_requested"
            assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
            await going

    async def test_no_more_than_ten_connections(self, slack: SlackSandbox) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(10):
                await stack.enter_async_context(self.connected(slack))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            eleventh = await session.ws_connect(slack.sockets.open_url())
            assert (await eleventh.receive_json())["reason"] == "too_many_websockets"
