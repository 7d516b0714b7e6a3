"""A LangChain agent whose refunds people approve, with a scripted model.

Needs ASSENT_URL and ASSENT_API_KEY, and `pip install 'assent[langgraph]'`; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import os
import uuid

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from bot.adapters.langgraph import Gate
from bot.client import Client


class ScriptedModel(FakeMessagesListChatModel):
    """Says its lines, whatever the tools are."""

    def bind_tools(self, *_: object, **__: object) -> ScriptedModel:
        return self


@tool
def refund(customer: str, amount: int) -> str:
    """Refund a customer."""
    print(f"refunding {amount} to {customer}")
    return f"refunded {amount}"


def main() -> None:
    call = {"name": "refund", "args": {"customer": "8841", "amount": 1250}, "id": "call_1"}
    model = ScriptedModel(responses=[AIMessage("", tool_calls=[call]), AIMessage("That is all.")])
    agent = create_agent(
        model,
        [refund],
        middleware=[HumanInTheLoopMiddleware({"refund": True}, interrupt_mode="per_call")],
        checkpointer=InMemorySaver(),  # one that outlives the process makes the wait outlive it, too
    )
    question = {"messages": [("user", "Order 5531 arrived broken.")]}
    thread = {"configurable": {"thread_id": uuid.uuid4().hex}}
    with Client() as assent:
        gate = Gate(assent, audience=[os.environ.get("ASSENT_AUDIENCE", "email:you@example.com")])
        for message in gate.run(agent, question, thread)["messages"]:
            print(f"{message.type}: {message.content}")


if __name__ == "__main__":
    main()
