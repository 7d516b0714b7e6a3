"""The pages behind personal links: each state, what they show, and what an answer does."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.request import Request, RespondentState, Surface
from bot.domain.model.transition import AuditEntry, Transition
from tests.support.link_pages import Site, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

    from bot.ports.store import Transaction

ANA, BEN = "ana@example.com", "ben@example.com"
BOTH = {"audience": [f"email:{ANA}", f"email:{BEN}"], "quorum": 2}


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    async with serving(database_url) as running:
        yield running


async def post(site: Site, path: str, **fields: Any) -> ClientResponse:
    """Send a form as the page has it at first, but for the fields named here."""
    return await site.client.post(path, data={"revision": "1"} | fields, allow_redirects=False)


async def state(response: ClientResponse) -> str:
    """The page's own word for itself."""
    return (await response.text()).partition('data-state="')[2].partition('"')[0]


async def edit(site: Site, request: Request, **changes: Any) -> None:
    """Store a change that no use case makes yet."""

    def work(tx: Transaction) -> None:
        now = tx.request(request.id)
        assert now is not None
        tx.save(
            Transition(
                request=dataclasses.replace(now, version=now.version + 1, **changes),
                facts=(AuditEntry(type="request.updated"),),
            ),
            site.clock.now(),
        )

    await site.store.write(work)


# What the open page shows


async def test_the_page_shows_all_that_was_asked(site: Site) -> None:
    request = await site.ask(
        message="Order 5531 arrived **broken**.",
        details={"Order": "5531"},
        payload={"tool": "refund", "amount": 1250},
        requester="email:bob@example.com",
        labels={"env": "prod"},
        source_url="https://ci.example.com/run/1",
        timeout_seconds=3600,
        **BOTH,
    )
    page = html.unescape(await (await site.client.get(site.link(request))).text())
    for shown in (
        f"Responding as <strong><bdi>{ANA}</bdi></strong>",
        "Refund €1,250 to customer 8841</span></h1>",
        "arrived <strong>broken</strong>",
        '<th scope="row" dir="auto">Order</th><td dir="auto">5531</td>',
        '"amount": 1250',
        request.spec.payload_digest,
        "bob@example.com",
        "0 of 2 approvals",
        f"<bdi>{BEN}</bdi>: waiting",
        '<time datetime="2026-11-20T10:00:00Z">Fri 20 Nov 2026, 10:00 (UTC)</time>',
        "Without a decision by then it expires.",
        "https://ci.example.com/run/1",
        request.id,
    ):
        assert shown in page
    assert page.count("<h1>") == 1
    assert '<html lang="en">' in page
    assert "Refund" not in page.partition("</title>")[0]


async def test_no_answer_is_chosen_beforehand(site: Site) -> None:
    page = await (await site.client.get(site.link(await site.ask(allow_skip=True)))).text()
    radios = re.findall(r'<input type="radio" name="decision" id="decision-\d" value="(\w+)">', page)
    assert radios == ["approve", "reject", "skip"]


async def test_custom_choices_are_offered_by_their_labels(site: Site) -> None:
    request = await site.ask(
        kind="choice", choices=[{"id": "eu", "label": "Europe"}, {"id": "us", "label": "USA"}]
    )
    page = await (await site.client.get(site.link(request))).text()
    assert 'value="eu"> <span dir="auto">Europe' in page
    await post(site, site.link(request), decision="us")
    outcome = (await site.approvals.get(request.id)).outcome
    assert outcome is not None
    assert outcome.choice == "us"


async def test_nasty_texts_come_out_readable_and_harmless(site: Site) -> None:
    request = await site.ask(
        title="<script>alert(1)</script>\u202e😀" + "x" * 400,
        message="<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![i](http://evil.example/p.png)",
        details={f"key <b>{i}": f"value {i}" for i in range(200)},
        payload={"text": "\u202e\u0000</pre><script>", "rows": ["y" * 50] * 9000},
    )
    response = await site.client.get(site.link(request))
    page = await response.text()
    assert response.status == 200
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert "\u202e" not in page
    assert "x" * 400 in page
    assert all(f"value {i}<" in page for i in range(200))
    assert page.count("y" * 50) == 2 * 9000  # as values, and folded as data
    assert "\\u202e\\u0000&lt;/pre&gt;" in page


# GET and HEAD


SCANNERS = (
    "Mozilla/5.0",
    "Slackbot-LinkExpanding 1.0",
    "ms-office; MSOffice 16",
    "Proofpoint URL Defense",
    "curl/8",
)


async def test_twenty_scanners_change_nothing(site: Site) -> None:
    request = await site.ask(**BOTH)
    before = await site.approvals.audit(request.id), await site.approvals.deliveries([request.id])
    visits = [
        site.client.request(method, site.link(request), headers={"User-Agent": agent, **purpose})
        for agent in SCANNERS
        for method in ("GET", "HEAD")
        for purpose in ({}, {"Sec-Purpose": "prefetch;prerender"})
    ]
    assert len(visits) == 20
    assert {response.status for response in await asyncio.gather(*visits)} == {200}
    assert await site.approvals.get(request.id) == request
    assert (await site.approvals.audit(request.id), await site.approvals.deliveries([request.id])) == before


async def test_a_prefetched_post_has_no_effect(site: Site) -> None:
    request = await site.ask()
    headers = {"Sec-Purpose": "prefetch"}
    response = await site.client.post(site.link(request), data={"decision": "approve"}, headers=headers)
    assert (response.status, await state(response)) == (200, "open")
    assert await site.approvals.get(request.id) == request


# Answering


async def test_an_answer_is_recorded_and_shown(site: Site) -> None:
    request = await site.ask(**BOTH)
    response = await post(
        site, site.link(request), decision="approve", reason="Looks right\r\nto me ", revision="1"
    )
    assert response.status == 303
    result = await site.client.get(response.headers["Location"])
    page = await result.text()
    assert (result.status, await state(result)) == (200, "recorded")
    for shown in (
        "You approved this at 2026-11-20 09:00 UTC.",
        "Looks right\nto me<",
        "Still awaited: <bdi>ben@",
    ):
        assert shown in page
    answer = (await site.approvals.get(request.id)).responses[0]
    assert (answer.decision, answer.reason, answer.surface) == (
        "approve",
        "Looks right\nto me",
        Surface.EMAIL,
    )


async def test_the_result_names_the_outcome(site: Site) -> None:
    request = await site.ask(**BOTH)
    await post(site, site.link(request), decision="approve")
    await post(site, site.link(request, BEN), decision="reject", reason="Too much")
    page = await (await site.client.get(site.link(request))).text()
    assert "You approved this" in page
    assert f"Rejected by {BEN} at 2026-11-20 09:00 UTC." in page
    assert "Too much" in page


async def test_a_multipart_form_is_a_form(site: Site) -> None:
    request = await site.ask()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="decision"\r\n\r\nreject\r\n'
        b'--x\r\nContent-Disposition: form-data; name="revision"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\xc3\xa9\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await site.client.post(site.link(request), data=body, headers=headers, allow_redirects=False)
    assert response.status == 303
    assert (await site.approvals.get(request.id)).responses[0].reason == "é"


async def test_a_double_click_is_recorded_once(site: Site) -> None:
    request = await site.ask(**BOTH)
    clicks = await asyncio.gather(*(post(site, site.link(request), decision="approve") for _ in range(5)))
    assert {click.status for click in clicks} == {303}
    assert len((await site.approvals.get(request.id)).responses) == 1


async def test_a_second_different_answer_is_refused_with_the_first(site: Site) -> None:
    request = await site.ask(**BOTH)
    await post(site, site.link(request), decision="approve")
    second = await post(site, site.link(request), decision="reject")
    assert (second.status, await state(second)) == (409, "recorded")
    assert "You already approved this at 2026-11-20 09:00 UTC." in await second.text()
    assert len((await site.approvals.get(request.id)).responses) == 1


async def test_an_incomplete_answer_keeps_what_was_typed(site: Site) -> None:
    request = await site.ask(reason="on_reject", level="verify", verification_phrase="delete prod")
    nothing = await post(site, site.link(request), reason="<half> a thought")
    page = await nothing.text()
    assert (nothing.status, await state(nothing)) == (422, "open")
    assert 'href="#decision-1">Your answer: choose one' in page
    assert "&lt;half&gt; a thought</textarea>" in page

    wrong = await post(site, site.link(request), decision="approve", phrase="Delete prod")
    page = await wrong.text()
    assert wrong.status == 422
    assert 'value="approve" checked' in page
    assert 'name="phrase" value="Delete prod"' in page
    assert 'role="alert" tabindex="-1" autofocus' in page
    assert 'aria-describedby="phrase-fault" aria-invalid="true"' in page

    assert (await post(site, site.link(request), decision="reject")).status == 422
    assert await site.approvals.get(request.id) == request
    assert (await post(site, site.link(request), decision="approve", phrase="delete prod")).status == 303


@pytest.mark.parametrize(
    "body",
    [
        b"decision=approve&reason=a%00b",
        b"decision=approve&reason=%ff%fe",
        b"decision=approve&reason=\xff",
        b"decision=approve&reason=%ED%A0%80",
        b"decision=approve&decision=reject",
        b"decision=%00",
        b"decision=maybe",
        b"decision=approve&reason=" + b"x" * 3001,
        b"decision=approve&revision=" + b"9" * 5000,
        b"decision=approve&revision=-1",
        b"",
    ],
)
async def test_what_cannot_be_recorded_is_422(site: Site, body: bytes) -> None:
    request = await site.ask()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await site.client.post(site.link(request), data=body, headers=headers)
    assert (response.status, await state(response)) == (422, "open")
    assert await site.approvals.get(request.id) == request


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (413, "application/x-www-form-urlencoded", b"reason=" + b"x" * 300_000),
        (413, "multipart/form-data; boundary=x", b"--x\r\n\r\n" + b"x" * 300_000 + b"\r\n--x--\r\n"),
        (415, "application/json", b'{"decision": "approve"}'),
        (400, "multipart/form-data", b"decision=approve"),
        (400, "multipart/form-data; boundary=x", b"--y\r\n"),
        (
            400,
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n",
        ),
        (400, "application/x-www-form-urlencoded", b"&".join([b"a=1"] * 2000)),
        (422, "application/x-www-form-urlencoded; charset=klingon", b"reason=x"),
        (422, "multipart/form-data; boundary=x", b"--x\r\n\r\nnameless\r\n--x--\r\n"),
    ],
)
async def test_what_is_no_form_is_refused_on_a_page(
    site: Site, status: int, content_type: str, body: bytes
) -> None:
    request = await site.ask()
    response = await site.client.post(site.link(request), data=body, headers={"Content-Type": content_type})
    assert response.status == status
    assert response.content_type == "text/html"
    assert await site.approvals.get(request.id) == request


async def test_another_website_cannot_answer(site: Site) -> None:
    request = await site.ask()
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = await site.client.post(site.link(request), data={"decision": "approve"}, headers=headers)
    assert (response.status, await state(response)) == (403, "problem")
    assert await site.approvals.get(request.id) == request


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(site: Site, method: str) -> None:
    response = await site.client.request(method, site.link(await site.ask()))
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"


# Too late, or no longer


async def test_too_late_shows_who_decided_what_when_and_why(site: Site) -> None:
    request = await site.ask(**BOTH)
    await post(site, site.link(request, BEN), decision="reject", reason="Too much")
    late = await post(site, site.link(request), decision="approve")
    assert (late.status, await state(late)) == (409, "decided")
    assert f"Already rejected by {BEN} at 2026-11-20 09:00 UTC: Too much." in await late.text()

    seen = await site.client.get(site.link(request))
    page = await seen.text()
    assert (seen.status, await state(seen)) == (200, "decided")
    assert f"Rejected by {BEN} at 2026-11-20 09:00 UTC." in page
    assert "Too much" in page
    assert "<form" not in page


async def test_even_an_incomplete_answer_is_too_late(site: Site) -> None:
    request = await site.ask()
    await site.approvals.operate(request.id, ResponseInput(decision="approve"), "an operator", Surface.API)
    assert (await post(site, site.link(request))).status == 409


async def test_the_deadline_holds_before_anything_has_noticed_it(site: Site) -> None:
    request = await site.ask(timeout_seconds=60)
    site.clock.advance(60)
    seen = await site.client.get(site.link(request))
    assert (seen.status, await state(seen)) == (200, "expired")
    assert await site.approvals.get(request.id) == request
    late = await post(site, site.link(request), decision="approve")
    assert (late.status, await state(late)) == (409, "expired")


async def test_a_cancelled_request_says_so(site: Site) -> None:
    request = await site.ask()
    await site.approvals.cancel(request.id, "Not needed", "bob@example.com", Surface.API)
    for response, status in (
        (await site.client.get(site.link(request)), 200),
        (await post(site, site.link(request), decision="approve"), 409),
    ):
        assert (response.status, await state(response)) == (status, "cancelled")
        assert "Not needed" in await response.text()


async def test_a_request_that_changed_since_it_was_opened_is_shown_again(site: Site) -> None:
    request = await site.ask(timeout_seconds=3600)
    opened = await (await site.client.get(site.link(request))).text()
    seen = opened.partition('name="seen" value="')[2].partition('"')[0]
    assert 'name="revision" value="1"' in opened
    assert request.timeout_at is not None
    await edit(site, request, revision=2, timeout_at=request.timeout_at + timedelta(hours=1))

    typed = {"decision": "approve", "reason": "fine by me", "revision": "1", "seen": seen}
    stale = await post(site, site.link(request), **typed)
    page = await stale.text()
    assert (stale.status, await state(stale)) == (409, "changed")
    assert "Changed: <strong>deadline</strong>." in page
    assert "fine by me</textarea>" in page
    assert "checked" not in page
    assert 'name="revision" value="2"' in page
    assert not (await site.approvals.get(request.id)).responses

    assert (await post(site, site.link(request), **(typed | {"revision": "2"}))).status == 303


async def test_an_old_link_says_it_was_replaced_and_shows_nothing(site: Site) -> None:
    request = await site.ask()
    old = site.link(request)
    await edit(site, request, respondents=(dataclasses.replace(request.respondents[0], generation=2),))
    await _replaced(site, request, old)
    assert (await site.client.get(site.link(await site.approvals.get(request.id)))).status == 200


async def test_who_handed_a_request_on_cannot_answer_it(site: Site) -> None:
    request = await site.ask()
    handed_on = dataclasses.replace(request.respondents[0], state=RespondentState.DELEGATED)
    await edit(site, request, respondents=(handed_on,))
    await _replaced(site, request, site.link(request))


async def _replaced(site: Site, request: Request, link: str) -> None:
    for response, status in (
        (await site.client.get(link), 200),
        (await post(site, link, decision="approve"), 409),
    ):
        assert (response.status, await state(response)) == (status, "reassigned")
        assert request.spec.title not in html.unescape(await response.text())
    assert not (await site.approvals.get(request.id)).responses


async def test_nobody_answers_their_own_request(site: Site) -> None:
    request = await site.ask(**(BOTH | {"quorum": 1}), requester=f"email:{ANA}")
    seen = await site.client.get(site.link(request))
    page = await seen.text()
    assert (seen.status, await state(seen)) == (200, "refused")
    assert "You asked for this yourself" in page
    assert "<form" not in page
    refused = await post(site, site.link(request), decision="approve")
    assert (refused.status, await state(refused)) == (403, "refused")
    assert await site.approvals.get(request.id) == request


async def test_a_payload_in_any_script_keeps_its_digest(site: Site) -> None:
    payload = {"имя": "Ana", "emoji": "😀", "n": 1.5}
    request = await site.ask(payload=payload)
    page = html.unescape(await (await site.client.get(site.link(request))).text())
    assert json.dumps(payload, indent=2, ensure_ascii=False) in page
    assert request.spec.payload_digest in page


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_an_answer_that_does_not_say_what_it_answers_is_refused(site: Site, decision: str) -> None:
    request = await site.ask()
    response = await site.client.post(
        site.link(request), data={"decision": decision, "reason": "Looks right"}
    )
    page = await response.text()
    assert (response.status, await state(response)) == (422, "open")
    assert "which version of the request was answered" in page
    assert "Looks right</textarea>" in page
    assert await site.approvals.get(request.id) == request
