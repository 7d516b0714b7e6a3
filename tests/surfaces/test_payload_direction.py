"""Text from the right moves nothing that stands beside it: what a browser draws is in the order of the data."""

from __future__ import annotations

from html import escape
from itertools import product
from typing import TYPE_CHECKING

import pytest

from bot.domain.policies.payload_views import NO_VIEWS
from bot.rendering import templates
from bot.sandbox.slack.block_kit.blockkit import texts
from bot.slack.render import payload_blocks
from bot.web.pages.payload import payload_view
from tests.support.browser import open_page
from tests.support.mails import ask, body, compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

NAMES = ["amount", "סכום", "חשבון א", "المبلغ 1", "א: 100"]
VALUES = ["12,400", "1234 בנק 77", "א 999 10", "شركة 77 (10)", "- 5 €", "a → ב ← c", "٣٤ 12"]
PAYLOAD = {f"{name} #{n}": value for n, (name, value) in enumerate(product(NAMES, VALUES))}

DRAWN = """element => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), drawn = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (let i = 0; i < node.length; i++) {
      const range = document.createRange();
      range.setStart(node, i); range.setEnd(node, i + 1);
      const box = range.getBoundingClientRect();
      if (box.width && node.data[i].trim()) drawn.push([Math.round(box.y), box.x, node.data[i]]);
    }
  }
  return drawn.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(each => each[2]).join("");
}"""
"""The characters of an element from left to right as they are drawn, without blanks."""


@pytest.fixture
async def blank(browser: Browser) -> AsyncIterator[Page]:
    page = await open_page(browser, width=2000)
    yield page
    await page.context.close()


async def drawn(page: Page, html: str, each: str) -> list[str]:
    await page.set_content(f'<html dir="ltr"><body style="font:16px sans-serif">{html}</body></html>')
    return [await element.evaluate(DRAWN) for element in await page.query_selector_all(each)]


async def alone(page: Page, words: list[str]) -> list[str]:
    """Each of these words as it is drawn where nothing stands beside it."""
    html = "".join(f"<div><bdi>{escape(word)}</bdi></div>" for word in words)
    return await drawn(page, html, "div")


@pytest.fixture
async def expected(blank: Page) -> list[tuple[str, str]]:
    """How each name and each value is drawn by itself."""
    sections = NO_VIEWS.sections(ask(payload=PAYLOAD))
    rows = [part for section in sections for part in section.parts]
    labels = await alone(blank, [row.label for row in rows])
    return list(zip(labels, await alone(blank, [str(value) for value in PAYLOAD.values()]), strict=True))


async def test_on_a_page_and_in_a_mail(blank: Page, expected: list[tuple[str, str]]) -> None:
    request = ask(payload=PAYLOAD)
    template = templates().from_string('{% from "web/payload.html" import payload %}{{ payload(view) }}')
    page = template.render(view=payload_view(request, NO_VIEWS))
    for html, names, values in (
        (page, "dl.payload dt", "dl.payload dd"),
        (body(compose(request), "html"), "table.facts th:has(bdi)", "table.facts th:has(bdi) + td"),
    ):
        assert await drawn(blank, html, names) == [name for name, _ in expected]
        assert await drawn(blank, html, values) == [value for _, value in expected]


async def test_in_a_text_mail_and_on_a_card(blank: Page, expected: list[tuple[str, str]]) -> None:
    request = ask(payload=PAYLOAD)
    mail = body(compose(request)).partition("WHAT WILL BE DONE\n")[2].splitlines()[: len(PAYLOAD)]
    paragraph, *more = payload_blocks.elements(NO_VIEWS.sections(request), "")
    assert not more
    card = "".join(texts(paragraph)).split("\n")
    for lines in (mail, card):
        html = "".join(f"<div>{escape(line)}</div>" for line in lines)
        assert await drawn(blank, html, "div") == [f"{name}:{value}" for name, value in expected]
