"""The mailer against a real SMTP server and its faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bot.email.addresses import parse_address, parse_sender
from bot.email.config import SmtpConfig, parse_smtp_url
from bot.email.mailer import Accepted, Busy, Deferred, Interrupted, Mailer, Refused, RelayDown, SendResult
from bot.email.message import Composed, Composer
from bot.rendering import templates
from bot.sandbox.mail.relay import Mailbox, Stage, Tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def _mail(to: str = "ana@example.com", text: str = "Hello") -> Composed:
    raw = f"From: assent@example.com\r\nSubject: Hi\r\nMessage-ID: <1@example.com>\r\n\r\n{text}\r\n".encode()
    return Composed(raw, "<1@example.com>", parse_address("assent@example.com"), parse_address(to))


async def send(mailer: Mailer, mail: Composed) -> SendResult:
    async with mailer.turn() as deliver:
        return await deliver(mail)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def mailer(mailbox: Mailbox) -> AsyncIterator[Mailer]:
    mailer = Mailer(parse_smtp_url(mailbox.url))
    yield mailer
    await mailer.close()


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("credentials", [None, ("ana@example.com", "p@ss/w:rd")])
async def test_sends_in_every_mode(tls: Tls, credentials: tuple[str, str] | None) -> None:
    async with Mailbox(tls=tls, credentials=credentials) as mailbox:
        mailer = Mailer(parse_smtp_url(mailbox.url))
        assert await mailer.check() is None
        assert mailbox.messages() == []
        assert await send(mailer, _mail()) == Accepted("2.0.0 OK: queued as 1")
        await mailer.close()
        mail = await mailbox.next_message("ana@example.com")
        assert mail.user == (credentials[0] if credentials else None)
        assert mail.text == "Hello\n"


async def test_the_bytes_arrive_as_they_were_composed(mailbox: Mailbox, mailer: Mailer) -> None:
    composer = Composer(templates(), parse_sender("Assent <assent@example.com>"))
    mail = composer.notification(
        "Größe\n\n.\n\n.dot\n" + "x" * 5_000, to="ana@example.com", delivery_id="dlv_1", at=datetime.now(UTC)
    )
    assert isinstance(await send(mailer, mail), Accepted)
    arrived = await mailbox.next_message()
    assert arrived.raw == mail.raw
    assert arrived.sender == "assent@example.com"


async def test_one_connection_carries_many_mails_one_after_the_other(
    mailbox: Mailbox, mailer: Mailer
) -> None:
    for _ in range(5):
        assert isinstance(await send(mailer, _mail()), Accepted)
    assert mailbox.connections == 1


async def test_at_most_three_connections_at_once(mailbox: Mailbox, mailer: Mailer) -> None:
    results = await asyncio.gather(*(send(mailer, _mail(text=f"{i}")) for i in range(30)))
    assert all(isinstance(result, Accepted) for result in results)
    assert len(mailbox.messages()) == 30
    assert mailbox.connections == 3


@pytest.mark.parametrize(
    ("stage", "reply", "expected"),
    [
        ("rcpt", "451 4.3.0 Try later", Deferred(451, "4.3.0 Try later")),
        ("rcpt", "550 5.1.1 No such user", Refused(550, "5.1.1 No such user")),
        ("data", "452 4.2.2 Mailbox full", Deferred(452, "4.2.2 Mailbox full")),
        ("data", "554 5.7.1 Spam", Refused(554, "5.7.1 Spam")),
        ("mail", "451 4.7.1 Slow down", Deferred(451, "4.7.1 Slow down")),
        ("mail", "552 5.3.4 Too big", Refused(552, "5.3.4 Too big")),
    ],
)
async def test_a_mail_that_is_not_taken_leaves_the_connection_usable(
    mailbox: Mailbox, mailer: Mailer, stage: Stage, reply: str, expected: object
) -> None:
    mailbox.fail(stage, reply)
    assert await send(mailer, _mail()) == expected
    assert isinstance(await send(mailer, _mail()), Accepted)
    assert mailbox.connections == 1


async def test_only_the_refused_recipient_is_refused(mailbox: Mailbox, mailer: Mailer) -> None:
    mailbox.fail("rcpt", "550 5.1.1 No such user", to="gone@example.com", times=None)
    assert isinstance(await send(mailer, _mail("gone@example.com")), Refused)
    assert isinstance(await send(mailer, _mail("ana@example.com")), Accepted)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("mail", RelayDown("the mail relay answered 421 4.3.2 Shutting down")),
        ("rcpt", Deferred(421, "4.3.2 Shutting down")),
        ("data", Deferred(421, "4.3.2 Shutting down")),
    ],
)
async def test_a_relay_that_shuts_down_before_it_takes_the_sender_says_nothing_of_the_mail(
    mailbox: Mailbox, mailer: Mailer, stage: Stage, expected: SendResult
) -> None:
    mailbox.fail(stage, "421 4.3.2 Shutting down")
    assert await send(mailer, _mail()) == expected
    assert mailbox.messages() == []
    assert isinstance(await send(mailer, _mail()), Accepted)
    assert mailbox.connections == 2


async def test_a_refused_sender_is_the_relays_fault(mailbox: Mailbox, mailer: Mailer) -> None:
    mailbox.fail("mail", "553 5.7.1 Sender not yours")
    result = await send(mailer, _mail())
    assert isinstance(result, RelayDown)
    assert "ASSENT_MAIL_FROM" in result.why


@pytest.mark.parametrize(("stage", "expected"), [("mail", RelayDown), ("rcpt", Interrupted)])
async def test_a_drop_is_this_mails_trouble_once_the_relay_has_taken_the_sender(
    mailbox: Mailbox, mailer: Mailer, stage: Stage, expected: type[SendResult]
) -> None:
    mailbox.fail(stage, None)
    assert isinstance(await send(mailer, _mail()), expected)
    assert mailbox.messages() == []
    assert isinstance(await send(mailer, _mail()), Accepted)


async def test_a_drop_after_the_final_dot_may_have_sent_it(mailbox: Mailbox, mailer: Mailer) -> None:
    mailbox.fail("stored", None)
    mail = _mail()
    assert isinstance(await send(mailer, mail), Interrupted)
    assert isinstance(await send(mailer, mail), Accepted)
    first, second = mailbox.messages()
    assert first.raw == second.raw


async def test_a_relay_that_never_answers_the_final_dot_may_have_sent_it(mailbox: Mailbox) -> None:
    mailer = Mailer(parse_smtp_url(mailbox.url), timeout=0.2)
    mailbox.pause()
    result = await send(mailer, _mail())
    assert isinstance(result, Interrupted)
    assert "did not answer in time" in result.why
    mailbox.heal()
    assert isinstance(await send(mailer, _mail()), Accepted)
    await mailer.close()


async def test_a_mail_that_only_waited_for_its_turn_has_spent_nothing(mailbox: Mailbox) -> None:
    mailer = Mailer(parse_smtp_url(mailbox.url), connections=1, timeout=0.2)
    mailbox.pause()
    first, second = await asyncio.gather(
        send(mailer, _mail()), send(mailer, _mail("ben@example.com")), return_exceptions=True
    )
    assert isinstance(first, Interrupted)
    assert isinstance(second, Busy)
    assert mailbox.messages("ben@example.com") == []
    mailbox.heal()


async def test_a_connection_the_relay_closed_is_replaced_unnoticed(mailbox: Mailbox, mailer: Mailer) -> None:
    await send(mailer, _mail())
    await mailbox.drop_connections()
    assert isinstance(await send(mailer, _mail()), Accepted)
    assert len(mailbox.messages()) == 2


async def test_a_421_on_a_used_connection_is_tried_once_on_a_new_one(
    mailbox: Mailbox, mailer: Mailer
) -> None:
    await send(mailer, _mail())
    mailbox.fail("mail", "421 4.7.0 Too many messages on this connection")
    assert isinstance(await send(mailer, _mail()), Accepted)


async def test_down_and_up_again(mailbox: Mailbox, mailer: Mailer) -> None:
    await send(mailer, _mail())
    await mailbox.go_down()
    down = await send(mailer, _mail())
    assert isinstance(down, RelayDown)
    assert f"127.0.0.1:{mailbox.port}" in down.why
    assert isinstance(await mailer.check(), RelayDown)
    await mailbox.come_up()
    assert isinstance(await send(mailer, _mail()), Accepted)


async def test_a_refused_login_names_the_setting_but_not_the_password() -> None:
    async with Mailbox(credentials=("bot", "right")) as mailbox:
        url = mailbox.url.replace("right", "wr0ng")
        fault = await Mailer(parse_smtp_url(url)).check()
        assert fault
        assert "ASSENT_SMTP_URL (535" in fault.why
        assert "wr0ng" not in fault.why
        assert isinstance(await send(Mailer(parse_smtp_url(url)), _mail()), RelayDown)


async def test_a_relay_that_wants_a_login_says_so() -> None:
    async with Mailbox(credentials=("bot", "right")) as mailbox:
        mailer = Mailer(SmtpConfig(host="127.0.0.1", port=mailbox.port, tls="none"))
        assert await send(mailer, _mail()) == RelayDown(
            "the mail relay answered 530 5.7.0 Authentication required"
        )


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_an_untrusted_certificate_is_not_used(tls: Tls) -> None:
    async with Mailbox(tls=tls) as mailbox:
        fault = await Mailer(SmtpConfig(host="127.0.0.1", port=mailbox.port, tls=tls)).check()
        assert fault
        assert "not trusted" in fault.why
        assert "cafile=" in fault.why


async def test_tls_is_never_left_out(mailbox: Mailbox) -> None:
    for tls in ("starttls", "implicit"):
        config = SmtpConfig(host="127.0.0.1", port=mailbox.port, tls=tls)
        fault = await Mailer(config, connect_timeout=2).check()
        assert fault
    assert mailbox.messages() == []


async def test_an_address_in_another_script_goes_through_smtputf8(mailbox: Mailbox, mailer: Mailer) -> None:
    assert isinstance(await send(mailer, _mail("jörg@bücher.example")), Accepted)
    assert mailbox.messages()[0].recipient == "jörg@xn--bcher-kva.example"


async def test_a_relay_without_smtputf8_refuses_only_that_recipient() -> None:
    async with Mailbox(smtputf8=False) as mailbox:
        mailer = Mailer(parse_smtp_url(mailbox.url))
        assert isinstance(await send(mailer, _mail("jörg@example.com")), Refused)
        assert isinstance(await send(mailer, _mail("ana@example.com")), Accepted)
        assert mailbox.connections == 1
        await mailer.close()


async def test_what_a_spam_filter_quotes_does_not_leak_the_link(mailbox: Mailbox, mailer: Mailer) -> None:
    mailbox.fail("data", "554 5.7.1 URL http://assent.test/r/abcdefghijklmnop234567 is listed")
    result = await send(mailer, _mail())
    assert result == Refused(554, "5.7.1 URL http://assent.test/r/… is listed")


async def test_a_cancelled_send_does_not_poison_the_connection(mailbox: Mailbox, mailer: Mailer) -> None:
    mailbox.pause()
    sending = asyncio.create_task(send(mailer, _mail()))
    await mailbox.next_message()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    mailbox.heal()
    assert isinstance(await send(mailer, _mail()), Accepted)
