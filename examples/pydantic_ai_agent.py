"""A Pydantic AI agent whose refunds people approve, with a scripted model.

Needs ASSENT_URL and ASSENT_API_KEY, and `pip install 'assent[pydantic-ai]'`; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from pathlib import Path

from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from bot.adapters.pydantic_ai import Gate
from bot.client import AsyncClient


def scripted(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Call the tool, then say what came of it."""
    for part in messages[-1].parts:
        if isinstance(part, ToolReturnPart):
            return ModelResponse(parts=[TextPart(f"The tool says: {part.content}")])
    call = ToolCallPart(
        "refund", {"customer": "8841", "amount": 1250}, tool_call_id=f"call_{uuid.uuid4().hex}"
    )
    return ModelResponse(parts=[call])


agent = Agent(FunctionModel(scripted), output_type=[str, DeferredToolRequests])


@agent.tool_plain(requires_approval=True)
def refund(customer: str, amount: int) -> str:
    """Refund a customer."""
    print(f"refunding {amount} to {customer}")
    return f"refunded {amount}"


async def main() -> None:
    # Kept in a place that outlives the process, the run goes on after a crash.
    saved = Path(tempfile.mkdtemp()) / "order-5531.json"
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[os.environ.get("ASSENT_AUDIENCE", "email:you@example.com")])
        result = await gate.run(agent, "Order 5531 arrived broken.", saved=saved)
    print(result.output)


if __name__ == "__main__":
    asyncio.run(main())
