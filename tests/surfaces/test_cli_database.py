"""What keeps a server from starting, and commands on a database that is not there: one plain line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bot.delivery.signing import secret_from
from bot.store import migrations
from bot.store.execution import sessions
from tests.support import command

if TYPE_CHECKING:
    from pathlib import Path


async def refused(*arguments: str, **environ: str) -> str:
    """What a command that cannot do its work says, which is one line."""
    done = await command.run(*arguments, **environ)
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("assent: ")
    return line


def contents(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_looking_makes_no_database(tmp_path: Path, sqlite_url: str) -> None:
    for arguments in (("db", "check"), ("doctor",), ("audit", "verify")):
        assert (await command.run(*arguments, ASSENT_DATABASE_URL=sqlite_url)).status == 1
    assert contents(tmp_path) == []


async def test_a_folder_that_cannot_be_used_is_no_matter_of_the_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = await refused("serve", ASSENT_DATABASE_URL=f"sqlite:///{tmp_path}/file/assent.db")
    assert f"cannot use {tmp_path}/file (" in line
    assert "listen" not in line


async def test_a_secret_that_cannot_be_kept_names_its_settings(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "assent.key").mkdir()
    line = await refused("serve", ASSENT_DATABASE_URL=sqlite_url, ASSENT_PORT="0")
    assert f"cannot use {tmp_path}/assent.key (" in line
    assert "ASSENT_SECRET_KEYS" in line


async def test_a_host_that_is_not_here_is_named(sqlite_url: str) -> None:
    secrets = {"ASSENT_SECRET_KEYS": "k" * 32, "ASSENT_WEBHOOK_SECRET": secret_from("5" * 64)}
    address = {"ASSENT_HOST": "192.0.2.1", "ASSENT_PORT": "0"}
    line = await refused("serve", ASSENT_DATABASE_URL=sqlite_url, **secrets, **address)
    assert "cannot listen on 192.0.2.1:0 (" in line


@pytest.mark.parametrize("arguments", [["serve"], ["db", "upgrade"], ["db", "check"], ["keys", "list"]])
async def test_a_database_that_is_not_there_is_named_without_its_password(
    arguments: list[str], unused_tcp_port: int
) -> None:
    url = f"postgresql://assent:pa55@127.0.0.1:{unused_tcp_port}/assent"
    line = await refused(*arguments, ASSENT_DATABASE_URL=url)
    assert f"127.0.0.1:{unused_tcp_port}/assent cannot be used: " in line
    assert "pa55" not in line


@pytest.mark.parametrize("arguments", [["serve"], ["db", "upgrade"]])
async def test_a_file_that_is_no_database_is_named(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Buy milk. " * 500)
    line = await refused(*arguments, ASSENT_DATABASE_URL=f"sqlite:///{tmp_path}/notes.txt")
    assert "notes.txt cannot be used: file is not a database" in line


@pytest.mark.parametrize("arguments", [["serve"], ["db", "upgrade"]])
async def test_a_schema_of_a_newer_version_is_left_alone(arguments: list[str], sqlite_url: str) -> None:
    with sessions.writing(sqlite_url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer Assent" in await refused(*arguments, ASSENT_DATABASE_URL=sqlite_url, ASSENT_PORT="0")
    assert not migrations.check(sqlite_url)
