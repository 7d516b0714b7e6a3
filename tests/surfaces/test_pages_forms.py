"""The form of a request on the link page: every kind of field, faults, changes, and what was changed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.domain.model.request import Surface
from bot.schemas.requests import ReviseBody
from tests.support.link_pages import Site, serving, who

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA, BEN, CY, BOB = (f"{name}@example.com" for name in ("ana", "ben", "cy", "bob"))
BOTH = {"audience": [f"email:{ANA}", f"email:{BEN}"], "quorum": 2}
ORDER = {
    "type": "object",
    "required": ["amount", "currency"],
    "properties": {
        "order": {"type": "string", "title": "Order", "readOnly": True},
        "amount": {"type": "number", "title": "Amount", "maximum": 2000, "description": "In full."},
        "currency": {"title": "Currency", "enum": ["EUR", "USD"]},
        "due": {"type": ["string", "null"], "format": "date", "title": "Due"},
        "contact": {"type": "string", "format": "email", "title": "Contact"},
        "note": {"type": "string", "title": "Note"},
        "express": {"type": "boolean", "title": "Express"},
        "tags": {"type": "array", "title": "Tags", "items": {"enum": ["gift", "fragile"]}},
    },
}
PAYLOAD = {
    "order": "5531",
    "amount": 1250,
    "currency": "EUR",
    "due": "2026-12-01",
    "contact": "cy@example.com",
    "note": "\nTwo lines,\r\nand blanks. ",
    "express": True,
    "tags": ["fragile", "gift"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serving(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'assent.db'}") as running:
        yield running


async def test_a_form_has_a_labelled_field_for_every_value_and_shows_what_may_only_be_read(
    site: Site,
) -> None:
    ana = await who(site, await site.ask(form=ORDER, payload=PAYLOAD, allow_skip=True))
    page = (await ana.opens()).page
    assert page.labels() == [
        *("Amount", "Currency", "Due", "Contact", "Note", "Express", "gift", "fragile"),
        *("Approve", "Reject", "Skip", "Reason"),
    ]
    assert (page.value("Amount"), page.value("Currency"), page.value("Due")) == ("1250", "EUR", "2026-12-01")
    assert page.checked("Express")
    assert page.checked("gift")
    assert "Order 5531" in page.text
    assert "In full. Needed." in page.text


async def test_who_changes_nothing_records_no_change_whatever_the_browser_makes_of_the_values(
    site: Site,
) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD)
    assert (await (await who(site, request)).presses(Approve=True)).state == "recorded"
    outcome = (await site.approvals.get(request.id)).outcome
    assert outcome
    assert (outcome.edited, outcome.payload) == (False, PAYLOAD)


async def test_changed_values_are_recorded_shown_as_a_diff_and_set_others_back(site: Site) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD, **BOTH)
    ana, ben = await who(site, request), await who(site, request, BEN)
    await ben.presses(Approve=True)
    changes: dict[str, Any] = {
        "Amount": "900",
        "Currency": "USD",
        "Due": "",
        "Express": False,
        "fragile": False,
    }
    done = await ana.presses(Approve=True, **changes)
    assert done.state == "recorded"
    assert "Amount 900" in done.page.text
    again = await ben.opens()
    assert again.state == "open"
    for shown in (
        "Amount 1250 900",
        "Currency EUR USD",
        "Due 2026-12-01 nothing",
        "Express yes no",
        "Tags fragile, gift gift",
        "The approval of ben@example.com was for other values, so it does not count any more.",
    ):
        assert shown in again.page.text
    assert again.page.value("Amount") == "900"
    stored = await site.approvals.get(request.id)
    assert stored.values == {
        "amount": 900,
        "currency": "USD",
        "due": None,
        "express": False,
        "tags": ["gift"],
    }


async def test_each_fault_stands_at_its_field_and_everything_typed_is_kept(site: Site) -> None:
    ana = await who(site, await site.ask(form=ORDER, payload=PAYLOAD, reason="required"))
    refused = await ana.presses(
        Approve=True, Amount="12,5", Contact="nobody", Note="Mine", Currency="USD", Express=False, gift=False
    )
    assert (refused.status, refused.state) == (422, "open")
    page = refused.page
    for fault in ("Amount: must be a number", "Contact: must be a valid email", "Reason: a reason is needed"):
        assert fault in page.text
    assert [page.value(label) for label in ("Amount", "Contact", "Note", "Currency")] == [
        *("12,5", "nobody", "Mine", "USD"),
    ]
    assert [page.checked(label) for label in ("Express", "gift", "fragile", "Approve")] == [
        False,
        False,
        True,
        True,
    ]
    mended = await ana.presses(visit=refused, Amount="2001", Contact="di@example.com", Reason="Agreed")
    assert mended.status == 422
    assert "Amount: must be at most 2000" in mended.page.text
    assert (await ana.presses(visit=mended, Amount="2000")).state == "recorded"


async def test_a_field_may_have_any_name(site: Site) -> None:
    form = {"type": "object", "properties": {"größe/~ in.cm": {"type": "integer", "title": "Größe"}}}
    request = await site.ask(form=form, payload={"größe/~ in.cm": 3})
    ana = await who(site, request)
    refused = await ana.presses(Approve=True, Größe="drei")
    assert "Größe: must be a whole number" in refused.page.text
    await ana.presses(visit=refused, Größe="4")
    assert (await site.approvals.get(request.id)).values == {"größe/~ in.cm": 4}


async def test_a_rejection_changes_nothing_whatever_was_typed(site: Site) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD)
    assert (await (await who(site, request)).presses(Reject=True, Amount="many")).state == "recorded"
    assert (await site.approvals.get(request.id)).values == {}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ([("values.order", "666")], None),
        ([("values.amount", "1"), ("values.amount", "2")], "was sent more than once"),
        ([("values.note", "a\0b")], "cannot be read or stored"),
        ([("values.currency", "BTC")], "must be one of: EUR, USD"),
        ([("values.unknown", "x")], None),
    ],
)
async def test_what_no_browser_sends_changes_nothing(
    site: Site, fields: list[tuple[str, str]], fault: str | None
) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD)
    response = await site.client.post(
        site.link(request), data=[("decision", "approve"), ("revision", "1"), *fields]
    )
    assert response.status == (422 if fault else 200)
    assert (fault or "") in await response.text()
    assert (await site.approvals.get(request.id)).values == {}


async def test_input_is_filled_in_and_needs_what_is_needed(site: Site) -> None:
    form = {
        "type": "object",
        "required": ["name", "city"],
        "properties": {"name": {"type": "string", "maxLength": 80}, "city": {"type": "string"}},
    }
    request = await site.ask(kind="input", form=form)
    ana = await who(site, request)
    opened = await ana.opens()
    assert opened.page.labels() == ["Name", "City", "Approve and send", "Reject", "Reason"]
    empty = await ana.presses(Approve_and_send=True)
    assert "Name: is needed" in empty.page.text
    assert "City: is needed" in empty.page.text
    done = await ana.presses(visit=empty, Name="Acme", City="Bonn")
    assert "You filled in this" in done.page.text
    assert "Name Acme" in done.page.text
    outcome = (await site.approvals.get(request.id)).outcome
    assert outcome
    assert outcome.values == {"name": "Acme", "city": "Bonn"}


async def test_feedback_is_a_score_and_a_comment(site: Site) -> None:
    request = await site.ask(kind="feedback", feedback_type="answer", **(BOTH | {"quorum": "all"}))
    ana = await who(site, request)
    opened = await ana.opens()
    assert opened.page.labels() == ["Score", "Comment", "Reason"]
    assert "Score: must be at most 1" in (await ana.presses(Score="7")).page.text
    assert "Score: is needed" in (await ana.presses(Comment="Good")).page.text
    done = await ana.presses(Score="0.75", Comment="Good")
    assert "Score 0.75 Comment Good" in done.page.text
    [response] = (await site.approvals.get(request.id)).responses
    assert response.values == {"score": 0.75, "comment": "Good"}
    last = await (await who(site, request, BEN)).presses(Score="0.25")
    assert "Score 0.50 on average, from 2 answers" in last.page.text


async def test_a_box_left_empty_says_no_where_an_answer_is_needed(site: Site) -> None:
    boxes = {"agreed": {"type": "boolean"}, "public": {"type": "boolean"}}
    form = {"type": "object", "required": ["agreed"], "properties": boxes}
    request = await site.ask(kind="input", form=form)
    assert (await (await who(site, request)).presses(Approve_and_send=True)).state == "recorded"
    assert (await site.approvals.get(request.id)).values == {"agreed": False}


async def test_a_second_click_finds_the_changed_values_recorded(site: Site) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD, **BOTH)
    ana = await who(site, request)
    opened = await ana.opens()
    for _ in range(2):
        assert (await ana.presses(visit=opened, Approve=True, Amount="900")).status == 200
    assert len((await site.approvals.get(request.id)).responses) == 1
    other = await ana.presses(visit=opened, Approve=True, Amount="800")
    assert (other.status, other.state) == (409, "recorded")


# Changed since it was opened


async def test_who_answers_what_was_changed_meanwhile_sees_the_diff_and_keeps_what_they_typed(
    site: Site,
) -> None:
    request = await site.ask(form=ORDER, payload=PAYLOAD, requester=f"email:{BOB}", **BOTH)
    ana = await who(site, request)
    opened = await ana.opens()
    body = ReviseBody(payload=PAYLOAD | {"amount": 700}, reason="Two came back")
    await site.approvals.revise(request.id, body, BOB, Surface.API)
    stale = await ana.presses(visit=opened, Approve=True, Note="Mine", Reason="Fine")
    assert (stale.status, stale.state) == (409, "changed")
    assert (
        "Changed: payload. Look at it again, then answer. Field Was Is now Amount 1250 700" in stale.page.text
    )
    page = stale.page
    assert [page.value(label) for label in ("Amount", "Note", "Reason")] == ["700", "Mine", "Fine"]
    assert not page.checked("Approve")
    assert (await ana.presses(visit=stale, Approve=True)).state == "recorded"
    assert (await site.approvals.get(request.id)).values == {"note": "Mine"}
