"""One row of the queue: look for the decision, call the handler, and leave an ending or a successor."""

from __future__ import annotations

import asyncio
import inspect
import logging
from dataclasses import dataclass
from threading import Condition, Event
from typing import TYPE_CHECKING, Any

from bot.client import ApiError, NotApproved, Outcome, Unreachable
from bot.workflows.context import Ctx, SyncCtx
from bot.workflows.interrupts import Interrupt
from bot.workflows.run_state import Ending, Parked
from bot.workflows.serialization import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.client import Client, Request
    from bot.workflows.run_state import State, Waiting
    from bot.workflows.runs import Runs
    from bot.workflows.serialization import Adapter

SHORTEST_POLL, LONGEST_POLL = 30.0, 3600.0
"""Seconds between two looks for a decision, doubling; at once the longest where events tell of it."""

LONGEST_AWAY = 15.0
"""Seconds between two tries to reach the server, doubling from one."""

PATIENCE = 10.0
"""Seconds after which, and between which, it is said what a process waits for before it ends."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A handler, and what reads its inputs."""

    name: str
    handler: Callable[..., Any]
    adapter: Adapter


class Attempts:
    """Runs rows."""

    def __init__(
        self, workflows: Mapping[str, Workflow], client: Client, runs: Runs, listening: Event
    ) -> None:
        """Take what rows need; `listening` is set while events tell of decisions."""
        self._listening = listening
        self._workflows = workflows
        self._client = client
        self._runs = runs
        self.closing = Event()
        """Set once no step begins any more."""
        self.ended_late = False
        """Whether something was under way then."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rows: list[State] = []
        self._fewer = Condition()

    async def run(self, state: State) -> Ending:
        """Run one row to its end."""
        self._loop = asyncio.get_running_loop()
        self._rows.append(state)
        try:
            return await self._run(state)
        finally:
            with self._fewer:
                self._rows.remove(state)
                self._fewer.notify_all()

    def is_busy_on(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Tell whether handlers are under way on an event loop, which must not stand still then."""
        return bool(self._rows) and self._loop is loop

    def finish(self) -> None:
        """Let no step begin any more, and wait until those under way are done and recorded, however long they take."""
        self.closing.set()
        with self._fewer:
            self.ended_late = bool(self._rows)
            while not self._fewer.wait_for(lambda: not self._rows, PATIENCE):
                runs = ", ".join(f"{row.run_id} ({row.workflow})" for row in self._rows)
                log.warning("closing: waiting for what is under way in %s", runs)

    async def _run(self, state: State) -> Ending:
        if row := await asyncio.to_thread(self._runs.superseding_row, state):
            return {"status": "continued", "row": row}
        workflow = self._workflows.get(state.workflow)
        if workflow is None:
            log.error("run %s: no workflow %r in this process; leaving it", state.run_id, state.workflow)
            return await self._leave(state, state.waiting, SHORTEST_POLL, LONGEST_POLL)
        waiting = state.waiting
        try:
            if waiting:
                state.waiting = None
                request = await self._look(waiting)
                if request is None:
                    return await self._leave(state, waiting, 1.0, LONGEST_AWAY)
                state.hold(waiting["key"], request)
                if request.status == "pending":
                    return await self._leave(state, waiting, self._shortest_poll(), LONGEST_POLL)
                state.memory[f"outcome:{waiting['key']}"] = request
                state.looks = 0
                if waiting["on_reject"] == "reject":
                    Outcome.of(request).raise_for_rejection()
            result = await self._call(workflow, state)
            ending: Ending = {"status": "completed", "result": to_json(result, "the result")}
        except Parked as parked:
            return await self._park(state, parked)
        except NotApproved as refusal:
            ending = {"status": "rejected", "request": refusal.outcome.request, "error": str(refusal)}
        except Exception as error:
            log.exception("run %s (%s) failed", state.run_id, state.workflow)
            ending = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        return {**ending, "state": state.json()}

    async def _call(self, workflow: Workflow, state: State) -> Any:
        """Call the handler; a question that is decided at once calls it again."""
        given = from_json(workflow.adapter, state.input, f"the input of {workflow.name!r}")
        while not self.closing.is_set():
            state.attempt += 1
            ctx = Ctx(state, self._client, self.closing)
            try:
                if inspect.iscoroutinefunction(workflow.handler):
                    result = await workflow.handler(ctx, given)
                else:
                    blocking = SyncCtx(ctx, asyncio.get_running_loop())
                    result = await asyncio.to_thread(workflow.handler, blocking, given)
                if not isinstance(result, Interrupt):
                    return result
                if ctx.approval(result.key) is not None:
                    raise RuntimeError(
                        f"{workflow.name!r} asks for {result.key!r} again, which is decided: return the interrupt "
                        f"only while ctx.approval({result.key!r}) is None"
                    )
                await ctx.decide(result)
            except BaseExceptionGroup as group:
                raise _reason(group) from group
            finally:
                await ctx.finish()
        raise Parked(None)

    async def _look(self, waiting: Waiting) -> Request | None:
        """Return the request, None if the server does not answer; raises LookupError if it knows of no such request."""
        id = waiting["request"]
        try:
            return await asyncio.to_thread(self._client.get, id)
        except (Unreachable, ApiError) as error:
            if isinstance(error, ApiError) and error.code == "not_found":
                raise LookupError(
                    f"the server has lost the request {id} at the gate {waiting['key']!r}; a retry asks anew"
                ) from None
            if isinstance(error, ApiError) and error.status == 403 and error.code != "forbidden_scope":
                raise LookupError(
                    f"the request {id} at the gate {waiting['key']!r} is not ours: {error}"
                ) from None
            log.warning("cannot look at %s, trying again later: %s", id, error)
            return None

    async def _park(self, state: State, parked: Parked) -> Ending:
        """Leave a successor; a decision that came in between wakes it."""
        state.looks = 0 if parked.waiting else state.looks
        if self.closing.is_set() and parked.waiting is None:
            return {"status": "continued", "row": await asyncio.to_thread(self._runs.follow, state, None)}
        if parked.waiting is None:
            log.warning("run %s waits for Assent, which does not answer", state.run_id)
            return await self._leave(state, None, 1.0, LONGEST_AWAY)
        ending = await self._leave(state, parked.waiting, self._shortest_poll(), LONGEST_POLL)
        request = await self._look(parked.waiting)
        if request and request.status != "pending":
            await asyncio.to_thread(self._runs.wake, ending["row"])
        return ending

    def _shortest_poll(self) -> float:
        return LONGEST_POLL if self._listening.is_set() else SHORTEST_POLL

    async def _leave(self, state: State, waiting: Waiting | None, shortest: float, longest: float) -> Ending:
        delay = min(shortest * 2 ** min(state.looks, 20), longest)
        state.waiting, state.looks = waiting, state.looks + 1
        return {"status": "continued", "row": await asyncio.to_thread(self._runs.follow, state, delay)}


def _reason(error: BaseException) -> BaseException:
    """Return why a handler ended that does several things at once."""
    while isinstance(error, BaseExceptionGroup):
        found = error.subgroup(Parked) or error.subgroup(NotApproved) or error
        error = found.exceptions[0]
    return error
