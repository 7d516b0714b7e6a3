"""The OpenAI Agents SDK, for real, with its scripted model and somebody who answers."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from agents import Agent, RunConfig, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from bot.adapters.openai_agents import Gate
from bot.client import AsyncClient
from tests.support.person import run_example, run_snippet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
QUIET = RunConfig(tracing_disabled=True)


class Desk:
    """A support agent that wants to refund 1250; `ran` are the amounts that were refunded."""

    def __init__(self, gate: Gate) -> None:
        self.ran: list[int] = []
        call = function_call("refund", {"customer": "8841", "amount": 1250}, call_id=f"call_{next(NUMBERS)}")
        self.model = ScriptedModel([[call], [assistant_message("That is all.")]])

        @function_tool
        def refund(customer: str, amount: int) -> str:
            """Refund a customer."""
            self.ran.append(amount)
            return f"refunded {amount}"

        self.refund = refund
        self.agent: Agent[Any] = Agent(name="support", model=self.model, tools=[gate.tool(refund)])

    @property
    def told(self) -> str:
        """What the model was told of its call."""
        assert self.model.last_call
        return self.model.last_call.input[-1]["output"]  # type: ignore[no-any-return]  # JSON of the model


async def test_what_is_approved_runs(ana: Person, tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    async with AsyncClient() as assent:
        desk = Desk(gate := Gate(assent, audience=[ana.selector]))
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=saved, run_config=QUIET))
        request = await ana.asked()
        assert (desk.ran, saved.exists()) == ([], True)
        await ana.product.answer(request, "approve", ana.address)
        result = await running
    assert request["payload"] == {"tool": "refund", "customer": "8841", "amount": 1250}
    assert (desk.ran, desk.told, result.final_output) == ([1250], "refunded 1250", "That is all.")
    assert not saved.exists()


async def test_what_is_edited_runs_as_edited_and_the_model_learns_it(ana: Person, tmp_path: Path) -> None:
    async with AsyncClient() as assent:
        desk = Desk(gate := Gate(assent, audience=[ana.selector]))
        running = asyncio.create_task(
            gate.run(desk.agent, "Refund it", saved=tmp_path / "run.json", run_config=QUIET)
        )
        await ana.answers("approve", values={"amount": 900})
        await running
    assert desk.ran == [900]
    edited = '{"customer": "8841", "amount": 900}'
    assert desk.told == f"People changed the arguments to {edited}: refunded 900"


async def test_what_is_rejected_does_not_run_and_the_model_learns_why(ana: Person, tmp_path: Path) -> None:
    async with AsyncClient() as assent:
        desk = Desk(gate := Gate(assent, audience=[ana.selector]))
        running = asyncio.create_task(
            gate.run(desk.agent, "Refund it", saved=tmp_path / "run.json", run_config=QUIET)
        )
        await ana.answers("reject", reason="Ask for photos")
        await running
    assert desk.ran == []
    assert desk.told == f"Not run. Tool call: refund was rejected by {ana.address}: Ask for photos"


async def test_a_run_that_is_cut_off_goes_on_from_its_file_and_asks_nothing_twice(
    ana: Person, tmp_path: Path
) -> None:
    saved = tmp_path / "run.json"
    async with AsyncClient() as assent:
        desk = Desk(gate := Gate(assent, audience=[ana.selector]))
        running = asyncio.create_task(gate.run(desk.agent, "Refund it", saved=saved, run_config=QUIET))
        request = await ana.asked()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await ana.product.answer(request, "approve", ana.address)
        await gate.run(desk.agent, "Refund it", saved=saved, run_config=QUIET)
    assert desk.ran == [1250]
    assert len(await ana.requests()) == 1


async def test_the_example(ana: Person, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(asyncio.to_thread(run_example, "openai_agent.py"))
    await ana.answers("approve")
    await running
    assert "refunding 1250 to 8841" in capsys.readouterr().out


async def test_the_documents(reader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    async with AsyncClient() as assent:
        desk = Desk(Gate(assent))
    support = run_snippet("OpenAI Agents SDK", model=desk.model, refund=desk.refund)["support"]
    running = asyncio.create_task(support("Order 5531 arrived broken."))
    await reader.answers("approve")
    assert (await running, desk.ran) == ("That is all.", [1250])
