"""A real PgBouncer before a real PostgreSQL, with Debian's defaults but for the pool."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


class PgBouncerUnavailableError(Exception):
    """It is not installed, or did not start; the message says what to do."""


@contextlib.contextmanager
def pooled(url: str, mode: str, *, size: int = 20) -> Iterator[str]:
    """The URL of a database through a pooler in this mode (`session`, `transaction`, `statement`)."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise PgBouncerUnavailableError(
            "there is no pgbouncer; on Debian and Ubuntu: apt-get install pgbouncer"
        )
    parts, port = urlsplit(url), free_port()
    folder = Path(tempfile.mkdtemp(prefix="assent-pgbouncer-"))
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users\n"
        f"pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 200\nlogfile = {folder}/log\n"
    )
    (folder / "users").write_text(f'"{parts.username}" ""\n')
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if nobody:
        for path in (folder, config, folder / "users"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    process = subprocess.Popen(
        [program, config],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=nobody.pw_uid if nobody else None,
        group=nobody.pw_gid if nobody else None,
        extra_groups=[] if nobody else None,
    )
    try:
        _wait_for(port, process, folder / "log")
        yield parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = log.read_text(errors="replace") if log.exists() else "nothing"
    raise PgBouncerUnavailableError(f"pgbouncer did not start; it said: {said}")
