"""The real programs, each a process of its own on a free port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientError, ClientSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.support.product import Product

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".venv" / "interop"
HERE = ROOT / "tests" / "interop"
OVER = {"sent", "failed", "superseded"}
PATIENCE = 240.0
"""Seconds until a program answers; they take half a minute on a quick machine."""


@contextlib.asynccontextmanager
async def program(log: Path, *command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with its own group, which ends with the block; what it prints is in `log`."""
    binaries = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env | {"PATH": binaries, "NO_PROXY": "*"} | environment,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            stdin=asyncio.subprocess.DEVNULL,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(15):
                await process.wait()


async def until(what: str, tried: Callable[[], Any], log: Path, seconds: float = PATIENCE) -> Any:
    """What `tried` answers first that is neither None nor false; else a failure with the end of the log."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(ClientError, KeyError, OSError):
                    if found := await tried():
                        return found
                await asyncio.sleep(0.3)  # another program's progress can only be asked for
    except TimeoutError:
        pytest.fail(f"{what} did not happen within {seconds:g} s\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:] if log.exists() else ""


async def ask(method: str, url: str, body: Any = None, token: str | None = None) -> Any:
    """The JSON of a real program's own API."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with ClientSession(raise_for_status=True) as http:
        options: Mapping[str, Any] = {} if body is None else {"json": body}
        async with http.request(method, url, headers=headers, **options) as response:
            return await response.json(content_type=None)


async def told(product: Product, request: Any, log: Path) -> Any:
    """The delivery of a request's callback, once it is over."""

    async def look() -> Any:
        answer = await product.call("GET", f"/v1/requests/{request['id']}/deliveries")
        rows = [row for row in answer.json["items"] if row["surface"] == "callback"]
        return next((r for r in rows if (r["state"] in OVER)), None)

    return await until("the callback", look, log, 90)


def installed(name: str, binary: str) -> str:
    """The program that provision.sh installed; there is no test without it."""
    path = PROGRAMS / name / "bin" / binary
    if not path.exists():
        pytest.fail(f"{path.relative_to(ROOT)} is missing; run: make interop")
    return str(path)


def seen(name: str, version: str) -> None:
    """Say which version the test ran with."""
    sys.stderr.write(f"\n{name} {version}\n")
