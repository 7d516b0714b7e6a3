"""The real Claude Code, with a scripted model on this machine: what people decide is what runs.

`make interop` installs it with a Node.js of its own; `ASSENT_INTEROP_CLAUDE` names another program. Nothing leaves this
machine: its model is a server of the test, and its other traffic is switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.person import Person, office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CLAUDE = os.environ.get("ASSENT_INTEROP_CLAUDE", "claude")
SECONDS = 60.0
USAGE = {"input_tokens": 10, "output_tokens": 5}
Block = dict[str, Any]


@pytest.fixture(scope="session")
def claude() -> str:
    """The program, looked up before the environment of the tests is emptied."""
    return CLAUDE


def calls(*commands: str) -> list[Block]:
    """A turn in which the model calls Bash with each command."""
    return [
        {
            "type": "tool_use",
            "id": f"toolu_{abs(hash(c)):x}",
            "name": "Bash",
            "input": {"command": c, "description": "run"},
        }
        for c in commands
    ]


@dataclass
class Model:
    """Speaks the Messages API: says what the script has for each turn, and keeps what it was told."""

    script: list[list[Block]] = field(default_factory=list)
    told: list[list[dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    async def answer(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        blocks: list[Block] = [{"type": "text", "text": "Done."}]
        if body.get("tools"):
            self.told.append(body["messages"])
            blocks = self.script.pop(0) if self.script else blocks
        tools = any(block["type"] == "tool_use" for block in blocks)
        message = {
            "id": f"msg_{len(self.told)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "stop_sequence": None,
            "usage": USAGE,
        }
        stop = "tool_use" if tools else "end_turn"
        if not body.get("stream"):
            return web.json_response({**message, "content": blocks, "stop_reason": stop})
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(http)
        for kind, data in _events(message, blocks, stop):
            await stream.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())
        return stream

    def heard(self) -> str:
        """Everything it was told last, as text."""
        return json.dumps(self.told[-1], ensure_ascii=False)


def _events(message: Block, blocks: list[Block], stop: str) -> list[tuple[str, Block]]:
    events: list[tuple[str, Block]] = [
        ("message_start", {"message": {**message, "content": [], "stop_reason": None}})
    ]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [
            ("content_block_start", {"index": index, "content_block": empty}),
            ("content_block_delta", {"index": index, "delta": delta}),
            ("content_block_stop", {"index": index}),
        ]
    ended = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE}
    return [*events, ("message_delta", ended), ("message_stop", {})]


@dataclass
class Desk:
    """A folder in which Claude Code works, with the hook in its settings."""

    folder: Path
    program: str
    model: Model
    ana: Person

    def hook(self, *options: str, command: str | None = None, timeout: float = 30) -> None:
        wanted = command or " ".join([sys.executable, "-m", "bot", "claude-hook", *options])
        hook = {"type": "command", "command": wanted, "timeout": timeout, "onFailure": "block"}
        content = {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [hook]}]}}
        (self.folder / "settings.json").write_text(json.dumps(content))

    async def claude(self, *arguments: str, format: str = "json") -> Any:  # noqa: A002 - as the option
        """What `claude -p` answers in the end."""
        options = (
            ["--settings", str(self.folder / "settings.json")]
            if (self.folder / "settings.json").exists()
            else []
        )
        process = await asyncio.create_subprocess_exec(
            *(self.program, "-p", "--output-format", format, *options, *arguments),
            cwd=self.work,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.returncode == 0, out.decode() + err.decode()
        return json.loads(out) if format == "json" else out.decode()

    @property
    def work(self) -> Path:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return work

    def made(self) -> list[str]:
        """The files that the tools have made."""
        return sorted(file.name for file in self.work.iterdir())

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            **self.ana.environment,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(self.folder),
            "ANTHROPIC_BASE_URL": self.model.url,
            "ANTHROPIC_API_KEY": "made-up",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
        }


@pytest.fixture
async def desk(sqlite_url: str, tmp_path: Path, claude: str) -> AsyncIterator[Desk]:
    model = Model()
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post("/v1/messages", model.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    folder = tmp_path / "desk"
    folder.mkdir()
    async with office(sqlite_url) as (product, mailbox):
        yield Desk(folder, claude, model, Person(product, mailbox, "ana@example.com"))
    await runner.cleanup()


async def test_what_people_allow_runs_and_what_they_refuse_does_not(desk: Desk) -> None:
    desk.hook("--wait", "20")
    desk.model.script = [calls("echo a > a.txt"), calls("echo b > b.txt")]
    running = asyncio.create_task(desk.claude("do it"))
    await desk.ana.answers("approve")
    await desk.ana.answers("reject", reason="Not on Fridays")
    await running
    assert desk.made() == ["a.txt"]
    assert "Not on Fridays" in desk.model.heard()


async def test_an_edit_runs_and_the_model_is_told(desk: Desk) -> None:
    desk.hook("--wait", "20")
    desk.model.script = [calls("echo a > a.txt")]
    running = asyncio.create_task(desk.claude("do it"))
    await desk.ana.answers("approve", values={"command": "echo b > b.txt"})
    await running
    assert desk.made() == ["b.txt"]
    assert "ana@example.com changed the input" in desk.model.heard()
    assert "instead of" in desk.model.heard()


async def test_a_deferred_call_is_resumed_and_text_says_nothing_of_it(desk: Desk) -> None:
    desk.hook("--wait", "6")
    desk.model.script = [calls("echo a > a.txt")]
    ended = await desk.claude("do it")
    assert (ended["stop_reason"], desk.made()) == ("tool_deferred", [])
    await desk.ana.answers("approve")
    await desk.claude("--resume", ended["session_id"])
    assert desk.made() == ["a.txt"]
    desk.model.script = [calls("echo b > b.txt")]
    assert (await desk.claude("do it", format="text")).strip() == ""


async def test_of_several_calls_of_one_turn_no_approval_is_lost(desk: Desk) -> None:
    desk.hook("--wait", "6")
    desk.model.script = [calls("echo a > a.txt", "echo b > b.txt", "echo c > c.txt")]
    ended = await desk.claude("do it")
    assert ended["stop_reason"] == "tool_deferred"
    assert len(await desk.ana.requests()) == 1
    await desk.ana.answers("approve")
    desk.model.script = [calls("echo b > b.txt")]
    again = await desk.claude("--resume", ended["session_id"])
    assert desk.made() == ["a.txt"]
    assert desk.model.heard().count("Ask for this again, alone") == 2
    await desk.ana.answers("approve")
    await desk.claude("--resume", again["session_id"])
    assert desk.made() == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("command", "timeout"), [("/no/such/assent claude-hook", 30.0), ("exit 1", 30.0), ("sleep 20", 1.0)]
)
async def test_a_hook_that_fails_blocks_the_tool(desk: Desk, command: str, timeout: float) -> None:
    desk.hook(command=command, timeout=timeout)
    desk.model.script = [calls("echo a > a.txt")]
    await desk.claude("do it", "--allowedTools", "Bash")
    assert desk.made() == []
    assert "onFailure" in desk.model.heard()


async def test_the_permission_prompt_asks_people_and_shows_the_folder(desk: Desk) -> None:
    config = {"mcpServers": {"assent": {"command": sys.executable, "args": ["-m", "bot", "mcp"]}}}
    file = desk.folder / "mcp.json"
    file.write_text(json.dumps(config))
    tool = "mcp__assent__permission_prompt"
    desk.model.script = [calls("echo a > a.txt"), calls("echo b > b.txt")]
    running = asyncio.create_task(
        desk.claude("do it", "--mcp-config", str(file), "--permission-prompt-tool", tool)
    )
    asked = await desk.ana.answers("approve")
    await desk.ana.answers("reject", reason="No")
    await running
    assert asked["details"] == {"Folder": str(desk.work)}
    assert desk.made() == ["a.txt"]
