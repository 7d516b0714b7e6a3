"""The rules of people on the link page: steps, questions back, handing on, escalating, second thoughts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.domain.model.request import Status, Surface
from tests.support.link_pages import Site, serving, who

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA, BEN, CY, BOB = (f"{name}@example.com" for name in ("ana", "ben", "cy", "bob"))
BOTH = {"audience": [f"email:{ANA}", f"email:{BEN}"], "quorum": 2}
FORM = {"type": "object", "properties": {"amount": {"type": "integer"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serving(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'assent.db'}") as running:
        yield running


# Steps


async def test_each_step_has_its_turn_and_everybody_reads_where_it_stands(site: Site) -> None:
    steps = [
        {"name": "Review", "audience": [f"email:{ANA}", f"email:{CY}"]},
        {"name": "Finance", "audience": [f"email:{BEN}"], "timeout_seconds": 3600},
    ]
    request = await site.ask(steps=steps, audience=[])
    ana, ben, cy = [await who(site, request, email) for email in (ANA, BEN, CY)]
    early = await ben.opens()
    assert (early.status, early.state, early.page.buttons) == (200, "refused", [])
    assert "It is not your turn yet" in early.page.text
    assert "The step you are asked in is not open yet; you will be told when it is." in early.page.text
    response = await site.client.post(ben.link, data={"revision": "1", "decision": "approve"})
    assert response.status == 403

    assert "Step Step 1 of 2: Review" in (await ana.opens()).page.text
    answering = await ana.opens()
    for _ in range(2):
        assert (await ana.presses(visit=answering, Approve=True)).status == 200
    late = await cy.opens()
    assert (late.status, late.state, late.page.buttons) == (200, "refused", [])
    assert "Your step is closed" in late.page.text
    assert (await site.client.post(cy.link, data={"revision": "1", "decision": "approve"})).status == 409

    now = await ben.opens()
    assert now.state == "open"
    for shown in (
        "Step 2 of 2: Finance",
        "Step 1 of 2: Review done",
        "ana@example.com: approved",
        "cy@example.com: no answer",
        "Review is approved: 1 of 1 approval.",
        "Fri 20 Nov 2026, 10:00 (UTC). Without a decision by then it expires.",
    ):
        assert shown in now.page.text
    assert (await ana.opens()).page.buttons == []
    await ben.presses(Approve=True)
    assert (await site.approvals.get(request.id)).status is Status.APPROVED


# Ask back, hand on, escalate


async def test_a_question_back_and_its_answer_stand_on_the_page(site: Site) -> None:
    request = await site.ask(requester=f"email:{BOB}", **BOTH)
    ana = await who(site, request)
    opened = await ana.opens()
    assert "Your question: type your question" in (await ana.presses("Ask")).page.text
    asked = {f"Your question to {BOB}": "Which <order>?"}
    for _ in range(2):
        told = await ana.presses("Ask", opened, **asked)
        assert (told.status, told.state) == (200, "open")
        assert "You asked: Which <order>?" in told.page.text
    await site.approvals.reply(request.id, "Number 5531.", BOB, Surface.API)
    page = (await (await who(site, request, BEN)).opens()).page
    assert "ana@example.com asked, Fri 20 Nov 2026, 09:00 (UTC) Which <order>?" in page.text
    assert "bob@example.com replied, Fri 20 Nov 2026, 09:00 (UTC) Number 5531." in page.text
    assert len((await site.approvals.get(request.id)).comments) == 2


async def test_who_hands_it_on_sees_who_has_it_and_cannot_answer_any_more(site: Site) -> None:
    request = await site.ask(**BOTH)
    ana = await who(site, request)
    opened = await ana.opens()
    for to, fault in (
        ("", "Who takes over: say who takes over"),
        ("group:finance", "Who takes over: must be one person"),
        (BEN, "Who takes over: is asked already (ben@example.com), and one person counts once"),
    ):
        refused = await ana.presses("Hand it on", Who_takes_over=to, Why_you_hand_it_on="On holiday")
        assert (refused.status, refused.state) == (422, "open")
        assert fault in refused.page.text
        assert refused.page.value("Why you hand it on", "Hand it on") == "On holiday"
        assert refused.page.value("Reason") == ""
    for _ in range(2):
        gone = await ana.presses("Hand it on", opened, Who_takes_over=CY, Why_you_hand_it_on="On holiday")
        assert (gone.status, gone.state, gone.page.buttons) == (200, "reassigned", [])
        assert "cy@example.com has it now" in gone.page.text
    late = await ana.presses(visit=opened, Approve=True)
    assert (late.status, late.state) == (409, "reassigned")
    page = (await (await who(site, request, CY)).opens()).page
    assert "ana@example.com handed this on to cy@example.com: On holiday" in page.text
    assert "cy@example.com: waiting, in place of ana@example.com" in page.text


async def test_a_respondent_escalates_with_a_reason_once_however_often_they_click(site: Site) -> None:
    ladder = [
        {"name": "manager", "audience": [f"email:{CY}"], "after_seconds": 600},
        {"name": "director", "audience": [f"email:{BOB}"], "replace": True},
    ]
    request = await site.ask(escalation=ladder)
    ana = await who(site, request)
    opened = await ana.opens()
    assert "To manager at Fri 20 Nov 2026, 09:10 (UTC), if nothing is decided before." in opened.page.text
    assert CY not in opened.page.text
    why = {"Why manager should look at it": "Too large for me"}
    for _ in range(2):
        told = await ana.presses("Escalate", opened, **why)
        assert told.state == "open"
        assert "Escalated from audience to manager by ana@example.com: Too large for me" in told.page.text
    assert (await site.approvals.get(request.id)).level == 1
    assert "cy@example.com: waiting, manager" in told.page.text
    cy = await who(site, request, CY)
    assert "They decide in your place then." in (await cy.opens()).page.text
    replaced = await cy.presses("Escalate")
    assert (replaced.state, replaced.page.buttons) == ("refused", [])
    assert "The request was escalated to director, who decide it now." in replaced.page.text
    bob = await who(site, request, BOB)
    assert "Escalate" not in (await bob.opens()).page.buttons
    response = await site.client.post(bob.link, data={"action": "escalate"})
    assert response.status == 422
    assert "has no further level to escalate to" in await response.text()


# Second thoughts


async def test_an_answer_is_taken_back_while_nothing_is_decided(site: Site) -> None:
    request = await site.ask(**BOTH)
    ana = await who(site, request)
    recorded = await ana.presses(Approve=True)
    for _ in range(2):
        back = await ana.presses("Take my answer back", recorded)
        assert (back.status, back.state) == (200, "open")
        assert "ana@example.com took their answer back." in back.page.text
    await ana.presses(Approve=True)
    await (await who(site, request, BEN)).presses(Approve=True)
    late = await ana.presses("Take my answer back", recorded)
    assert (late.status, late.state, late.page.buttons) == (409, "recorded", [])
    assert "That was not done. Already approved by" in late.page.text


async def test_a_held_decision_says_from_when_it_counts_and_is_undone(site: Site) -> None:
    request = await site.ask(grace_seconds=300, **(BOTH | {"quorum": 1}))
    ana, ben = await who(site, request), await who(site, request, BEN)
    held = "Approved by ana@example.com. It counts from Fri 20 Nov 2026, 09:05 (UTC) on"
    recorded = await ana.presses(Approve=True)
    assert held in recorded.page.text
    assert recorded.page.buttons == ["Undo"]
    assert held in (await ben.opens()).page.text
    assert (await ana.presses("Undo", recorded)).state == "open"
    assert held not in (await ben.opens()).page.text
    assert (await site.approvals.get(request.id)).held is None


async def test_what_the_page_does_not_know_is_refused(site: Site) -> None:
    request = await site.ask()
    for fields in ({"action": "approve"}, {"action": "withdraw"}, {"action": "ask", "text": "x" * 3001}):
        assert (await site.client.post(site.link(request), data=fields)).status == 422
    assert await site.approvals.get(request.id) == request
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = await site.client.post(
        site.link(request), data={"action": "delegate", "to": CY}, headers=headers
    )
    assert response.status == 403
    assert await site.approvals.get(request.id) == request


async def test_looking_changes_nothing_in_any_state(site: Site) -> None:
    steps = [{"audience": [f"email:{ANA}", f"email:{CY}"], "quorum": 2}, {"audience": [f"email:{BEN}"]}]
    request = await site.ask(steps=steps, audience=[], grace_seconds=60, form=FORM, payload={"amount": 1})
    ana, ben, cy = [await who(site, request, email) for email in (ANA, BEN, CY)]
    await cy.presses("Hand it on", Who_takes_over=BOB)
    await ana.presses(Approve=True, Amount="3")
    before = await site.approvals.get(request.id), await site.approvals.audit(request.id)
    for link in (ana.link, ben.link, cy.link, (await who(site, request, BOB)).link):
        for query in (
            "",
            "?done=ask",
            "?done=withdraw",
            "?done=escalate",
            "?action=withdraw&decision=approve",
        ):
            for method in ("GET", "HEAD"):
                assert (await site.client.request(method, link + query)).status == 200
    assert (await site.approvals.get(request.id), await site.approvals.audit(request.id)) == before
