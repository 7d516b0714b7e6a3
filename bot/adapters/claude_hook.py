"""A PreToolUse command hook of Claude Code: people decide before a tool runs.

Claude Code lets a call through when its hook crashes or takes too long, unless `onFailure` is `block` (from
2.1.295), and it ignores `defer` outside `claude -p` and where a turn has several calls: then its own permission
rules decide. So every error here denies, and `defer` is given only where those rules still ask.
Source: Claude Code, hooks reference, "PreToolUse decision control" and "Defer a tool call for later".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from bot.adapters.tool_calls import approved, default_audience, key, question, refusal
from bot.client import Unanswered
from bot.client.binding import held_against

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.client import Client

Pending = Literal["defer", "deny"]

ASKING_MODES = {"default", "plan", "dontAsk"}
"""Permission modes (`permission_mode`) in which a call that no rule allows is not simply run."""

GRACE_SECONDS = 10.0
"""How long after its deadline a request may take to be seen as expired."""


def decide(connect: Callable[[], Client], event: bytes, *, wait: float, pending: Pending) -> dict[str, Any]:
    """The hook's output (JSON) for its input: asks once for each `tool_use_id`, and waits `wait` seconds.

    Still pending then, the call is deferred: run again by `claude -p --resume`, the hook finds the same request.
    With `pending="deny"` the request expires instead and the call is denied.
    """
    try:
        return _asked(connect, json.loads(event), wait, pending)
    except KeyError as error:
        return _output("deny", f"Assent could not ask anybody: the hook's input has no member {error}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the tool must not run
        return _output("deny", f"Assent could not ask anybody: {error or type(error).__name__}")


def _asked(
    connect: Callable[[], Client], event: dict[str, Any], wait: float, pending: Pending
) -> dict[str, Any]:
    arguments: dict[str, Any] = event["tool_input"]
    asked = question(event["tool_name"], arguments, edit=True)
    may_defer = pending == "defer" and event.get("permission_mode", "default") in ASKING_MODES
    with connect() as client:
        request = client.submit(
            **asked,
            details={"Folder": event["cwd"]} if event.get("cwd") else {},
            requester="Claude Code",
            audience=default_audience(),
            timeout_seconds=None if may_defer else wait,
            idempotency_key=key("claude-hook", event["tool_use_id"]),
        )
        try:
            outcome = client.wait(request.id, wait if may_defer else wait + GRACE_SECONDS)
            outcome = held_against(outcome, asked["payload"])
        except Unanswered:
            raise
        except TimeoutError:
            return _output("defer" if may_defer else "deny", f"{request.id} is still waiting for an answer")
    if not outcome:
        return _output("deny", refusal(outcome))
    edits = {"updatedInput": approved(outcome, arguments)} if outcome.edited else {}
    return _output("allow", f"Approved by {outcome.by}", **edits)


def _output(decision: str, reason: str, **members: Any) -> dict[str, Any]:
    output = {
        "hookEventName": "PreToolUse",
        "permissionDecision": decision,
        "permissionDecisionReason": reason,
    }
    return {"hookSpecificOutput": {**output, **members}}
