"""A real PostgreSQL server of our own, from the binaries on this machine, gone when the tests are."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERUSER = "postgres"
# What a crash of the machine would lose; a crash of the program under test loses nothing by it.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresUnavailableError(Exception):
    """No server could be started; the message says what to install, or shows the server's log."""


@dataclass(frozen=True)
class Postgres:
    """A running server on 127.0.0.1 that trusts every local connection."""

    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, dropped at the end even if someone is still connected."""
        name = sql.Identifier(f"test_{uuid.uuid4().hex}")
        with psycopg.connect(self.url(), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            yield self.url(name.as_string().strip('"'))
        finally:
            with psycopg.connect(self.url(), autocommit=True) as admin:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def empty(url: str) -> None:
    """Delete everything in Assent's tables, which is ten times faster than a new database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE requests, terms, events, chain, deliveries, idempotency, api_keys")
        connection.execute("INSERT INTO chain VALUES (1, 0, repeat('0', 64))")


def find_program(name: str) -> Path:
    """A program of the PostgreSQL server, from PATH, `pg_config` or Debian's folders, newest first."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    if pg_config := shutil.which("pg_config"):
        bindir = subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout
        folders.append(Path(bindir.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(versions, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    message = f"PostgreSQL's '{name}' was not found. On Debian and Ubuntu: apt-get install postgresql"
    raise PostgresUnavailableError(message)


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Start a server in a new folder and stop it at the end.

    With `durable` it keeps PostgreSQL's own settings for safety on disk (for measurements); without, it
    skips waiting for the disk. As root it runs as `postgres` or `nobody`, since PostgreSQL refuses root.

    Raises PostgresUnavailableError when there are no binaries, or the server does not start.
    """
    initdb, pg_ctl = find_program("initdb"), find_program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="assent-postgres-"))
    data, log = folder / "data", folder / "log"
    owner = _unprivileged_user()
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: Path, *arguments: str | Path) -> None:
        """Run to the end. Output goes to a file: a pipe would stay open in the server that pg_ctl starts."""
        with log.open("ab") as output:
            done = subprocess.run(
                (program, *arguments),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
                check=False,
            )
        if done.returncode:
            said = log.read_text(errors="replace")
            message = f"PostgreSQL's '{program.name}' failed (exit {done.returncode}):\n{said}"
            raise PostgresUnavailableError(message)

    try:
        run(initdb, "--pgdata", data, "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8",
            "--locale", "C", "--no-sync", "--no-instructions")  # fmt: skip
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=",
                    "max_connections=200", "timezone=UTC", *(() if durable else FAST)]  # fmt: skip
        options = " ".join(f"-c {setting}" for setting in settings)
        run(pg_ctl, "start", "--wait", "--pgdata", data, "--options", options)
        try:
            yield Postgres(port)
        finally:
            run(pg_ctl, "stop", "--wait", "--mode", "immediate", "--pgdata", data)
    finally:
        shutil.rmtree(folder)


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
