from __future__ import annotations

import pytest

from bot.email.addresses import AddressError, parse_address, parse_sender


@pytest.mark.parametrize(
    ("text", "envelope"),
    [
        ("ana@example.com", "ana@example.com"),
        (" ana+tag@Example.COM ", "ana+tag@example.com"),
        ("o'neil@example.co.uk", "o'neil@example.co.uk"),
        ("root@localhost", "root@localhost"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("ana@例え.jp", "ana@xn--r8jz45g.jp"),
    ],
)
def test_reads_addresses_of_any_script(text: str, envelope: str) -> None:
    assert str(parse_address(text)) == envelope


def test_only_a_non_ascii_local_part_needs_smtputf8() -> None:
    assert parse_address("jörg@example.com").needs_smtputf8
    assert not parse_address("ana@bücher.example").needs_smtputf8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "@example.com",
        "ana@",
        "ana@x\r\nRCPT TO:<evil@x>",
        "ana\n@example.com",
        "ana@example.com\x00",
        "ana b@example.com",
        "a@b@example.com",
        "<ana@example.com>",
        '"ana b"@example.com',
        "ana..b@example.com",
        ".ana@example.com",
        "ana@[127.0.0.1]",
        "ana@exa mple.com",
        "ana@-example.com",
        "ana@example..com",
        "an\u202ea@example.com",
        "an\u200ba@example.com",
        "ana,bob@example.com",
        "a" * 65 + "@example.com",
        "ana@" + "a." * 130 + "com",
    ],
)
def test_refuses_what_could_carry_more_than_one_address(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


def test_a_sender_may_have_a_display_name() -> None:
    sender = parse_sender('"Assent, Größe" <assent@bücher.example>')
    assert (sender.name, str(sender.address)) == ("Assent, Größe", "assent@xn--bcher-kva.example")
    assert parse_sender("assent@example.com").name == ""


@pytest.mark.parametrize(
    "text",
    [
        "Assent",
        "Assent <assent>",
        "jörg@example.com",
        "A\r\nBcc: evil@x <a@example.com>",
        "A <a@example.com",
        "A <a@example.com>, B <b@example.com>",
    ],
)
def test_refuses_a_sender_that_mail_cannot_come_from(text: str) -> None:
    with pytest.raises(AddressError):
        parse_sender(text)
