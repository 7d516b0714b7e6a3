"""The link pages as people use them: in a browser, with JavaScript and without, on a desk and on a phone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import expect

from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.request import Surface
from bot.schemas.requests import ReviseBody
from tests.support.browser import DESKTOP_WIDTH, PHONE_WIDTH, open_page, running_browser
from tests.support.link_pages import Site, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = ["email:ana@example.com", "email:ben@example.com"]
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "title": "Order", "readOnly": True},
        "amount": {"type": "number", "title": "Amount", "maximum": 2000},
        "currency": {
            "title": "Currency",
            "oneOf": [{"const": "EUR", "title": "Euro"}, {"const": "USD", "title": "US dollar"}],
        },
        "express": {"type": "boolean", "title": "Express"},
    },
}
PAYLOAD = {"order": "5531", "amount": 1250, "currency": "EUR", "express": True}

MIN_TARGET = 44
"""CSS pixels: WCAG 2.2, success criterion 2.5.5."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serving(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'assent.db'}") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as chromium:
        yield chromium


@pytest_asyncio.fixture(params=[True, False], ids=["javascript", "no-javascript"], loop_scope="module")
async def visitor(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    page = await open_page(browser, javascript=request.param)
    yield page
    await page.context.close()


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
        request.id, ResponseInput(decision="reject", reason="Not today"), "an operator", Surface.API
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


async def test_values_are_changed_faults_mended_and_the_next_one_sees_the_difference(
    site: Site, visitor: Page
) -> None:
    request = await site.ask(form=FORM, payload=PAYLOAD, audience=BOTH, quorum=2)
    await visitor.goto(site.url(request, "ben@example.com"))
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_role("button", name="Submit").click()

    await visitor.goto(site.url(request))
    await expect(visitor.get_by_text("Order5531", exact=True)).to_be_visible()
    await visitor.get_by_label("Amount").fill("2001")
    await visitor.get_by_label("Currency").select_option("US dollar")
    await visitor.get_by_label("Express").uncheck()
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_role("button", name="Submit").click()
    await visitor.get_by_role("alert").get_by_role("link", name="Amount: must be at most 2000").click()
    await expect(visitor.get_by_label("Amount")).to_be_focused()
    await expect(visitor.get_by_label("Currency")).to_have_value("USD")
    await expect(visitor.get_by_label("Express")).not_to_be_checked()
    await visitor.get_by_label("Amount").fill("900")
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("status")).to_contain_text("You approved this at")

    await visitor.goto(site.url(request, "ben@example.com"))
    changed = visitor.get_by_role("table").filter(has_text="Is now")
    await expect(changed.get_by_role("row", name="Amount")).to_have_text("Amount1250900")
    await expect(changed.get_by_role("row", name="Currency")).to_have_text("CurrencyEuroUS dollar")
    await expect(visitor.get_by_label("Amount")).to_have_value("900")
    stored = await site.approvals.get(request.id)
    assert stored.values == {"amount": 900, "currency": "USD", "express": False}


async def test_a_person_asks_back_escalates_and_hands_it_on(site: Site, visitor: Page) -> None:
    ladder = [{"name": "manager", "audience": ["email:cy@example.com"]}]
    request = await site.ask(requester="email:bob@example.com", escalation=ladder)
    await visitor.goto(site.url(request))
    await visitor.get_by_text("Ask a question first").click()
    await visitor.get_by_label("Your question to bob@example.com").fill("Which order?")
    await visitor.get_by_role("button", name="Ask").click()
    await expect(visitor.get_by_role("status")).to_have_text("You asked: Which order?")
    await visitor.get_by_text("Escalate to manager").click()
    await visitor.get_by_label("Why manager should look at it").fill("Too large")
    await visitor.get_by_role("button", name="Escalate").click()
    await expect(visitor.get_by_role("status")).to_contain_text("by ana@example.com: Too large")
    await visitor.get_by_text("Hand it on to somebody else").click()
    await visitor.get_by_role("button", name="Hand it on").click()
    await visitor.get_by_role("alert").get_by_role("link", name="Who takes over").click()
    await visitor.get_by_label("Who takes over").fill("di@example.com")
    await visitor.get_by_role("button", name="Hand it on").click()
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("This was handed on")
    await expect(visitor.get_by_text("has it now")).to_contain_text("di@example.com")
    await visitor.goto(site.url(await site.approvals.get(request.id), "di@example.com"))
    await expect(visitor.get_by_label("Approve")).to_be_visible()


async def test_a_decision_is_undone_and_given_again(site: Site, visitor: Page) -> None:
    request = await site.ask(grace_seconds=60)
    await visitor.goto(site.url(request))
    await visitor.get_by_label("Approve").check()
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("status")).to_contain_text(
        "It counts from Fri 20 Nov 2026, 09:01 (UTC) on"
    )
    await visitor.get_by_role("button", name="Undo").click()
    await expect(visitor.get_by_role("status")).to_have_text("ana@example.com took their answer back.")
    await visitor.get_by_label("Reject").check()
    await visitor.get_by_role("button", name="Submit").click()
    await expect(visitor.get_by_role("status")).to_contain_text("You rejected this at")


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
        form=FORM | {"properties": FORM["properties"] | {"key": {"type": "string", "title": "t" * 200}}},
        escalation=[{"name": "manager", "audience": ["email:cy@example.com"]}],
    )
    await site.approvals.revise(request.id, ReviseBody(payload={"key": "w" * 900}), "bob", Surface.API)
    page = await open_page(browser, color_scheme=color_scheme, width=width)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(site.url(request))
    await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert not complaints
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    targets = [
        page.locator("label.choice"),
        page.locator("summary"),
        page.locator("textarea, select, input[type=text]"),
        page.get_by_role("button"),
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
