"""The load driver, one process: `python -m bench.load --answer URL --wait URL …` prints one JSON object.

A gate round trip: submit, start a long-poll waiter on a second connection, answer as soon as the waiter's
request is written, and the waiter returns the outcome. Each worker does one after the other on two kept-alive
connections. An unexpected status, a waiter that learns anything but `approved`, and a round trip not over in
`LOST_AFTER` seconds are errors. The API key comes from ASSENT_API_KEY.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

import orjson
import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOST_AFTER = 10.0
"""Seconds after which a round trip counts as lost."""

SETTLE = 0.005
"""Seconds between the waiter's request and the answer where wake-ups are timed: the waiter really waits."""

WARM_UP = 0.5
"""Seconds of load before the counted ones."""

SUBMIT = orjson.dumps(
    {
        "title": "Refund €1,250 to customer 8841",
        "audience": ["email:ana@example.com"],
        "payload": {"tool": "refund", "amount": 1250, "customer": "8841"},
    }
)
ANSWER = orjson.dumps({"respondent": "email:ana@example.com", "decision": "approve"})


class GateError(Exception):
    """A round trip that did not go as it must; the message says where."""


class Reply(NamedTuple):
    """An HTTP answer; `at` is the `perf_counter` instant of its last byte."""

    status: int
    body: bytes
    at: float


class RoundTrip(NamedTuple):
    """Instants (`perf_counter`, seconds) of one round trip."""

    answer_sent: float
    answer_done: float
    waiter_done: float


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection with one call in flight; answers must carry a Content-Length."""

    _transport: asyncio.Transport
    _reply: asyncio.Future[Reply]

    def __init__(self, headers: str) -> None:
        self._reply = asyncio.get_running_loop().create_future()
        self._headers = headers
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Complete the call in flight once its whole answer is here."""
        self._received += data
        head, blank_line, body = bytes(self._received).partition(b"\r\n\r\n")
        if not blank_line:
            return
        length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length and not self._reply.done():
            self._received.clear()
            self._reply.set_result(Reply(int(head[9:12]), body, time.perf_counter()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the call in flight."""
        if not self._reply.done():
            self._reply.set_exception(exc or GateError("the server closed the connection"))

    def call(self, method: str, path: str, body: bytes = b"") -> asyncio.Future[Reply]:
        """Write a request now; the future is its reply."""
        self._reply = asyncio.get_running_loop().create_future()
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        return self._reply

    def close(self) -> None:
        """Close at once."""
        self._transport.abort()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Connect to the server at `url`."""
    address = urlsplit(url)
    headers = (
        f"Host: {address.netloc}\r\nAuthorization: Bearer {os.environ['ASSENT_API_KEY']}\r\n"
        "Content-Type: application/json\r\n"
    )
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(headers), str(address.hostname), int(address.port or 80)
    )
    try:
        yield connection
    finally:
        connection.close()


async def round_trip(asker: Connection, waiter: Connection, settle: float) -> RoundTrip:
    """Submit, wait on `waiter`, answer after `settle` seconds, and learn of the outcome.

    Raises GateError for an unexpected answer, TimeoutError for one that never comes.
    """
    async with asyncio.timeout(LOST_AFTER):
        submitted = _expect("submit", 201, await asker.call("POST", "/v1/requests", SUBMIT))
        path = f"/v1/requests/{orjson.loads(submitted.body)['id']}"
        outcome = waiter.call("GET", f"{path}?wait=60")
        if settle:
            await asyncio.sleep(settle)
            if outcome.done():
                raise GateError("the waiter returned before the answer")
        sent = time.perf_counter()
        answered = _expect("answer", 200, await asker.call("POST", f"{path}/responses", ANSWER))
        learned = _expect("wait", 200, await outcome)
        if (status := orjson.loads(learned.body)["status"]) != "approved":
            raise GateError(f"the waiter learned {status}")
        return RoundTrip(sent, answered.at, learned.at)


def _expect(call: str, status: int, reply: Reply) -> Reply:
    if reply.status != status:
        raise GateError(f"{call}: {reply.status} {reply.body[:200].decode(errors='replace')}")
    return reply


class Load:
    """Round trips of many workers, and what went wrong."""

    def __init__(self, answer_urls: list[str], wait_urls: list[str]) -> None:
        self._answer_urls, self._wait_urls = answer_urls, wait_urls
        self.trips: list[RoundTrip] = []
        self.errors: Counter[str] = Counter()

    async def worker(self, number: int, until: float, settle: float = 0) -> None:
        """Go round until the `perf_counter` instant `until`; connect afresh after an error."""
        answer_url = self._answer_urls[number % len(self._answer_urls)]
        wait_url = self._wait_urls[number // len(self._answer_urls) % len(self._wait_urls)]
        while time.perf_counter() < until:
            try:
                async with connected(answer_url) as asker, connected(wait_url) as waiter:
                    while time.perf_counter() < until:
                        self.trips.append(await round_trip(asker, waiter, settle))
            except TimeoutError:
                self.errors["lost: no outcome in time"] += 1
            except (GateError, OSError) as error:
                self.errors[str(error)] += 1

    async def rate(self, concurrency: int, seconds: float) -> dict[str, float]:
        """Return round trips a second of `concurrency` workers after a warm-up, nothing if none went well."""
        start = time.perf_counter() + WARM_UP
        end = start + seconds
        await asyncio.gather(*(self.worker(number, end) for number in range(concurrency)))
        counted = sum(start <= trip.waiter_done < end for trip in self.trips)
        return {"rate": counted / seconds} if counted else {}

    async def wake_ups(self, seconds: float) -> dict[str, float]:
        """Return the percentiles, in milliseconds, of wake-ups at rest: one round trip at a time.

        `after_sent` counts from when the answer's POST is written, and so holds its handling and commit;
        `after_answered` from the arrival of its 200: negative where the waiter learns first. Nothing if fewer
        than two round trips went well.
        """
        await self.worker(0, time.perf_counter() + WARM_UP, SETTLE)
        self.trips.clear()
        await self.worker(0, time.perf_counter() + seconds, SETTLE)
        after = {
            "after_sent": [trip.waiter_done - trip.answer_sent for trip in self.trips],
            "after_answered": [trip.waiter_done - trip.answer_done for trip in self.trips],
        }
        return {
            f"{name}_p{percent}": statistics.quantiles(times, n=100)[percent - 1] * 1000
            for (name, times), percent in itertools.product(after.items(), (50, 99))
            if len(times) > 1
        }


async def _run(options: argparse.Namespace) -> dict[str, object]:
    load = Load(options.answer, options.wait)
    if options.wake_up:
        figures = await load.wake_ups(options.seconds)
    else:
        figures = await load.rate(options.concurrency, options.seconds)
    return {**figures, "errors": dict(load.errors)}


def main() -> None:
    """Run one load and print its figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--answer", action="append", required=True, help="where to submit and answer, in turn"
    )
    parser.add_argument("--wait", action="append", required=True, help="where to wait, in turn")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--wake-up", action="store_true", help="time wake-ups at rest, not the rate")
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
