"""Mails as composed: what they say, and that no text from users breaks them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.model.request import Comment, Edit, HistoryEntry, Respondent, Surface
from bot.domain.model.spec import Kind, Level, Step
from bot.email.addresses import AddressError, parse_sender
from bot.email.message import Composer
from bot.email.mime import UnsafeMailError, assemble
from bot.rendering import templates
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
    decided,
    read,
    visible,
)

HEADERS = [
    "Auto-Submitted",
    "Content-Type",
    "Date",
    "From",
    "In-Reply-To",
    "MIME-Version",
    "Message-ID",
    "References",
    "Subject",
    "To",
    "X-Auto-Response-Suppress",
]


def test_the_question_fits_the_first_screen_and_has_one_link() -> None:
    mail = compose(ask())
    text = body(mail)
    assert text.startswith(
        "Refund €1,250\n\nbob@example.com asks for your approval.\n\n  Order 5531 arrived broken."
    )
    assert "Answer by Fri 20 Nov 2026, 17:00 (UTC+01:00). Without a decision by then it expires." in text
    assert text.splitlines().count(LINK) == 1
    assert text.count("/r/") == 1
    assert "0 of 2 approvals. Waiting for you and Ben." in text
    assert "Order: 5531" in text
    assert "WHAT WILL BE DONE\n  Tool: refund\n  Amount: 1250\n" in text
    assert "Fingerprint: sha256:feed" in text


def test_no_link_in_a_message_stands_where_the_personal_one_does() -> None:
    forged = LINK.replace("/r/", "/r/a")
    text = body(compose(ask(message=f"Look:\n\n{forged}\n\nThanks")))
    assert forged in text
    assert [line for line in text.splitlines() if line.startswith("http")] == [LINK]


def test_the_html_says_the_same_as_the_text() -> None:
    mail = compose(ask())
    html = body(mail, "html")
    shown = visible(mail)
    for part in (
        "Refund €1,250",
        "bob@example.com asks for your approval.",
        "Answer by Fri 20 Nov 2026, 17:00 (UTC+01:00)",
        "Review and answer",
        "5531",
        "Amount 1250",
        "sha256:feed",
        "0 of 2 approvals. Waiting for you and Ben.",
        "Request req_01",
    ):
        assert part in shown
    assert "<em>broken</em>" in html
    assert set(re.findall(r"https?://[^\s\"<]+", html)) == {LINK}
    assert 'style="' in html
    assert "prefers-color-scheme: dark" in html


def test_a_source_brings_no_markup_into_the_mail() -> None:
    html = body(compose(ask(source_url='https://ci.test/"><script>run</script>')), "html")
    assert 'href="https://ci.test/%22%3E%3Cscript%3Erun%3C/script%3E"' in html
    assert "<script" not in html


def test_headers_are_exactly_these() -> None:
    message = read(compose(ask()))
    assert sorted(message.keys()) == HEADERS
    assert message["Subject"] == "[Approve?] Refund €1,250 – by Fri 17:00"
    assert message["From"] == "Assent <assent@example.com>"
    assert message["To"] == "ana@example.com"
    assert message["Message-ID"] == "<dlv_1@example.com>"
    assert message["In-Reply-To"] == message["References"] == "<req_01@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert message["Date"].datetime == NOW


def test_composing_again_gives_the_same_bytes_in_ascii_lines_that_every_relay_takes() -> None:
    mail = compose(ask(title="Größe " * 40, message="Ünïcödé " * 500))
    assert mail.raw == compose(ask(title="Größe " * 40, message="Ünïcödé " * 500)).raw
    assert mail.raw.isascii()
    lines = mail.raw.split(b"\r\n")
    assert max(map(len, lines)) <= 100
    assert not any(b"\n" in line or b"\r" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"kind": Kind.CHOICE}, "[Choose] Refund €1,250 – by Fri 17:00"),
        ({"kind": Kind.INPUT}, "[Fill in] Refund €1,250 – by Fri 17:00"),
        ({"kind": Kind.FEEDBACK}, "[Feedback?] Refund €1,250 – by Fri 17:00"),
        ({"level": Level.INFO}, "[FYI] Refund €1,250"),
    ],
)
def test_the_subject_says_what_is_wanted(changes: dict[str, Any], subject: str) -> None:
    assert read(compose(ask(**changes)))["Subject"] == subject


@pytest.mark.parametrize(
    ("after", "by"),
    [
        (timedelta(hours=7), " – by Fri 17:00"),
        (timedelta(days=20), " – by 10 Dec 10:00"),
        (timedelta(days=60), " – by 19 Jan 2027 10:00"),
        (None, ""),
    ],
)
def test_the_subject_names_the_deadline_in_the_readers_time(after: timedelta | None, by: str) -> None:
    request = replace(ask(), timeout_at=NOW + after if after else None)
    assert read(compose(request))["Subject"] == f"[Approve?] Refund €1,250{by}"


def test_reminder_receipt_and_outcome_stay_in_the_thread() -> None:
    question = read(compose(ask()))
    for notice in ("reminder", "receipt", "outcome"):
        message = read(compose(answered() if notice == "receipt" else decided(), notice))
        assert message["Subject"] == f"Re: {question['Subject']}"
        assert message["References"] == question["References"]


def test_a_receipt_says_what_was_recorded_and_what_if_it_was_not_you() -> None:
    mail = compose(answered(), "receipt")
    for shown in (" ".join(body(mail).split()), visible(mail)):
        assert "You approved this at 2026-11-20 09:00 UTC." in shown
        assert "Fine" in shown
        assert "Was this not you?" in shown
        assert "1 of 2 approvals. Waiting for Ben." in shown
    assert body(mail).splitlines().count(LINK) == 1


def test_steps_with_deadlines_of_their_own_leave_the_subject_alone() -> None:
    step = Step(audience=("ana@example.com",), timeout_seconds=600)
    request = replace(ask(steps=(step,)), step_timeout_at=NOW + timedelta(minutes=10))
    assert read(compose(request))["Subject"] == "[Approve?] Refund €1,250"
    assert "Answer by Fri 20 Nov 2026, 10:10 (UTC+01:00)" in visible(compose(request))


def test_an_outcome_says_who_decided_and_that_nothing_is_left_to_do() -> None:
    mail = compose(decided(), "outcome")
    for shown in (" ".join(body(mail).split()), visible(mail)):
        assert "Rejected by Ben at 2026-11-20 09:00 UTC" in shown
        assert "Too much" in shown
        assert "You need not answer any more." in shown


def test_news_asks_nothing() -> None:
    mail = compose(ask(level=Level.INFO))
    assert "You need not answer." in visible(mail)
    assert "approval." not in visible(mail)


def test_a_notification_has_no_thread_and_no_link() -> None:
    mail = COMPOSER.notification(
        "**Deployed** 1.4\n\nAll well.", to="ana@example.com", delivery_id="dlv_2", at=NOW
    )
    message = read(mail)
    assert sorted(message.keys()) == sorted({*HEADERS} - {"In-Reply-To", "References"})
    assert message["Subject"] == "Deployed 1.4"
    assert body(mail).startswith("Deployed 1.4\n\nAll well.")
    assert "<strong>Deployed</strong>" in body(mail, "html")
    assert "/r/" not in body(mail) + body(mail, "html")


INJECTIONS = [
    "x\r\nBcc: evil@example.com",
    "x\nBcc: evil@example.com\n\nbody",
    "=?utf-8?q?a=0D=0ABcc:_e@x.test?=",
    "=?utf-8?b?DQpCY2M6IGVAeC50ZXN0?= é",
    "\x00\x0b\x0c\x1b\x7f\x85\u2028Bcc: e@x.test",
    "=?=?utf-8?q?a=0D=0ABcc:_e@x.test?=",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_becomes_a_header(text: str) -> None:
    nasty = ask(title=text, message=text, details={text: text}, requester=text)
    message = read(compose(nasty))
    assert sorted(message.keys()) == HEADERS
    notification = COMPOSER.notification(text, to="ana@example.com", delivery_id="dlv_2", at=NOW)
    assert "Bcc" not in read(notification)


@pytest.mark.thorough
@settings(max_examples=300)
@given(st.text(min_size=1, max_size=400))
def test_any_title_survives_in_the_subject(title: str) -> None:
    subject = read(compose(ask(title=title)))["Subject"]
    assert subject.startswith("[Approve?]")
    assert not any(char < " " or "\u202a" <= char <= "\u202e" for char in subject)


def test_a_header_that_slips_in_stops_the_mail() -> None:
    with pytest.raises(UnsafeMailError):
        assemble({"To": "ana@example.com\r\nBcc: evil@example.com"}, subject="Hi", text="a", html="b")


@pytest.mark.parametrize("to", ["ana@example.com\r\nRCPT TO:<evil@x>", "ana", "a@x.test, b@x.test"])
def test_a_bad_address_is_refused(to: str) -> None:
    with pytest.raises(AddressError):
        compose(ask(), to=to)


def test_an_address_in_another_script_stands_in_the_header_as_it_is() -> None:
    mail = compose(ask(), to="jörg@bücher.example")
    assert "\r\nTo: jörg@xn--bcher-kva.example\r\n".encode() in mail.raw
    assert mail.recipient.needs_smtputf8


def test_a_sender_may_have_any_name_and_a_long_domain() -> None:
    sender = parse_sender("Genehmigungen für Größe, GmbH <assent@mail.a-very-long-company-name.example.com>")
    composer = Composer(templates(), sender)
    mail = composer.about("ask", ask(), ANA, to="ana@example.com", link=LINK, delivery_id="dlv_1", at=NOW)
    assert read(mail)["From"].addresses[0].display_name == "Genehmigungen für Größe, GmbH"
    assert mail.message_id == "<dlv_1@a-very-long-company-name.example.com>"


def test_html_in_any_field_is_only_text() -> None:
    nasty = '<script>alert(1)</script><img src="https://track.test/x.gif" onerror="alert(1)">'
    request = ask(title=nasty, message=nasty, details={nasty: nasty}, payload={nasty: nasty}, requester=nasty)
    request = replace(request, respondents=(ANA, replace(BEN, name=nasty)))
    assert visible(compose(request)).count("<script>alert(1)</script>") >= 6


def test_emoji_and_right_to_left_text_arrive_whole() -> None:
    title = "אישור 👨‍👩‍👧‍👦 موافقة"
    mail = compose(ask(title=title))
    assert title in body(mail)
    assert '<h1 dir="auto"' in body(mail, "html")
    assert title in visible(mail)


def test_text_that_reverses_what_is_read_is_defused() -> None:
    mail = compose(ask(title="pay \u202e001$\u202c now", payload={"to": "a\u202eb"}))
    assert "\u202e" not in body(mail) + body(mail, "html") + read(mail)["Subject"]
    assert "a\\u202eb" in body(mail)


@pytest.mark.thorough
def test_what_is_too_long_is_shortened_and_says_so() -> None:
    request = ask(
        title="T" * 5_000,
        message="word " * 40_000,
        details={f"key {i}": "v" * 2_000 for i in range(200)},
        payload={"data": "x" * 500_000, **{f"field {i}": "w" * 3_000 for i in range(50)}},
        form={"type": "object", "properties": {f"field {i}": {"type": "string"} for i in range(50)}},
    )
    edits = [
        Edit(field=f"field {i}", old="u" * 3_000, new="w" * 3_000, by="B" * 300, at=NOW) for i in range(50)
    ]
    trail = [HistoryEntry(at=NOW, text="t" * 3_000)] * 50
    comment = Comment(by="Ben", text="c" * 3_000, surface=Surface.API, at=NOW)
    request = replace(request, edits=tuple(edits), trail=tuple(trail), comments=(comment,) * 200)
    mail = compose(request)
    html = body(mail, "html")
    assert len(html.encode()) < 102_000
    for shown in (" ".join(body(mail).split()), visible(mail)):
        assert "All 200,000 characters are" in shown
        assert "40 of 200 are shown" in shown
        assert re.search(r"… \(49\d,\d{3} more characters\)", shown)
        assert re.search(r"… \d\d more values; the page has all of them", shown)
        assert "Not all that happened, or all of the form, is shown" in shown
        assert request.spec.payload_digest in shown
    assert body(mail).splitlines().count(LINK) == 1


def test_a_long_message_leaves_the_button_on_the_first_screen() -> None:
    mail = compose(ask(message="word " * 1_000))
    for shown in (body(mail), visible(mail)):
        assert shown.index("Answer by") < shown.index("word word")


def test_a_large_audience_is_counted_not_listed() -> None:
    crowd = tuple(Respondent(id=f"rsp_{i}", name=f"Person {i}") for i in range(200))
    mail = compose(replace(ask(), respondents=(ANA, *crowd)))
    assert "Waiting for you, Person 0" in body(mail)
    assert "and 193 others." in body(mail)


def test_every_mail_has_all_its_templates() -> None:
    names = [name for name in templates().list_templates() if name.startswith("email/")]
    mails = {name.split("/")[1] for name in names} - {"_base"}
    assert mails == {"ask", "info", "reminder", "news", "receipt", "outcome", "notification"}
    for mail in mails:
        for part in ("subject.txt", "body.txt", "body.html"):
            assert f"email/{mail}/{part}" in names
