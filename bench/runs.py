"""What 1,000 paused runs cost: `python -m bench.runs`.

A process starts them against a running Assent, each at a gate of its own. Measured are the processor time of that
process while nothing happens, without runs and with them; how long a new process on the same database takes to be
ready; and how long, in that process, from an answer to the end of its run. Exits 1 if a run is lost.
"""

# ruff: noqa: S603 - it runs this project's own program

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.servers import API_KEY, ROOT, assent
from bot.client import Client
from bot.workflows import Ctx, Durable
from tests.support.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE = ["email:ana@example.com"]


def work(database_url: str) -> None:
    """Be the process that runs them: read commands, a line each, and answer each with a line of JSON."""
    began = time.monotonic()
    app = Durable(database_url=database_url)

    @app.workflow("gate")
    async def gate(ctx: Ctx, number: int) -> str:
        if not ctx.approved:
            await ctx.require_approval("approval", f"Go on with {number}?", audience=AUDIENCE)
        return "done"

    with app:
        _answer({"ready": time.monotonic() - began})
        for line in sys.stdin:
            match line.split():
                case ["start", count]:
                    for number in range(int(count)):
                        app.start("gate", number, run_id=f"run-{number}")
                    while any(run.status != "paused" for run in app.runs.recent()):
                        time.sleep(0.5)
                    _answer(
                        {
                            "requests": {
                                run.id: run.waiting and run.waiting["request"] for run in app.runs.recent()
                            }
                        }
                    )
                case ["idle", seconds]:
                    before = time.process_time()
                    time.sleep(float(seconds))
                    _answer({"busy": (time.process_time() - before) / float(seconds)})
                case ["end", run_id]:
                    _answer({"result": app.result(run_id, 60)})


def _answer(data: dict[str, Any]) -> None:
    print(json.dumps(data), flush=True)


class Worker:
    """That process, from outside."""

    def __init__(self, server_url: str, database_url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.runs", "--work", database_url],
            cwd=ROOT,
            env={**os.environ, "ASSENT_URL": server_url, "ASSENT_API_KEY": API_KEY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready: float = self._read()["ready"]

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command, and wait for its answer."""
        stdin = self.process.stdin
        if stdin is None:
            raise RuntimeError("it was started with a pipe")
        print(command, file=stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def worker(server_url: str, database_url: str) -> Iterator[Worker]:
    """Run that process, and kill it."""
    running = Worker(server_url, database_url)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def measure(
    folder: Path, server_database: str, runs_database: str, count: int, seconds: float
) -> dict[str, float]:
    """Return the figures of one database: parts of one processor, and seconds."""
    with assent(folder, server_database) as server, Client(server.url, API_KEY) as client:
        with worker(server.url, runs_database) as first:
            alone = first.ask(f"idle {seconds}")["busy"]
            requests = first.ask(f"start {count}")["requests"]
            first.ask("idle 20")  # the last decisions are looked for some seconds after a start
            paused = first.ask(f"idle {seconds}")["busy"]
        with worker(server.url, runs_database) as second:
            waits = []
            for run_id in list(requests)[:: max(1, count // 20)]:
                asked = time.monotonic()
                client.approve(requests[run_id])
                if second.ask(f"end {run_id}")["result"] != "done":
                    raise SystemExit(f"{run_id} was lost")
                waits.append(time.monotonic() - asked)
            return {
                "idle, no runs": alone,
                "idle, all paused": paused,
                "launch, no runs": first.ready,
                "launch, all paused": second.ready,
                "answer to end, median": statistics.median(waits),
            }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to be idle")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    with tempfile.TemporaryDirectory() as name, running_postgres(durable=True) as postgres:
        folder = Path(name)
        sqlite = f"sqlite:///{folder / 'assent.db'}", f"sqlite:///{folder / 'workflows.db'}"
        with postgres.database() as url:
            for kind, databases in {"SQLite": sqlite, "PostgreSQL": (url, url)}.items():
                figures = measure(folder, *databases, options.count, options.seconds)
                print(f"{kind}, {options.count} runs")
                for figure, value in figures.items():
                    print(
                        f"  {figure:24} {value:.1%}" if "idle" in figure else f"  {figure:24} {value:.2f} s"
                    )


if __name__ == "__main__":
    main()
