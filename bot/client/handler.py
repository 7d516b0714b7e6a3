"""A program that answers: it watches what waits on a server, and decides by rule, at the terminal, or by a function."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from bot.client.client import AsyncClient
from bot.client.errors import ApiError, AssentError, Unreachable, Unsendable
from bot.client.models import Response
from bot.client.terminal import prompt
from bot.client.transport.operations import answer
from bot.client.transport.protocol import Call, Flow, HttpResponse, Lost, decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.client.fields import Given, Narrowed
    from bot.client.models import Request

SHARE = 0.8
"""Of the time that is left, what a decision may take; the rest is for the network."""

SHORTEST = 5.0
"""Seconds that a decision may take in any case."""

LOOK_SECONDS = 5.0
"""How often it looks for itself, should the stream of events say nothing."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Handler:
    """Answers each pending request once: auto-approve first, then the terminal, then `callback`, and else it rejects.

    `callback` takes the `Request` and returns a `Response` (or an awaitable of one). It and the person at the terminal
    have 80 % of the time that is left, at least 5 s; whatever raises, comes late, or returns something else is logged,
    and the request is rejected. `auto_approve` is taken from ASSENT_AUTO_APPROVE unless given; `log_only` approves too,
    and logs each request. `interactive` counts only where there is a terminal.

    An answer is posted as `respondent`, else as the operator, which decides at once. Network errors and 5xx are tried
    again after 1, 2, 3, … seconds, `max_retries` times; other refusals are final, and 404 and 409 mean that somebody
    else was faster. Where not even a rejection arrives, `on_unrecoverable_error(request_id, exception)` is called,
    and the request is left to its timeout. `filters` are those of `list`: what it is to answer, if not everything.
    `client` is closed at the end; without one it is that of the environment.
    """

    def __init__(
        self,
        callback: Callable[[Request], Response | Awaitable[Response]] | None = None,
        *,
        client: AsyncClient | None = None,
        auto_approve: bool | None = None,
        interactive: bool = False,
        log_only: bool = False,
        respondent: str | None = None,
        max_retries: int = 3,
        on_unrecoverable_error: Callable[[str, Exception], object] | None = None,
        **filters: Unpack[Narrowed],
    ) -> None:
        set_on = os.environ.get("ASSENT_AUTO_APPROVE", "").strip().lower() in {"1", "true", "yes", "on"}
        self._auto_approve = set_on if auto_approve is None else auto_approve
        self._log_only = log_only
        self._ask = prompt.ask if interactive and prompt.present() else callback
        self._client = client
        self._respondent = respondent
        self._max_retries = max_retries
        self._on_unrecoverable_error = on_unrecoverable_error
        self._filters = filters
        self._seen: set[tuple[Any, ...]] = set()
        self._stopped = False
        self._serving: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def run(self) -> None:
        """Answer until `stop`; blocks."""
        with suppress(asyncio.CancelledError):
            asyncio.run(self.serve())

    def stop(self) -> None:
        """End `run` or `serve`, now or as soon as it begins; from any thread."""
        self._stopped = True
        if self._serving:
            loop, task = self._serving
            loop.call_soon_threadsafe(task.cancel)

    async def serve(self) -> None:
        """Answer until it is cancelled; raises `ApiError` where the server refuses to say what waits."""
        task = asyncio.current_task()
        self._serving = (asyncio.get_running_loop(), task) if task else None
        if self._stopped:
            raise asyncio.CancelledError
        async with self._client or AsyncClient() as client:
            news = asyncio.Event()
            tasks = {asyncio.create_task(_hear(client, news))}
            try:
                while True:
                    news.clear()
                    tasks |= {asyncio.create_task(self.handle(client, r)) for r in await self._new(client)}
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), LOOK_SECONDS)
                    tasks = {task for task in tasks if not task.done()}
            finally:
                self._serving = None
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _new(self, client: AsyncClient) -> list[Request]:
        """What waits and was not seen yet; a request comes again for another step or a changed payload."""
        try:
            waiting = {_turn(r): r for r in await client.list(status="pending", **self._filters)}
        except Unreachable as error:
            log.warning("cannot see what waits: %s", error)
            return []
        new = [request for turn, request in waiting.items() if turn not in self._seen]
        self._seen = set(waiting)
        return new

    async def handle(self, client: AsyncClient, request: Request) -> None:
        """Decide one request and post the answer. Never raises for what goes wrong: that is logged."""
        response = await self._decide(request)
        trouble = await self._posted(client, request, response)
        if _refused(trouble) and response.decision != "reject":
            log.error("%s: %r cannot be answered: %s", request.id, response.decision, trouble)
            rejection = Response("reject", f"The handler gave an answer that was refused: {trouble}")
            trouble = await self._posted(client, request, rejection)
        if trouble:
            log.error("%s could not be answered and is left to its timeout: %s", request.id, trouble)
            if self._on_unrecoverable_error:
                self._on_unrecoverable_error(request.id, trouble)

    async def _decide(self, request: Request) -> Response:
        if self._auto_approve or self._log_only:
            log.info("%s is approved automatically: %r", request.id, request.title)
            return Response("approve", "Approved automatically by a handler")
        if self._ask is None:
            return Response("reject", "The handler has nobody and nothing to ask")
        try:
            async with asyncio.timeout(time_to_decide(request, datetime.now(UTC))):
                given = await in_thread(partial(self._ask, request))
                response: Any = await given if inspect.isawaitable(given) else given
        except TimeoutError:
            log.error("%s: the handler was not answered in time; rejected", request.id)  # noqa: TRY400 - no bug
            return Response("reject", "The handler did not decide in time")
        except Exception:  # whatever a callback raises must not mean yes
            log.exception("%s: the handler failed; rejected", request.id)
            return Response("reject", "The handler failed")
        if not isinstance(response, Response):
            log.error("%s: the handler returned a %s; rejected", request.id, type(response).__name__)
            return Response("reject", "The handler gave no valid answer")
        return response

    async def _posted(self, client: AsyncClient, request: Request, response: Response) -> Exception | None:
        """Post an answer; what keeps it from being posted, if anything does."""
        try:
            # The answer is to what was decided on, not to what that was changed to meanwhile.
            seen: Given = {
                "revision": request.get("revision"),
                "step": (request.get("step") or {}).get("index"),
                "respondent": self._respondent,
            }
            call = answer(request.id, **seen, **asdict(response))
            counted = await client.run(persistent(call, self._max_retries))
        except AssentError as error:
            return error
        log.info("%s: %s", request.id, response.decision if counted else "somebody else was faster")
        return None


def _refused(trouble: Exception | None) -> bool:
    """Whether it is the answer that is wrong, and another one may be taken."""
    return isinstance(trouble, Unsendable) or (isinstance(trouble, ApiError) and trouble.status < 500)


def time_to_decide(request: Request, now: datetime) -> float | None:
    """Seconds that a decision may take: a share of what is left to `timeout_at`, or else of `timeout_seconds`."""
    try:
        left = (datetime.fromisoformat(str(request.timeout_at)) - now).total_seconds()
    except (TypeError, ValueError):
        seconds = request.get("timeout_seconds")
        if seconds is None:
            return None
        left = float(seconds)
    return max(SHORTEST, SHARE * left)


def persistent(call: Call, retries: int) -> Flow[bool]:
    """Post an answer, again after 1, 2, 3, … seconds; False where the request was resolved already, or is gone."""
    reply = yield call
    for pause in range(1, retries + 1):
        if not (isinstance(reply, Lost) or reply.status >= 500):
            break
        reply = yield replace(call, delay=float(pause))
    if isinstance(reply, HttpResponse) and reply.status in {404, 409}:
        return False
    decode(reply)
    return True


async def in_thread(work: Callable[[], T]) -> T:
    """Run what blocks; nobody waits for its thread if it never ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle: Callable[[], None] = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            settle = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    threading.Thread(target=run, name="assent-handler", daemon=True).start()
    return await future


async def _hear(client: AsyncClient, news: asyncio.Event) -> None:
    """Be told of what is new at once."""
    try:
        async for _ in client.events():
            news.set()
    except AssentError as error:
        log.warning("no events, so it looks every %d s: %s", LOOK_SECONDS, error)


def _turn(request: Request) -> tuple[Any, ...]:
    return request.id, request.revision, request.step["index"]
