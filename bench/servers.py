"""Servers under measurement, each in a process of its own with a fresh database."""

# ruff: noqa: S603, S607 - it runs this project's own programs, and ps

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).resolve().parent.parent

API_KEY = secrets.token_urlsafe(32)

READY_WITHIN = 30.0
"""Seconds a server may take to answer `/readyz` with 200."""

STOPPED_WITHIN = 15.0
"""Seconds a server may take to drain after SIGTERM."""


class ServerError(Exception):
    """A server that did not start; the message ends with its log."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    pid: int

    def resident(self) -> float:
        """Resident memory in MiB."""
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], check=True, capture_output=True)
        return int(shown.stdout) / 1024

    def processor_seconds(self) -> float:
        """Seconds of a core that it has used so far, in user and system mode (Linux only)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def baseline(module: str, folder: Path, database: str) -> AbstractContextManager[Server]:
    """Run a baseline; `database` is a file for SQLite, a URL for PostgreSQL."""
    port = free_port()
    return _running([module, "--port", str(port), "--database", database], port, folder, {})


def assent(folder: Path, database_url: str, **more: str) -> AbstractContextManager[Server]:
    """Run `assent serve` in `folder`, with neither Slack nor email unless `more` settings say so."""
    port = free_port()
    settings = {
        "ASSENT_DATABASE_URL": database_url,
        "ASSENT_PORT": str(port),
        "ASSENT_API_KEY": API_KEY,
        "ASSENT_SECRET_KEYS": secrets.token_hex(32),
        **more,
    }
    return _running(["bot", "serve"], port, folder, settings)


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASSENT_", "SLACK_"))
    }
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        if not _becomes_ready(process, url):
            tail = log.read_text(errors="replace")[-2000:]
            raise ServerError(
                f"`{' '.join(command)}` is not ready (exit code {process.poll()}). Its log ends:\n{tail}"
            )
        yield Server(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _becomes_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").is_success:
                return True
        time.sleep(0.05)
    return False
