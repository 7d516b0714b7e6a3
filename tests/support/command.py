"""The command `assent` as a process of its own, as people run it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from bot.__main__ import main

CHECKOUT = Path(__file__).parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["bot.bootstrap", "bot.cli.main", "tests.support.command"])


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
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", **env}


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


async def run(*arguments: str, stdin: str = "", within: float = 30.0, **env: str) -> Done:
    """Run a command to its end, in a process forked from one that has imported it: nothing else is quicker."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("in", "out", "err")]
        for file in files:
            file.write_text(stdin if file.name == "in" else "", encoding="utf-8")
        process = FORKS.Process(
            target=_be_the_command, args=(arguments, environment(**env), Path.cwd(), files)
        )
        try:
            await asyncio.to_thread(process.start)
            await asyncio.to_thread(process.join, within)
            if process.exitcode is None:
                raise TimeoutError(f"assent {' '.join(arguments)} did not end in {within:g} s")
            return Done(process.exitcode, *(file.read_text(encoding="utf-8") for file in files[1:]))
        finally:
            process.kill()
            await asyncio.to_thread(process.join)


def _be_the_command(
    arguments: tuple[str, ...], environ: dict[str, str], folder: Path, files: list[Path]
) -> None:
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR), number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww")
    )
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["assent", *arguments]
    sys.exit(main())
