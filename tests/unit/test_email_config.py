from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.email.config import SmtpConfig, SmtpUrlError, parse_smtp_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://mail.example.com", 587, "starttls"),
        ("smtp://mail.example.com:25", 25, "starttls"),
        ("smtp://mail.example.com:465", 465, "implicit"),
        ("smtp://mail.example.com?tls=implicit", 465, "implicit"),
        ("smtp://mail.example.com?tls=none", 25, "none"),
        ("smtp://localhost:1025", 1025, "none"),
        ("smtp://[::1]:1025", 1025, "none"),
        ("smtp://localhost:587", 587, "starttls"),
        ("smtp://localhost:1025?tls=starttls", 1025, "starttls"),
    ],
)
def test_port_and_tls_have_safe_defaults(url: str, port: int, tls: str) -> None:
    config = parse_smtp_url(url)
    assert (config.port, config.tls) == (port, tls)


def test_credentials_are_percent_decoded_and_never_shown() -> None:
    config = parse_smtp_url("smtp://ana%40example.com:p%40ss%2Fw%3Ard@mail.example.com:587?tls=starttls")
    assert (config.username, config.password) == ("ana@example.com", "p@ss/w:rd")
    assert "p@ss" not in repr(config)
    assert str(config) == "mail.example.com:587 (STARTTLS, AUTH)"


def test_without_credentials_nobody_logs_in() -> None:
    assert parse_smtp_url("smtp://localhost:25") == SmtpConfig(host="localhost", port=25, tls="none")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "write smtp://"),
        ("mail.example.com:587", "write smtp://"),
        ("http://mail.example.com", "write smtp://"),
        ("smtps://mail.example.com", "tls=implicit"),
        ("smtp://u:sec/ret@mail.example.com", "percent-encoded"),
        ("smtp://u:sec#ret@mail.example.com", "percent-encoded"),
        ("smtp://mail.example.com:port", "percent-encoded"),
        ("smtp://mail.example.com?tls=yes", "tls=yes"),
        ("smtp://mail.example.com?ssl=1", "unknown option ssl"),
        ("smtp://user@mail.example.com", "no password"),
        ("smtp://mail.example.com?cafile=/nowhere.pem", "/nowhere.pem cannot be read"),
    ],
)
def test_a_bad_url_says_what_is_wrong_without_the_password(url: str, says: str) -> None:
    with pytest.raises(SmtpUrlError, match=says) as caught:
        parse_smtp_url(url)
    assert "ret" not in str(caught.value)


def test_a_cafile_must_hold_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SmtpUrlError, match="no PEM file"):
        parse_smtp_url(f"smtp://mail.example.com?cafile={tmp_path}/ca.pem")
