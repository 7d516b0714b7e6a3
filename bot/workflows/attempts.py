"""One row of the queue: look for the decision, call the handler, and leave an ending or a successor."""

from __future__ import annotations

import asyncio
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.client import ApiError, NotApproved, Outcome, Unreachable
from bot.workflows.asking import Interrupt
from bot.workflows.context import Ctx, SyncCtx
from bot.workflows.state import Ending, Parked
from bot.workflows.values import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from bot.client import Client, Request
    from bot.workflows.runs import Runs
    from bot.workflows.state import State, Waiting
    from bot.workflows.values import Adapter

SHORTEST_POLL, LONGEST_POLL = 30.0, 3600.0
"""Seconds between two looks for a decision, doubling; at once the longest where events tell of it."""

LONGEST_AWAY = 15.0
"""Seconds between two tries to reach the server, doubling from one."""

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

    async def run(self, state: State) -> Ending:
        """Run one row to its end."""
        workflow = self._workflows.get(state.workflow)
        if workflow is None:
            log.error("run %s: no workflow %r in this process; leaving it", state.run_id, state.workflow)
            return await self._leave(state, state.waiting, SHORTEST_POLL, LONGEST_POLL)
        waiting, request = state.waiting, None
        if waiting:
            request = await self._look(waiting)
            if request is None:
                return await self._leave(state, waiting, 1.0, LONGEST_AWAY)
            if request.status == "pending":
                return await self._leave(state, waiting, self._shortest_poll(), LONGEST_POLL)
            state.memory[f"outcome:{waiting['key']}"] = request
            state.waiting, state.looks = None, 0
        try:
            if waiting and request and waiting["on_reject"] == "reject":
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
        while True:
            state.attempt += 1
            ctx = Ctx(state, self._client)
            if inspect.iscoroutinefunction(workflow.handler):
                result = await workflow.handler(ctx, given)
            else:
                blocking = SyncCtx(ctx, asyncio.get_running_loop())
                result = await asyncio.to_thread(workflow.handler, blocking, given)
            if not isinstance(result, Interrupt):
                return result
            if ctx.approval(result.key) is not None:
                raise RuntimeError(
                    f"{workflow.name!r} asks for {result.key!r} again, which is decided: return the interrupt only "
                    f"while ctx.approval({result.key!r}) is None"
                )
            await ctx.decide(result)

    async def _look(self, waiting: Waiting) -> Request | None:
        """Return the request, None if the server does not answer."""
        try:
            return await asyncio.to_thread(self._client.get, waiting["request"])
        except (Unreachable, ApiError) as error:
            log.warning("cannot look at %s, trying again later: %s", waiting["request"], error)
            return None

    async def _park(self, state: State, parked: Parked) -> Ending:
        """Leave a successor; a decision that came in between wakes it."""
        state.looks = 0 if parked.waiting else state.looks
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
