"""Databases and secrets that nobody but their owner reads, whatever the umask."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bot import private_files
from bot.settings import stored_secret
from bot.store import migrations
from bot.store.database.engine import for_writing, open_engine
from bot.store.database.file_lock import alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_a_database_and_what_stands_beside_it_is_its_owners(tmp_path: Path, mask: int) -> None:
    url = f"sqlite:///{tmp_path}/assent.db"
    with umask(mask):
        migrations.upgrade(url)
        engine = open_engine(url)
        with alone(url), for_writing(engine).begin() as connection:
            connection.exec_driver_sql("UPDATE chain SET seq = seq")
            stored_secret(tmp_path, "assent.key")
            found = modes(tmp_path)
    engine.dispose()
    assert set(found) == {"assent.db", "assent.db-wal", "assent.db-shm", "assent.db.lock", "assent.key"}
    assert set(found.values()) == {0o600}


def test_what_was_made_earlier_is_tightened_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/assent.db"
    migrations.upgrade(url)
    stored_secret(tmp_path, "assent.key")
    for name in ("assent.db", "assent.key"):
        (tmp_path / name).chmod(0o644)
    (tmp_path / "assent.db-wal").touch()
    (tmp_path / "assent.db-wal").chmod(0o664)
    with caplog.at_level(logging.WARNING):
        open_engine(url).dispose()
        stored_secret(tmp_path, "assent.key")
    assert {mode & 0o077 for mode in modes(tmp_path).values()} == {0}
    told = [record.getMessage() for record in caplog.records]
    assert f"others could read {tmp_path}/assent.db (mode 644): only its owner can now" in told
    assert len(told) == 3
    caplog.clear()
    open_engine(url).dispose()
    assert not caplog.records


def test_what_cannot_be_tightened_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "assent.db"
    path.touch()
    path.chmod(0o640)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    private_files.private_database(path)
    assert "and it cannot be changed: Operation not permitted" in caplog.text


def test_a_folder_that_is_not_there_is_made_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    private_files.private(tmp_path / "new" / "deeper" / "assent.db")
    assert f"there was no folder {tmp_path}/new/deeper: made it" in caplog.text
    assert stat.S_IMODE((tmp_path / "new" / "deeper").stat().st_mode) == 0o700


def test_a_secret_is_kept_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "assent.key"
    assert private_files.keep(path, "one")
    assert not private_files.keep(path, "two")
    assert path.read_text() == "one"

    def refuse(*_: object) -> None:
        raise PermissionError(1, "no hard links")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    assert not private_files.keep(path, "two")
    assert private_files.keep(tmp_path / "other.key", "three")
    assert [(p.name, p.read_text()) for p in sorted(tmp_path.iterdir())] == [
        ("assent.key", "one"),
        ("other.key", "three"),
    ]
