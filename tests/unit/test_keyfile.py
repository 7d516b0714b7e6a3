"""`ASSENT_API_KEY_FILE`: for the client, the command line and the server alike."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from bot import settings
from bot.cli.common import Failure, Server
from bot.client import AsyncClient, Client

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a-key-that-a-file-holds"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "assent.key"
    file.write_text(KEY + "\r\n")
    file.chmod(0o600)
    return file


def test_every_client_takes_its_key_from_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ASSENT_API_KEY_FILE", str(file))
    assert [kind()._key for kind in (Client, AsyncClient)] == [KEY, KEY]
    assert Server().client()._key == KEY
    assert Server().async_client("mcp")._key == KEY
    loaded = settings.load()
    assert loaded.assent_api_key
    assert loaded.assent_api_key.get_secret_value() == KEY
    assert caplog.records == []


def test_a_key_that_is_given_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_API_KEY_FILE", "/no/such/file")
    assert Client(key="given")._key == "given"
    assert Server(key="given").client()._key == "given"


def test_dot_env_may_name_the_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"ASSENT_API_KEY_FILE={file}\nASSENT_URL=http://assent.example.com\n")
    client = Server().client()
    assert (client._key, client.url) == (KEY, "http://assent.example.com")


def test_both_are_a_fault(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_API_KEY_FILE", str(file))
    monkeypatch.setenv("ASSENT_API_KEY", "another-key-of-the-environment")
    both = "ASSENT_API_KEY and ASSENT_API_KEY_FILE are both set"
    with pytest.raises(ValueError, match=both):
        Client()
    with pytest.raises(Failure, match=both):
        Server(key=os.environ["ASSENT_API_KEY"]).client()
    with pytest.raises(settings.SettingsError, match=both):
        settings.load()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "holds no key"),
        (b"\n\n", "holds no key"),
        (b"two words\n", "holds no key"),
        (b"key\nanother\n", "holds no key"),
        (b"ke\xffy\n", "holds no key"),
        (b"k" * 5000, "holds no key"),
    ],
)
def test_a_file_that_holds_no_key_is_named(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "assent.key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    monkeypatch.setenv("ASSENT_API_KEY_FILE", str(file))
    for attempt in (Client, Server().client, settings.load):
        with pytest.raises((ValueError, Failure, settings.SettingsError), match=said) as caught:
            attempt()
        assert str(file) in str(caught.value)


def test_a_file_that_others_can_read_is_warned_of(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file.chmod(0o644)
    monkeypatch.setenv("ASSENT_API_KEY_FILE", str(file))
    with caplog.at_level(logging.WARNING):
        assert Client()._key == KEY
    assert "can be read by other users" in caplog.text
    assert KEY not in caplog.text
