"""Human-in-the-loop tasks of the real Airflow, told the outcome by the whole of Assent."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from tests.support.ports import free_port
from tests.support.product import running
from tests.support.programs import HERE, ask, installed, program, seen, told, until

if TYPE_CHECKING:
    from pathlib import Path

ANA = "ana@example.com"
CHOICES = [{"id": "eu", "label": "Europe"}, {"id": "us", "label": "America"}]
DAGS = ("approval", "refusal", "entry", "several", "branch")


class Tasks:
    """What Airflow's own API says of the one task of each DAG."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log, self.token = url, log, ""

    async def sign_in(self) -> bool:
        answer = await ask("POST", f"{self.url}/auth/token", {"username": "bot", "password": "pass word"})
        self.token = answer["access_token"]
        return True

    async def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return await ask(method, f"{self.url}/api/v2/{path}", body, self.token)

    def task(self, dag: str, task: str = "ask") -> str:
        return f"dags/{dag}/dagRuns/run+1/taskInstances/{task}".replace("+", "%2B")

    def callback(self, dag: str) -> str:
        return f"{self.url}/api/v2/{self.task(dag)}/-1/hitlDetails"

    async def waiting(self, dag: str) -> None:
        async def look() -> bool:
            return (await self.ask(self.task(dag)))["state"] == "awaiting_input"

        await until(f"{dag} waiting", look, self.log)

    async def ended(self, dag: str, task: str = "ask") -> str:
        async def look() -> str | None:
            state = (await self.ask(self.task(dag, task)))["state"]
            return str(state) if state in {"success", "failed", "skipped"} else None

        return str(await until(f"{dag} ending", look, self.log, 120))

    async def given(self, dag: str) -> Any:
        entry = await self.ask(f"{self.task(dag)}/xcomEntries/return_value?stringify=false")
        return {name: entry["value"][name] for name in ("chosen_options", "params_input")}


async def test_tasks_are_told_what_people_decided(sqlite_url: str, tmp_path: Path) -> None:
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path / "airflow-api.log"
    (tmp_path / "passwords.json").write_text(json.dumps({"bot": "pass word"}))
    settings = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "bot:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(tmp_path / "passwords.json"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
    }
    airflow = installed("airflow", "airflow")
    async with program(tmp_path / "migrate.log", airflow, "db", "migrate", **settings) as migrating:
        assert await migrating.wait() == 0, (tmp_path / "migrate.log").read_text()[-3000:]
    tasks = Tasks(url, log)
    async with AsyncExitStack() as stack:
        server = ("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        await stack.enter_async_context(program(log, airflow, *server, **settings))
        for part in ("scheduler", "dag-processor"):
            await stack.enter_async_context(program(tmp_path / f"{part}.log", airflow, part, **settings))
        await until("Airflow's server", tasks.sign_in, log)
        seen("Airflow", (await tasks.ask("version"))["version"])
        for dag in DAGS:
            await start(tasks, dag)
        base = url.replace("://", "://bot:pass%20word@")
        product = await stack.enter_async_context(
            running(sqlite_url, assent_airflow_url=base, assent_callback_allow_private=True)
        )
        await decisions(product, tasks)
        await choices(product, tasks)


async def start(tasks: Tasks, dag: str) -> None:
    async def unpaused() -> Any:
        return await tasks.ask(f"dags/{dag}", "PATCH", {"is_paused": False})

    await until(f"the DAG {dag}", unpaused, tasks.log)
    await tasks.ask(f"dags/{dag}/dagRuns", "POST", {"dag_run_id": "run+1", "logical_date": None})


async def decisions(product: Any, tasks: Tasks) -> None:
    """As soon as it waits, which Airflow would answer 200 to and lose; templates arrive as they are."""
    await tasks.waiting("approval")
    request = await product.submit(callback_url=tasks.callback("approval"), payload={"amount": 1250})
    await product.answer(request, "approve", ANA, reason="{{ 7 * 7 }}")
    assert (await told(product, request, tasks.log))["state"] == "sent"
    assert await tasks.ended("approval") == "success"
    params = {"approver": ANA, "reason": "{{ 7 * 7 }}", "amount": 1250}
    assert await tasks.given("approval") == {"chosen_options": ["Approve"], "params_input": params}

    await tasks.waiting("refusal")
    request = await product.submit(callback_url=tasks.callback("refusal"))
    await product.answer(request, "reject", ANA)
    assert (await told(product, request, tasks.log))["state"] == "sent"
    assert (await tasks.ended("refusal"), await tasks.ended("refusal", "refund")) == ("success", "skipped")

    await tasks.waiting("entry")
    request = await product.submit(callback_url=tasks.callback("entry"))
    await product.answer(request, "reject", ANA)
    refused = await told(product, request, tasks.log)
    assert (refused["state"], refused["error"]) == ("failed", "the task in Airflow has no option Reject")
    request = await product.submit(callback_url=tasks.callback("entry"), payload={"amount": "much"})
    await product.answer(request, "approve", ANA)
    assert "is not of type 'integer'" in (await told(product, request, tasks.log))["error"]
    request = await product.submit(callback_url=tasks.callback("entry"), level="info")
    assert "is not told yes" in (await told(product, request, tasks.log))["error"]
    request = await product.submit(callback_url=tasks.callback("entry"), payload={"amount": 5})
    await product.answer(request, "approve", ANA)
    assert (await told(product, request, tasks.log))["state"] == "sent"
    assert await tasks.ended("entry") == "success"
    assert await tasks.given("entry") == {"chosen_options": ["OK"], "params_input": {"amount": 5}}


async def choices(product: Any, tasks: Tasks) -> None:
    for dag in ("several", "branch"):
        await tasks.waiting(dag)
        request = await product.submit(callback_url=tasks.callback(dag), kind="choice", choices=CHOICES)
        await product.answer(request, "us", ANA)
        assert (await told(product, request, tasks.log))["state"] == "sent"
        assert await tasks.ended(dag) == "success"
    assert (await tasks.given("several"))["chosen_options"] == ["America"]
    assert (await tasks.ended("branch", "eu"), await tasks.ended("branch", "us")) == ("skipped", "success")
