"""The command `assent` as a process of its own, as people run it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).parents[2]


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**env: str) -> dict[str, str]:
    """This process's environment with `env` added, in which Python finds the checkout."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", **env}


async def start(
    *arguments: str, stdout: int = asyncio.subprocess.PIPE, **env: str
) -> asyncio.subprocess.Process:
    """Start a command with `env` added to the environment."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**env),
    )


async def finish(process: asyncio.subprocess.Process, stdin: str = "", within: float = 30.0) -> Done:
    """Wait for a command to end, at most `within` seconds."""
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), within)
    finally:
        if process.returncode is None:
            process.kill()
    return Done(process.returncode or 0, (out or b"").decode(), err.decode())


async def run(*arguments: str, stdin: str = "", **env: str) -> Done:
    """Run a command to its end."""
    return await finish(await start(*arguments, **env), stdin)
