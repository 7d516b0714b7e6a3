"""Mails from the outbox, over a real relay that fails as relays do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.delivery.backoff import BREAKER, GIVE_UP
from bot.delivery.dispatcher import Dispatcher
from bot.domain.model.events import AddComment, Cancel, Remind, Withdraw
from bot.domain.model.request import Address, RespondentState, Surface
from bot.email import sender
from bot.email.addresses import parse_sender
from bot.email.config import parse_smtp_url
from bot.email.mailer import Mailer
from bot.email.message import Composer
from bot.email.sender import EmailSender
from bot.links import Links
from bot.rendering import templates
from bot.sandbox.mail.relay import Mailbox
from tests.support.asking import asked, by_mail, response, somebody
from tests.support.dispatching import Office
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.store import SqlStore

LINKS = Links("https://assent.example.com", ["k" * 32])
ANA, BEN = somebody("ana"), somebody("ben")
TO_ANA, TO_BEN, TO_BOB = "ana@example.com", "ben@example.com", "bob@example.com"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def office(migrated_store: SqlStore, mailbox: Mailbox) -> AsyncIterator[Office]:
    """An office whose mails go over the relay; Ana and Ben must both approve."""
    office = Office(migrated_store)
    mailer = Mailer(parse_smtp_url(mailbox.url))
    composer = Composer(templates(), parse_sender("Assent <assent@example.com>"))
    senders = {"email": EmailSender(mailer, composer, LINKS, office.outbox.requests)}
    office.dispatcher = Dispatcher(office.outbox, senders, office.clock, office.approvals.not_told)
    await save(migrated_store, asked(ANA, BEN, quorum=2))
    yield office
    await mailer.close()


def subjects(mailbox: Mailbox, to: str) -> list[str]:
    return [mail.subject for mail in mailbox.messages(to)]


async def test_each_is_asked_with_a_link_of_their_own(office: Office, mailbox: Mailbox) -> None:
    await office.work()
    for respondent, to in ((ANA, TO_ANA), (BEN, TO_BEN)):
        (mail,) = mailbox.messages(to)
        assert mail.link == LINKS.url(respondent.id, 0)
        assert "Refund €1,250" in mail.subject


async def test_who_answers_gets_a_receipt_and_who_need_not_hears_of_the_outcome(
    office: Office, mailbox: Mailbox
) -> None:
    await office.work()
    await happen(office.store, "req_1", response("ana", "reject", reason="too dear"))
    await office.work()
    receipt, news = mailbox.messages(TO_ANA)[1], mailbox.messages(TO_BEN)[1]
    assert "You rejected this at 2026-11-21 08:00 UTC." in receipt.text
    assert "Rejected by Ana" in news.text
    assert "too dear" in news.text
    assert len(mailbox.messages()) == 4


async def test_a_question_taken_back_before_it_was_sent_is_never_asked(
    office: Office, mailbox: Mailbox
) -> None:
    await happen(office.store, "req_1", Cancel(reason="moot", by="bob", surface=Surface.API))
    await office.work()
    (mail,) = mailbox.messages(TO_ANA)
    assert "Cancelled by bob" in mail.text


async def test_nor_one_taken_back_while_its_mail_waited_for_a_turn_at_the_relay(
    office: Office, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FRESH_SECONDS", 0.0)
    await office.work()
    mailbox.pause()
    busy = [f"{name}@example.com" for name in "xyz"]
    for to in busy:
        await office.notify(to, "hello")
    await office.dispatcher.run_once()
    for to in busy:
        await mailbox.next_message(to)
    await save(office.store, asked(ANA, BEN, request_id="req_2"))
    await office.dispatcher.run_once()
    await happen(office.store, "req_2", Cancel(reason="moot", by="bob", surface=Surface.API))
    mailbox.heal()
    await office.dispatcher.settle()
    deliveries = await office.store.read(lambda tx: tx.deliveries(["req_2"]))
    assert [d.state for d in deliveries["req_2"] if d.notice == "ask"] == ["superseded", "superseded"]
    assert (len(mailbox.messages(TO_ANA)), len(mailbox.messages(TO_BEN))) == (1, 1)


async def test_all_mails_about_one_request_are_one_conversation(office: Office, mailbox: Mailbox) -> None:
    await office.work()
    await happen(office.store, "req_1", response("ana", "reject"))
    await office.work()
    first, second = (mail.message for mail in mailbox.messages(TO_BEN))
    ids = {first["Message-ID"], second["Message-ID"]}
    assert len(ids) == 2
    assert second["References"]
    assert second["References"] == first["References"] or first["Message-ID"] in second["References"]


async def test_questions_and_replies_go_to_the_other_side(office: Office, mailbox: Mailbox) -> None:
    bob = Address(surface=Surface.EMAIL, value=TO_BOB)
    await save(office.store, replace(asked(ANA, BEN, request_id="req_2"), requester_addresses=(bob,)))
    await office.work()
    ask_back = AddComment(text="Which order?", surface=Surface.EMAIL, by="", actor=by_mail("ana"))
    await happen(office.store, "req_2", ask_back)
    await happen(office.store, "req_2", AddComment(text="Number 5531.", surface=Surface.API, by="Bob"))
    await office.work()
    (question,) = mailbox.messages(TO_BOB)
    assert question.text.startswith("Ana asked: Which order?")
    assert "/r/" not in question.text
    reply = mailbox.messages(TO_BEN)[-1]
    assert reply.text.startswith("Bob replied: Number 5531.")
    assert reply.link == LINKS.url(BEN.id, 0)
    assert reply.message["References"] == question.message["References"]


async def test_who_is_awaited_is_reminded_and_who_has_answered_is_not(
    office: Office, mailbox: Mailbox
) -> None:
    await office.work()
    await happen(office.store, "req_1", Remind(by="bob"))
    await happen(office.store, "req_1", response("ana"))
    await office.work()
    assert [("A reminder" in mail.text) for mail in mailbox.messages(TO_ANA)] == [False, False]
    assert mailbox.messages(TO_BEN)[-1].text.startswith("A reminder: your answer is still awaited.")


async def test_an_answer_taken_back_at_once_has_no_receipt_and_news_of_the_past_no_reader(
    office: Office, mailbox: Mailbox
) -> None:
    await office.work()
    await happen(office.store, "req_1", response("ana"))
    await happen(office.store, "req_1", Withdraw(actor=by_mail("ana")))
    await happen(office.store, "req_1", AddComment(text="It is urgent.", surface=Surface.API, by="Bob"))
    await happen(office.store, "req_1", response("ben", "reject"))
    await office.work()
    assert ["Rejected by Ben" in mail.text for mail in mailbox.messages(TO_ANA)] == [False, True]


async def test_a_notification_is_sent_too(office: Office, mailbox: Mailbox) -> None:
    await office.notify("cy@example.com", "The deployment is *done*.")
    await office.work()
    (mail,) = mailbox.messages("cy@example.com")
    assert "The deployment is" in mail.text
    with pytest.raises(LookupError):
        _ = mail.link


async def test_a_mail_put_off_is_sent_again_with_the_same_id(office: Office, mailbox: Mailbox) -> None:
    mailbox.fail("stored", "451 4.3.0 Try later", to=TO_ANA)
    await office.work()
    state = await office.state(TO_ANA)
    assert (state.state, state.attempts) == ("retrying", 1)
    assert "451 4.3.0 Try later" in str(state.error)
    await office.work_until(60)
    first, second = mailbox.messages(TO_ANA)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert (await office.state(TO_ANA)).state == "sent"
    assert len(mailbox.messages(TO_BEN)) == 1


async def test_a_refused_address_shows_on_the_request(office: Office, mailbox: Mailbox) -> None:
    mailbox.fail("rcpt", "550 5.1.1 No such user", to=TO_ANA, times=None)
    await office.work()
    request = await office.request()
    assert [r.state for r in request.respondents] == [RespondentState.UNREACHABLE, RespondentState.WAITING]
    assert [u.target for u in request.unreached] == [f"email:{TO_ANA}"]
    assert "550 5.1.1 No such user" in str(request.respondents[0].trouble)
    assert subjects(mailbox, TO_BEN)
    await office.work_until(3600)
    assert not mailbox.messages(TO_ANA)


async def test_a_relay_that_is_down_spends_no_attempt_and_then_everything_goes(
    office: Office, mailbox: Mailbox
) -> None:
    await mailbox.go_down()
    await office.work_until(sum(BREAKER))
    for to in (TO_ANA, TO_BEN):
        state = await office.state(to)
        assert (state.state, state.attempts) == ("retrying", 0)
    assert (await office.request()).unreached == ()
    await mailbox.come_up()
    await office.work_until(BREAKER[-1])
    assert len(mailbox.messages(TO_ANA)) == len(mailbox.messages(TO_BEN)) == 1


@pytest.mark.parametrize("reply", [None, "421 4.7.0 Not you"])
async def test_a_recipient_who_breaks_every_connection_is_given_up_and_holds_up_nobody(
    office: Office, mailbox: Mailbox, reply: str | None
) -> None:
    mailbox.fail("rcpt", reply, to=TO_ANA, times=None)
    await office.work()
    assert (await office.state(TO_ANA)).attempts == 1
    await office.notify(TO_BEN, "hello")
    await office.work()
    assert len(mailbox.messages(TO_BEN)) == 2
    await office.work_until(2 * GIVE_UP["email"].total_seconds())
    assert [u.target for u in (await office.request()).unreached] == [f"email:{TO_ANA}"]


async def test_a_link_is_nowhere_in_what_is_stored(office: Office, mailbox: Mailbox) -> None:
    mailbox.fail("data", f"550 5.7.1 Spam: {LINKS.url(ANA.id, 0)}", to=TO_ANA)
    await office.work()
    deliveries = await office.store.read(lambda tx: tx.deliveries(["req_1"]))
    events = await office.store.read(lambda tx: tx.events("req_1"))
    token = LINKS.token(ANA.id, 0)
    assert token not in f"{deliveries}{events}{await office.request()}"
