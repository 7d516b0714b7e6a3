"""The HTTP half of both baselines: the three calls of the gate with Assent's URLs, and nothing else.

No authentication, no validation, no pages. What it shares with Assent is what makes a gate a gate: what was
answered 201 or 200 is durable, a request is answered once, and a waiter never misses the outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import uvloop
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

STATUS_OF = {"approve": "approved", "reject": "rejected"}


class Store(Protocol):
    """What a baseline asks of its database; a write is durable when it returns."""

    async def submit(self, request_id: str, body: dict[str, Any]) -> None:
        """Insert the request, its respondent, its audit event and its delivery in one transaction."""

    async def answer(self, request_id: str, respondent: str, status: str) -> bool:
        """Make a pending request final and audit it in one transaction; False if it was not pending."""

    async def status(self, request_id: str) -> str | None:
        """Return the request's status, or None if there is no such request."""


class Gate:
    """The handlers over one store; waiters are woken in process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiters: defaultdict[str, set[asyncio.Future[str]]] = defaultdict(set)

    async def submit(self, http: web.Request) -> web.Response:
        """Handle `POST /v1/requests`."""
        request_id = f"req_{uuid.uuid4().hex}"
        await self._store.submit(request_id, orjson.loads(await http.read()))
        return _reply(201, {"id": request_id, "status": "pending"})

    async def answer(self, http: web.Request) -> web.Response:
        """Handle `POST /v1/requests/{id}/responses`."""
        request_id = http.match_info["id"]
        body = orjson.loads(await http.read())
        status = STATUS_OF[body["decision"]]
        if not await self._store.answer(request_id, body["respondent"], status):
            return _reply(409, {"code": "already_resolved"})
        for waiter in self._waiters.get(request_id, ()):
            if not waiter.done():
                waiter.set_result(status)
        return _reply(200, {"id": request_id, "status": status})

    async def get(self, http: web.Request) -> web.Response:
        """Handle `GET /v1/requests/{id}?wait=SECONDS`: subscribe, read, and only then wait."""
        request_id = http.match_info["id"]
        seconds = min(float(http.query.get("wait", 0)), 60)
        with self._subscription(request_id) as outcome:
            status = await self._store.status(request_id)
            if status is None:
                return _reply(404, {"code": "not_found"})
            if status == "pending" and seconds:
                with contextlib.suppress(TimeoutError):
                    status = await asyncio.wait_for(outcome, seconds)
            return _reply(200, {"id": request_id, "status": status})

    @contextlib.contextmanager
    def _subscription(self, request_id: str) -> Iterator[asyncio.Future[str]]:
        waiters = self._waiters[request_id]
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiters.add(outcome)
        try:
            yield outcome
        finally:
            waiters.remove(outcome)
            if not waiters:
                del self._waiters[request_id]


def _reply(status: int, body: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


async def _ready(_: web.Request) -> web.Response:
    return _reply(200, {"status": "ready"})


async def _serve(store: Store, port: int) -> None:
    gate = Gate(store)
    application = web.Application()
    application.add_routes(
        [
            web.get("/readyz", _ready),
            web.post("/v1/requests", gate.submit),
            web.post("/v1/requests/{id}/responses", gate.answer),
            web.get("/v1/requests/{id}", gate.get),
        ]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await runner.cleanup()


def main(open_store: Callable[[str], AbstractAsyncContextManager[Store]]) -> None:
    """Serve the gate on `--port`, over what `open_store` opens at `--database`, until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="a file for SQLite, a URL for PostgreSQL")
    options = parser.parse_args()

    async def run() -> None:
        async with open_store(options.database) as store:
            await _serve(store, options.port)

    uvloop.run(run())
