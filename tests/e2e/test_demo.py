"""`assent demo` as a person meets it: started as a command, used in a browser, ended with a signal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.async_api import expect

from bot.client import AsyncClient
from tests.support import command
from tests.support.browser import DESKTOP_WIDTH, PHONE_WIDTH, open_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, FrameLocator, Locator, Page

pytestmark = pytest.mark.measured

SAMPLES = 7
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE = 20.0
"""Seconds that anything may take to be printed."""
END_WITHIN = 10.0
"""Seconds from SIGTERM to the end (CONTRACT §2)."""


@dataclass
class Demo:
    """The running command, and what it has printed so far."""

    process: asyncio.subprocess.Process
    printed: str = ""

    async def prints(self, *words: str) -> str:
        """The next line with all of these words."""
        assert self.process.stdout
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                self.printed += line
                if all(word in line for word in words):
                    return line.strip()
        raise AssertionError(f"it ended without printing {words}:\n{self.printed}")

    async def ready(self) -> tuple[str, AsyncClient]:
        """The page's URL, and a client with the key that it prints; every sample has been asked."""
        url = await self.prints("http://127.0.0.1", "/")
        *_, key, api = (await self.prints("curl -H")).replace('"', "").split()
        for _ in range(SAMPLES):
            await self.prints("? Asked")
        return url, AsyncClient(api.removesuffix("/v1/pending"), key)


@contextlib.asynccontextmanager
async def running(tmp_path: Path, *options: str) -> AsyncIterator[Demo]:
    """The command with its page on a free port; afterwards it has ended well and left nothing behind."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = await command.start("demo", *options, TMPDIR=str(folder))
    demo = Demo(process)
    try:
        yield demo
        process.terminate()
        done = await command.finish(process, within=END_WITHIN)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (done.status, done.err) == (0, "")
    assert list(folder.iterdir()) == []


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    async with running(tmp_path, "--port", "0") as demo:
        yield demo


def card(slack: FrameLocator, title: str) -> Locator:
    """A request's own message; the inbox, which may have come before it, lists it as well."""
    return slack.get_by_role("article").filter(has_text=title, has_not_text="Only visible to you")


async def test_the_main_job_in_the_browser(demo: Demo, page: Page) -> None:
    url, client = await demo.ready()
    await page.goto(url)
    slack = page.frame_locator("#slack")

    await approve_in_slack(demo, slack)
    await reject_with_a_reason(demo, slack)
    await answer_from_the_inbox(demo, slack)
    await give_feedback(demo, slack)
    await change_and_approve_in_two_steps(demo, slack)
    await answer_by_mail(demo, page)

    learned = page.get_by_label("Workflow").get_by_role("listitem")
    await expect(learned.filter(has_text="Deploy version 4.2 to production")).to_have_count(2)
    async with page.expect_popup() as described:
        await page.get_by_role("link", name="API").click()
    await expect((await described.value).get_by_text("/v1/requests").first).to_be_visible()
    async with client:
        assert await client.pending() == []


async def approve_in_slack(demo: Demo, slack: FrameLocator) -> None:
    await slack.get_by_role("button", name="finance").click()
    refund = card(slack, "Refund €1,250")
    await refund.get_by_role("button", name="Approve").click()
    await demo.prints("✔ Approved by Ana in Slack", "Refund €1,250", "paying €1,250 back")
    await expect(refund.get_by_text("Approved by Ana")).to_be_visible()
    await expect(refund.get_by_role("button", name="Approve")).to_have_count(0)


async def reject_with_a_reason(demo: Demo, slack: FrameLocator) -> None:
    await slack.get_by_role("button", name="ops").click()
    await card(slack, "Deploy version 4.2").get_by_role("button", name="Reject").click()
    modal = slack.get_by_role("dialog")
    await modal.get_by_label("Reason").fill("Not on a Friday")
    await modal.get_by_role("button", name="Reject").click()
    await demo.prints("✘ Rejected by Ana in Slack (“Not on a Friday”)", "Deploy version 4.2", "Not doing it")
    await expect(modal).to_have_count(0)


async def answer_from_the_inbox(demo: Demo, slack: FrameLocator) -> None:
    await slack.get_by_role("button", name="Assent").click()
    await slack.get_by_role("textbox", name="Message").fill("/approvals")
    await slack.get_by_role("button", name="Send").click()
    inbox = slack.get_by_role("article").filter(has_text="Only visible to you")
    await expect(inbox).to_contain_text("Delete the database shop-staging")
    await slack.get_by_role("tab", name="Home").click()
    home = slack.locator(".home")
    await expect(home).to_contain_text("Send the November newsletter")
    await slack.get_by_role("tab", name="Messages").click()
    newsletter = card(slack, "Send the November newsletter").first
    await newsletter.get_by_role("button", name="Skip").click()
    await expect(newsletter.get_by_text("waiting for Cara")).to_be_visible()
    await become(slack, "Cara")
    await newsletter.get_by_role("button", name="Skip").click()
    await demo.prints("– Skipped by Ana and Cara in Slack", "newsletter")


async def become(slack: FrameLocator, name: str) -> None:
    """Look at the sandbox as another colleague."""
    people = slack.get_by_label("You are")
    person = await people.locator("option").filter(has_text=name).get_attribute("value")
    await people.select_option(value=person)
    await slack.get_by_role("button", name="Assent").click()


async def give_feedback(demo: Demo, slack: FrameLocator) -> None:
    for name, score in (("Cara", "0.5"), ("Ana", "1")):
        await become(slack, name)
        summary = card(slack, "How good is the summary").first
        await summary.get_by_role("button", name="Give feedback…").click()
        modal = slack.get_by_role("dialog")
        await modal.get_by_label("Score").fill(score)
        await modal.get_by_role("button", name="Give feedback").click()
        await expect(modal).to_have_count(0)
    await demo.prints("✔ Approved by Cara and Ana in Slack", "How good is the summary")


async def change_and_approve_in_two_steps(demo: Demo, slack: FrameLocator) -> None:
    contract = card(slack, "Sign the contract").first
    await contract.get_by_role("button", name="Edit…").click()
    modal = slack.get_by_role("dialog")
    await modal.get_by_label("Discount in %").fill("50")
    await modal.get_by_role("button", name="Approve with changes").click()
    await expect(modal.get_by_text("must be at most 20")).to_be_visible()
    await modal.get_by_label("Discount in %").fill("15")
    await modal.get_by_role("button", name="Approve with changes").click()
    await expect(contract).to_contain_text("Step 2 of 2: Budget")
    await become(slack, "Ben")
    await expect(contract).to_contain_text("Ana changed discount from 10 to 15.")
    await contract.get_by_role("button", name="Approve").click()
    await demo.prints("✔ Approved by Ana and Ben in Slack", "Sign the contract")


async def answer_by_mail(demo: Demo, page: Page) -> None:
    await page.get_by_role("tab", name="Mailbox").click()
    mail = page.frame_locator("#mail")
    link = mail.frame_locator("#html").get_by_role("link", name="Review and answer")
    last = ""
    for person, subject, phrase in (
        ("ana", "Delete the database", None),
        ("ben", "Delete the database", None),
        ("ana", "Replace the signing key", "ROTATE payments"),
    ):
        await mail.get_by_label("People").get_by_role("button", name=person).click()
        await mail.get_by_label("Mails").get_by_role("button", name=f"[Approve?] {subject}").click()
        await expect(link).not_to_have_attribute("href", last)  # the frame shows this mail, not the last one
        last = await link.get_attribute("href") or ""
        async with page.expect_popup() as popup:
            await link.click()
        answer = await popup.value
        await answer.get_by_label("Approve").check()
        if phrase:
            await answer.get_by_label(phrase).fill(phrase)
        await answer.get_by_role("button", name="Submit").click()
        await expect(answer.get_by_role("heading", level=1)).to_have_text("Your answer is recorded")
        await answer.close()
    await demo.prints("✔ Approved by Ana and Ben by the mailed link", "Delete the database")
    await demo.prints("✔ Approved by ana@example.com by the mailed link", "Replace the signing key")


async def test_socket_mode_and_one_more_question(tmp_path: Path, page: Page) -> None:
    async with running(tmp_path, "--port", "0", "--socket-mode") as demo:
        url, _ = await demo.ready()
        await page.goto(url)
        slack = page.frame_locator("#slack")
        await approve_in_slack(demo, slack)
        await page.get_by_role("button", name="Ask one more").click()
        await demo.prints("? Asked #finance", "Refund")
        await expect(card(slack, "Refund €1,250")).to_have_count(2)


async def test_every_part_fits(demo: Demo, browser: Browser) -> None:
    url, _ = await demo.ready()
    for width, color_scheme in product((DESKTOP_WIDTH, PHONE_WIDTH), COLOURS):
        page = await open_page(browser, color_scheme=color_scheme, width=width)
        complaints: list[str] = []
        page.on("console", lambda message, heard=complaints: heard.append(message.text))
        await page.goto(url)
        for name in ("Slack", "Mailbox", "Workflow")[: 3 if width == PHONE_WIDTH else 2]:
            await page.get_by_role("tab", name=name).click()
            await expect(page.get_by_role("tabpanel", name=name).or_(page.get_by_label(name))).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not complaints, (width, color_scheme)
        await page.close()


async def test_a_port_in_use_is_explained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await command.run("demo", "--port", port)
    assert done.status == 1
    assert f"--port {port}" in done.err
    assert "Traceback" not in done.err
