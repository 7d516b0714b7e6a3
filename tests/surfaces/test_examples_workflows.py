"""The examples of durable workflows, and `assent run` and `assent runs`, each with somebody who answers."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from bot.cli import main
from tests.support import command
from tests.support.documents import blocks
from tests.support.product import KEY, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.product import Product

EXAMPLES = command.CHECKOUT / "examples"
ANA = "ana@example.com"
PATIENCE = 30.0  # processes start meanwhile


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url) as product:
        yield product


def environ(product: Product) -> dict[str, str]:
    return {"ASSENT_URL": product.url, "ASSENT_API_KEY": KEY, "ASSENT_AUDIENCE": f"email:{ANA}"}


async def example(product: Product, script: Path) -> asyncio.Task[command.Done]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=command.environment(**environ(product)),
    )
    return asyncio.create_task(command.finish(process, within=60))


async def answer(product: Product, decision: str, title: str, reason: str = "because") -> dict[str, Any]:
    """Answer as Ana what is asked under a title, as soon as it is asked."""
    async with asyncio.timeout(PATIENCE):
        while not (found := [r for r in await pending(product) if r["title"] == title]):  # noqa: ASYNC110 - another process asks
            await asyncio.sleep(0.05)
    answered = await product.answer(found[0], decision, ANA, reason=reason)
    assert answered.status == 200, answered.text
    request: dict[str, Any] = answered.json
    return request


def said(*arguments: str) -> tuple[int, str]:
    """The exit status of a command in this process, and what it wrote."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        status = main.run(arguments)
    return status, out.getvalue()


async def pending(product: Product) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await product.call("GET", "/v1/pending")).json["items"]
    return items


async def test_the_gate_and_the_ladder(product: Product) -> None:
    """Side by side on one database, where each runs only what it has."""
    gate = await example(product, EXAMPLES / "durable_gate.py")
    ladder = await example(product, EXAMPLES / "ladder.py")
    asked = await answer(product, "reject", "Refund €1,250 for order 5531?", "not my money")
    assert asked["details"] == {"agent → senior_agent": "low confidence", "senior_agent → human": "sensitive"}
    await answer(product, "approve", "Delete u-8841 (3 orders)?")
    await answer(product, "approve", "Refund €1,250 for order 5531?")
    done = await gate
    assert (done.status, done.out) == (0, "counting the orders of u-8841\ndeleted u-8841\n"), done.err
    done = await ladder
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "agent → senior_agent: low confidence",
        "senior_agent → human: sensitive",
        "human → manager: not my money",
        f"Refund €1,250 for order 5531, by {ANA}",
    ]


async def test_the_documents(product: Product, tmp_path: Path) -> None:
    [script] = blocks("python", "A durable run")
    [automation] = blocks("yaml", "A durable run")
    assert max(len(code.splitlines()) for code in (script, automation)) <= 15
    own = "def count_orders(user):\n    return 3\n\ndef delete(user):\n    return f'deleted {user}'\n\n"
    (tmp_path / "gate.py").write_text(own + script, encoding="utf-8")
    (tmp_path / "refund.yaml").write_text(automation, encoding="utf-8")
    (tmp_path / "actions.py").write_text(
        "def refund(order):\n    return f'refunded {order}'\n", encoding="utf-8"
    )
    gate = await example(product, tmp_path / "gate.py")
    command_line = ["run", "refund.yaml", "--input", '{"order": "5531"}']
    run = asyncio.create_task(command.run(*command_line, **environ(product)))
    await answer(product, "approve", "Delete u-8841 (3 orders)?")
    await answer(product, "approve", "Refund order 5531?")
    assert (await gate).out == "deleted u-8841\n"
    assert "refunded 5531" in (await run).out


async def test_the_recipe_by_command(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    async def assent(*arguments: str) -> command.Done:
        return await command.run(*arguments, **environ(product))

    recipe = str(EXAMPLES / "automation.yaml")
    both = [
        asyncio.create_task(assent("run", recipe, "--run-id", "large")),
        asyncio.create_task(assent("run", recipe, "--input", '{"amount": 12}', "--json")),
    ]
    await answer(product, "reject", "Refund €1250 for order 5531", "Ask for photos")
    asked = await answer(product, "approve", "Refund €1250 all the same?")
    assert asked["message"] == f"Refund €1250 for order 5531 was rejected by {ANA}: Ask for photos"
    await answer(product, "reject", "Refund €12 for order 5531", "Too small to matter")
    large, small = await asyncio.gather(*both)
    assert (large.status, small.status) == (0, 1), large.err + small.err
    assert "refunded €1250 for order 5531" in large.out
    assert small.json["status"] == "completed"
    assert "refund" not in small.json["result"]
    assert small.json["outcomes"]["approval"].endswith(": Too small to matter")

    status, listed = said("runs", "list", "--json", "--status", "completed")
    assert (status, {run["workflow"] for run in json.loads(listed)}) == (0, {"automation.yaml"})
    assert "gate manager: Refund €1250 all the same? was approved" in said("runs", "show", "large")[1]
    status, refused = said("runs", "retry", "large")
    assert (status, refused) == (1, "assent: large is completed, which is final: there is nothing to retry\n")

    for name, value in environ(product).items():
        monkeypatch.setenv(name, value)
    status, _ = await asyncio.to_thread(said, "run", recipe, "--run-id", "cut", "--timeout", "0")
    assert status == 4
    going_on = asyncio.create_task(asyncio.to_thread(said, "runs", "retry", "cut"))
    await answer(product, "approve", "Refund €1250 for order 5531")
    assert (await going_on)[0] == 0


async def test_a_run_shows_that_nobody_was_told(product: Product, tmp_path: Path) -> None:
    nobody = "automation: a\nelements:\n  - {id: tell, kind: notify, spec: {message: Hi}}\n"
    (tmp_path / "nobody.yaml").write_text(nobody, encoding="utf-8")
    done = await command.run("run", "nobody.yaml", "--run-id", "told", **environ(product))
    assert done.status == 0
    assert "notify tell: nobody was told: " in said("runs", "show", "told")[1]


async def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    nobody = "automation: a\nelements:\n  - {id: gate, kind: hitl, spec: {title: Go}}\n"
    (tmp_path / "nobody.yaml").write_text(nobody, encoding="utf-8")
    status, refused = said("run", "nobody.yaml")
    assert status == 2
    assert refused.startswith("assent: nobody.yaml: line 3: gate: HITL_NO_AUDIENCE: nobody would be asked")
    assert said("run", "nobody.yaml", "--input", "[]") == (2, "assent: --input must be a JSON object\n")
    assert said("run", "no.yaml") == (2, "assent: cannot read no.yaml: No such file or directory\n")
    assert said("runs", "list", "--json") == (0, "[]\n")
    assert said("runs", "show", "x") == (1, "assent: there is no run x; `assent runs list` names them\n")
    assert said("runs", "list", "--workflows-url", "mysql://x")[0] == 2
    recipe, nowhere = str(EXAMPLES / "automation.yaml"), "postgresql://postgres@127.0.0.1:1/nothing"
    status, refused = said("run", recipe, "--workflows-url", nowhere)
    assert (status, refused.startswith("assent: cannot open the runs: ")) == (1, True)
    status, refused = said("runs", "list", "--workflows-url", nowhere)
    assert (status, refused.startswith("assent: cannot read the runs: ")) == (1, True)
    assert not (tmp_path / "workflows.db").exists()
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['dbos'] = None\n", encoding="utf-8")
    process = await command.start("runs", "list", PYTHONPATH=f"{tmp_path}:{command.CHECKOUT}")
    bare = await command.finish(process)
    assert (bare.status, bare.err) == (
        1,
        "assent: durable workflows need an extra that is not installed: pip install 'assent[durable]'\n",
    )
