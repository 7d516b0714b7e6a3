"""How long Slack waits for the acknowledgement of a click while its own API is slow: `python -m bench.clicks`.

Every call that Assent makes takes `--api-ms`. People press Approve on the card of a request of their own, a few at
once; an acknowledgement means that the answer is kept, and counts once Slack has said who gave it. Exits 1 if one was
lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import uvloop

from bench.idle import call_all
from bench.load import SUBMIT, connected
from bench.servers import API_KEY, Server, assent
from bot.sandbox.slack.sandbox import SlackSandbox

if TYPE_CHECKING:
    from bot.sandbox.slack.workspace import Message, User

CARDS_WITHIN = 60.0
"""Seconds in which every card has to be posted."""

COUNTED_WITHIN = 60.0
"""Seconds after the last click in which every answer has to count."""


async def cards(slack: SlackSandbox, server: Server, count: int) -> list[tuple[User, Message]]:
    """Ask so many people, each something of their own; their cards."""
    people = [slack.add_user(f"Person {n}", email=f"person{n}@example.com") for n in range(count)]
    asking = orjson.loads(SUBMIT)
    bodies = [orjson.dumps({**asking, "audience": [f"slack:{person.id}"]}) for person in people]
    await call_all(server.url, [("/v1/requests", body) for body in bodies])
    return [(person, await slack.next_message(person, timeout=CARDS_WITHIN)) for person in people]


async def unanswered(server: Server) -> int:
    """How many requests still wait when all answers should count."""
    ends = time.perf_counter() + COUNTED_WITHIN
    async with connected(server.url) as connection:
        while True:
            reply = await connection.call("GET", "/v1/pending?limit=100")
            waiting = len(orjson.loads(reply.body)["items"])
            if not waiting or time.perf_counter() > ends:
                return waiting
            await asyncio.sleep(0.5)


async def measure(slack: SlackSandbox, server: Server, count: int, at_once: int, api_ms: float) -> int:
    """Print how long acknowledgements took; how many answers were lost."""
    waiting = await cards(slack, server, count)
    slack.faults.next("*", delay=api_ms / 1000, times=None)
    took: list[float] = []

    async def press() -> None:
        while waiting:
            person, card = waiting.pop()
            began = time.perf_counter()
            await slack.click(person, card, "Approve")
            took.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(press() for _ in range(at_once)))
    lost = await unanswered(server)
    percentiles = statistics.quantiles(took, n=100)
    print(
        f"{count} clicks, {at_once} at once, Slack's API at {api_ms:g} ms: "
        f"acknowledged in {percentiles[49]:.1f} ms (p50), {percentiles[98]:.1f} ms (p99)"
    )
    return lost


async def run(folder: Path, options: argparse.Namespace) -> int:
    """Start both sides and measure."""
    async with SlackSandbox() as slack:
        settings = {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
        }
        starting = assent(folder, f"sqlite:///{folder / 'assent.db'}", **settings)
        with contextlib.ExitStack() as stack:
            server = await asyncio.to_thread(stack.enter_context, starting)
            slack.app_url = f"{server.url}/slack/events"
            lost = await measure(slack, server, options.count, options.at_once, options.api_ms)
            await asyncio.to_thread(stack.close)
        return lost


def main() -> int:
    """Measure; return 1 if an answer was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--api-ms", type=float, default=500)
    options = parser.parse_args()
    os.environ["ASSENT_API_KEY"] = API_KEY
    with tempfile.TemporaryDirectory(prefix="assent-bench-") as name:
        lost: int = uvloop.run(run(Path(name), options))
    return min(1, lost)


if __name__ == "__main__":
    sys.exit(main())
