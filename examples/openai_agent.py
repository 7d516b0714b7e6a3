"""An agent of the OpenAI Agents SDK whose refunds people approve, with a scripted model.

Needs ASSENT_URL and ASSENT_API_KEY, and `pip install 'assent[openai-agents]'`; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from pathlib import Path

from agents import Agent, RunConfig, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from bot.adapters.openai_agents import Gate
from bot.client import AsyncClient


@function_tool
def refund(customer: str, amount: int) -> str:
    """Refund a customer."""
    print(f"refunding {amount} to {customer}")
    return f"refunded {amount}"


async def main() -> None:
    call = function_call("refund", {"customer": "8841", "amount": 1250}, call_id=f"call_{uuid.uuid4().hex}")
    model = ScriptedModel([[call], [assistant_message("That is all.")]])
    # Kept in a place that outlives the process, the run goes on after a crash.
    saved = Path(tempfile.mkdtemp()) / "order-5531.json"
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[os.environ.get("ASSENT_AUDIENCE", "email:you@example.com")])
        agent = Agent(name="support", model=model, tools=[gate.tool(refund)])
        quiet = RunConfig(tracing_disabled=True)
        result = await gate.run(agent, "Order 5531 arrived broken.", saved=saved, run_config=quiet)
    for item in result.to_input_list():
        print(item.get("output") or item.get("arguments") or item.get("content"))


if __name__ == "__main__":
    asyncio.run(main())
