"""What handlers can count on: gates, steps, notifications, inputs and ends of runs; one engine for all of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from bot.client import Client, Expired, Rejected
from bot.sandbox.mail import Mailbox
from bot.workflows import Ctx, Durable, Email, Interrupt, RunFailed, SyncCtx
from bot.workflows.automation_file import AutomationError
from bot.workflows.automations import WORKFLOW, Automation, serve
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA = "ana@example.com"
PATIENCE = 20.0


@dataclass
class DeleteUser:
    user_id: str


class Refund(BaseModel):
    order: str
    amount: int


@dataclass
class Place:
    """An engine with the workflows of this file, beside a running product."""

    product: Product
    mailbox: Mailbox
    app: Durable
    called: list[str]

    async def start(self, name: str, given: Any = None, run_id: str | None = None) -> str:
        return await asyncio.to_thread(self.app.start, name, given, run_id=run_id)

    async def gate(self, run_id: str, key: str = "approval") -> dict[str, Any]:
        """Wait until a run stands at a gate; return its request."""
        async with asyncio.timeout(PATIENCE):
            while not (waiting := self.app.run(run_id).waiting) or waiting["key"] != key:  # noqa: ASYNC110 - a database says it
                await asyncio.sleep(0.02)
        assert self.app.status(run_id) == "paused"
        return await self.product.get({"id": waiting["request"]})

    async def result(self, run_id: str) -> Any:
        return await asyncio.to_thread(self.app.result, run_id, PATIENCE)


def build(app: Durable, called: list[str]) -> None:
    """Register the workflows."""

    def count_orders(user_id: str) -> int:
        called.append("count")
        return len(user_id)

    async def look_up(order: str) -> Refund:
        called.append("look")
        return Refund(order=order, amount=1250)

    def trip() -> None:
        called.append("trip")
        if called.count("trip") == 1:
            raise OSError("the disk is full")

    @app.workflow("delete-user")
    async def delete_user(ctx: Ctx, inp: DeleteUser) -> str | Interrupt:
        orders = await ctx.step("orders", count_orders, inp.user_id)
        if not ctx.approved:
            return Interrupt.approval(
                f"Delete {inp.user_id} ({orders} orders)?", destination=Email(ANA), timeout=timedelta(days=2)
            )
        await ctx.notify("started", message=f"Deleting {inp.user_id}", destination=Email(ANA))
        return f"deleted in attempt {ctx.attempt} of {ctx.run_id}"

    @app.workflow("refund")
    def refund(ctx: SyncCtx, inp: Refund) -> dict[str, Any]:
        found = ctx.step("look", look_up, inp.order)
        first = ctx.require_approval(
            "cfo", f"Refund {found.amount}?", destination=Email(ANA), on_reject="continue"
        )
        second = first or ctx.require_approval("ceo", "Refund all the same?", destination=Email(ANA))
        return {"cfo": bool(first), "ceo": second.reason, "said": ctx.approval("cfo").reason}

    @app.workflow("trips")
    async def trips(ctx: Ctx, _: None) -> str:
        await ctx.step("orders", count_orders, "before")
        await ctx.step("trip", trip)
        return "done"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder, called = tmp_path_factory.mktemp("workflows"), []
    async with Mailbox() as mailbox, running(f"sqlite:///{folder}/assent.db", mailbox=mailbox) as product:
        with Client(product.url, KEY) as client:
            app = Durable(client, f"sqlite:///{folder}/workflows.db")
            build(app, called)
            serve(app)
            await asyncio.to_thread(app.launch)
            yield Place(product, mailbox, app, called)
            await asyncio.to_thread(app.close)


@pytest.fixture
def place(shared: Place) -> Place:
    shared.called.clear()
    return shared


async def test_a_handler_is_called_again_when_people_have_answered(place: Place) -> None:
    run = await place.start("delete-user", DeleteUser("u-1"), "one")
    request = await place.gate(run)
    assert (request["title"], request["timeout_at"] is None) == ("Delete u-1 (3 orders)?", False)
    assert await place.start("delete-user", DeleteUser("u-2"), "one") == "one"
    with pytest.raises(TimeoutError, match="run one is still paused after 0 s"):
        place.app.result(run, 0)
    await place.product.answer(request, "approve", ANA)
    assert await place.result(run) == "deleted in attempt 2 of one"
    assert (place.app.status(run), place.called) == ("completed", ["count"])
    assert await place.mailbox.next_message(ANA, where=lambda mail: "Deleting u-1" in mail.text)
    assert await place.start("delete-user", DeleteUser("u-1"), "one") == "one"
    assert place.app.status(run) == "completed"


async def test_a_no_ends_a_run_or_goes_on(place: Place) -> None:
    deleting = await place.start("delete-user", DeleteUser("u-1"))
    refunding = await place.start("refund", Refund(order="5531", amount=0))
    await place.product.answer(await place.gate(deleting), "reject", ANA, reason="She is a customer")
    await place.product.answer(await place.gate(refunding, "cfo"), "reject", ANA, reason="Too much")
    with pytest.raises(Rejected, match=r"was rejected by .*: She is a customer") as rejected:
        await place.result(deleting)
    assert (rejected.value.outcome.reason, place.app.status(deleting)) == ("She is a customer", "rejected")
    await place.product.answer(await place.gate(refunding, "ceo"), "approve", ANA, reason="Good will")
    assert await place.result(refunding) == {"cfo": False, "ceo": "Good will", "said": "Too much"}
    assert sorted(place.called) == ["count", "look"]


async def test_a_gate_may_expire_or_be_decided_at_once(place: Place, tmp_path: Path) -> None:
    actions = "async def ask(x):\n    return x\n"
    (tmp_path / "actions.py").write_text(actions, encoding="utf-8")
    text = """
automation: quick
elements:
  - {id: told, kind: hitl, spec: {title: "Nightly copy", level: info, audience: ["email:ana@example.com"]}}
  - {id: late, kind: hitl, spec: {title: "Now?", timeout_seconds: 0.2, audience: ["email:ana@example.com"]}}
  - {id: never, kind: python, spec: {call: "actions.py:ask", with: {x: 1}}}
"""
    run = await place.start(WORKFLOW, Automation(text, "quick.yaml", tmp_path).run_input({}))
    with pytest.raises(Expired):
        await place.result(run)
    assert place.app.run(run).done == ["question:told", "outcome:told", "question:late", "outcome:late"]


async def test_a_failed_run_says_why_and_goes_on_where_it_failed(place: Place) -> None:
    run = await place.start("trips")
    with pytest.raises(RunFailed, match="OSError: the disk is full"):
        await place.result(run)
    assert place.app.status(run) == "failed"
    await asyncio.to_thread(lambda: place.app.runs.hand_over(place.app.runs.newest(run)))
    assert await place.result(run) == "done"
    assert place.called == ["count", "trip", "trip"]


async def test_what_cannot_be_run_is_refused(place: Place) -> None:
    with pytest.raises(
        ValueError, match="there is no workflow 'x'; there are: automation, delete-user, refund"
    ):
        place.app.start("x")
    with pytest.raises(TypeError, match="the input cannot be stored"):
        place.app.start("trips", object())
    with pytest.raises(ValueError, match="the run id 'a/b' must be"):
        place.app.start("trips", run_id="a/b")
    with pytest.raises(LookupError, match="there is no run 'nix'"):
        place.app.status("nix")
    with pytest.raises(RuntimeError, match="a process has one Durable"):
        Durable(Client(place.product.url, KEY), "sqlite:///other.db").launch()
    wrong = await place.start("refund", {"order": 5})
    with pytest.raises(RunFailed, match="the input of 'refund' is not what its annotation says"):
        await place.result(wrong)


async def test_the_operations_of_a_gate(place: Place, tmp_path: Path) -> None:
    spec = "{title: 'Deploy {{ input.v }}?', quorum: 2}"
    text = f"automation: deploy\nelements:\n  - {{id: gate, kind: hitl, spec: {spec}}}\n"
    gate = Automation(text, "deploy.yaml", tmp_path).gate("gate", client := Client(place.product.url, KEY))
    with pytest.raises(AutomationError, match="HITL_NO_AUDIENCE"):
        await asyncio.to_thread(gate.submit, {"v": 4})
    given = {"v": 4, "audience": [f"email:{ANA}", "email:ben@example.com"]}
    first = await asyncio.to_thread(gate.invoke, given)
    second = await asyncio.to_thread(gate.submit, given)
    await place.product.submit(title="of somebody else")
    newest, oldest = await asyncio.to_thread(gate.pending)
    assert (newest.id, oldest.id, oldest.title) == (second.id, first.id, "Deploy 4?")
    assert (oldest.quorum["required"], oldest.quorum["approved"], len(oldest.links)) == (2, 0, 2)
    assert oldest.audience == given["audience"]
    approved = await asyncio.to_thread(gate.approve, first.id, "tested")
    rejected = await asyncio.to_thread(gate.reject, second.id, "twice")
    assert (approved.status, rejected.status, rejected.outcome["reason"]) == ("approved", "rejected", "twice")
    client.close()
