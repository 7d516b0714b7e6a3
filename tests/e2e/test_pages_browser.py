"""The link pages as people use them: in a browser, with JavaScript and without, on a desk and on a phone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.async_api import expect

from bot.domain.answers import Answer
from bot.domain.request import Surface
from tests.support.browser import DESKTOP_WIDTH, PHONE_WIDTH, open_page
from tests.support.link_pages import Site, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

MIN_TARGET = 44
"""CSS pixels: WCAG 2.2, success criterion 2.5.5."""


@pytest.fixture
async def site(sqlite_url: str) -> AsyncIterator[Site]:
    async with serving(sqlite_url) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["javascript", "no-javascript"])
async def visitor(browser: Browser, request: pytest.FixtureRequest) -> Page:
    return await open_page(browser, javascript=request.param)


async def test_a_person_answers_and_sees_the_result(site: Site, visitor: Page) -> None:
    request = await site.ask(audience=["email:ana@example.com", "email:ben@example.com"], quorum=2)
    await visitor.goto(site.url(request))
    await expect(visitor.get_by_role("heading", level=1)).to_have_text(
        "Approve? Refund €1,250 to customer 8841"
    )
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_label("Reason").fill("Looks right")
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("Your answer is recorded")
    await expect(visitor.get_by_role("status")).to_contain_text("Still awaited: ben@example.com")
    await visitor.reload()
    await expect(visitor.get_by_role("status")).to_contain_text("You approved this at")
    response = (await site.approvals.get(request.id)).responses[0]
    assert (response.decision, response.reason) == ("approve", "Looks right")


async def test_a_fault_is_focused_linked_and_mended(site: Site, visitor: Page) -> None:
    request = await site.ask(level="verify", verification_phrase="delete prod", reason="required")
    await visitor.goto(site.url(request))
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_label("Reason").fill("Backups are fine")
    await visitor.get_by_role("button", name="Submit").click()
    summary = visitor.get_by_role("alert")
    await expect(summary).to_be_focused()
    await expect(visitor).to_have_title(re.compile("^Error: "))
    await expect(visitor.get_by_label("Approve")).to_be_checked()
    await expect(visitor.get_by_label("Reason")).to_have_value("Backups are fine")
    await summary.get_by_role("link", name="Phrase").click()
    await visitor.get_by_label("delete prod").fill("delete prod")
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("Your answer is recorded")


async def test_somebody_was_faster(site: Site, visitor: Page) -> None:
    request = await site.ask()
    await visitor.goto(site.url(request))
    await site.approvals.operate(
        request.id, Answer(decision="reject", reason="Not today"), "an operator", Surface.API
    )
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("This is already decided")
    await expect(visitor.get_by_role("alert")).to_contain_text("Already rejected by an operator")
    await expect(visitor.get_by_role("button", name="Submit")).to_have_count(0)


async def test_the_keyboard_alone_is_enough(site: Site, visitor: Page) -> None:
    request = await site.ask()
    await visitor.goto(site.url(request))
    await visitor.get_by_label("Approve").focus()
    for key in ("ArrowDown", "Tab", "N", "o", "Tab", "Enter"):
        await visitor.keyboard.press(key)
    await expect(visitor.get_by_role("status")).to_contain_text("You rejected this at")
    assert (await site.approvals.get(request.id)).responses[0].reason == "No"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP_WIDTH, PHONE_WIDTH])
async def test_everything_fits_and_can_be_read_and_touched(
    site: Site, browser: Browser, color_scheme: Literal["light", "dark"], width: int
) -> None:
    request = await site.ask(
        title="הַאִם " + "x" * 180,
        message="word " * 200 + "y" * 500,
        details={"k" * 200: "v" * 900, "العميل": "ينتظر"},
        payload={"key": "z" * 2000},
        allow_skip=True,
    )
    page = await open_page(browser, color_scheme=color_scheme, width=width)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(site.url(request))
    assert not complaints
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    targets = [
        page.locator("label.choice"),
        page.get_by_label("Reason"),
        page.get_by_role("button", name="Submit"),
    ]
    for target in [each for kind in targets for each in await kind.all()]:
        box = await target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= MIN_TARGET
    assert await page.evaluate(CONTRAST) >= MIN_CONTRAST


MIN_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3."""
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const luminance = color => {
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = element => {
    const color = getComputedStyle(element).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' && element.parentElement ? ground(element.parentElement) : color;
  };
  return Math.min(...[...document.querySelectorAll('main *')].filter(e => e.innerText).map(element => {
    const pair = [getComputedStyle(element).color, ground(element)].map(luminance).sort((a, b) => b - a);
    return (pair[0] + .05) / (pair[1] + .05);
  }));
}"""
"""The smallest contrast of any text on the page with what is behind it."""
