"""Assent's gate beside the bare minimum written straight on the driver, in one run: `python -m bench.gate`.

Each server has a process and a fresh database of its own; the load comes from another process, on the same
machine. Rounds are interleaved, so that a slow minute of the machine meets all of them, and a ratio is the
median over the rounds of two rates measured one right after the other. Exits 1 if one round trip went wrong.
"""

# ruff: noqa: S603 - it runs this project's own programs

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.servers import API_KEY, ROOT, Server, ServerError, assent, baseline
from tests.support.postgres import PostgresUnavailableError, running_postgres

CONCURRENCIES = (1, 16, 64)
WAKE_UP_FIGURES = ("after_sent_p50", "after_sent_p99", "after_answered_p50", "after_answered_p99")

RATES_NOTE = "A ratio is the median of the rounds' ratios; memory is that of one process."
WAKE_UPS_NOTE = """\
Wake-ups at rest, one at a time: from when the answer is sent, so with its handling and its commit; and from
the arrival of its 200, negative where the waiter learns first."""


class NothingMeasuredError(Exception):
    """A server that answers nothing as it must; the message lists what it did."""


@dataclass
class Contender:
    """One server, or several replicas on one database, and what was measured of it."""

    name: str
    servers: list[Server]
    beside: Contender | None = None
    """Whose rates its own are divided by."""
    rates: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Round trips a second of each round, by concurrency."""
    resident_at_rest: float = 0
    """MiB of one process, before the load."""
    resident_after_load: float = 0
    wake_ups: dict[str, dict[str, float]] = field(default_factory=dict)
    """Milliseconds from an answer to the waiter, by where the waiter waits."""
    errors: Counter[str] = field(default_factory=Counter)

    def ratio(self, concurrency: int) -> float | None:
        """Return its rate as a part of the rate of the one beside it, None if there is none."""
        if self.beside is None:
            return None
        pairs = zip(self.rates[concurrency], self.beside.rates[concurrency], strict=True)
        return statistics.median(own / other for own, other in pairs)

    def resident(self) -> float:
        """Return the MiB that its largest process holds now."""
        return max(server.resident() for server in self.servers)

    def figures(self) -> dict[str, Any]:
        """Return everything measured, for `--json`."""
        return {
            "name": self.name,
            "rates": self.rates,
            "medians": {concurrency: statistics.median(rates) for concurrency, rates in self.rates.items()},
            "beside": self.beside and self.beside.name,
            "ratios": self.beside and {concurrency: self.ratio(concurrency) for concurrency in self.rates},
            "wake_ups": self.wake_ups,
            "resident_at_rest": self.resident_at_rest,
            "resident_after_load": self.resident_after_load,
            "errors": self.errors,
        }

    def measure_at_rest(self, seconds: float) -> None:
        """Time wake-ups of a waiter at the answering server and, with replicas, at another one."""
        for where, server in zip(("the same process", "another replica"), self.servers, strict=False):
            self.wake_ups[where] = self._drive(self.servers[:1], [server], "--wake-up", seconds=seconds)

    def measure_rate(self, concurrency: int, seconds: float) -> float:
        """Add one round; with replicas, workers answer and wait anywhere, as behind a balancer."""
        figures = self._drive(self.servers, self.servers, f"--concurrency={concurrency}", seconds=seconds)
        self.rates[concurrency].append(figures["rate"])
        return figures["rate"]

    def _drive(
        self, answer: list[Server], wait: list[Server], *options: str, seconds: float
    ) -> dict[str, float]:
        places = [f"--answer={server.url}" for server in answer] + [f"--wait={server.url}" for server in wait]
        load = subprocess.run(
            [sys.executable, "-m", "bench.load", f"--seconds={seconds}", *places, *options],
            check=True,
            cwd=ROOT,
            env={**os.environ, "ASSENT_API_KEY": API_KEY},
            stdout=subprocess.PIPE,
        )
        figures: dict[str, Any] = json.loads(load.stdout)
        self.errors.update(errors := figures.pop("errors"))
        if not figures:
            raise NothingMeasuredError(f"{self.name}: no round trip went well: {errors}")
        return figures


def on_sqlite(stack: contextlib.ExitStack, folder: Path) -> list[Contender]:
    """Start the baseline and Assent, each on a file of its own."""
    bare = stack.enter_context(baseline("bench.base_sqlite", folder, str(folder / "base.db")))
    full = stack.enter_context(assent(folder, f"sqlite:///{folder / 'assent.db'}"))
    base = Contender("BASE-SQLITE", [bare])
    return [base, Contender("Assent-SQLITE", [full], base)]


def on_postgres(stack: contextlib.ExitStack, folder: Path, replicas: int) -> list[Contender]:
    """Start a PostgreSQL with its default durability and, each on a database of its own, the contenders."""
    postgres = stack.enter_context(running_postgres(durable=True))

    def started(count: int) -> list[Server]:
        database = stack.enter_context(postgres.database())
        return [stack.enter_context(assent(folder, database)) for _ in range(count)]

    database = stack.enter_context(postgres.database())
    bare = stack.enter_context(baseline("bench.base_pg", folder, database))
    base = Contender("BASE-PG", [bare])
    one = Contender("Assent-PG", started(1), base)
    if replicas == 1:
        return [base, one]
    return [base, one, Contender(f"Assent-PG × {replicas}", started(replicas), one)]


def measure(contenders: list[Contender], rounds: int, seconds: float) -> None:
    """Fill in everything; says on stderr how far it is."""
    for contender in contenders:
        contender.measure_at_rest(seconds)
        contender.resident_at_rest = contender.resident()
    for number, concurrency in itertools.product(range(rounds), CONCURRENCIES):
        for contender in contenders[:: -1 if number % 2 else 1]:
            rate = contender.measure_rate(concurrency, seconds)
            progress = f"round {number + 1} of {rounds}, {concurrency} at once: {contender.name} {rate:.0f}/s"
            print(progress, file=sys.stderr)
    for contender in contenders:
        contender.resident_after_load = contender.resident()


def report(contenders: list[Contender], rounds: int, seconds: float) -> str:
    """Return Markdown tables of the medians and ratios."""
    rates = [["round trips/s, at once:", *map(str, CONCURRENCIES), "MiB at rest", "MiB after"]]
    wake_ups = [["answer → waiter, ms", "p50 from sent", "p99", "p50 from its 200", "p99"]]
    for contender in contenders:
        medians = [f"{statistics.median(contender.rates[concurrency]):.0f}" for concurrency in CONCURRENCIES]
        memory = [f"{contender.resident_at_rest:.0f}", f"{contender.resident_after_load:.0f}"]
        rates.append([contender.name, *medians, *memory])
        if contender.beside:
            ratios = [f"{contender.ratio(concurrency):.2f}" for concurrency in CONCURRENCIES]
            rates.append([f"{contender.name} ÷ {contender.beside.name}", *ratios, "", ""])
        for where, times in contender.wake_ups.items():
            wake_ups.append(
                [f"{contender.name}, {where}", *(f"{times[name]:.2f}" for name in WAKE_UP_FIGURES)]
            )
    heading = f"Medians of {rounds} rounds of {seconds:g} s. {RATES_NOTE}"
    return f"{heading}\n\n{_table(rates)}\n\n{WAKE_UPS_NOTE}\n\n{_table(wake_ups)}"


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [rows[0], rule, *rows[1:]]
    ]
    return "\n".join(f"| {line} |" for line in lines)


def main() -> int:
    """Run the benchmark; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="of each concurrency (default 3)")
    parser.add_argument("--only", choices=("sqlite", "pg"), help="one database instead of both")
    parser.add_argument("--replicas", type=int, default=1, help="also measure so many on one PostgreSQL")
    parser.add_argument("--json", action="store_true", help="print every figure as one JSON object")
    options = parser.parse_args()
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assent-bench-")))
            contenders: list[Contender] = []
            if options.only != "pg":
                contenders += on_sqlite(stack, folder)
            if options.only != "sqlite":
                contenders += on_postgres(stack, folder, options.replicas)
            measure(contenders, options.rounds, options.seconds)
    except (ServerError, PostgresUnavailableError, NothingMeasuredError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([contender.figures() for contender in contenders], indent=2))
    else:
        print(report(contenders, options.rounds, options.seconds))
    for contender in contenders:
        for message, count in contender.errors.items():
            print(f"{contender.name}: {count} × {message}", file=sys.stderr)
    return 1 if any(contender.errors for contender in contenders) else 0


if __name__ == "__main__":
    sys.exit(main())
