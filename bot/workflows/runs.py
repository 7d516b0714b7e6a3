"""Runs as rows of the durable queue.

A run is a chain of rows, `RUN`, `RUN/1`, `RUN/2` and so on, each with the run's state as its input. A row that pauses
leaves a delayed successor and ends, so nothing but a row in the database waits. The first row stays, so that a run is
never started twice, and so does the newest, which is the one that counts: whoever comes late, to leave a successor that
was there before or to run a row that was passed, changes nothing. A handler is only ever begun in a row that nobody has
run before; where somebody has, its successor goes on with the steps that were finished. Where a row stands at a
request, DBOS is told that the request is its user, which is what it can find rows by on SQLite, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from dbos import DBOSClient, DBOSPortableJSONSerializer, WorkflowSerializationFormat

from bot.client import Outcome, Request
from bot.workflows.run_state import Ending, State, Status, Waiting

if TYPE_CHECKING:
    from dbos import EnqueueOptions, WorkflowStatus

FIRST, NEXT = "assent.run", "assent.row"
"""The durable functions of first rows and of the others."""

TAKEN = "assent.taken-over"
"""A queue that nobody listens to: who takes a row over puts it there, and nobody else can record anything in it."""

_RUN_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")
_UNDER_WAY = ("ENQUEUED", "PENDING", "DELAYED")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it stands."""

    id: str
    workflow: str
    application: str
    """The `name` of the Durable that runs it."""
    pinned: bool
    """Whether its rows are for our own engine, and not for the newest version of one that was joined."""
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
    untold: dict[str, str]
    """Why nobody was told, by the `notify:NAME` that this happened to."""
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

    def __init__(self, database_url: str, name: str | None, *, pinned: bool = True) -> None:
        """Connect at the first use; without a name, the runs of every application can be read.

        Rows are `pinned` to our own engine, or else are run by the newest version of somebody else's application.
        """
        self._name = name
        self._pinned = pinned
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
        self._enqueue(FIRST, state, {})
        if not self._rows(FIRST, workflow_ids=[state.run_id], load_input=False, load_output=False):
            raise ValueError(f"the run id {state.run_id!r} is taken by another application in this database")

    def superseding_row(self, state: State) -> str | None:
        """Return the id of the row that goes on instead of the one that is to start, None where nobody has run that."""
        chain = self._chain(state.run_id, load_input=False, load_output=False)
        if not chain or chain[-1].workflow_id != state.row:
            return state.successor
        return self._go_on(state) if self._db.list_workflow_steps(state.row) else None

    def follow(self, state: State, delay: float | None) -> str:
        """Enqueue the successor of the state's row, to run in `delay` seconds, and return its id.

        It exists once, however often this is called.
        """
        successor = replace(state, row=state.successor, before=state.row, number=state.number + 1)
        options: dict[str, Any] = {} if delay is None else {"delay_seconds": delay}
        if state.waiting:
            options["authenticated_user"] = state.waiting["request"]
        self._enqueue(NEXT, successor, options)
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

    def half_taken(self) -> list[WorkflowStatus]:
        """Return the rows that somebody takes over, or did when he died."""
        return self._rows(FIRST, NEXT, status="ENQUEUED", queue_name=TAKEN, load_input=False)

    def take_over(self, row_id: str) -> None:
        """Let a fresh row go on where this one stopped: its finished steps are remembered by name."""
        self._db.resume_workflow(row_id, queue_name=TAKEN)
        [row] = self._rows(FIRST, NEXT, workflow_ids=[row_id])
        if row.status in _UNDER_WAY:
            self._go_on(_state(row))
            self._db.cancel_workflow(row_id)

    def retry(self, run_id: str) -> bool:
        """Let a fresh row go on where a run failed; False where it has not failed, or does not any more."""
        newest = self._chain(run_id)[-1]
        if _status(newest) != "failed":
            return False
        self._go_on(_state(newest))
        return True

    def find(self, run_id: str) -> Run | None:
        """Return a run as it stands, None if there is none of that id."""
        chain = self._chain(run_id)
        return _view(chain[0], chain[-1]) if chain else None

    def recent(self, limit: int | None = None) -> list[Run]:
        """Return runs, newest first."""
        firsts = self._rows(FIRST, sort_desc=True, limit=limit, load_input=False, load_output=False)
        if not firsts:
            return []
        newest = {first.workflow_id: first.workflow_id for first in firsts}
        later = self._rows(NEXT, start_time=_since(firsts[-1]), load_input=False, load_output=False)
        for row in sorted(later, key=_number):
            if _run_id(row) in newest:
                newest[_run_id(row)] = row.workflow_id
        rows = {_run_id(row): row for row in self._rows(FIRST, NEXT, workflow_ids=[*newest.values()])}
        found = (
            _view(first, rows[first.workflow_id])
            if first.workflow_id in rows and _next(rows[first.workflow_id]) is None
            else self.find(first.workflow_id)  # it went on meanwhile
            for first in firsts
        )
        return [run for run in found if run]

    def forget(self, before: datetime) -> None:
        """Delete the runs that ended before then."""
        for first in self._rows(FIRST, end_time=before.isoformat(), load_input=False, load_output=False):
            chain = self._chain(first.workflow_id, load_input=False, load_output=False)
            if chain and chain[-1].completed_at and _instant(chain[-1].completed_at) < before:
                # The first row goes last: until then the others are found again.
                self._db.delete_workflows([row.workflow_id for row in chain[1:]])
                self._db.delete_workflows([first.workflow_id])

    def _go_on(self, state: State) -> str:
        """Enqueue the successor of a row that stopped, which remembers the results of its steps by name."""
        steps = self._db.list_workflow_steps(state.row)
        finished = {step["function_name"]: step["output"] for step in steps if step["error"] is None}
        return self.follow(replace(state, memory=state.memory | finished), None)

    def _enqueue(self, name: str, state: State, further: dict[str, Any]) -> None:
        options: dict[str, Any] = {
            "workflow_name": name,
            "queue_name": queue_of(cast("str", self._name), state.workflow),
            "workflow_id": state.row,
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
            **further,
        }
        if self._pinned:
            options["app_version"] = version_of(self._name)
        self._db.enqueue(cast("EnqueueOptions", options), state.json())

    def _rows(self, *names: str, **criteria: Any) -> list[WorkflowStatus]:
        return self._db.list_workflows(name=[*names], application_name=self._name, **criteria)

    def _chain(self, run_id: str, **criteria: Any) -> list[WorkflowStatus]:
        """Return the rows of a run from its first to its newest; those between have mostly been deleted."""
        first = self._rows(FIRST, workflow_ids=[run_id], **criteria)
        if not first:
            return []
        others = self._rows(NEXT, workflow_id_prefix=f"{run_id}/", start_time=_since(first[0]), **criteria)
        # SQLite takes small letters for large ones.
        return first + sorted((row for row in others if _run_id(row) == run_id), key=_number)


def _since(first: WorkflowStatus) -> str:
    """Return since when a run has rows; the database finds them by that, and its clock may have been set back."""
    return (_instant(first.created_at) - timedelta(days=1)).isoformat()


def _run_id(row: WorkflowStatus) -> str:
    return row.workflow_id.partition("/")[0]


def _number(row: WorkflowStatus) -> int:
    return int(row.workflow_id.partition("/")[2] or 0)


def _status(row: WorkflowStatus) -> Status:
    if row.status in _UNDER_WAY:
        return "paused" if row.status == "DELAYED" else "running"
    return cast("Status", _ending(row)["status"])


def _view(first: WorkflowStatus, row: WorkflowStatus) -> Run:
    """Return a run by its first and its newest row."""
    ending, state, status = _ending(row), _state(row), _status(row)
    asked = (name.partition(":")[2] for name in state.memory if name.startswith("outcome:"))
    return Run(
        id=state.run_id,
        workflow=state.workflow,
        application=first.application_name or "",
        pinned=first.app_version == version_of(first.application_name),
        status=status,
        attempt=state.attempt,
        input=state.input,
        started_at=_instant(first.created_at),
        updated_at=_instant(row.updated_at),
        waiting=state.waiting if status == "paused" else None,
        done=[*state.memory],
        untold={name: why for name, why in state.memory.items() if name.startswith("notify:") and why},
        outcomes={key: outcome for key in asked if (outcome := state.outcome(key)) is not None},
        result=ending.get("result"),
        error=ending.get("error"),
        refused=ending.get("request"),
    )


def _state(row: WorkflowStatus) -> State:
    """Return what the run knew at the end of a row, or else at its start."""
    return State(**_ending(row).get("state") or cast("Any", row.input)["args"][0])


def queue_of(application: str, workflow: str) -> str:
    """Return the queue of a workflow: only processes that have the workflow listen to it."""
    return f"{application}.{workflow}"


def version_of(application: str | None) -> str:
    """Return the application version of our own engine, always the same: rows are run by processes of their version.

    No two applications in a database have the same.
    """
    return f"assent-1 of {application}"


def _next(row: WorkflowStatus) -> str | None:
    """Return the id of the row that a row left behind."""
    return row.output.get("row") if row.output else None


def _ending(row: WorkflowStatus) -> Ending:
    """Return how a run ended by its newest row; one that broke down, or was ended by hand, has failed."""
    if row.error is not None:
        return {"status": "failed", "error": f"{type(row.error).__name__}: {row.error}"}
    if row.status not in (*_UNDER_WAY, "SUCCESS"):
        return {"status": "failed", "error": f"its row {row.workflow_id} is {row.status}"}
    if gone := _next(row):
        return {"status": "failed", "error": f"its row {gone} is gone"}
    return cast("Ending", row.output or {})


def _instant(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
