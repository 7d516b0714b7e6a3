"""Whoever opens links before people do, and links that are not what the mail said: nothing happens by that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from yarl import URL

from tests.support.browser import open_page
from tests.support.product import Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from bot.sandbox.mail.relay import Mailbox
    from tests.support.product import Answer, Json

ANA, BEN = "ana@example.com", "ben@example.com"
SCANNERS = [
    {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) SafeLinks/1.0"},
    {"User-Agent": "Mozilla/5.0 (compatible; Proofpoint URL Defense)"},
    {"User-Agent": "Barracuda Sentinel (EE)"},
    {"User-Agent": "Mimecast-URL-Protect/2"},
    {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
    {"User-Agent": "facebookexternalhit/1.1"},
    {"User-Agent": "Twitterbot/1.0"},
    {"User-Agent": "WhatsApp/2.23"},
    {"User-Agent": "TelegramBot (like TwitterBot)"},
    {"User-Agent": "Googlebot/2.1", "From": "googlebot(at)googlebot.com"},
    {"User-Agent": "Microsoft Office/16.0", "X-IDCRL_ACCEPTED": "t"},
    {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    {"User-Agent": "python-requests/2.32"},
    {"User-Agent": ""},
    {"Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch"},
    {"X-Moz": "prefetch", "Sec-Fetch-Mode": "no-cors"},
    {"Range": "bytes=0-1023"},
    {"If-None-Match": "*", "If-Modified-Since": "Sat, 21 Nov 2026 08:00:00 GMT"},
    {"Accept": "image/avif,image/webp", "Sec-Fetch-Dest": "image"},
    {"X-HTTP-Method-Override": "POST", "Content-Type": "application/x-www-form-urlencoded"},
]


@pytest.fixture
async def product(sqlite_url: str, mailbox: Mailbox) -> AsyncIterator[Product]:
    async with running(sqlite_url, mailbox=mailbox) as product:
        yield product


async def asked(product: Product, mailbox: Mailbox) -> tuple[Json, dict[str, URL]]:
    """A request to Ana and Ben, and the link that each got."""
    request = await product.submit(audience=[f"email:{ANA}", f"email:{BEN}"])
    mails = [await mailbox.next_message(to, where=lambda m: request["id"] in m.text) for to in (ANA, BEN)]
    return request, {mail.recipient: URL(mail.link) for mail in mails}


async def everything(product: Product, request: Json) -> Json:
    """All there is to know of a request: its state, its history, who was told what."""
    one = f"/v1/requests/{request['id']}"
    state, audit, sent = [await product.call("GET", one + part) for part in ("", "/audit", "/deliveries")]
    return state.json, audit.json, [(each["address"], each["notice"]) for each in sent.json["items"]]


def refused(page: Answer) -> str:
    return page.text.partition("<h1>")[2].partition("</h1>")[0]


async def test_twenty_scanners_change_nothing(product: Product, mailbox: Mailbox) -> None:
    request, links = await asked(product, mailbox)
    before = await everything(product, request)
    visits = [
        product.call(method, link.with_query(query), headers=headers)
        for method in ("GET", "HEAD", "OPTIONS")
        for headers in SCANNERS
        for link in links.values()
        for query in ({}, {"decision": "approve", "utm_source": "mail"})
    ]
    statuses = [(await visit).status for visit in visits]
    opened = 2 * len(statuses) // 3
    assert set(statuses[:opened]) <= {200, 206, 304}
    assert set(statuses[opened:]) == {405}
    assert await everything(product, request) == before
    assert len(mailbox.messages()) == 2


async def press_everything(page: Page) -> None:
    """What a sandboxing scanner does: run the page, then press each thing that can be pressed."""
    for button in await page.get_by_role("button").all():
        await button.click()
    for link in await page.get_by_role("link").all():
        if await link.is_visible():
            await link.click()


async def test_a_browser_that_presses_every_button_and_link_decides_nothing(
    product: Product, mailbox: Mailbox, browser: Browser
) -> None:
    request, links = await asked(product, mailbox)
    before = await everything(product, request)
    page = await open_page(browser)
    await page.goto(str(links[ANA]))
    await press_everything(page)
    await expect(page.get_by_role("alert")).to_contain_text("not recorded")
    await press_everything(page)
    assert await everything(product, request) == before


async def test_a_stranger_without_the_link_gets_the_same_page_always(
    product: Product, mailbox: Mailbox
) -> None:
    request, links = await asked(product, mailbox)
    before = await everything(product, request)
    ana, ben = (link.name for link in links.values())
    forged = [
        ben[:13] + ana[13:],
        ana[:13] + "a" * 26,
        ana[:-1],
        ana + "a",
        ana[:20] + ("b" if ana[20] != "b" else "c") + ana[21:],
        "a" * 39,
        "%2e%2e%2fetc",
        request["id"],
        "",
    ]
    pages: list[Answer] = []
    for token in forged:
        url = URL(f"/r/{token}", encoded=True)
        pages += [
            await product.call("GET", url),
            await product.call("POST", url, data={"revision": "1", "decision": "approve"}),
        ]
    assert {page.status for page in pages} == {404}
    assert {page.text for page in pages} == {pages[0].text}
    assert refused(pages[0]) == "This link does not work"
    assert request["title"] not in pages[0].text
    assert await everything(product, request) == before


async def test_a_link_is_one_persons_and_of_one_request(product: Product, mailbox: Mailbox) -> None:
    first, links = await asked(product, mailbox)
    second, _ = await asked(product, mailbox)
    before = await everything(product, second)
    form = {
        "revision": "1",
        "decision": "reject",
        "reason": "No",
        "respondent": f"email:{BEN}",
        "id": second["id"],
    }
    assert (await product.call("POST", links[ANA], data=form)).status == 200
    assert await everything(product, second) == before
    (response,) = (await product.get(first))["responses"]
    ids = {r["email"]: r["id"] for r in first["respondents"]}
    assert response["respondent"] == ids[ANA]


async def test_old_links_say_what_became_of_it(product: Product, mailbox: Mailbox) -> None:
    decided, links = await asked(product, mailbox)
    await product.answer(decided, "reject", ANA, reason="Too much")
    cancelled, gone = await asked(product, mailbox)
    await product.call("POST", f"/v1/requests/{cancelled['id']}/cancel", json={"reason": "A mistake"})
    before = [await everything(product, each) for each in (decided, cancelled)]
    for link, heading, who, why in (
        (links[BEN], "This is already decided", f"rejected by {ANA}", "Too much"),
        (gone[BEN], "This request was cancelled", "cancelled by", "A mistake"),
    ):
        seen = await product.call("GET", link)
        late = await product.call("POST", link, data={"revision": "1", "decision": "approve"})
        assert (seen.status, late.status) == (200, 409)
        for page in (seen, late):
            assert refused(page) == heading
            assert who in page.text.lower()
            assert why in page.text
            assert "<form" not in page.text
    assert [await everything(product, each) for each in (decided, cancelled)] == before


async def test_a_dropped_key_ends_its_links_and_a_rotated_one_does_not(
    sqlite_url: str, mailbox: Mailbox
) -> None:
    async with running(sqlite_url, mailbox=mailbox, assent_secret_keys="old-" * 8) as product:
        request, links = await asked(product, mailbox)
    path = links[ANA].path
    async with running(
        sqlite_url, mailbox=mailbox, assent_secret_keys=f"{'new-' * 8},{'old-' * 8}"
    ) as product:
        assert "Your answer is asked for" in (await product.call("GET", path)).text
    async with running(sqlite_url, mailbox=mailbox, assent_secret_keys="new-" * 8) as product:
        answers = [
            await product.call("GET", path),
            await product.call("POST", path, data={"revision": "1", "decision": "approve"}),
        ]
        assert [refused(answer) for answer in answers] == ["This link does not work"] * 2
        assert (await product.get(request))["responses"] == []


async def test_a_hundred_visits_at_once_hide_no_answer(product: Product, mailbox: Mailbox) -> None:
    request, links = await asked(product, mailbox)
    visits = [product.call("GET", links[ANA]) for _ in range(100)]
    answer = product.call("POST", links[BEN], data={"revision": "1", "decision": "approve"})
    *pages, recorded = await asyncio.gather(*visits, answer)
    assert recorded.status == 200
    assert {page.status for page in pages} == {200}
    assert (await product.get(request))["status"] == "approved"
