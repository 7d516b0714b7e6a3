"""The nastiest texts anybody may write, on every surface at once: readable there, and harmless."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from bot.sandbox.slack.block_kit.mrkdwn import live_parts
from tests.support import command
from tests.support.cards import decided
from tests.support.product import KEY, Product, running
from tests.support.slack_requests import NASTY as SLACKS_NASTY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from bot.sandbox.mail.relay import Mail, Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.product import Json

HEADER = "Refund\r\nBcc: evil@example.com\r\nContent-Type: text/html\r\n\r\n<h1>owned</h1>"
TEXTS = {name: text.replace("\x00", "") for name, text in SLACKS_NASTY.items() if text.strip()} | {
    "header injection": HEADER,
    "encoded words": "=?utf-8?q?a=0D=0ABcc:_evil=40example.com?= =?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5jb20=?=",
    "markdown links": "[click](javascript:alert(1)) ![i](http://evil.example/p.png) <http://evil.example|bank>",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} %s {0} \\u0041",
    "terminal": "\x1b]0;owned\x07\x9b2J\x1b[2J[red]now[/red]\u2028line\x7f\x08\x08",
    "astral": "𝕳𝖊𝖑𝖑𝖔 \U000e0041\U0010ffff \ufeff\u200b\u00ad" * 40,
    "quotes": "\"'`</title></textarea></script><svg onload=alert(1)>",
    "a dot": ".\r\n.\r\nQUIT\r\n",
}
DRIVES_A_TERMINAL = {"terminal", "controls", "right to left"}
HEADERS = Counter(
    [
        *("Date", "From", "To", "Message-ID", "In-Reply-To", "References", "Subject"),
        *("Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"),
    ]
)
UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
ANA = "ana@example.com"
SOURCE = "https://ci.example.com/"


@pytest.fixture
async def product(sqlite_url: str, slack: SlackSandbox, mailbox: Mailbox) -> AsyncIterator[Product]:
    async with running(sqlite_url, slack=slack, mailbox=mailbox) as product:
        yield product


def fields(text: str) -> dict[str, Any]:
    """A request in which everything free is `text`."""
    return {
        "title": text,
        "message": text,
        "details": {f"{i} {text[:100]}": text[:100] for i in range(200)},
        "payload": {"text": text, text[:100]: [text[:100]]},
        "labels": {text[:100]: text[:100]},
        "requester": text[:200].strip(),
        "source_url": f"{SOURCE}run/1?<script>&x=<!channel>",
        "timeout_seconds": 3600,
    }


class Elements(HTMLParser):
    """Whatever in an HTML text could run, load, or lead somewhere that is no web page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.harmful: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "img", "svg", "iframe", "object", "embed", "form", "input", "link", "base"}:
            self.harmful.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (name == "href" and not (value or "").startswith("http")):
                self.harmful.append(f"{tag} {name}={value}")


def is_safe(mail: Mail) -> None:
    """It has exactly the headers that were meant, two parts, one recipient, and one link."""
    parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert Counter(parsed.keys()) == HEADERS
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert parsed["To"] == mail.recipient
    assert parsed.defects == []
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998
    assert "\r" not in str(parsed["Subject"])
    assert not UNSAFE.search(str(parsed["Subject"]))
    assert Elements(mail.html).harmful == []
    assert mail.link


async def slack_shows_it_safely(slack: SlackSandbox, request: Json, ana: User, card: Message) -> None:
    """Card, details, inbox and commands pass Slack's rules (the sandbox notes what does not) and ping nobody."""
    modal = await (await slack.click(ana, card, "Details")).view()
    await slack.close_view(modal)
    await slack.open_home(ana)
    home = await slack.wait_for(lambda: slack.home(ana))
    assert home
    shown = [(card.text, card.blocks), ("", modal.blocks), ("", home.blocks)]
    for typed in ("", "all", f"show {request['id']}"):
        answer = await (await slack.command(ana, "/approvals", typed)).ephemeral()
        shown.append((answer.text, answer.blocks))
    assert [part for text, blocks in shown for part in pings_or_leads_away(text, blocks)] == []
    assert {"Review…", "Reject", "Details"} <= set(card.buttons)  # not all of it stands on the card


def pings_or_leads_away(text: str, blocks: list[Json]) -> list[str]:
    return [part for part in live_parts(text, blocks) if not part.startswith(SOURCE)]


async def test_whatever_is_written_is_harmless_everywhere(
    product: Product, slack: SlackSandbox, mailbox: Mailbox, page: Page, subtests: pytest.Subtests
) -> None:
    for number, (name, text) in enumerate(TEXTS.items()):
        with subtests.test(name):
            address = f"ana{number}@example.com"
            ana, colleague = slack.add_user("Ana", email=address), slack.add_user(text[:80])
            request = await product.submit(audience=[address, f"slack:{colleague.id}"], **fields(text))
            assert request["title"] == text.strip()
            assert request["unreachable"] == []

            card = await slack.next_message(ana)
            await slack_shows_it_safely(slack, request, ana, card)
            asked = await mailbox.next_message(address)
            is_safe(asked)
            await somebody_rejects_it_on_its_page(page, asked.link, reason=text[:2000])

            await decided(slack, card)
            assert "Rejected by Ana" in card.words
            assert pings_or_leads_away(card.text, card.blocks) == []
            receipt = await mailbox.next_message(address)
            is_safe(receipt)
            assert "You rejected this at" in receipt.text
            if name in DRIVES_A_TERMINAL:
                await command_prints_safely(product, "show", request["id"])
    await command_prints_safely(product, "list")
    assert mailbox.messages("evil@example.com") == []


async def command_prints_safely(product: Product, *arguments: str) -> None:
    done = await command.run(*arguments, ASSENT_URL=product.url, ASSENT_API_KEY=KEY)
    assert done.status == 0, done.err
    assert "rejected by Ana" in " ".join(done.out.split())
    isolated = re.sub("\u2068([^\u2066-\u2069]*)\u2069", r"\1", done.out)
    assert not UNSAFE.search(isolated)


async def somebody_rejects_it_on_its_page(page: Page, link: str, reason: str) -> None:
    """The page runs nothing, loads nothing from elsewhere, and takes the answer."""
    wrong: list[str] = []
    page.once("dialog", lambda dialog: wrong.append(dialog.message))
    page.once("console", lambda message: wrong.append(message.text))
    page.on("request", lambda sent: wrong.append(sent.url) if "127.0.0.1" not in sent.url else None)
    await page.goto(link)
    harmful = page.locator("script, img, svg, iframe, main h1 b, a[href^='javascript']")
    await expect(harmful).to_have_count(0)
    await page.get_by_label("Reject").check()
    await page.get_by_label("Reason").fill(reason)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your answer is recorded")
    assert wrong == []


ROWS = 5_000


async def test_a_payload_of_half_a_megabyte(
    product: Product, slack: SlackSandbox, mailbox: Mailbox, page: Page
) -> None:
    ana = slack.add_user("Ana", email=ANA)
    payload = {
        "rows": [{"id": i, "text": "All work and no play makes Jack a dull boy, " * 2} for i in range(ROWS)]
    }
    request = await product.submit(audience=[ANA], payload=payload)
    card = await slack.next_message(ana)
    modal = await (await slack.click(ana, card, "Details")).view()
    assert "All work" in modal.words
    assert request["payload_digest"] in modal.words
    asked = await mailbox.next_message(ANA)
    is_safe(asked)
    assert len(asked.raw) < 200_000
    assert request["payload_digest"] in asked.text
    shown = await command.run("show", request["id"], ASSENT_URL=product.url, ASSENT_API_KEY=KEY)
    assert shown.out.count("All work and no play") == 2 * ROWS
    await page.goto(asked.link)
    assert (await page.content()).count("All work and no play") == 2 * 2 * ROWS  # as values, and as data
    review = await (await slack.click(ana, card, "Review…")).view()
    read = review.words
    while review.body.get("submit", {}).get("text") == "Next part":
        await slack.submit(review, {})
        read += review.words
    assert read.count("All work and no play") >= 2 * ROWS - 200  # some may be broken between two parts
    await slack.submit(review, {})
    await slack.wait_for(lambda: not card.buttons)
    stored = await product.get(request)
    assert stored["outcome"]["payload"] == payload


@pytest.mark.parametrize(
    "body",
    [b'{"title": "a\\u0000b"}', b'{"title": "\\ud800"}', b'{"title": NaN}', b"\xff", b"[" * 100_000],
    ids=["NUL", "surrogate", "NaN", "no UTF-8", "deep"],
)
async def test_what_cannot_be_stored_is_refused(product: Product, body: bytes) -> None:
    answer = await product.call(
        "POST", "/v1/requests", data=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.json["code"]) == (400, "malformed")
