"""Links that are not genuine, and what keeps the genuine ones to their owners."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from bot.domain.errors import Unavailable
from bot.links import Links
from tests.support.link_pages import KEY, Site, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture
async def site(sqlite_url: str) -> AsyncIterator[Site]:
    async with serving(sqlite_url) as running:
        yield running


async def unknown_page(site: Site) -> bytes:
    return await (await site.client.get("/r/" + "a" * 39)).read()


@pytest.mark.parametrize(
    "path",
    [
        "/r/",
        "/r/x",
        "/r/x/y",
        "/r/" + "a" * 38,
        "/r/" + "a" * 40,
        "/r/" + "a" * 6000,
        "/r/" + "1" * 39,
        "/r/%00",
        "/r/%ff%fe",
        "/r/..%2f..%2fetc%2fpasswd",
        "/r/%E2%80%AE",
        "/r/<script>",
        "/r/req_123?token=1",
    ],
)
async def test_what_was_never_a_link_is_always_the_same_page(site: Site, path: str) -> None:
    for method in ("GET", "POST"):
        response = await site.client.request(method, path, data=None)
        assert response.status == 404
        assert await response.read() == await unknown_page(site)


async def test_a_link_altered_in_any_place_is_unknown(site: Site) -> None:
    request = await site.ask()
    link, same = site.link(request), await unknown_page(site)
    for place in range(len("/r/"), len(link)):
        other = ALPHABET[(ALPHABET.index(link[place]) + 1) % len(ALPHABET)]
        forged = link[:place] + other + link[place + 1 :]
        response = await site.client.post(forged, data={"revision": "1", "decision": "approve"})
        assert (response.status, await response.read()) == (404, same)
    assert await site.approvals.get(request.id) == request


async def test_signatures_of_two_people_cannot_be_swapped(site: Site) -> None:
    request = await site.ask(audience=["email:ana@example.com", "email:ben@example.com"])
    ana, ben = site.link(request), site.link(request, "ben@example.com")
    swapped = ana[:16] + ben[16:]
    assert (await site.client.post(swapped, data={"revision": "1", "decision": "approve"})).status == 404
    assert await site.approvals.get(request.id) == request


async def test_a_link_signed_with_another_key_is_unknown(site: Site) -> None:
    request = await site.ask()
    forged = Links("", ["x" * 32]).token(request.respondents[0].id, 0)
    assert (
        await site.client.post(f"/r/{forged}", data={"revision": "1", "decision": "approve"})
    ).status == 404


async def test_a_future_generation_is_unknown(site: Site) -> None:
    request = await site.ask()
    ahead = site.links.token(request.respondents[0].id, 1)
    assert (await site.client.get(f"/r/{ahead}")).status == 404


async def test_a_link_in_capitals_works(site: Site) -> None:
    request = await site.ask()
    response = await site.client.post(
        site.link(request).upper(), data={"revision": "1", "decision": "approve"}
    )
    assert response.status == 200
    assert "You approved this" in await response.text()


async def test_a_rotated_key_verifies_until_it_is_dropped(sqlite_url: str) -> None:
    keys = [KEY]
    async with serving(sqlite_url, keys=keys) as site:
        link = site.link(await site.ask())
        keys.insert(0, "n" * 32)
        assert (await site.client.get(link)).status == 200
        keys.remove(KEY)
        assert (await site.client.get(link)).status == 404


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


async def test_every_answer_carries_the_headers(site: Site) -> None:
    link = site.link(await site.ask())
    visits: list[dict[str, Any]] = [
        {"method": "GET", "path": link},
        {"method": "HEAD", "path": link},
        {"method": "GET", "path": "/r/unknown"},
        {"method": "PUT", "path": link},
        {"method": "POST", "path": link, "json": {}},
        {"method": "POST", "path": link, "data": {"decision": ""}},
        {
            "method": "POST",
            "path": link,
            "data": {"revision": "1", "decision": "approve"},
            "headers": {"Sec-Fetch-Site": "cross-site"},
        },
        {
            "method": "POST",
            "path": link,
            "data": {"revision": "1", "decision": "approve"},
            "allow_redirects": False,
        },
        {"method": "POST", "path": link, "data": {"revision": "1", "decision": "reject"}},
    ]
    answers = [await site.client.request(**visit) for visit in visits]
    assert [answer.status for answer in answers] == [200, 200, 404, 405, 415, 422, 403, 303, 409]
    for answer in answers:
        assert {name: answer.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS


async def test_no_log_line_holds_a_token(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    link = site.link(await site.ask())
    token = link.removeprefix("/r/")
    for fields in ({}, {"decision": "approve"}, {"decision": "reject"}):
        await site.client.post(link, data=fields)
    await site.client.get(link[:-1] + "a")
    assert token[:30] not in caplog.text


async def test_a_database_that_does_not_answer_is_said_on_a_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await site.ask()

    def unavailable(*args: object) -> NoReturn:
        raise Unavailable("The database does not answer just now; try again.")

    with monkeypatch.context() as broken:
        broken.setattr(site.approvals, "respond", unavailable)
        unrecorded = await site.client.post(
            site.link(request), data={"revision": "1", "decision": "approve", "reason": "kept"}
        )
    assert unrecorded.status == 503
    assert unrecorded.headers["Retry-After"] == "5"
    assert "kept</textarea>" in await unrecorded.text()
    with monkeypatch.context() as broken:
        broken.setattr(site.approvals, "of_respondent", unavailable)
        unread = await site.client.get(site.link(request))
    assert unread.status == 503
    assert "The database does not answer just now" in await unread.text()


async def test_the_style_sheet_is_served_and_nothing_else(site: Site) -> None:
    page = await (await site.client.get(site.link(await site.ask()))).text()
    assert '<link rel="stylesheet" href="/static/page.css">' in page
    sheet = await site.client.get("/static/page.css")
    assert (sheet.status, sheet.content_type) == (200, "text/css")
    for name in ("open.html", "..%2fpage.css", "%2e%2e%2f%2e%2e%2fbot%2flinks.py", "nothing.css"):
        assert (await site.client.get(f"/static/{name}")).status == 404


async def test_a_banner_heads_every_page(sqlite_url: str) -> None:
    async with serving(sqlite_url, banner="Everything is approved at once") as site:
        for path in (site.link(await site.ask()), "/r/unknown"):
            assert "Everything is approved at once" in await (await site.client.get(path)).text()
