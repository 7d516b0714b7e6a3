"""What a handler is given: its run's identity, its memory, and its people."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from dbos import DBOS

from bot.client import ApiError, Outcome, Request, Unreachable
from bot.client.binding import digest
from bot.workflows.interrupts import DEFAULT_KEY, Interrupt, destination_json
from bot.workflows.run_state import Parked, WrongRequest
from bot.workflows.serialization import from_json, result_adapter, to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from datetime import timedelta
    from threading import Event

    from bot.client import Client
    from bot.workflows.interrupts import Destination, OnReject
    from bot.workflows.run_state import Json, State, Waiting

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class _Identity:
    """What both contexts know without asking anybody."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def run_id(self) -> str:
        return self._state.run_id

    @property
    def attempt(self) -> int:
        """How often the handler was called, this time included."""
        return self._state.attempt

    @property
    def approved(self) -> bool:
        """Whether people approved what `Interrupt.approval(…)` asked, its gate having no key of its own."""
        return bool(self.approval())

    def approval(self, key: str = DEFAULT_KEY) -> Outcome | None:
        """Return what people decided at a gate, None while they have not.

        Raises `WrongRequest` where what is stored is of something else than this run asked there.
        """
        outcome = self._state.outcome(key)
        if outcome is not None:
            self._state.hold(key, outcome.request)
        return outcome


class Ctx(_Identity):
    """The context of an async handler.

    A handler is called from the top in every attempt. Steps, notifications and gates are remembered by name, so each
    name stands for one thing, and one that has finished is not done again, whatever else has changed in the handler. A
    crash in the middle of a step repeats that step.
    """

    def __init__(self, state: State, client: Client, closing: Event) -> None:
        super().__init__(state)
        self._client = client
        self._closing = closing
        self._parked = False
        self._named: set[str] = set()
        self._steps: list[asyncio.Task[None]] = []

    async def finish(self) -> None:
        """Let no step begin any more, and wait for those that are under way beside the handler: they are done once."""
        self._parked = True
        await asyncio.gather(*self._steps, return_exceptions=True)

    @overload
    async def step(
        self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def step(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, sync or async, once in the life of the run, and return what it returned.

        The result is stored as JSON and comes back as the function's return annotation says. A function that raises
        has not finished: the next attempt calls it again.
        """
        what = f"the result of step {name!r}"

        async def call() -> Json:
            if inspect.iscoroutinefunction(function):
                result = await function(*args, **kwargs)
            else:
                result = await asyncio.to_thread(function, *args, **kwargs)
            return to_json(await result if inspect.isawaitable(result) else result, what)

        return from_json(result_adapter(function), await self._once(f"step:{name}", call), what)

    async def notify(
        self,
        name: str,
        message: str | None = None,
        *,
        destination: Destination | None = None,
        audience: list[str] | None = None,
    ) -> None:
        """Tell people something once in the life of the run, without pausing; without a message, tell the name.

        That nobody can be reached is logged and shown with the run, and does not fail it.
        """
        told = {"destination": destination and destination_json(destination), "audience": audience}

        async def tell() -> str | None:
            try:
                await self._ask(self._client.notify, message or name, **told)
            except ApiError as error:
                if error.code != "HITL_NO_AUDIENCE":
                    raise
                log.warning("run %s: nobody was told %r: %s", self.run_id, name, error)
                return f"nobody was told: {error}"
            return None

        await self._once(f"notify:{name}", tell)

    async def require_approval(
        self,
        key: str,
        message: str | None = None,
        *,
        destination: Destination | None = None,
        timeout: timedelta | float | None = None,
        on_reject: OnReject = "reject",
        **fields: Any,
    ) -> Outcome:
        """Stand at the gate `key` until people have answered, and return their outcome.

        The arguments are those of `Interrupt.approval`. Where it is not approved, the run ends as rejected, or goes on
        with the outcome, which is false, where `on_reject` is "continue".
        """
        interrupt = Interrupt.approval(
            message, key=key, destination=destination, timeout=timeout, on_reject=on_reject, **fields
        )
        return await self.decide(interrupt)

    async def decide(self, interrupt: Interrupt) -> Outcome:
        """Ask once, with the words of the first attempt; raises Parked until there is an outcome."""
        key = interrupt.key
        question = to_json(interrupt.question(self._state.workflow), f"the question at {key!r}")
        self._check_payload(key, question)
        outcome = self.approval(key)
        if outcome is None:

            async def ask() -> Json:
                return question

            fields = await self._once(f"question:{key}", ask)
            labels = {**(fields.get("labels") or {}), **self._state.labels(key)}
            request: Request = await self._ask(
                self._client.submit,
                idempotency_key=f"{self._state.nonce}:{key}",
                **{**fields, "labels": labels},
            )
            if request.status == "pending":
                raise self._park({"key": key, "request": request.id, "on_reject": interrupt.on_reject})
            self._state.hold(key, request)
            self._state.memory[f"outcome:{key}"] = request
            outcome = Outcome.of(request)
        return outcome if interrupt.on_reject == "continue" else outcome.raise_for_rejection()

    def _check_payload(self, key: str, question: Json) -> None:
        """Raise `WrongRequest` where the handler has something else to do now than it asked about."""
        asked = self._state.memory.get(f"question:{key}")
        if asked is not None and digest(asked.get("payload")) != digest(question.get("payload")):
            raise WrongRequest(
                f"the handler asks at the gate {key!r} about another payload than the run has asked about: what people "
                "decide there would not be about what it does now; a payload must be the same in every attempt"
            )

    async def _once(self, name: str, function: Callable[[], Awaitable[Json]]) -> Json:
        """Call the function if the run does not remember its result."""
        if name in self._named:
            raise ValueError(f"{name!r} is used twice in this handler: give each call a name of its own")
        self._named.add(name)
        if name not in self._state.memory:
            if self._parked or self._closing.is_set():
                raise self._park(None)
            step = asyncio.create_task(self._do(name, function))
            self._steps.append(step)
            try:
                await asyncio.shield(step)
            except asyncio.CancelledError:
                if not self._parked:  # it is the handler that gave it up
                    step.cancel()
                raise
        return self._state.memory[name]

    def _park(self, waiting: Waiting | None) -> Parked:
        self._parked = True
        return Parked(waiting)

    async def _do(self, name: str, function: Callable[[], Awaitable[Json]]) -> None:
        self._state.memory[name] = await DBOS.run_step_async({"name": name}, function)

    async def _ask(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call of the client; while the server is away or overwhelmed, the run is parked."""
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except Unreachable:
            raise self._park(None) from None
        except ApiError as error:
            if error.status >= 500 or error.status == 429:
                raise self._park(None) from None
            raise


class SyncCtx(_Identity):
    """The context of a handler that is not async: the same methods, blocking."""

    def __init__(self, ctx: Ctx, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(ctx._state)  # noqa: SLF001 - the two share one state
        self._ctx = ctx
        self._loop = loop

    def step(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Ctx.step`."""
        return self._wait(self._ctx.step(name, function, *args, **kwargs))

    def notify(self, name: str, message: str | None = None, **options: Any) -> None:
        """As `Ctx.notify`."""
        self._wait(self._ctx.notify(name, message, **options))

    def require_approval(self, key: str, message: str | None = None, **options: Any) -> Outcome:
        """As `Ctx.require_approval`."""
        return self._wait(self._ctx.require_approval(key, message, **options))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
