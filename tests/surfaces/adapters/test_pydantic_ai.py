"""Pydantic AI, for real, with a scripted model and somebody who answers."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from bot.adapters.pydantic_ai import Gate
from bot.client import AsyncClient
from tests.support.person import run_example, run_snippet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)


class Desk:
    """A support agent that wants to refund 1250; `ran` are the amounts that were refunded."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.told: list[str] = []
        self.call = f"call_{next(NUMBERS)}"
        self.agent = Agent(FunctionModel(self.model), output_type=[str, DeferredToolRequests])

        self.agent.tool_plain(requires_approval=True)(self.refund)

    def refund(self, customer: str, amount: int) -> str:
        self.ran.append(amount)
        return f"refunded {amount}"

    def model(self, messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        """Call the tool once, then end."""
        self.told = [str(part.content) for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if self.told:
            return ModelResponse(parts=[TextPart("That is all.")])
        arguments = {"customer": "8841", "amount": 1250}
        return ModelResponse(parts=[ToolCallPart("refund", arguments, tool_call_id=self.call)])


async def test_what_is_approved_runs(ana: Person, tmp_path: Path) -> None:
    desk, saved = Desk(), tmp_path / "run.json"
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=saved))
        request = await ana.asked()
        assert (desk.ran, saved.exists()) == ([], True)
        await ana.product.answer(request, "approve", ana.address)
        result = await running
    assert request["payload"] == {"tool": "refund", "customer": "8841", "amount": 1250}
    assert (desk.ran, desk.told, result.output) == ([1250], ["refunded 1250"], "That is all.")
    assert not saved.exists()


async def test_what_is_edited_runs_as_edited(ana: Person, tmp_path: Path) -> None:
    desk = Desk()
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=tmp_path / "run.json"))
        await ana.answers("approve", values={"amount": 900})
        await running
    assert (desk.ran, desk.told) == ([900], ["refunded 900"])


async def test_what_is_rejected_does_not_run_and_the_model_learns_why(ana: Person, tmp_path: Path) -> None:
    desk = Desk()
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=tmp_path / "run.json"))
        await ana.answers("reject", reason="Ask for photos")
        await running
    assert desk.ran == []
    assert desk.told == [f"Not run. Tool call: refund was rejected by {ana.address}: Ask for photos"]


async def test_a_run_that_is_cut_off_goes_on_from_its_file_and_asks_nothing_twice(
    ana: Person, tmp_path: Path
) -> None:
    desk, saved = Desk(), tmp_path / "run.json"
    async with AsyncClient() as assent:
        gate = Gate(assent, audience=[ana.selector])
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=saved))
        request = await ana.asked()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await ana.product.answer(request, "approve", ana.address)
        await gate.run(desk.agent, "Refund it", saved=saved)
    assert desk.ran == [1250]
    assert len(await ana.requests()) == 1


async def test_the_example(ana: Person, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(asyncio.to_thread(run_example, "pydantic_ai_agent.py"))
    await ana.answers("approve")
    await running
    assert "refunding 1250 to 8841" in capsys.readouterr().out


async def test_the_documents(reader: Person) -> None:
    desk = Desk()
    support = run_snippet("Pydantic AI", model=FunctionModel(desk.model), refund=desk.refund)["support"]
    running = asyncio.create_task(support("Order 5531 arrived broken."))
    await reader.answers("approve")
    assert (await running, desk.ran) == ("That is all.", [1250])
