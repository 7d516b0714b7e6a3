"""The sandbox in a browser: what a person of `assent demo` sees and does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from playwright.async_api import expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack.sandbox import SlackSandbox
from tests.support.browser import PHONE_WIDTH, open_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, Route

    from bot.sandbox.slack.workspace import Channel, Json, User


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def button(label: str, **members: Any) -> Json:
    return {"type": "button", "text": plain(label), "action_id": label.lower(), "value": "r1", **members}


SURE = {
    "title": plain("Sure?"),
    "text": plain("There is no way back."),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}
CARD = [
    {"type": "header", "text": plain("Deploy to production?")},
    {"type": "actions", "elements": [button("Approve"), button("Reject"), button("Skip", confirm=SURE)]},
]
MODAL = {
    "type": "modal",
    "callback_id": "reason",
    "title": plain("Reject"),
    "submit": plain("Send"),
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": plain("Reason"),
            "element": {"type": "plain_text_input", "action_id": "reason"},
        }
    ],
}


class App:
    """Answers over Socket Mode as an approval app does."""

    def __init__(self, slack: SlackSandbox) -> None:
        self.client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        self.slack = slack
        self.actions: list[str] = []
        self.said: list[Json] = []

    async def run(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            envelope = frame.json()
            if "envelope_id" in envelope:
                ack = {"envelope_id": envelope["envelope_id"]}
                await socket.send_json(ack | await self.answer(envelope["payload"]))

    async def answer(self, payload: Json) -> Json:
        if payload["type"] == "event_callback":
            self.said.append(payload["event"])
            return {}
        if payload["type"] == "view_submission":
            value = payload["view"]["state"]["values"]["why"]["reason"]["value"]
            errors = {"response_action": "errors", "errors": {"why": "Say more."}}
            return {"payload": errors} if value == "no" else {}
        action = payload["actions"][0]["action_id"]
        self.actions.append(action)
        if action == "reject":
            await self.client.views_open(trigger_id=payload["trigger_id"], view=MODAL)
        if action == "approve":
            channel, ts = payload["channel"]["id"], payload["container"]["message_ts"]
            await self.client.chat_update(channel=channel, ts=ts, text="Approved by Ana", blocks=[])
        return {}


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def app(slack: SlackSandbox) -> AsyncIterator[App]:
    running = App(slack)
    async with aiohttp.ClientSession() as session, session.ws_connect(slack.sockets.open_url()) as socket:
        await socket.receive_json()
        task = asyncio.create_task(running.run(socket))
        yield running
        await socket.close()
        await task


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana")


@pytest.fixture
def ops(slack: SlackSandbox, ana: User) -> Channel:
    return slack.add_channel("ops", [ana, slack.add_user("Ben")])


async def test_a_card_is_answered_in_the_browser_and_changes_before_ones_eyes(
    slack: SlackSandbox, app: App, page: Page, ana: User
) -> None:
    await page.goto(slack.origin)
    await app.client.chat_postMessage(channel=ana.id, text="Deploy?", blocks=CARD)

    await expect(page.get_by_role("heading", name="Deploy to production?")).to_be_visible()
    await page.get_by_role("button", name="Approve").click()

    await expect(page.get_by_text("Approved by Ana")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)


async def test_a_modal_shows_faults_at_the_field_and_keeps_what_was_typed(
    slack: SlackSandbox, app: App, page: Page, ana: User
) -> None:
    await app.client.chat_postMessage(channel=ana.id, text="Deploy?", blocks=CARD)
    await page.goto(slack.origin)
    await page.get_by_role("button", name="Reject").click()
    modal = page.get_by_role("dialog", name="Reject")

    await modal.get_by_role("button", name="Send").click()
    await expect(modal.get_by_role("alert")).to_have_text("Please complete this required field.")
    await modal.get_by_label("Reason").fill("no")
    await page.keyboard.press("Enter")
    await expect(modal.get_by_role("alert")).to_have_text("Say more.")
    await expect(modal.get_by_label("Reason")).to_have_value("no")
    await expect(modal.get_by_label("Reason")).to_be_focused()
    await modal.get_by_label("Reason").fill("not on a Friday")
    await page.keyboard.press("Enter")

    await expect(modal).to_have_count(0)
    assert slack.modals(ana) == []


async def test_a_reply_goes_into_the_thread_of_its_message_and_the_app_hears_of_it(
    slack: SlackSandbox, app: App, page: Page, ana: User
) -> None:
    asked = await app.client.chat_postMessage(channel=ana.id, text="Which order?")
    await page.goto(slack.origin)
    await page.get_by_role("button", name="Reply in thread").click()
    await expect(page.get_by_text("Replying in the thread of “Which order?”")).to_be_visible()

    await page.get_by_label("Message", exact=True).fill("Order 5531")
    await page.keyboard.press("Enter")

    await expect(page.get_by_text("↳ In the thread of “Which order?”")).to_be_visible()
    await expect(page.get_by_text("Replying in the thread")).to_be_hidden()
    [said] = app.said
    assert (said["type"], said["channel_type"], said["user"]) == ("message", "im", ana.id)
    assert (said["text"], said["thread_ts"]) == ("Order 5531", asked["ts"])


async def test_a_confirmation_is_asked_first(slack: SlackSandbox, app: App, page: Page, ana: User) -> None:
    await app.client.chat_postMessage(channel=ana.id, text="Deploy?", blocks=CARD)
    await page.goto(slack.origin)

    await page.get_by_role("button", name="Skip").click()
    await page.get_by_role("button", name="No").click()
    await page.get_by_role("button", name="Skip").click()
    await page.get_by_role("button", name="Yes").click()

    await slack.wait_for(lambda: app.actions)
    assert app.actions == ["skip"]


async def test_each_colleague_sees_what_is_theirs(
    slack: SlackSandbox, app: App, page: Page, ana: User, ops: Channel
) -> None:
    await app.client.chat_postMessage(channel=ana.id, text="for Ana", blocks=CARD)
    await app.client.chat_postMessage(channel=ops.id, text="for everybody")
    await app.client.chat_postEphemeral(channel=ops.id, user=ana.id, text="between us")
    await page.goto(slack.origin)
    await expect(page.get_by_role("heading", name="Deploy to production?")).to_be_visible()

    await page.get_by_role("button", name="ops").click()
    await expect(page.get_by_text("between us")).to_be_visible()
    await page.get_by_label("You are").select_option(label="Ben")
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await page.get_by_role("button", name="ops").click()

    await expect(page.get_by_text("for everybody")).to_be_visible()
    await expect(page.get_by_text("between us")).to_have_count(0)


async def test_who_was_chosen_stays_whatever_comes_late(
    slack: SlackSandbox, app: App, page: Page, ana: User, ops: Channel
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await answer.wait()
        await route.continue_()

    await app.client.chat_postMessage(channel=ops.id, text="for everybody")
    await page.goto(slack.origin)
    await page.get_by_role("button", name="ops").click()
    await expect(page.get_by_text("for everybody")).to_be_visible()
    await page.route(f"**/seen?user={ana.id}", late)
    await app.client.chat_postEphemeral(channel=ops.id, user=ana.id, text="between us")
    await asked.wait()
    await page.get_by_label("You are").select_option(label="Ben")
    await page.get_by_role("button", name="ops").click()
    answer.set()

    await expect(page.get_by_text("for everybody")).to_be_visible()
    await expect(page.get_by_label("You are").locator("option:checked")).to_have_text("Ben")
    await expect(page.get_by_text("between us")).to_have_count(0)
    assert "user=" + ana.id not in page.url


async def test_text_from_a_message_never_becomes_markup(
    slack: SlackSandbox, app: App, page: Page, ana: User
) -> None:
    nasty = "<img src=x onerror=alert(1)> &lt;b&gt;bold&lt;/b&gt; <javascript:alert(1)|click> `<i>`"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": nasty}}
    await app.client.chat_postMessage(channel=ana.id, text=nasty, blocks=[section])
    await page.goto(slack.origin)
    article = page.get_by_role("article")

    await expect(article.get_by_text("<b>bold</b>")).to_be_visible()
    assert await article.locator("a, .block img, .block b, .block i").count() == 0


async def test_dates_are_in_the_time_zone_of_who_looks(
    slack: SlackSandbox, app: App, page: Page, ana: User
) -> None:
    ana.tz = "Asia/Tokyo"
    section = {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "<!date^1790000000^{date_num} {time}|later>"},
    }
    await app.client.chat_postMessage(channel=ana.id, text="when", blocks=[section])

    await page.goto(slack.origin)

    await expect(page.get_by_text("09/21/2026 23:13")).to_be_visible()


async def test_a_phone_reaches_everything(
    slack: SlackSandbox, app: App, browser: Browser, ops: Channel
) -> None:
    await app.client.chat_postMessage(channel=ops.id, text="Deploy?", blocks=CARD)
    page = await open_page(browser, width=PHONE_WIDTH)
    await page.goto(slack.origin)

    await page.get_by_role("button", name="Conversations").click()
    await page.get_by_role("button", name="ops").click()

    await expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE_WIDTH


async def test_another_site_cannot_act_in_it(slack: SlackSandbox, ana: User) -> None:
    async with aiohttp.ClientSession() as session:
        form = await session.post(
            f"{slack.origin}/do/say", data={"user": ana.id, "channel": "C", "text": "hi"}
        )
        unknown = await session.post(f"{slack.origin}/do/close", json={"user": ana.id, "view": "V404"})

    assert form.status == 415
    assert unknown.status == 400
