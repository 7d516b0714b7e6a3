"""Whether lists stay fast in a store that has grown: `python -m bench.lists`.

Two servers, one with 1,000 pending requests, one with 100,000 and 1,000,000 that are final, answer the same calls in
turn, and each call's median time in the large store is divided by that in the small one. A few requests of each kind
are made over the API; the others are copies of their rows under ids of their own. Exits 1 if a ratio is above the goal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import uvloop

from bench.load import Connection, connected
from bench.servers import API_KEY, Server, assent
from tests.support.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SMALL = (1_000, 0)
LARGE = (100_000, 1_000_000)
"""Pending and final requests."""

PEOPLE = 50
GOAL = 1.5

CALLS = {
    "the newest requests": "/v1/requests",
    "pending ones, a page of 100": "/v1/requests?status=pending&limit=100",
    "pending ones with links": "/v1/pending",
    "what waits for one person": "/v1/pending?respondent=person7@example.com&limit=10",
    "pending ones of a label": "/v1/requests?status=pending&label=env:prod",
    "pending ones of two labels": "/v1/requests?status=pending&label=env:prod&label=team:7&limit=10",
    "what one person approved": "/v1/requests?status=approved&respondent=person7@example.com&limit=1",
}

REQUESTS = "id, status, version, title, created_at, due_at, unresolved, spec, state"
TERMS = "request_id, term, open"


@dataclass(frozen=True)
class Template:
    """The rows of a request that was made over the API."""

    row: tuple[Any, ...]
    terms: list[tuple[Any, ...]]

    @property
    def pending(self) -> bool:
        """Whether it waits."""
        return bool(self.row[1] == "pending")

    def copy(self, number: int) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        """The same rows for another request."""
        own = f"req_{number:026}"
        *columns, state = self.row[1:]
        [respondent] = orjson.loads(state)["respondents"]
        another = f"rsp_{number:013}"
        state = state.replace(self.row[0], own).replace(respondent["id"], another)
        terms = [(own, t.replace(respondent["id"], another), is_open) for _, t, is_open in self.terms]
        return (own, *columns, state), terms


async def make_templates(server: Server) -> None:
    """Ask everybody twice over the API, and answer once for each."""
    async with connected(server.url) as connection:
        for number in range(PEOPLE):
            asked = f"person{number}@example.com"
            body = {
                "title": f"Refund €{number} to customer {number}",
                "audience": [asked],
                "requester": f"person{(number + 1) % PEOPLE}@example.com",
                "labels": {"env": "prod" if number % 2 else "test", "team": str(number)},
                "payload": {"tool": "refund", "amount": number, "customer": "8841"},
            }
            for answered in (False, True):
                request = await _called(connection, "POST", "/v1/requests", orjson.dumps(body))
                if answered:
                    answer = orjson.dumps({"respondent": asked, "decision": "approve"})
                    await _called(connection, "POST", f"/v1/requests/{request['id']}/responses", answer)


async def _called(connection: Connection, method: str, path: str, body: bytes = b"") -> Any:
    reply = await connection.call(method, path, body)
    if reply.status not in {200, 201}:
        raise SystemExit(f"{method} {path}: {reply.status} {reply.body[:300]!r}")
    return orjson.loads(reply.body)


def copies(
    templates: list[Template], pending: int, final: int
) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    """Rows of so many requests, in a mixed order that is always the same."""
    by_state = {state: [t for t in templates if t.pending is state] for state in (True, False)}
    states = [True] * pending + [False] * final
    random.Random(1).shuffle(states)  # noqa: S311 - an order, not a secret
    for number, state in enumerate(states):
        yield by_state[state][number % PEOPLE].copy(number)


def fill(database_url: str, size: tuple[int, int]) -> None:
    """Copy the requests that there are until the store has this size."""
    if database_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as lite, lite:
            templates = _templates(
                lite.execute(f"SELECT {REQUESTS} FROM requests").fetchall(),  # noqa: S608 - fixed names
                lite.execute(f"SELECT {TERMS} FROM terms").fetchall(),  # noqa: S608 - fixed names
            )
            for row, terms in copies(templates, *size):
                lite.execute(f"INSERT INTO requests ({REQUESTS}) VALUES (?,?,?,?,?,?,?,?,?)", row)  # noqa: S608 - fixed names
                lite.executemany(f"INSERT INTO terms ({TERMS}) VALUES (?,?,?)", terms)  # noqa: S608 - fixed names
        return
    with psycopg.connect(database_url) as read, psycopg.connect(database_url) as write:
        templates = _templates(
            read.execute(f"SELECT {REQUESTS} FROM requests").fetchall(),  # noqa: S608 - fixed names
            read.execute(f"SELECT {TERMS} FROM terms").fetchall(),  # noqa: S608 - fixed names
        )
        _copy_in(
            write, f"COPY requests ({REQUESTS}) FROM STDIN", (row for row, _ in copies(templates, *size))
        )
        _copy_in(
            write,
            f"COPY terms ({TERMS}) FROM STDIN",
            (term for _, terms in copies(templates, *size) for term in terms),
        )
    with psycopg.connect(database_url, autocommit=True) as done:
        done.execute("VACUUM ANALYZE requests, terms")


def _templates(requests: list[tuple[Any, ...]], terms: list[tuple[Any, ...]]) -> list[Template]:
    return [Template(row, [term for term in terms if term[0] == row[0]]) for row in requests]


def _copy_in(connection: psycopg.Connection, statement: Any, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


async def compare(small: Server, large: Server, rounds: int) -> list[tuple[str, float, float]]:
    """Each call, its median time in the large store in milliseconds, and how many times that in the small one."""
    figures = []
    async with connected(small.url) as one, connected(large.url) as other:
        for name, path in CALLS.items():
            times: tuple[list[float], list[float]] = ([], [])
            for number in range(rounds + 1):
                for connection, taken in zip((one, other), times, strict=True):
                    began = time.perf_counter()
                    await _called(connection, "GET", path)
                    if number:  # the first fills caches
                        taken.append(time.perf_counter() - began)
            medians = [statistics.median(taken) * 1000 for taken in times]
            figures.append((name, medians[1], medians[1] / medians[0]))
    return figures


def measure(folder: Path, urls: tuple[str, str], rounds: int) -> bool:
    """Print the figures of one kind of database; whether all are within the goal."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(assent(folder, url)) for url in urls]
        for server, url, size in zip(servers, urls, (SMALL, LARGE), strict=True):
            uvloop.run(make_templates(server))
            fill(url, size)
        figures = uvloop.run(compare(servers[0], servers[1], rounds))
    for name, milliseconds, ratio in figures:
        print(f"{name:32} {milliseconds:8.2f} ms  x {ratio:.2f}", flush=True)
    return all(ratio <= GOAL for _, _, ratio in figures)


def main() -> int:
    """Measure; return 1 if something is slower than the goal allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("sqlite", "pg"))
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    os.environ["ASSENT_API_KEY"] = API_KEY
    good = True
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assent-bench-")))
        if options.only != "pg":
            print("SQLite")
            good &= measure(
                folder, (f"sqlite:///{folder}/small.db", f"sqlite:///{folder}/large.db"), options.rounds
            )
        if options.only != "sqlite":
            print("PostgreSQL")
            server = stack.enter_context(running_postgres(durable=True))
            urls = (stack.enter_context(server.database()), stack.enter_context(server.database()))
            good &= measure(folder, urls, options.rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
