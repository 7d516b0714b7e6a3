"""`assent claude-hook` as Claude Code runs it before a tool."""

from __future__ import annotations

import asyncio
import json
import shlex
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from bot.adapters.claude_hook import GRACE_SECONDS, decide
from bot.client import Unanswered
from bot.client.testing import OfflineClient, approve
from tests.support import command

if TYPE_CHECKING:
    from tests.support.person import Person
    from tests.support.product import Json

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
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
