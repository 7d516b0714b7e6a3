"""What mails say of forms, steps, changes, conversations and decisions that are held."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.model.request import (
    Comment,
    Edit,
    HeldOutcome,
    HistoryEntry,
    Outcome,
    Request,
    ResolvedBy,
    RespondentState,
    Response,
    Status,
    Surface,
)
from bot.domain.model.spec import Kind, Step
from tests.support.mails import (
    ANA,
    BEN,
    COMPOSER,
    LINK,
    NOW,
    answered,
    ask,
    body,
    compose,
    read,
    said,
    visible,
)

if TYPE_CHECKING:
    from bot.email.message import Notice

FORM = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "title": "Amount in euros"},
        "how": {"title": "Way", "oneOf": [{"const": "sepa", "title": "Bank transfer"}, {"const": "card"}]},
    },
}


def in_course() -> Request:
    """In the second of two steps: Ana has changed the amount, Ben has asked something; the form is still open."""
    steps = (
        Step(name="Review", audience=("ben@example.com",)),
        Step(name="Finance", audience=("ana@example.com",)),
    )
    return replace(
        ask(form=FORM, payload={"amount": 1250, "how": "sepa"}, steps=steps),
        step=1,
        respondents=(replace(ANA, step=1), replace(BEN, state=RespondentState.APPROVED)),
        responses=(Response(respondent="rsp_ben", decision="approve", surface=Surface.SLACK, at=NOW),),
        values={"amount": 900},
        edits=(Edit(field="amount", old=1250, new=900, by="Ben", at=NOW),),
        comments=(
            Comment(by="Ben", respondent="rsp_ben", text="Which order?", surface=Surface.EMAIL, at=NOW),
        ),
        trail=(HistoryEntry(at=NOW, text="Review is approved: 1 of 1 approval."),),
        step_timeout_at=NOW + timedelta(hours=1),
    )


@pytest.mark.parametrize("notice", ["ask", "reminder", "news"])
def test_whoever_is_asked_later_reads_how_it_came_here(notice: Notice) -> None:
    for shown in said(compose(in_course(), notice)):
        for words in ("Step 2 of 2: Finance", "Amount in euros", "1250", "900", "Way", "Bank transfer"):
            assert words in shown
        assert "Ben: Which order?" in shown
        assert "Fri 20 Nov 2026, 10:00 (UTC+01:00): Review is approved: 1 of 1 approval." in shown
        assert "Answer by Fri 20 Nov 2026, 11:00 (UTC+01:00)" in shown
        assert re.search(r"\(?amount\)?:? 900", shown)
        assert "sha256:feed" not in shown


def test_news_says_first_what_happened_and_then_the_question_as_it_stands() -> None:
    question = compose(ask())
    mail = COMPOSER.about(
        "news",
        ask(),
        ANA,
        to="ana@example.com",
        link=LINK,
        delivery_id="dlv_3",
        at=NOW,
        news="Bob replied: <5531>",
    )
    assert body(mail).startswith("Bob replied: <5531>\n\nRefund €1,250\n")
    assert body(mail).splitlines().count(LINK) == 1
    assert visible(mail).index("<5531>") < visible(mail).index("Review and answer")
    assert read(mail)["References"] == read(question)["References"]
    assert read(mail)["Subject"] == f"Re: {read(question)['Subject']}"


def test_the_requester_gets_news_without_a_link() -> None:
    mail = COMPOSER.about(
        "news",
        ask(),
        None,
        to="bob@example.com",
        link=None,
        delivery_id="dlv_3",
        at=NOW,
        news="Ana asked: Why?",
    )
    for shown in said(mail):
        assert "Ana asked: Why?" in shown
        assert "Waiting for Ana and Ben." in shown
        assert "/r/" not in shown
        assert "asks for your approval" not in shown
        assert "Answers are due by Fri 20 Nov 2026, 16:00 (UTC)" in shown
        assert "Mails to this address are not read" in shown
    assert "href" not in body(mail, "html")


def test_a_receipt_says_what_was_filled_in_and_what_was_changed() -> None:
    values = {"amount": 900, "how": "card"}
    given = Response(respondent="rsp_ana", decision="approve", values=values, surface=Surface.EMAIL, at=NOW)
    edit = Edit(field="amount", old=1250, new=900, by="Ana", at=NOW)
    request = replace(
        ask(form=FORM, payload={"amount": 1250}), responses=(given,), values=values, edits=(edit,)
    )
    text, html = said(compose(request, "receipt"))
    assert "Way: card Amount in euros: was 1250, is now 900" in text
    assert "Way card Amount in euros − 1250 + 900" in html

    feedback = replace(given, values={"score": 0.8, "comment": "Good"})
    request = replace(ask(kind=Kind.FEEDBACK), responses=(feedback,))
    assert "Score: 0.8 Comment: Good" in said(compose(request, "receipt"))[0]


def test_a_decision_that_is_held_says_from_when_it_counts() -> None:
    outcome = Outcome(
        decision=Status.APPROVED, resolved_by=ResolvedBy.RESPONDENTS, surface=Surface.EMAIL, by="Ana"
    )
    request = replace(answered(), held=HeldOutcome(outcome=outcome, until=NOW + timedelta(minutes=5)))
    for shown in said(compose(request, "receipt")):
        assert "Approved by Ana. It counts from Fri 20 Nov 2026, 10:05 (UTC+01:00) on" in shown
