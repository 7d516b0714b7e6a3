"""LangGraph and LangChain's middleware, for real, with a scripted model and somebody who answers."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import interrupt

from bot.adapters.langgraph import AsyncGate, Gate
from bot.client import AsyncClient, Client, Rejected
from tests.support.person import run_example, run_snippet

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from tests.support.person import Person

    Graph = CompiledStateGraph[Any, Any, Any, Any]

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
BOTH = ["approve", "reject"]
GIVEN = {"messages": [("user", "Order 5531 arrived broken.")]}


class ScriptedModel(FakeMessagesListChatModel):
    def bind_tools(self, *_: Any, **__: Any) -> ScriptedModel:
        return self


class Desk:
    """A support agent with two calls of its tool `refund` to make; `ran` are the amounts that were refunded."""

    def __init__(self, mode: str = "batched", allowed: Any = BOTH) -> None:
        self.ran: list[int] = []
        self.config: Any = {"configurable": {"thread_id": f"thread-{next(NUMBERS)}"}}

        @tool
        def refund(customer: str, amount: int) -> str:
            """Refund a customer."""
            self.ran.append(amount)
            return f"refunded {amount}"

        self.refund = refund
        calls = [
            {"name": "refund", "args": {"customer": "8841", "amount": amount}, "id": f"call_{amount}"}
            for amount in (1250, 40)
        ]
        self.model = ScriptedModel(responses=[AIMessage("", tool_calls=calls), AIMessage("That is all.")])
        self.graph: Graph = create_agent(
            self.model,
            [refund],
            middleware=[
                HumanInTheLoopMiddleware({"refund": {"allowed_decisions": allowed}}, interrupt_mode=mode)
            ],
            checkpointer=InMemorySaver(),
        )

    async def run(self, person: Person) -> list[str]:
        """Run the agent in a thread of its own; what its tools told the model."""
        with Client() as assent:
            gate = Gate(assent, audience=[person.selector])
            output = await asyncio.to_thread(gate.run, self.graph, GIVEN, self.config)
        return [message.content for message in output["messages"] if message.type == "tool"]


async def answers(person: Person, decisions: dict[int, str], **values: int) -> None:
    """Answer a request for each amount, in whatever order they come; those that are approved, with `values`."""
    for _ in decisions:
        await person.mailbox.next_message(person.address)
    for request in await person.requests(status="pending"):
        decision = decisions[request["payload"]["amount"]]
        edits = {"values": values} if values and decision == "approve" else {}
        answer = await person.product.answer(request, decision, person.address, reason="Checked", **edits)
        assert answer.status == 200, answer.text


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_what_is_approved_runs_and_what_is_rejected_tells_the_model_why(ana: Person, mode: str) -> None:
    desk = Desk(mode)
    running = asyncio.create_task(desk.run(ana))
    await answers(ana, {1250: "reject", 40: "approve"})
    told = await running
    refused = f"Not run. Tool call: refund was rejected by {ana.address}: Checked"
    assert desk.ran == [40]
    assert sorted(told) == [
        f"User rejected the tool call for `refund` with reason: {refused}",
        "refunded 40",
    ]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_what_is_edited_runs_as_edited_and_the_model_learns_it(ana: Person, mode: str) -> None:
    desk = Desk(mode, ["approve", "edit", "reject"])
    running = asyncio.create_task(desk.run(ana))
    await answers(ana, {1250: "approve", 40: "reject"}, amount=900)
    told = await running
    assert desk.ran == [900]
    assert '"amount": 900' in next(text for text in told if "refunded 900" in text)


async def test_a_tool_that_people_answer_for_does_not_run(ana: Person) -> None:
    desk = Desk(allowed=["respond", "reject"])
    running = asyncio.create_task(desk.run(ana))
    for _ in range(2):
        await ana.mailbox.next_message(ana.address)
    for request in await ana.requests(status="pending"):
        values = {"message": f"I refunded {request['payload']['amount']}"}
        await ana.product.answer(request, "approve", ana.address, values=values)
    assert sorted(await running) == ["I refunded 1250", "I refunded 40"]
    assert desk.ran == []


async def test_a_run_that_is_cut_off_asks_nothing_twice(ana: Person) -> None:
    desk = Desk()
    async with AsyncClient() as assent:
        gate = AsyncGate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(desk.graph, GIVEN, desk.config))
        await ana.mailbox.next_message(ana.address)
        await ana.mailbox.next_message(ana.address)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    again = asyncio.create_task(desk.run(ana))
    for request in await ana.requests():
        await ana.product.answer(request, "approve", ana.address)
    await again
    assert sorted(desk.ran) == [40, 1250]
    assert len(await ana.requests()) == 2
    assert len(desk.graph.get_state(desk.config).values["messages"]) == 5


class State(TypedDict, total=False):
    task: str
    approved: bool
    result: str


def pausing(ran: list[str], **compiled: Any) -> Graph:
    """The graph of the interrupt patterns: propose, then execute."""

    def execute(state: State) -> State:
        if not state.get("approved", True):
            return {"result": "not allowed"}
        ran.append(state["task"])
        return {"result": f"did {state['task']}"}

    graph = StateGraph(State)
    graph.add_node("propose", lambda state: {"task": state["task"].strip()})
    graph.add_node("execute", execute)
    graph.set_entry_point("propose")
    graph.add_edge("propose", "execute")
    return graph.compile(checkpointer=InMemorySaver(), **compiled)


async def test_before_a_breakpoint_nothing_runs_without_approval(ana: Person) -> None:
    ran: list[str] = []
    graph = pausing(ran, interrupt_before=["execute"])
    config: Any = {"configurable": {"thread_id": "breakpoint"}}
    async with AsyncClient() as assent:
        gate = AsyncGate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(graph, {"task": " delete "}, config))
        request = await ana.answers("reject", reason="Too early")
        with pytest.raises(Rejected, match="Too early"):
            await running
        assert request["payload"] == {"tool": "execute", "task": "delete"}
        assert (ran, graph.get_state(config).next) == ([], ("execute",))
        telling = AsyncGate(
            assent, update=lambda outcome: {"approved": bool(outcome)}, audience=[ana.selector]
        )
        assert (await telling.run(graph, None, config))["result"] == "not allowed"
        config["configurable"]["thread_id"] = "another"
        running = asyncio.create_task(gate.run(graph, {"task": "delete"}, config))
        await ana.answers("approve", values={"task": "archive"})
        assert (await running)["result"] == "did archive"
    assert ran == ["archive"]


async def test_a_run_that_crashed_within_a_step_goes_on_from_there(ana: Person) -> None:
    ran: list[str] = []

    def crashing(state: State) -> State:
        ran.append("crashing")
        if len(ran) == 2:
            raise OSError("the machine went away")
        return {"result": f"did {state['task']}"}

    graph = StateGraph(State)
    graph.add_node("first", lambda _: ran.append("first"))
    graph.add_node("crashing", crashing)
    graph.set_entry_point("first")
    graph.add_edge("first", "crashing")
    compiled = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "crashing"}}
    with Client() as assent:
        gate = Gate(assent, audience=[ana.selector])
        with pytest.raises(OSError, match="went away"):
            gate.run(compiled, {"task": "delete"}, config)
        assert gate.run(compiled, {"task": "delete"}, config)["result"] == "did delete"
    assert ran == ["first", "crashing", "crashing"]


async def test_any_other_interrupt_returns_whether_it_was_approved(ana: Person) -> None:
    def step(state: State) -> State:
        return {"approved": interrupt({"question": "Proceed?"})}

    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.set_entry_point("step")
    compiled = graph.compile(checkpointer=InMemorySaver())
    async with AsyncClient() as assent:
        gate = AsyncGate(assent, audience=[ana.selector])
        for decision, approved in (("reject", False), ("approve", True)):
            config: Any = {"configurable": {"thread_id": f"Gespräch {decision}"}}
            running = asyncio.create_task(gate.run(compiled, {"task": "x"}, config))
            request = await ana.answers(decision)
            assert request["payload"] == {"question": "Proceed?"}
            assert (await running)["approved"] is approved


async def test_the_example(ana: Person, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(asyncio.to_thread(run_example, "langgraph_agent.py"))
    await ana.answers("approve")
    await running
    assert "refunding 1250 to 8841" in capsys.readouterr().out


async def test_the_documents(reader: Person) -> None:
    desk = Desk()
    known = {"model": desk.model, "refund": desk.refund, "checkpointer": InMemorySaver()}
    running = asyncio.create_task(asyncio.to_thread(run_snippet, "LangGraph and LangChain", **known))
    await answers(reader, {1250: "reject", 40: "approve"})
    assert (await running)["output"]["messages"][-1].content == "That is all."
    assert desk.ran == [40]
