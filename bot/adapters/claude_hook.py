"""A PreToolUse command hook of Claude Code: people decide before a tool runs.

Claude Code lets a call through when its hook crashes or takes too long, unless `onFailure` is `block` (from
2.1.295), and it ignores `defer` outside `claude -p`: then its own permission rules decide. So every error here denies,
the hook ends in the time it was given whatever the server does, `defer` is given only where those rules still ask, and
to one call of a turn (see `bot.adapters.claude_turns`).
Source: Claude Code, hooks reference, "PreToolUse decision control" and "Defer a tool call for later".
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bot.adapters.claude_turns import Turn
from bot.adapters.tool_calls import approved, default_audience, key, question, refusal
from bot.client import ApiError, AssentError, Outcome, Request, Unanswered
from bot.client.binding import held_against

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.client import Client

Pending = Literal["defer", "deny"]

ASKING_MODES = {"default", "plan", "dontAsk"}
"""Permission modes (`permission_mode`) in which a call that no rule allows is not simply run."""

GRACE_SECONDS = 0.8
"""How much later than its time the hook may end: a request that expires with it is still seen to have expired."""

SHORTEST_WAIT, ASKING_SECONDS = 0.5, 3.0
"""In a shorter time nobody can be asked, let alone answer: then it is for asking, which has these seconds."""

ONE_AT_A_TIME = (
    "Not run, and nobody was asked: another call of this turn waits for people, and only one call of a turn can wait. "
    "Ask for this again, alone, once the other has its answer."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that Claude Code wants to make, and what is to become of it while nobody has answered."""

    tool: str
    arguments: dict[str, Any]
    id: str
    folder: str | None
    may_defer: bool
    turn: Turn

    @classmethod
    def of(cls, event: dict[str, Any], pending: Pending) -> Call:
        """Read the hook's input; raises KeyError for a member that is missing."""
        mode = event.get("permission_mode", "default")
        arguments, tool, call = event["tool_input"], event["tool_name"], event["tool_use_id"]
        return cls(
            tool=tool,
            arguments=dict(arguments),
            id=call,
            folder=event.get("cwd") or None,
            may_defer=pending == "defer" and mode in ASKING_MODES,
            turn=Turn(str(event.get("session_id", "")), str(event.get("prompt_id", "")), call),
        )


def decide(
    connect: Callable[[], Client], event: bytes, *, wait: float, pending: Pending, spent: float = 0.0
) -> dict[str, Any]:
    """The hook's output (JSON) for its input: asks once for each `tool_use_id`, and ends after `wait` seconds.

    Still pending then, the call is deferred: run again by `claude -p --resume`, the hook finds the same request.
    With `pending="deny"` the request expires instead and the call is denied. `spent` of the time was over before.
    """
    began = time.monotonic() - spent
    try:
        call = Call.of(json.loads(event), pending)
        if call.may_defer and call.turn.taken():
            return _output("deny", ONE_AT_A_TIME)
        asking = _Asking(connect, call, wait, began)
        seconds = ASKING_SECONDS if wait < SHORTEST_WAIT else began + wait + GRACE_SECONDS - time.monotonic()
        output = asking.within(max(seconds, 0.0))
    except KeyError as error:
        return _trouble(f"the hook's input has no member {error}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the tool must not run
        return _trouble(str(error) or type(error).__name__)
    return output


class _Asking:
    """One question, asked in a thread that nobody waits for any longer than there is time."""

    def __init__(self, connect: Callable[[], Client], call: Call, wait: float, began: float) -> None:
        self._connect = connect
        self._call = call
        self._wait = wait
        self._until = began + wait
        self._request: Request | None = None
        self._output: dict[str, Any] | None = None

    def within(self, seconds: float) -> dict[str, Any]:
        """What came of it: the decision, or what is to become of a call that still waits."""
        thread = threading.Thread(target=self._run, name="assent-hook", daemon=True)
        thread.start()
        thread.join(seconds)
        if self._output is None:
            about = f"{self._request.id} is" if self._request else "Assent does not answer: this is"
            return self._still_pending(f"{about} still waiting for an answer")
        return self._output

    def _run(self) -> None:
        try:
            self._output = self._asked()
        except Exception as error:  # noqa: BLE001 - as above
            self._output = _trouble(str(error) or type(error).__name__)

    def _asked(self) -> dict[str, Any]:
        call = self._call
        with self._connect() as client:
            client.retry_for = min(client.retry_for, max(self._left(), 0.0))
            self._request = client.submit(
                **question(call.tool, call.arguments, edit=True),
                details={"Folder": call.folder} if call.folder else {},
                requester="Claude Code",
                audience=default_audience(),
                timeout_seconds=None if call.may_defer else _expiry(self._wait),
                idempotency_key=key("claude-hook", call.id),
            )
            try:
                return self._decided(client.wait(self._request.id, self._patience()))
            except Unanswered:
                raise
            except TimeoutError:
                return self._nobody_answered(client, self._request)

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _patience(self) -> float:
        """A request that expires with the hook is waited for until it has."""
        return max(self._left(), 0.0) + (0.0 if self._call.may_defer else ASKING_SECONDS)

    def _nobody_answered(self, client: Client, request: Request) -> dict[str, Any]:
        output = self._still_pending(f"{request.id} is still waiting for an answer")
        if _decision(output) == "deny" and self._call.may_defer:
            try:
                client.cancel(request.id, reason="Another call of the same turn waits; Claude asks again.")
            except ApiError as error:
                if error.code == "already_resolved":
                    return self._decided(Outcome.of(Request(error.problem["request"])))
                raise
            except AssentError:
                return output
        return output

    def _decided(self, outcome: Outcome) -> dict[str, Any]:
        self._call.turn.release()
        outcome = held_against(outcome, question(self._call.tool, self._call.arguments, edit=True)["payload"])
        if not outcome:
            return _output("deny", refusal(outcome))
        if not outcome.edited:
            return _output("allow", f"Approved by {outcome.by}")
        ran = approved(outcome, self._call.arguments)
        told = changes(self._call.arguments, ran, outcome.by)
        return _output("allow", f"Approved by {outcome.by}", updatedInput=ran, additionalContext=told)

    def _still_pending(self, why: str) -> dict[str, Any]:
        if not self._call.may_defer:
            return _output("deny", why)
        try:
            return _output("defer", why) if self._call.turn.claim() else _output("deny", ONE_AT_A_TIME)
        except OSError as error:
            return _trouble(f"that this call waits cannot be noted ({error})")


def changes(asked: dict[str, Any], ran: dict[str, Any], by: str) -> str:
    """What people changed, for the model: its own transcript keeps the input that it gave."""
    lines = [_change(name, asked, ran) for name in asked if name not in ran or ran[name] != asked[name]]
    head = f"{by} changed the input before it was approved. What ran is not what you asked for:"
    return "\n".join([head, *lines])


def _change(name: str, asked: dict[str, Any], ran: dict[str, Any]) -> str:
    def shown(values: dict[str, Any]) -> str:
        return json.dumps(values[name], ensure_ascii=False)

    return f"- {name}: {shown(ran)} instead of {shown(asked)}" if name in ran else f"- {name}: left out"


def _expiry(wait: float) -> float:
    """When a question that nobody can answer later expires: a little before the hook ends."""
    return wait - min(1.0, wait / 10)


def _trouble(why: str) -> dict[str, Any]:
    return _output("deny", f"Assent could not ask anybody: {why}")


def _decision(output: dict[str, Any]) -> str:
    return str(output["hookSpecificOutput"]["permissionDecision"])


def _output(decision: str, reason: str, **members: Any) -> dict[str, Any]:
    output = {
        "hookEventName": "PreToolUse",
        "permissionDecision": decision,
        "permissionDecisionReason": reason,
    }
    return {"hookSpecificOutput": {**output, **members}}
