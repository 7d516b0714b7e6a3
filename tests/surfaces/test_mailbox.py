"""The mailbox of the sandbox: what it took, and its page."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiosmtplib
import pytest
from aiohttp import ClientSession, StreamReader, web

from bot.sandbox.mail.page import mail_page
from bot.sandbox.mail.relay import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

LINK = "http://127.0.0.1:8080/r/abcdefghijklmnopqrstuvwxyz234567abcdefg"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def address(mailbox: Mailbox) -> AsyncIterator[str]:
    """The page's address, mounted below another application as in `assent demo`."""
    app = web.Application()
    app.add_subapp("/mail/", mail_page(mailbox))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "http://{}:{}/mail/".format(*runner.addresses[0])
    async with asyncio.timeout(20):
        await runner.cleanup()


async def deliver(
    mailbox: Mailbox,
    to: str = "ana@example.com",
    text: str = "Hello",
    subject: str = "Hi",
    kind: str = "text/plain",
) -> None:
    raw = (
        f"From: bot@example.com\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{text}\r\n"
    )
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, start_tls=False) as client:
        await client.sendmail("bot@example.com", [to], raw)


async def test_the_next_message_is_each_mail_once_in_order(mailbox: Mailbox) -> None:
    await deliver(mailbox, subject="1")
    await deliver(mailbox, "ben@example.com", subject="2")
    await deliver(mailbox, subject="3")
    assert (await mailbox.next_message("ana@example.com")).subject == "1"
    assert (await mailbox.next_message(where=lambda mail: mail.subject == "3")).subject == "3"
    assert (await mailbox.next_message()).subject == "2"
    assert [mail.subject for mail in mailbox.messages("ana@example.com")] == ["1", "3"]


async def test_waiting_for_a_message_that_comes_later(mailbox: Mailbox) -> None:
    waiting = asyncio.create_task(mailbox.next_message("ana@example.com"))
    await deliver(mailbox, "ben@example.com")
    await deliver(mailbox, subject="Later")
    assert (await waiting).subject == "Later"


async def test_waiting_in_vain_says_what_is_there(mailbox: Mailbox) -> None:
    await deliver(mailbox, "ben@example.com", subject="Other")
    with pytest.raises(TimeoutError, match="Other"):
        await mailbox.next_message("ana@example.com", timeout=0.01)


async def test_the_personal_link_is_the_one_alone_on_its_line(mailbox: Mailbox) -> None:
    await deliver(mailbox, text=f"Answer here:\r\n{LINK}\r\n\r\nor see {LINK}x in the text")
    assert (await mailbox.next_message()).link == LINK
    await deliver(mailbox, text="no link")
    with pytest.raises(LookupError):
        _ = (await mailbox.next_message()).link


async def test_the_page_streams_mails_as_they_come(mailbox: Mailbox, address: str) -> None:
    await deliver(mailbox, subject="Before")
    async with ClientSession() as session, session.get(address + "events") as stream:
        assert (await _event(stream.content))["subject"] == "Before"
        await deliver(mailbox, subject="After")
        assert (await _event(stream.content))["subject"] == "After"
    resume = {"Last-Event-ID": "1"}
    async with ClientSession() as session, session.get(address + "events", headers=resume) as stream:
        assert (await _event(stream.content))["subject"] == "After"


async def _event(stream: StreamReader) -> dict[str, str]:
    async with asyncio.timeout(20):
        frame = (await stream.readuntil(b"\n\n")).decode()
    return dict(json.loads(frame.partition("data: ")[2]))


async def test_the_page_shows_one_mail_with_its_headers(mailbox: Mailbox, address: str) -> None:
    await deliver(mailbox, text="See this")
    async with ClientSession() as session:
        async with session.get(address + "messages/1") as answer:
            mail = await answer.json()
        async with session.get(address + "messages/2") as answer:
            assert answer.status == 404
    assert (mail["to"], mail["text"]) == ("ana@example.com", "See this\n")
    assert ["From", "bot@example.com"] in mail["headers"]


async def test_the_page_and_its_assets_are_there(address: str) -> None:
    async with ClientSession() as session:
        for path, kind in (("", "html"), ("mail.css", "css"), ("mail.js", "javascript")):
            async with session.get(address + path) as answer:
                assert answer.status == 200
                assert kind in answer.content_type
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_a_person_reads_a_mail_the_moment_it_comes_and_follows_its_link(
    mailbox: Mailbox, address: str, page: Page
) -> None:
    await page.goto(address)
    await page.get_by_text("No mail yet").wait_for()
    html = f'<a href="{address}mail.css">Answer</a><script>document.body.append("ran")</script>'
    await deliver(mailbox, text=html, subject="[Approve?] Refund", kind="text/html")
    await page.get_by_role("button", name="[Approve?] Refund").click()
    mail = page.frame_locator("iframe")
    async with page.expect_popup() as popup:
        await mail.get_by_text("Answer").click()
    assert (await popup.value).url == f"{address}mail.css"
    assert await mail.get_by_text("ran").count() == 0
