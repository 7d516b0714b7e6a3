"""A process that runs workflows until it is killed: `python -m tests.support.workflow_worker`.

It runs on ASSENT_WORKFLOWS_URL and asks ASSENT_URL. What its steps do, they write to WORKER_LOG, one line each. A
newer WORKER_VERSION of the handler has one more step before the others. With WORKER_JOIN the process has a DBOS of
that version already. Lines on standard input start runs: `WORKFLOW RUN_ID`. With WORKER_DIES_AT="before CALL 2" it is
killed where it would make that call of DBOSClient for the second time, and with "after CALL 2" when it has made it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSClient

from bot.workflows import Ctx, Durable

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = Path(os.environ["WORKER_LOG"])
VERSION = os.environ.get("WORKER_VERSION", "1")


def write(line: str) -> str:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")
    return line


def dawdle(run_id: str) -> None:
    write(f"{run_id} dawdles")
    if VERSION == "1":
        time.sleep(600)


def die_at(moment: str, method: str, number: int) -> None:
    calls = itertools.count(1)
    made: Callable[..., Any] = getattr(DBOSClient, method)

    def make_or_die(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            if moment == "after":
                made(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        return made(*args, **kwargs)

    setattr(DBOSClient, method, make_or_die)


def main() -> None:
    if death := os.environ.get("WORKER_DIES_AT"):
        moment, method, number = death.split()
        die_at(moment, method, int(number))
    url = os.environ["ASSENT_WORKFLOWS_URL"]
    if join := os.environ.get("WORKER_JOIN"):
        DBOS(
            config={
                "name": "theirs",
                "system_database_url": url,
                "application_version": join,
                "log_level": "ERROR",
            }
        )
        DBOS.launch()
    app = Durable(database_url=url, name="theirs" if join else "assent")

    @app.workflow("refund")
    async def refund(ctx: Ctx, amount: int) -> str:
        if VERSION != "1":
            await ctx.step("check", write, f"{ctx.run_id} checks")
            await ctx.notify("checked", audience=["email:ana@example.com"])
        await ctx.step("look", write, f"{ctx.run_id} looks")
        outcome = await ctx.require_approval(
            "finance", f"Refund {amount}?", audience=["email:ana@example.com"], labels={"run": ctx.run_id}
        )
        return await ctx.step("pay", write, f"{ctx.run_id} pays, said {outcome.reason}")

    @app.workflow("slow")
    async def slow(ctx: Ctx, amount: int) -> str:
        await ctx.step("look", write, f"{ctx.run_id} looks")
        await ctx.step("dawdle", dawdle, ctx.run_id)
        return await ctx.step("end", write, f"{ctx.run_id} ends")

    with app:
        sys.stdout.write("launched\n")
        sys.stdout.flush()
        for line in sys.stdin:
            workflow, run_id = line.split()
            app.start(workflow, 1250, run_id=run_id)


if __name__ == "__main__":
    main()
