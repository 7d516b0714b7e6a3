"""What ten thousand things that wait cost a server at rest: `python -m bench.idle waiters` or `timers`.

`waiters`: each long-polls for a request of its own, on its own connection; then all requests are answered, and a
waiter that does not learn of its outcome is lost. `timers`: pending requests with a deadline an hour away. Exits 1 if
a waiter was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import uvloop

from bench.load import ANSWER, SUBMIT, Connection, connected
from bench.servers import API_KEY, Server, assent

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_ONCE = 32
"""Connections that submit and answer."""

TIMED = orjson.dumps({**orjson.loads(SUBMIT), "timeout_seconds": 3600})

SETTLE = 2.0
"""Seconds until a server is at rest."""


async def call_all(url: str, calls: Iterable[tuple[str, bytes]]) -> list[bytes]:
    """POST every call over a few connections; the bodies of the answers, in no order."""
    waiting, bodies = iter(calls), []

    async def work() -> None:
        async with connected(url) as connection:
            for path, body in waiting:
                reply = await connection.call("POST", path, body)
                if reply.status not in {200, 201}:
                    raise SystemExit(f"POST {path}: {reply.status} {reply.body[:200]!r}")
                bodies.append(reply.body)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return bodies


async def submit(server: Server, count: int, body: bytes) -> list[str]:
    """Open so many requests; their ids."""
    answers = await call_all(server.url, [("/v1/requests", body)] * count)
    return [orjson.loads(answer)["id"] for answer in answers]


async def at_rest(server: Server, seconds: float) -> float:
    """The part of one core that the server uses at rest, in percent."""
    await asyncio.sleep(SETTLE)
    before = server.processor_seconds()
    await asyncio.sleep(seconds)
    return 100 * (server.processor_seconds() - before) / seconds


async def timers(server: Server, count: int, seconds: float) -> int:
    """Print what pending deadlines cost; 0."""
    await submit(server, count, TIMED)
    print(f"{count} timers: {await at_rest(server, seconds):.1f} % of a core at rest")
    return 0


async def waiters(server: Server, count: int, seconds: float) -> int:
    """Print what waiters cost; how many were lost."""
    ids = await submit(server, count, SUBMIT)
    await asyncio.sleep(SETTLE)
    before = server.resident()
    async with contextlib.AsyncExitStack() as stack:
        connections: list[Connection] = [await stack.enter_async_context(connected(server.url)) for _ in ids]
        waiting = [c.call("GET", f"/v1/requests/{i}?wait=60") for c, i in zip(connections, ids, strict=True)]
        busy = await at_rest(server, seconds)
        each = (server.resident() - before) * 1024 / count
        await call_all(server.url, [(f"/v1/requests/{i}/responses", ANSWER) for i in ids])
        done, _ = await asyncio.wait(waiting, timeout=10)
        learned: int = sum(orjson.loads(w.result().body)["status"] == "approved" for w in done)
    print(f"{count} waiters: {each:.1f} KiB each, {busy:.1f} % of a core at rest, {count - learned} lost")
    return count - learned


def main() -> int:
    """Measure; return 1 if a waiter was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("waiters", "timers"))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10, help="at rest (default 10)")
    options = parser.parse_args()
    os.environ["ASSENT_API_KEY"] = API_KEY
    measure = {"waiters": waiters, "timers": timers}[options.what]
    with tempfile.TemporaryDirectory(prefix="assent-bench-") as name:
        folder = Path(name)
        with assent(folder, f"sqlite:///{folder / 'assent.db'}") as server:
            lost: int = uvloop.run(measure(server, options.count, options.seconds))
    return min(1, lost)


if __name__ == "__main__":
    sys.exit(main())
