"""Paused flow runs of the real Prefect, told the outcome by the whole of Assent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.ports import free_port
from tests.support.product import running
from tests.support.programs import HERE, ask, installed, program, seen, told, until

if TYPE_CHECKING:
    from pathlib import Path

PAYLOAD = {
    "amount": 1250,
    "note": {"__prefect_kind": "jinja", "template": "{{ 7 * 7 }}"},
    "deep": [{"__prefect_kind": "workspace_variable", "variable_name": "secret"}],
    "none": {"__prefect_kind": "none", "value": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}},
}
ANA = "ana@example.com"


class Flows:
    """What the flows' process printed, and what the server says of their runs."""

    def __init__(self, api: str, log: Path) -> None:
        self.api, self.log = api, log

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    async def run(self, name: str, state: str = "PAUSED") -> str:
        """The id of a flow's run, once it is in that state."""

        async def look() -> str | None:
            ids = [line["run"] for line in self.lines() if line["name"] == name and "run" in line]
            return ids[0] if ids and await self.state(ids[0]) == state else None

        return str(await until(f"{name} in state {state}", look, self.log))

    async def state(self, run: str) -> str:
        return str((await ask("GET", f"{self.api}/flow_runs/{run}"))["state"]["type"])

    async def given(self, name: str) -> Any:
        async def look() -> list[Any] | None:
            return [line["given"] for line in self.lines() if line["name"] == name and "given" in line]

        return (await until(f"{name} going on", look, self.log, 60))[0]


async def test_flow_runs_are_told_what_people_decided(sqlite_url: str, tmp_path: Path) -> None:
    port = free_port()
    api, log = f"http://127.0.0.1:{port}/api", tmp_path / "prefect.log"
    settings = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    server = (installed("prefect", "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port))
    flows = Flows(api, tmp_path / "flows.log")
    async with program(log, *server, "--no-services", **settings):
        await until("Prefect's server", lambda: ask("GET", f"{api}/health"), log)
        seen("Prefect", await ask("GET", f"{api}/admin/version"))
        python = installed("prefect", "python")
        async with program(flows.log, python, str(HERE / "prefect_flows.py"), **settings):
            options = {"assent_prefect_url": api, "assent_callback_allow_private": True}
            async with running(sqlite_url, **options) as product:
                await late(product, flows)
                await decisions(product, flows)
                await refusals(product, flows)
            async with running(sqlite_url, **options, assent_prefect_on_reject="cancel") as product:
                await cancelled(product, flows)


async def submit(product: Any, flows: Flows, run: str, **fields: Any) -> Any:
    return await product.submit(callback_url=f"{flows.api}/flow_runs/{run}/resume", **fields)


async def late(product: Any, flows: Flows) -> None:
    """It is approved before the flow has come to its pause."""
    request = await submit(product, flows, await flows.run("late", "RUNNING"))
    await product.answer(request, "approve", ANA)
    assert await flows.given("late") == {"approved": True, "reason": ""}


async def decisions(product: Any, flows: Flows) -> None:
    for name, decision in (("told-yes", "approve"), ("told-no", "reject")):
        request = await submit(product, flows, await flows.run(name))
        await product.answer(request, decision, ANA, reason="Checked {{ 7 * 7 }}")
        approved = decision == "approve"
        assert await flows.given(name) == {"approved": approved, "reason": "Checked {{ 7 * 7 }}"}
        assert (await told(product, request, flows.log))["state"] == "sent"
    request = await submit(product, flows, await flows.run("templates"), payload=PAYLOAD)
    await product.answer(request, "approve", ANA)
    given = await flows.given("templates")
    assert given["payload"] == PAYLOAD
    assert (given["approved"], given["status"], given["by"]) == (True, "approved", ANA)
    assert (await told(product, request, flows.log))["state"] == "sent"
    request = await submit(product, flows, await flows.run("plain-yes"))
    await product.answer(request, "approve", ANA)
    assert await flows.given("plain-yes") is None


async def refusals(product: Any, flows: Flows) -> None:
    """Nothing goes on that nobody approved, or that cannot be told."""
    plain, silent, wanting = [await flows.run(name) for name in ("plain-no", "silence", "wanting")]
    request = await submit(product, flows, plain)
    await product.answer(request, "reject", ANA)
    delivery = await told(product, request, flows.log)
    assert (delivery["state"], "not resumed" in delivery["error"]) == ("superseded", True)
    request = await submit(product, flows, silent, timeout_seconds=1, on_timeout="approve")
    delivery = await told(product, request, flows.log)
    assert (delivery["state"], "at its deadline" in delivery["error"]) == ("failed", True)
    request = await submit(product, flows, wanting)
    await product.answer(request, "approve", ANA)
    assert "wants 'choice'" in (await told(product, request, flows.log))["error"]
    assert [await flows.state(run) for run in (plain, silent, wanting)] == ["PAUSED"] * 3


async def cancelled(product: Any, flows: Flows) -> None:
    run = await flows.run("plain-cancel")
    request = await submit(product, flows, run)
    await product.answer(request, "reject", ANA)
    assert (await told(product, request, flows.log))["state"] == "sent"
    assert await flows.state(run) in {"CANCELLING", "CANCELLED"}
