"""Durable workflows: handlers that survive whatever happens to their process while people make up their minds."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from bot.client import AsyncClient, Client
from bot.private_files import private_database
from bot.workflows.executors import executors_of, sqlite_path
from bot.workflows.maintenance import Keeper
from bot.workflows.row_runner import Attempts, Workflow
from bot.workflows.run_state import State
from bot.workflows.runs import FIRST, NEXT, Run, Runs, queue_of, version_of
from bot.workflows.serialization import input_adapter, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.workflows.run_state import Json, Status

T = TypeVar("T")
H = TypeVar("H", bound="Callable[..., Any]")

QUEUE_SECONDS = 0.5
"""Between two looks for rows that are due."""

DRAIN_SECONDS = 1
"""How long the engine may take to record how rows ended."""

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """A handler raised; the message says what."""


class Durable:
    """Runs workflows on DBOS, on SQLite or for several machines on PostgreSQL.

    A process has one DBOS. One that is there already, and launched, is joined: then `name` must be that of its
    application, and `database_url` that of its system database.
    """

    _serving: ClassVar[Attempts | None] = None

    def __init__(
        self,
        approvals: Client | None = None,
        database_url: str | None = None,
        *,
        name: str = "assent",
        concurrency: int = 100,
    ) -> None:
        """Take the client that asks people, and the database of the runs.

        Without them, `Client()` is used, and ASSENT_WORKFLOWS_URL or else `sqlite:///workflows.db`. `concurrency` is
        how many handlers of one workflow run in this process at once. Raises ValueError for a database of another kind.
        """
        self.database_url = database_url or os.environ.get("ASSENT_WORKFLOWS_URL") or "sqlite:///workflows.db"
        if not self.database_url.startswith(("sqlite:///", "postgresql://")):
            raise ValueError(
                f"{self.database_url!r} cannot hold runs: give sqlite:///path.db or postgresql://user:password@host/db"
            )
        if isinstance(approvals, AsyncClient):
            raise TypeError("give it a Client; handlers may be async all the same")
        self.name = name
        self._client = approvals or Client()
        self._concurrency = concurrency
        self._workflows: dict[str, Workflow] = {}
        self._runs: Runs | None = None
        self._resources = ExitStack()

    def workflow(self, name: str) -> Callable[[H], H]:
        """Register a handler, `handler(ctx, input)`, sync (it gets a SyncCtx) or async (a Ctx)."""
        frame = inspect.currentframe()
        names = frame.f_back.f_locals if frame and frame.f_back else {}

        def register(handler: H) -> H:
            if name in self._workflows:
                raise ValueError(f"there is a workflow {name!r} already")
            self._workflows[name] = Workflow(name, handler, input_adapter(handler, names))
            return handler

        return register

    def launch(self) -> Self:
        """Begin to run what was started, here or in other processes; it needs the workflows registered before."""
        if Durable._serving:
            raise RuntimeError(
                "a process has one Durable: register all workflows with the one that is launched"
            )
        with ExitStack() as resources:
            run_in_thread(lambda: self._launch(resources))
            self._resources = resources.pop_all()
        return self

    def _launch(self, resources: ExitStack) -> None:
        executor = f"assent-{uuid.uuid4().hex[:12]}"
        DBOS(config=self._config(executor))
        joined, executor = DBOS.executor_id != executor, DBOS.executor_id
        executors = executors_of(self.database_url)
        resources.callback(executors.close)
        executors.live(executor)
        self._runs = Runs(self.database_url, self.name, pinned=not joined)
        resources.callback(self._runs.close)
        listening = threading.Event()
        attempts = Durable._serving = Attempts(self._workflows, self._client, self._runs, listening)
        resources.callback(setattr, Durable, "_serving", None)
        queues = [queue_of(self.name, workflow) for workflow in self._workflows]
        if not joined:
            self._start_engine(queues)
            resources.callback(self._stop_engine, attempts)
        for queue in queues:
            DBOS.register_queue(
                queue, worker_concurrency=self._concurrency, polling_interval_sec=QUEUE_SECONDS
            )
        keeper = Keeper(self._runs, self._client, executors, listening)
        resources.callback(keeper.stop)
        keeper.start()
        resources.callback(attempts.finish)

    def _start_engine(self, queues: list[str]) -> None:
        # SQLite writes ahead only if it is told so before DBOS opens it; where others use it, they have done so.
        if self.database_url.startswith("sqlite"):
            private_database(path := sqlite_path(self.database_url))
            with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):
                database.execute("PRAGMA journal_mode=WAL")
        DBOS.listen_queues(queues)
        try:
            DBOS.launch()
        except BaseException:
            DBOS.destroy()
            raise

    def _stop_engine(self, attempts: Attempts) -> None:
        busy = attempts.ended_late or any(
            row.executor_id == DBOS.executor_id for row in self.runs.under_way()
        )
        DBOS.destroy(workflow_completion_timeout_sec=DRAIN_SECONDS if busy else 0)

    def _config(self, executor: str) -> DBOSConfig:
        return {
            "name": self.name,
            "system_database_url": self.database_url,
            "application_version": version_of(self.name),
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }

    def start(self, name: str, inp: Any = None, *, run_id: str | None = None) -> str:
        """Start a run and return its id; one that was started under this id before is left as it is.

        Raises ValueError for a workflow that is not registered, TypeError for an input that is not JSON.
        """
        if name not in self._workflows:
            raise ValueError(
                f"there is no workflow {name!r}; there are: {', '.join(sorted(self._workflows))}"
            )
        run_id = run_id or f"run-{uuid.uuid4().hex}"
        state = State(
            run_id=run_id, row=run_id, nonce=uuid.uuid4().hex, workflow=name, input=to_json(inp, "the input")
        )
        run_in_thread(lambda: self.runs.begin(state))
        return run_id

    def result(self, run_id: str, timeout: float | None = None) -> Json:
        """Wait for the end of a run and return its result, as JSON.

        Raises Rejected (Expired, Cancelled) with people's reason, RunFailed with the handler's error, TimeoutError
        after `timeout` seconds, and LookupError for a run that does not exist.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.05
        while (run := self.run(run_id)).status in {"running", "paused"}:
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"run {run_id} is still {run.status} after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 1.0)
        run.raise_for_refusal()
        if run.status == "failed":
            raise RunFailed(f"run {run_id} ({run.workflow}) failed: {run.error}")
        return run.result

    def status(self, run_id: str) -> Status:
        """Return `running`, `paused`, `completed`, `rejected` or `failed`; raises LookupError."""
        return self.run(run_id).status

    def run(self, run_id: str) -> Run:
        """Return a run as it stands; raises LookupError."""
        found = run_in_thread(lambda: self.runs.find(run_id))
        if found is None:
            raise LookupError(f"there is no run {run_id!r}")
        return found

    @property
    def runs(self) -> Runs:
        """The runs in the database."""
        if self._runs is None:
            raise RuntimeError("launch() comes first")
        return self._runs

    def close(self) -> None:
        """Let the steps that are under way finish, however long they take, and stop; runs go on elsewhere, or later.

        Raises RuntimeError on the event loop that these steps need, as an engine that was joined may use it.
        """
        if Durable._serving and Durable._serving.is_busy_on(_running_loop()):
            raise RuntimeError(
                "close() waits for steps that run on this event loop: await asyncio.to_thread(app.close)"
            )
        run_in_thread(self._resources.close)
        self._runs = None

    def __enter__(self) -> Self:
        return self.launch()

    def __exit__(self, *_: object) -> None:
        self.close()


@DBOS.workflow(name=FIRST, max_recovery_attempts=None)
async def _run_first(state: Json) -> Json:
    return await _run(state)


@DBOS.workflow(name=NEXT, max_recovery_attempts=None)
async def _run_next(state: Json) -> Json:
    return await _run(state)


async def _run(state: Json) -> Json:
    while (attempts := Durable._serving) is None or attempts.closing.is_set():  # noqa: ASYNC110, SLF001 - an engine that was joined outlives us
        await asyncio.sleep(1)
    return await attempts.run(State(**state))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def run_in_thread(work: Callable[[], T]) -> T:
    """Work in a thread of its own, where no event loop runs: DBOS would take that over, or refuse to block it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()
