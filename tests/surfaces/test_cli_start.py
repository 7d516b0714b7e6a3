"""The command and the client start fast, and without what only a server needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SLOW = {"aiohttp", "httpx", "pydantic", "slack_sdk", "sqlalchemy", "yaml"}
SERVER_ONLY = (
    "aiohttp",
    "aiosmtplib",
    "alembic",
    "jinja2",
    "slack_bolt",
    "slack_sdk",
    "sqlalchemy",
    "uvloop",
)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("module", ["bot.client", "bot.cli.main"])
def test_importing_it_loads_nothing_slow(module: str) -> None:
    done = python(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))")
    assert not SLOW & set(json.loads(done.stdout))


def without_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where only the client is installed."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({SERVER_ONLY}))"
    return python(f"{hidden}; from bot.__main__ import main; sys.exit(main())", *arguments)


@pytest.mark.parametrize("arguments", [["serve"], ["demo"], ["db", "check"], ["doctor"], ["keys", "list"]])
def test_a_server_command_says_what_to_install(arguments: list[str]) -> None:
    done = without_server(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("assent: ")
    assert done.stderr.endswith("pip install 'assent[server]'\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_client_command_needs_no_server_libraries(unused_tcp_port: int) -> None:
    done = without_server("pending", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert done.returncode == 1
    assert "no answer from Assent" in done.stderr


def test_help_names_every_command() -> None:
    done = without_server("--help")
    assert done.returncode == 0
    names = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ") and line[2] != " "}
    assert names >= {
        "demo",
        "serve",
        "submit",
        "pending",
        "list",
        "show",
        "approve",
        "reject",
        "skip",
        "cancel",
    }
    assert names >= {"wait", "notify", "keys", "audit", "db", "manifest", "doctor"}
