"""Runs as rows of the durable queue.

A run is a chain of rows, each with the run's state as its input. A row that pauses leaves a delayed successor and ends,
so nothing but a row in the database waits. The first row has the run's id and stays, so that a run is never started
twice; it points at the newest one. A row knows the id of its successor from the beginning: however often a death
interrupts the change from one to the next, there is one successor. Where a row stands at a request, DBOS is told that
the request is its user, which is what it can find rows by on SQLite, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from dbos import DBOSClient, DBOSPortableJSONSerializer, WorkflowSerializationFormat

from bot.client import Outcome, Request
from bot.workflows.state import Ending, State, Status, Waiting

if TYPE_CHECKING:
    from dbos import EnqueueOptions, WorkflowStatus

FIRST, NEXT = "assent.run", "assent.row"
"""The durable functions of first rows and of the others."""

VERSION = "assent-1"
"""The application version of our own engine, always the same: a row is only run by processes of its version."""

_RUN_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")
_UNDER_WAY = ("ENQUEUED", "PENDING", "DELAYED")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it stands."""

    id: str
    workflow: str
    application: str
    """The `name` of the Durable that runs it."""
    version: str | None
    """The application version that its rows are for, None for the newest of an engine that was joined."""
    status: Status
    attempt: int
    """How often the handler was called before this one."""
    input: Any
    started_at: datetime
    updated_at: datetime
    waiting: Waiting | None
    """The gate (`key`) and the `request` that it stands at."""
    done: list[str]
    """What it remembers, in order: `step:NAME`, `notify:NAME`, `question:KEY`, `outcome:KEY`."""
    outcomes: dict[str, Outcome]
    """What people decided, by gate, oldest first."""
    result: Any = None
    error: str | None = None
    refused: dict[str, Any] | None = None
    """The request that was not approved, where that ended the run."""

    def raise_for_refusal(self) -> None:
        """Raise Rejected, Expired or Cancelled where people ended it."""
        if self.refused:
            Outcome.of(Request(self.refused)).raise_for_rejection()


class Runs:
    """The runs of one application in a database whose schema is there."""

    def __init__(self, database_url: str, name: str | None, version: str | None) -> None:
        """Connect at the first use; without a name, the runs of every application can be read.

        `version` is None where rows are run by the newest version of somebody else's application.
        """
        self._name = name
        self._version = version
        self._db = DBOSClient(
            system_database_url=database_url,
            serializer=DBOSPortableJSONSerializer(),
            application_name=name,
            lazy=True,
        )

    def close(self) -> None:
        self._db.destroy()

    def check(self) -> None:
        """Read a row; raises whatever keeps it from that."""
        self._db.check_connection()
        self._rows(FIRST, limit=1)

    def begin(self, state: State) -> None:
        """Enqueue the first row of a run; one that was started before stays as it is."""
        if not _RUN_ID.fullmatch(state.run_id):
            raise ValueError(
                f"the run id {state.run_id!r} must be 1 to 128 letters, digits and any of _ . : @ -"
            )
        self._enqueue(FIRST, state, {"attributes": {"newest": state.row}})

    def follow(self, state: State, delay: float | None) -> str:
        """Enqueue the successor of the state's row, to run in `delay` seconds, and return its id.

        It exists once, however often this is called.
        """
        successor = replace(state, row=state.successor, before=state.row, number=state.number + 1)
        options: dict[str, Any] = {} if delay is None else {"delay_seconds": delay}
        if state.waiting:
            options["authenticated_user"] = state.waiting["request"]
        self._enqueue(NEXT, successor, options)
        self._point(state.run_id, successor.row)
        if state.before and state.before != state.run_id:
            self._db.delete_workflows([state.before])
        return successor.row

    def wake(self, row: str) -> None:
        """Let a delayed row run now; one that already runs is left alone."""
        self._db.set_workflow_delay(row, delay_seconds=0)

    def wake_for(self, request: str) -> None:
        """Let the run that stands at a request go on now."""
        standing = self._rows(NEXT, user=request, status="DELAYED", load_input=False)
        for row in standing:
            self.wake(row.workflow_id)

    def awaited(self) -> set[str]:
        """Return the ids of the requests at which runs stand."""
        rows = self._rows(NEXT, status="DELAYED", load_input=False)
        return {row.authenticated_user for row in rows if row.authenticated_user}

    def under_way(self) -> list[WorkflowStatus]:
        """Return the rows that executors are busy with, or were when they died."""
        return self._rows(FIRST, NEXT, status="PENDING", load_input=False)

    def hand_over(self, row_id: str) -> None:
        """Let a fresh row go on where this one stopped for good: its finished steps are remembered by name."""
        [row] = self._rows(FIRST, NEXT, workflow_ids=[row_id])
        state = _state(row)
        # Looked for before the pointer is read: one that has come and gone by then has moved the pointer.
        followed = self._rows(NEXT, workflow_ids=[state.successor], load_input=False)
        [first] = self._firsts(state.run_id)
        if _pointer(first) == row_id:
            if followed:
                self._point(state.run_id, state.successor)
            else:
                self.follow(replace(state, memory=state.memory | self._remembered(row_id)), None)
        if row.status in _UNDER_WAY:
            self._db.cancel_workflow(row_id)

    def find(self, run_id: str) -> Run | None:
        """Return a run as it stands, None if there is none of that id."""
        found = self._firsts(run_id)
        return _view(found[0], self._newest(found[0])) if found else None

    def newest(self, run_id: str) -> str:
        """Return the id of the run's newest row."""
        [first] = self._firsts(run_id)
        return self._newest(first).workflow_id

    def recent(self, limit: int | None = None) -> list[Run]:
        """Return runs, newest first."""
        firsts = self._rows(FIRST, sort_desc=True, limit=limit, load_input=False)
        newest = [_pointer(first) for first in firsts]
        rows = (
            {row.workflow_id: row for row in self._rows(FIRST, NEXT, workflow_ids=newest)} if newest else {}
        )
        return [
            _view(first, row if (row := rows.get(id)) and _is_last(row) else self._newest(first))
            for first, id in zip(firsts, newest, strict=True)
        ]

    def forget(self, before: datetime) -> None:
        """Delete the runs that ended before then."""
        for first in self._rows(FIRST, end_time=before.isoformat(), load_input=False):
            newest = self._newest(first)
            if newest.completed_at and _instant(newest.completed_at) < before:
                last = {first.workflow_id, newest.workflow_id, _state(newest).before}
                self._db.delete_workflows([row for row in last if row])

    def _remembered(self, row_id: str) -> dict[str, Any]:
        steps = self._db.list_workflow_steps(row_id)
        return {step["function_name"]: step["output"] for step in steps if step["error"] is None}

    def _point(self, run_id: str, row_id: str) -> None:
        self._db.update_workflow_attributes(run_id, {"newest": row_id})

    def _enqueue(self, name: str, state: State, further: dict[str, Any]) -> None:
        options: dict[str, Any] = {
            "workflow_name": name,
            "queue_name": queue_of(cast("str", self._name), state.workflow),
            "workflow_id": state.row,
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
            **further,
        }
        if self._version:
            options["app_version"] = self._version
        self._db.enqueue(cast("EnqueueOptions", options), state.json())

    def _rows(self, *names: str, **criteria: Any) -> list[WorkflowStatus]:
        return self._db.list_workflows(name=[*names], application_name=self._name, **criteria)

    def _firsts(self, run_id: str) -> list[WorkflowStatus]:
        return self._rows(FIRST, workflow_ids=[run_id], load_input=False)

    def _newest(self, first: WorkflowStatus) -> WorkflowStatus:
        """Follow the pointer of a first row, and whatever was enqueued since it was read."""
        id = _pointer(first)
        while True:
            found = self._rows(FIRST, NEXT, workflow_ids=[id])
            if found and _is_last(found[0]):
                return found[0]
            moved = _ending(found[0]).get("row") if found else None
            id, before = moved or _pointer(*self._firsts(first.workflow_id)), id
            if id == before and found:
                return found[0]
            if id == before:
                raise LookupError(f"run {first.workflow_id} is damaged: its row {id} is gone")


def _view(first: WorkflowStatus, row: WorkflowStatus) -> Run:
    ending = _ending(row)
    state = State(**ending["state"]) if "state" in ending else _state(row)
    status: Status = "paused" if row.status == "DELAYED" else "running"
    if row.status not in _UNDER_WAY:
        status = cast("Status", ending["status"])
    asked = (name.partition(":")[2] for name in state.memory if name.startswith("outcome:"))
    return Run(
        id=state.run_id,
        workflow=state.workflow,
        application=first.application_name or "",
        version=VERSION if first.app_version == VERSION else None,
        status=status,
        attempt=state.attempt,
        input=state.input,
        started_at=_instant(first.created_at),
        updated_at=_instant(row.updated_at),
        waiting=state.waiting if status == "paused" else None,
        done=[*state.memory],
        outcomes={key: outcome for key in asked if (outcome := state.outcome(key)) is not None},
        result=ending.get("result"),
        error=ending.get("error"),
        refused=ending.get("request"),
    )


def _state(row: WorkflowStatus) -> State:
    return State(**cast("Any", row.input)["args"][0])


def _is_last(row: WorkflowStatus) -> bool:
    return row.status != "CANCELLED" and _ending(row).get("status") != "continued"


def queue_of(application: str, workflow: str) -> str:
    """Return the queue of a workflow: only processes that have the workflow listen to it."""
    return f"{application}.{workflow}"


def _pointer(first: WorkflowStatus) -> str:
    return cast("str", (first.attributes or {})["newest"])


def _ending(row: WorkflowStatus) -> Ending:
    """Return what a row left behind; one that broke down, or was ended by hand, has failed."""
    if row.error is not None:
        return {"status": "failed", "error": f"{type(row.error).__name__}: {row.error}"}
    if row.status not in (*_UNDER_WAY, "SUCCESS"):
        return {"status": "failed", "error": f"its row {row.workflow_id} is {row.status}"}
    return cast("Ending", row.output or {})


def _instant(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
