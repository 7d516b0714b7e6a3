"""What handlers can count on: gates, steps, notifications, inputs and ends of runs; one engine for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbos import DBOS, DBOSClient
from pydantic import BaseModel

from bot.client import Client, Expired, Rejected
from bot.sandbox.mail.relay import Mailbox
from bot.workflows import Ctx, Durable, Email, Interrupt, RunFailed, SyncCtx
from bot.workflows.automation.automation_schema import AutomationError
from bot.workflows.automation.automations import WORKFLOW, Automation, serve
from bot.workflows.run_state import State
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.product import Product

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.measured]

ANA = "ana@example.com"
PATIENCE = 20.0
TOLD = threading.Event()
"""That the slow step of the workflow `both` may end."""


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
    client: Client
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

    async def pending(self, title: str) -> list[dict[str, Any]]:
        items = (await self.product.call("GET", "/v1/pending")).json["items"]
        return [item for item in items if item["title"] == title]

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


def build_gates(app: Durable, called: list[str]) -> None:
    """Register those that have one gate each."""

    def count(order: str) -> int:
        called.append(f"counting {order}")
        TOLD.wait(PATIENCE)
        called.append("counted")
        return len(order)

    @app.workflow("gate")
    async def gate(ctx: Ctx, key: str) -> str:
        await ctx.step("begin", called.append, "begin")
        return f"said {(await ctx.require_approval(key, destination=Email(ANA))).reason}"

    @app.workflow("both")
    async def both(ctx: Ctx, order: str) -> str:
        step, gate = ctx.step("count", count, order), ctx.require_approval("go", destination=Email(ANA))
        counted, outcome = await asyncio.gather(step, gate)
        await ctx.step("end", called.append, "end")
        return f"counted {counted}, said {outcome.reason}"

    @app.workflow("group")
    async def group(ctx: Ctx, order: str) -> str:
        async with asyncio.TaskGroup() as tasks:
            counted = tasks.create_task(ctx.step("count", count, order))
            outcome = tasks.create_task(ctx.require_approval("go", destination=Email(ANA)))
        await ctx.step("end", called.append, "end")
        return f"counted {counted.result()}, said {outcome.result().reason}"

    @app.workflow("pay")
    async def pay(ctx: Ctx, amount: int) -> str:
        for key in ("first", "second"):
            await ctx.require_approval(key, destination=Email(ANA), payload={"amount": amount})
        return await ctx.step("pay", str, f"paid {amount}")

    @app.workflow("hurried")
    async def hurried(ctx: Ctx, seconds: float) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await ctx.step("sleep", asyncio.sleep, seconds)
        return await ctx.step("end", str, "went on")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder, called = tmp_path_factory.mktemp("workflows"), []
    async with Mailbox() as mailbox, running(f"sqlite:///{folder}/assent.db", mailbox=mailbox) as product:
        with Client(product.url, KEY) as client:
            app = Durable(client, f"sqlite:///{folder}/workflows.db")
            build(app, called)
            build_gates(app, called)
            serve(app)
            await asyncio.to_thread(app.launch)
            yield Place(product, client, mailbox, app, called)
            await asyncio.to_thread(app.close)


@pytest.fixture
def place(shared: Place) -> Place:
    shared.called.clear()
    TOLD.clear()
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
    assert await asyncio.to_thread(place.app.runs.retry, run)
    assert not await asyncio.to_thread(place.app.runs.retry, run)
    assert await place.result(run) == "done"
    assert place.called == ["count", "trip", "trip"]


@pytest.mark.parametrize("workflow", ["both", "group"])
async def test_a_step_beside_a_gate_ends_before_the_run_pauses(place: Place, workflow: str) -> None:
    run = await place.start(workflow, "5531")
    async with asyncio.timeout(PATIENCE):
        while not (asked := await place.pending(f"Approve {workflow}")):  # noqa: ASYNC110 - a handler asks it
            await asyncio.sleep(0.02)
    await place.product.answer(asked[0], "approve", ANA, reason="yes")
    TOLD.set()
    assert await place.result(run) == "counted 4, said yes"
    assert place.called == ["counting 5531", "counted", "end"]


async def test_a_handler_may_give_a_step_up(place: Place) -> None:
    assert await place.result(await place.start("hurried", 3600)) == "went on"


async def test_who_was_taken_over_does_nothing_more(place: Place) -> None:
    run = await place.start("both", "5531")
    await until(lambda: place.called)
    await asyncio.to_thread(place.app.runs.take_over, run)
    await until(lambda: place.called.count("counting 5531") == 2)
    TOLD.set()
    await place.product.answer(await place.gate(run, "go"), "approve", ANA, reason="yes")
    assert await place.result(run) == "counted 4, said yes"
    await asyncio.to_thread(place.app.runs.take_over, run)  # which has ended long since
    assert place.app.status(run) == "completed"
    assert place.called.count("end") == 1


async def test_a_row_that_comes_back_is_not_run_again(place: Place) -> None:
    run = await place.start("refund", Refund(order="5531", amount=0), "late")
    await place.product.answer(await place.gate(run, "cfo"), "reject", ANA, reason="Too much")
    await place.product.answer(await place.gate(run, "ceo"), "approve", ANA, reason="Good will")
    ended = await place.result(run)
    first = State(run_id=run, row=run, nonce="", workflow="refund", input={"order": "5531", "amount": 0})
    row = await asyncio.to_thread(place.app.runs.follow, first, None)
    left = await asyncio.to_thread(lambda: DBOS.retrieve_workflow(row).get_result())
    assert left["status"] == "continued"
    assert (await place.result(run), place.called) == (ended, ["look"])
    assert run in {run.id for run in place.app.runs.recent()}


async def test_a_row_that_breaks_after_it_left_its_successor_has_not_failed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue = DBOSClient.enqueue

    def enqueue_and_break(self: DBOSClient, options: Any, *args: Any) -> None:
        enqueue(self, options, *args)
        if options["workflow_id"] == "broken/1":
            raise OSError("the disk is full")

    monkeypatch.setattr(DBOSClient, "enqueue", enqueue_and_break)
    run = await place.start("gate", "go", "broken")
    await place.product.answer(await place.gate(run, "go"), "approve", ANA, reason="yes")
    assert await place.result(run) == "said yes"


async def test_no_gate_takes_the_outcome_of_another(place: Place) -> None:
    runs = {"a:b": "c", "a": "b:c"}
    asked = [await place.gate(await place.start("gate", key, run), key) for run, key in runs.items()]
    for request in asked:
        await place.product.answer(request, "approve", ANA, reason=request["id"])
    said = [await place.result(run) for run in runs]
    assert said == [f"said {request['id']}" for request in asked]
    rows = await asyncio.to_thread(lambda: DBOS.list_workflows(workflow_id_prefix="a:b"))
    assert len(rows) == 2

    await asyncio.to_thread(place.app.runs.forget, datetime.now(UTC) + timedelta(days=1))
    assert await asyncio.to_thread(lambda: DBOS.list_workflows(workflow_id_prefix="a:b")) == []
    again = await place.gate(await place.start("gate", "c", "a:b"), "c")
    assert again["id"] != asked[0]["id"]


async def test_a_request_that_is_gone_fails_its_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await place.start("gate", "go")
    asked = await place.gate(run, "go")
    with monkeypatch.context() as patch:
        get = place.client.get
        patch.setattr(place.client, "get", lambda _: get("req_that_nobody_knows"))
        place.app.runs.wake_for(asked["id"])
        with pytest.raises(
            RunFailed, match=f"the server has lost the request {asked['id']} at the gate 'go'"
        ):
            await place.result(run)
    assert await asyncio.to_thread(place.app.runs.retry, run)
    await place.product.answer(await place.gate(run, "go"), "approve", ANA, reason="yes")
    assert (await place.result(run), place.called) == ("said yes", ["begin"])


def stored(place: Place, run: str, change: Callable[[Any], None]) -> None:
    """Change what the newest row of a run holds, behind everybody's back."""
    path = place.app.database_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as database, database:
        query = "SELECT workflow_uuid FROM workflow_status WHERE workflow_uuid LIKE ? AND status = 'DELAYED'"
        [(row,)] = database.execute(query, (f"{run}/%",)).fetchall()
        [(text,)] = database.execute("SELECT inputs FROM workflow_input WHERE workflow_uuid = ?", (row,))
        inputs = json.loads(text)
        [state] = inputs["positionalArgs"]
        change(state)
        for changed, value in (
            ("UPDATE workflow_input SET inputs = ? WHERE workflow_uuid = ?", json.dumps(inputs)),
            (
                "UPDATE workflow_status SET authenticated_user = ? WHERE workflow_uuid = ?",
                state["waiting"]["request"],
            ),
        ):
            assert database.execute(changed, (value, row)).rowcount == 1


async def approved_elsewhere(place: Place, **fields: Any) -> dict[str, Any]:
    """A request that people approved, but that no run has asked."""
    request = await place.product.submit(**fields)
    return dict((await place.product.answer(request, "approve", ANA)).json)


@pytest.mark.parametrize("pending", [False, True])
async def test_a_row_that_points_at_another_request_does_not_let_its_run_go_on(
    place: Place, *, pending: bool
) -> None:
    run = await place.start("pay", 900)
    asked = await place.gate(run, "first")
    labels = {"assent.run": run}
    fields: dict[str, Any] = {"payload": {"amount": 900}, "title": asked["title"], "labels": labels}
    other = await (place.product.submit(**fields) if pending else approved_elsewhere(place, **fields))
    stored(place, run, lambda state: state["waiting"].update(request=other["id"]))
    await asyncio.to_thread(place.app.runs.wake_for, other["id"])
    words = f"{other['id']} is not the request that this run asked at the gate 'first'"
    with pytest.raises(RunFailed, match=words):
        await place.result(run)


async def test_nor_does_a_run_go_on_with_the_gate_of_another_run_or_its_own_other_gate(place: Place) -> None:
    done = await place.start("pay", 900)
    theirs = await place.gate(done, "first")
    await place.product.answer(theirs, "approve", ANA)
    run = await place.start("pay", 900)
    mine = await place.gate(run, "first")
    await place.product.answer(mine, "approve", ANA)
    await place.gate(run, "second")
    second = await place.gate(done, "second")
    for which, wrong in ((run, mine), (done, theirs)):
        stored(place, which, lambda state, wrong=wrong: state["waiting"].update(request=wrong["id"]))  # type: ignore[misc]
        await asyncio.to_thread(place.app.runs.wake_for, wrong["id"])
        with pytest.raises(RunFailed, match="is not the request that this run asked at the gate 'second'"):
            await place.result(which)
    assert await asyncio.to_thread(place.app.runs.retry, done)
    await place.product.answer(await place.gate(done, "second"), "approve", ANA)
    assert (await place.product.get(second))["status"] == "approved"
    assert await place.result(done) == "paid 900"


@pytest.mark.parametrize("what", ["outcome", "input", "question", "nonce"])
async def test_nor_does_one_whose_memory_was_changed(place: Place, what: str) -> None:
    run = await place.start("pay", 900)
    await place.product.answer(await place.gate(run, "first"), "approve", ANA)
    request = await place.gate(run, "second")
    other = await approved_elsewhere(place, payload={"amount": 900000})

    def change(state: dict[str, Any]) -> None:
        match what:
            case "outcome":
                state["memory"]["outcome:first"] = other
            case "input":
                state["input"] = 900000
            case "question":
                state["memory"]["question:second"]["payload"] = {"amount": 900000}
            case "nonce":
                state["nonce"] = "another"

    stored(place, run, change)
    await place.product.answer(request, "approve", ANA)
    with pytest.raises(RunFailed, match="WrongRequest"):
        await place.result(run)


async def test_a_request_that_was_revised_is_not_what_the_run_asked(place: Place) -> None:
    run = await place.start("pay", 900)
    request = await place.gate(run, "first")
    revised = await place.product.call(
        "POST", f"/v1/requests/{request['id']}/revise", json={"payload": {"amount": 9}}
    )
    assert revised.status == 200
    await place.product.answer(request, "approve", ANA)
    with pytest.raises(RunFailed, match="its payload is another, or was revised since"):
        await place.result(run)


async def test_only_the_owner_reads_what_runs_hold(place: Place) -> None:
    database = Path(place.app.database_url.removeprefix("sqlite:///"))
    beside = [path for path in database.parent.iterdir() if path.is_file()]
    assert database in beside
    assert {stat.S_IMODE(path.stat().st_mode) for path in beside} == {0o600}


async def until(found: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not found():  # noqa: ASYNC110 - a handler does it
            await asyncio.sleep(0.02)


async def test_what_cannot_be_run_is_refused(place: Place) -> None:
    with pytest.raises(
        ValueError, match="there is no workflow 'x'; there are: automation, both, delete-user"
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
