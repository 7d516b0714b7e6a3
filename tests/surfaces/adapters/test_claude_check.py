"""`assent claude-hook --check`: what is unsafe is named, each fault by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Installation:
    """A machine with Claude Code on it, or what passes for it: a program that says its version."""

    folder: Path
    key: str
    ana: Person

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("claude", "2.1.332 (Claude Code)")
        self.program("node", "v22.23.3")
        self.program("assent", "assent 0.1.0")
        self.settings(hook())
        self.key_file = self.folder / "assent.key"
        self.key_file.write_text(self.key)
        self.key_file.chmod(0o600)

    def program(self, name: str, says: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/sh\necho '{says}'\n")
        file.chmod(0o755)

    def settings(self, *hooks: dict[str, Any], **more: Any) -> None:
        folder = self.folder / ".claude"
        folder.mkdir(exist_ok=True)
        content = {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": list(hooks)}]}, **more}
        (folder / "settings.json").write_text(json.dumps(content))

    async def faults(self, **env: str) -> list[tuple[str, str]]:
        """What the check names; its exit status must agree."""
        given = {
            "PATH": str(self.bin),
            "HOME": str(self.folder / "home"),
            "ASSENT_URL": self.ana.product.url,
            "ASSENT_API_KEY": "",
            "ASSENT_API_KEY_FILE": str(self.key_file),
            "ASSENT_DEFAULT_AUDIENCE": self.ana.selector,
        }
        done = await command.run("claude-hook", "--check", "--json", **(given | env))
        found = [(one["check"], one["text"]) for one in done.json if not one["ok"]]
        assert done.status == (1 if found else 0), done.err
        return found


def hook(**members: Any) -> dict[str, Any]:
    usual = {"type": "command", "command": "assent claude-hook --wait 540 --pending deny", "timeout": 600}
    given = usual | {"onFailure": "block"} | members
    return {name: value for name, value in given.items() if value is not None}


@pytest_asyncio.fixture(loop_scope="module")
async def installation(ana: Person, tmp_path: Path) -> Installation:
    headers = await ana.product.new_key("submit")
    return Installation(tmp_path, headers["Authorization"].removeprefix("Bearer "), ana)


async def test_a_safe_installation_has_no_faults(installation: Installation) -> None:
    assert await installation.faults() == []
    assert await installation.ana.requests() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"onFailure": None}, "the tool RUNS where the hook is missing"),
        ({"onFailure": "allow"}, "the tool RUNS where the hook is missing"),
        ({"timeout": None}, 'it has no "timeout"'),
        ({"timeout": 540}, '"timeout": 540 must be more than 541'),
        ({"command": "assent claude-hook --wait=700 --pending deny"}, "must be more than 701"),
        ({"command": "/no/such/assent claude-hook --pending deny"}, "is not found"),
        ({"command": "true"}, "no PreToolUse hook runs `assent claude-hook`"),
    ],
)
async def test_a_hook_that_protects_nothing_is_named(
    installation: Installation, changed: dict[str, Any], said: str
) -> None:
    installation.settings(hook(**changed))
    [(check, text)] = await installation.faults()
    assert check == "hook"
    assert said in text


async def test_no_settings_at_all_are_no_protection(installation: Installation) -> None:
    (installation.folder / ".claude" / "settings.json").unlink()
    assert [check for check, _ in await installation.faults()] == ["hook"]


async def test_settings_that_disable_the_hook_or_get_around_it_are_named(installation: Installation) -> None:
    deferring = hook(command="assent claude-hook", timeout=60)
    installation.settings(deferring, disableAllHooks=True, permissions={"allow": ["Bash(git:*)"]})
    [(_, disabled), (_, allowed)] = await installation.faults()
    assert "disableAllHooks" in disabled
    assert "rules allow Bash" in allowed


async def test_a_claude_that_runs_tools_without_its_hook_is_named(installation: Installation) -> None:
    installation.program("claude", "2.1.197 (Claude Code)")
    installation.program("node", "v20.20.2")
    [(check, text)] = await installation.faults()
    assert check == "Claude Code"
    assert "2.1.197 RUNS a tool" in text
    assert "Node.js 22 (here is 20.20.2)" in text
    (installation.bin / "claude").unlink()
    [(check, text)] = await installation.faults()
    assert "no `claude` on the PATH" in text


async def test_a_key_that_may_decide_or_may_not_ask_is_named(installation: Installation) -> None:
    for scopes, said in (
        (["submit", "operate"], "DECIDE"),
        (["submit", "respond"], "DECIDE"),
        (["read"], "not ask"),
    ):
        headers = await installation.ana.product.new_key(*scopes)
        installation.key_file.write_text(headers["Authorization"].removeprefix("Bearer "))
        [(check, text)] = await installation.faults()
        assert (check, said in text) == ("key", True), text
    installation.key_file.write_text("no-key-that-is-known")
    assert [check for check, _ in await installation.faults()] == ["server"]


async def test_nobody_to_ask_and_no_server_are_named(
    installation: Installation, unused_tcp_port: int
) -> None:
    found = await installation.faults(
        ASSENT_DEFAULT_AUDIENCE="", ASSENT_URL=f"http://127.0.0.1:{unused_tcp_port}"
    )
    assert [check for check, _ in found] == ["audience", "server"]
