"""Pydantic AI: people decide about the tool calls of a run that need approval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from bot.adapters import needs, saved_runs
from bot.adapters.tool_calls import approved, ask, key, question, refusal

with needs("pydantic-ai"):
    from pydantic_ai import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
    from pydantic_ai.messages import ModelMessage  # noqa: TC002 - pydantic reads the annotations of Saved

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_ai import Agent
    from pydantic_ai.messages import ToolCallPart
    from pydantic_ai.run import AgentRunResult

    from bot.client import AsyncClient, Outcome


@dataclass
class Saved:
    """What it takes to go on with a run that waits."""

    messages: list[ModelMessage]
    requests: DeferredToolRequests


SAVED = TypeAdapter(Saved)


class Gate:
    """Asks people about tool calls, all with these `fields` of a request: `audience`, `timeout_seconds` and so on."""

    def __init__(self, client: AsyncClient, **fields: Any) -> None:
        self._client = client
        self._fields = fields

    async def run(
        self, agent: Agent[Any, Any], prompt: Any, *, saved: Path, run_id: str = "", **options: Any
    ) -> AgentRunResult[Any]:
        """Run an agent, whose `output_type` has `DeferredToolRequests`, to its end, however long people take.

        While they do, the run is kept in the file `saved`: called again after a crash, this goes on from there.
        `run_id` is for models whose call ids repeat from run to run; `options` are those of `Agent.run`.
        """
        text = saved_runs.load(saved)
        waiting = SAVED.validate_json(text) if text else None
        while True:
            if waiting:
                results = await self.decide(waiting.requests, run_id)
                asked = {"message_history": waiting.messages, "deferred_tool_results": results}
                result = await agent.run(**{**options, **asked})
            else:
                result = await agent.run(prompt, **options)
            if not isinstance(result.output, DeferredToolRequests):
                saved_runs.forget(saved)
                return result
            waiting = Saved(result.all_messages(), result.output)
            saved_runs.save(saved, SAVED.dump_json(waiting).decode())

    async def decide(self, requests: DeferredToolRequests, run_id: str = "") -> DeferredToolResults:
        """What people say about the calls that need approval, to go on with; save the messages before.

        Calls that are run elsewhere (`requests.calls`) are not theirs to answer, and stay open.
        """
        calls = requests.approvals
        outcomes = await ask(self._client, [self._question(call, run_id) for call in calls])
        decided = {call.tool_call_id: (call, outcome) for call, outcome in zip(calls, outcomes, strict=True)}
        return requests.build_results(
            approvals={id: _result(call, outcome) for id, (call, outcome) in decided.items()},
            answered_by={id: outcome.by for id, (_, outcome) in decided.items()},
        )

    def _question(self, call: ToolCallPart, run_id: str) -> dict[str, Any]:
        asked = question(call.tool_name, call.args_as_dict(), edit=True)
        return {**asked, **self._fields, "idempotency_key": key("pydantic-ai", run_id, call.tool_call_id)}


def _result(call: ToolCallPart, outcome: Outcome) -> ToolApproved | ToolDenied:
    if not outcome:
        return ToolDenied(refusal(outcome))
    return ToolApproved(override_args=approved(outcome, call.args_as_dict()) if outcome.edited else None)
