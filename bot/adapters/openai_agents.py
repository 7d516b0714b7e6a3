"""The OpenAI Agents SDK: people decide about the tool calls of a run that need approval."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.adapters import needs, saved_runs
from bot.adapters.tool_calls import approved, ask, key, question, refusal

with needs("openai-agents"):
    from agents import Runner, RunState

if TYPE_CHECKING:
    from pathlib import Path

    from agents import Agent, FunctionTool, RunResult
    from agents.items import ToolApprovalItem
    from agents.tool_context import ToolContext

    from bot.client import AsyncClient


class Gate:
    """Asks people about tool calls, all with these `fields` of a request: `audience`, `timeout_seconds` and so on."""

    def __init__(self, client: AsyncClient, **fields: Any) -> None:
        self._client = client
        self._fields = fields
        self._gated: set[str] = set()
        self._edited: dict[str, str] = {}

    def tool(self, tool: FunctionTool) -> FunctionTool:
        """The same tool, which needs approval, and runs with the arguments that people approved.

        The SDK can only approve or reject a call as the model made it; so people may edit the calls of tools that
        went through here, and no others.
        """

        async def invoke(context: ToolContext[Any], arguments: str) -> Any:
            edited = self._edited.get(context.tool_call_id)
            result = await tool.on_invoke_tool(context, edited or arguments)
            return f"People changed the arguments to {edited}: {result}" if edited else result

        self._gated.add(tool.name)
        return replace(tool, needs_approval=tool.needs_approval or True, on_invoke_tool=invoke)

    async def run(
        self, agent: Agent[Any], given: Any, *, saved: Path, run_id: str = "", **options: Any
    ) -> RunResult:
        """Run an agent to its end, however long people take.

        While they do, the run is kept in the file `saved`: called again after a crash, this goes on from there.
        `run_id` is for models whose call ids repeat from run to run; `options` are those of `Runner.run`.
        """
        text = saved_runs.load(saved)
        state = await RunState.from_string(agent, text) if text else given
        while True:
            if isinstance(state, RunState):
                await self.decide(state, run_id)
            result = await Runner.run(agent, state, **options)
            if not result.interruptions:
                saved_runs.forget(saved)
                return result
            state = result.to_state()
            saved_runs.save(saved, state.to_string())

    async def decide(self, state: RunState[Any, Any], run_id: str = "") -> None:
        """Approve or reject everything that interrupts a run, as people say; save the state before."""
        items = state.get_interruptions()
        outcomes = await ask(self._client, [self._question(item, run_id) for item in items])
        for item, outcome in zip(items, outcomes, strict=True):
            if not outcome:
                state.reject(item, rejection_message=refusal(outcome))
                continue
            if outcome.edited:
                self._edited[str(item.call_id)] = json.dumps(approved(outcome, _arguments(item)))
            state.approve(item)

    def _question(self, item: ToolApprovalItem, run_id: str) -> dict[str, Any]:
        asked = question(str(item.qualified_name), _arguments(item), edit=item.name in self._gated)
        return {**asked, **self._fields, "idempotency_key": key("openai-agents", run_id, str(item.call_id))}


def _arguments(item: ToolApprovalItem) -> dict[str, Any]:
    """A call's arguments by name; those of a tool that takes free text are its `input`."""
    try:
        arguments = json.loads(item.arguments or "{}")
    except ValueError:
        arguments = item.arguments
    return arguments if isinstance(arguments, dict) else {"input": arguments}
