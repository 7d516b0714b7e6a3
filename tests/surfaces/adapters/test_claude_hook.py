"""`assent claude-hook` as Claude Code runs it before a tool."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from bot.adapters.claude_hook import GRACE_SECONDS, Call, decide
from bot.client import Unanswered
from bot.client.testing import OfflineClient, approve
from tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.person import Person
    from tests.support.product import Json

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)


@pytest.fixture(autouse=True)
def _no_turns_of_the_developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


CALL = {"customer": "8841", "amount": 1250}


def event(**members: Json) -> str:
    """What Claude Code gives a PreToolUse hook on standard input."""
    common = {"session_id": "s1", "cwd": "/srv/shop", "permission_mode": "default"}
    call = {"tool_name": "refund", "tool_input": CALL, "tool_use_id": f"toolu_{next(NUMBERS)}"}
    return json.dumps({**common, "hook_event_name": "PreToolUse", **call, **members})


async def hook(stdin: str, *options: str, **env: str) -> dict[str, Any]:
    """What the hook decided; it must exit with 0, else Claude Code lets the call through."""
    done = await command.run("claude-hook", *options, stdin=stdin, **env)
    assert done.status == 0, done.err
    output: dict[str, Any] = done.json["hookSpecificOutput"]
    assert output.pop("hookEventName") == "PreToolUse"
    return output


async def test_the_hook_defers_and_finds_its_question_again(ana: Person) -> None:
    call = event()
    deferred = await hook(call, "--wait", "0.01")
    request = await ana.answers("approve")
    allowed = await hook(call)
    assert deferred["permissionDecision"] == "defer"
    assert request["payload"] == {"tool": "refund", **CALL}
    assert request["details"] == {"Folder": "/srv/shop"}
    assert allowed == {
        "permissionDecision": "allow",
        "permissionDecisionReason": f"Approved by {ana.address}",
    }
    assert len(await ana.requests()) == 1


async def test_the_hook_allows_what_people_edited(ana: Person) -> None:
    deciding = asyncio.create_task(hook(event(), "--wait", "20"))
    await ana.answers("approve", values={"amount": 900})
    allowed = await deciding
    assert (allowed["permissionDecision"], allowed["updatedInput"]) == ("allow", {**CALL, "amount": 900})
    told = allowed["additionalContext"]
    assert told.endswith("\n- amount: 900 instead of 1250")
    assert told.startswith(f"{ana.address} changed the input")


async def test_the_hook_tells_why_people_said_no(ana: Person) -> None:
    deciding = asyncio.create_task(hook(event(), "--wait", "20"))
    await ana.answers("reject", reason="Ask for photos")
    assert await deciding == {
        "permissionDecision": "deny",
        "permissionDecisionReason": f"Not run. Tool call: refund was rejected by {ana.address}: Ask for photos",
    }


@pytest.mark.parametrize(
    ("members", "options"),
    [({}, ["--pending", "deny"]), ({"permission_mode": "bypassPermissions"}, [])],
    ids=["by option", "where Claude Code would run it anyway"],
)
async def test_a_call_that_may_not_be_deferred_is_denied_and_its_question_closed(
    ana: Person, members: Json, options: list[str]
) -> None:
    denied = await hook(event(**members), "--wait", "0.05", *options)
    assert denied["permissionDecision"] == "deny"
    assert [request["status"] for request in await ana.requests()] == ["expired"]


@pytest.mark.parametrize(
    ("stdin", "env", "said"),
    [
        (event(), {"ASSENT_DEFAULT_AUDIENCE": ""}, "set ASSENT_DEFAULT_AUDIENCE"),
        (event(), {"ASSENT_API_KEY": "wrong"}, "unauthenticated"),
        (event(), {"ASSENT_URL": "nowhere"}, "not a server's address"),
        ("{}", {}, "no member 'tool_input'"),
        ("[1", {}, "Expecting"),
    ],
    ids=["nobody to ask", "bad key", "bad address", "no call", "no JSON"],
)
async def test_whatever_goes_wrong_the_hook_denies(
    ana: Person, stdin: str, env: dict[str, str], said: str
) -> None:
    denied = await hook(stdin, **env)
    assert denied["permissionDecision"] == "deny"
    assert said in denied["permissionDecisionReason"]
    assert await ana.requests() == []


async def test_a_call_whose_answer_cannot_be_learnt_is_denied_and_not_deferred() -> None:
    class Away(OfflineClient):
        def wait(self, *_: Any) -> Any:
            raise Unanswered("http://assent", "gone")

    output = decide(lambda: Away(approve()), event().encode(), wait=1.0, pending="defer")
    decided = output["hookSpecificOutput"]
    assert decided["permissionDecision"] == "deny"
    assert "no answer from Assent at http://assent: gone" in decided["permissionDecisionReason"]


async def test_the_example_settings_run_the_hook_and_block_where_it_fails(ana: Person) -> None:
    settings = json.loads((command.CHECKOUT / "examples" / "claude_code_settings.json").read_text("utf-8"))
    [matched] = settings["hooks"]["PreToolUse"]
    [command_hook] = matched["hooks"]
    name, *options = shlex.split(command_hook["command"])
    deciding = asyncio.create_task(command.run(*options, stdin=event()))
    await ana.answers("approve")
    assert (await deciding).json["hookSpecificOutput"]["permissionDecision"] == "allow"
    assert name == "assent"
    assert command_hook["onFailure"] == "block"
    assert command_hook["timeout"] > float(options[options.index("--wait") + 1]) + GRACE_SECONDS


async def test_of_one_turn_one_call_waits_and_the_others_are_asked_again(ana: Person) -> None:
    turn = {"session_id": "s2", "prompt_id": "p1"}
    first, second = event(**turn), event(**turn)
    assert (await hook(first, "--wait", "0.01"))["permissionDecision"] == "defer"
    denied = await hook(second, "--wait", "0.01")
    assert denied["permissionDecision"] == "deny"
    assert "Ask for this again, alone" in denied["permissionDecisionReason"]
    assert len(await ana.requests()) == 1
    assert (await hook(first, "--wait", "0.01"))["permissionDecision"] == "defer"  # resumed too early
    assert (await hook(event(session_id="s3", prompt_id="p2"), "--wait", "0.01"))[
        "permissionDecision"
    ] == "defer"
    for _ in range(2):
        await ana.mailbox.next_message(ana.address)
    for request in await ana.requests(status="pending"):
        await ana.product.answer(request, "approve", ana.address)
    assert (await hook(first))["permissionDecision"] == "allow"
    assert (await hook(second, "--wait", "0.01"))["permissionDecision"] == "defer"  # the turn is free again


async def test_an_approval_that_comes_while_its_question_is_taken_back_counts() -> None:
    one, two = (Call.of(json.loads(event(session_id="s4", prompt_id="p")), "defer") for _ in range(2))

    class Late(OfflineClient):
        def wait(self, id: str, *_: Any) -> Any:
            assert one.turn.claim()
            raise TimeoutError

    output = decide(
        lambda: Late(approve()),
        event(session_id="s4", prompt_id="p", tool_use_id=two.id).encode(),
        wait=1.0,
        pending="defer",
    )
    assert output["hookSpecificOutput"]["permissionDecision"] == "allow"


@pytest.mark.parametrize("pending", ["deny", "defer"])
@pytest.mark.parametrize("how", ["hangs", "drips", "drips a body"])
async def test_the_hook_ends_in_its_time_whatever_the_server_does(how: str, pending: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            if how == "drips a body":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not over.is_set():
                if how != "hangs":
                    writer.write(b"H")
                await asyncio.wait([stop], timeout=0.1)

    over = asyncio.Event()
    stop = asyncio.create_task(over.wait())
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    env = {"ASSENT_URL": url, "ASSENT_API_KEY": "k" * 20, "ASSENT_DEFAULT_AUDIENCE": "email:ana@example.com"}
    began = time.monotonic()
    decided = await hook(event(session_id=how), "--wait", "1.5", "--pending", pending, **env)
    seconds = time.monotonic() - began
    over.set()
    server.close()
    await stop
    assert decided["permissionDecision"] == pending
    assert "does not answer" in decided["permissionDecisionReason"]
    assert 1.4 < seconds < 1.5 + 1 + 2  # the second it may take, and two more on a busy machine


async def test_a_name_that_nobody_resolves_ends_in_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()

    class Stalled(OfflineClient):
        def _connected(self) -> Any:
            forever.wait(20)
            raise OSError

    began = time.monotonic()
    output = decide(lambda: Stalled(approve()), event(session_id="dns").encode(), wait=1.0, pending="deny")
    assert time.monotonic() - began < 2
    forever.set()
    assert output["hookSpecificOutput"]["permissionDecision"] == "deny"
