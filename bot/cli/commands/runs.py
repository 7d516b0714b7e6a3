"""`assent run` and `assent runs`: automations, and the runs of all durable workflows."""

from __future__ import annotations

import json as jsonlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from bot.cli import display
from bot.cli.common import EXIT_OF_STATUS, SERVER, Failure, Server, Words, json_in, read_json

if TYPE_CHECKING:
    from bot.workflows import Durable
    from bot.workflows.runs import Run, Runs

DATABASE = "sqlite:///workflows.db"
POLL_SECONDS = 0.2

WorkflowsUrl = Annotated[str, Parameter(env_var="ASSENT_WORKFLOWS_URL")]
StatusName = Literal["running", "paused", "completed", "rejected", "failed"]

runs = App(name="runs", help="Runs of durable workflows, in the database of ASSENT_WORKFLOWS_URL.")


def run_automation(
    automation: Path,
    /,
    *,
    input: Words = None,  # noqa: A002 - the option's name
    run_id: str | None = None,
    timeout: float | None = None,
    workflows_url: WorkflowsUrl = DATABASE,
    server: Server = SERVER,
) -> int:
    """Run an automation durably, and wait for its end.

    Exits with 0 if it completed and what people decided last was approved, 1 if it was rejected, skipped or cancelled
    or if it failed, 3 if it expired, 4 if it still runs. A run that was interrupted goes on with the same --run-id, or
    with `assent runs retry`.

    Parameters
    ----------
    automation
        The YAML file: elements hitl, python, notify and condition.
    input
        JSON object of the input, or @FILE. Its `audience` is asked where an element names nobody; without one in
        it, that of ASSENT_AUDIENCE.
    run_id
        The same id runs only once, however often the command does.
    timeout
        Seconds to wait at most; the run goes on where it stopped when somebody runs it again.
    workflows_url
        Database of the runs: sqlite:///path.db or postgresql://user:password@host/db.
    """
    _check_extra()
    from bot.workflows.automation.automation_schema import AutomationError
    from bot.workflows.automation.automations import Automation

    try:
        document = Automation.load(automation).run_input(_input(input))
    except AutomationError as error:
        raise Failure(str(error), status=2) from None
    except UnicodeDecodeError:
        raise Failure(f"{automation} is not UTF-8", status=2) from None
    except OSError as error:
        raise Failure(f"cannot read {error.filename or automation}: {error.strerror}", status=2) from None
    return _drive(document, run_id, timeout, workflows_url, server)


@runs.command(name="list")
def list_runs(
    *,
    status: StatusName | None = None,
    limit: int = 50,
    workflows_url: WorkflowsUrl = DATABASE,
    json: bool = False,
) -> None:
    """List runs, newest first.

    Parameters
    ----------
    status
        Only those that are running, paused, completed, rejected or failed.
    limit
        How many of the newest are looked at.
    workflows_url
        Database of the runs.
    json
        Print JSON.
    """
    store = _open(workflows_url)
    found = [run for run in store.recent(limit) if status in {None, run.status}] if store else []
    if json:
        display.print_json([_described(run) for run in found])
        return
    for run in found:
        waits = f"  waits for {run.waiting['request']}" if run.waiting else ""
        _say(f"{run.id}  {run.status}  {_name(run)}  {display.instant(run.started_at.isoformat())}{waits}")
    if not found:
        _say("Nothing.")


@runs.command
def show(id: str, /, *, workflows_url: WorkflowsUrl = DATABASE, json: bool = False) -> None:
    """Show a run: its gates and steps, and how it ended.

    Parameters
    ----------
    id
        The run.
    workflows_url
        Database of the runs.
    json
        Print JSON.
    """
    _print(_find(id, workflows_url), as_json=json)


@runs.command
def retry(
    id: str,
    /,
    *,
    timeout: float | None = None,
    workflows_url: WorkflowsUrl = DATABASE,
    server: Server = SERVER,
) -> int:
    """Go on with a run that failed, or with an automation that was interrupted; what it has done stays done.

    An automation is run to its end here, with the exit statuses of `assent run`. Runs of other workflows go on in the
    process that has them.

    Parameters
    ----------
    id
        The run.
    timeout
        Seconds to wait at most.
    workflows_url
        Database of the runs.
    """
    run = _find(id, workflows_url)
    from bot.workflows.automation.automations import WORKFLOW

    if run.status in {"completed", "rejected"}:
        raise Failure(f"{id} is {run.status}, which is final: there is nothing to retry")
    from bot.workflows.runs import Runs

    retried = Runs(workflows_url, run.application, pinned=run.pinned).retry(id)
    if run.workflow == WORKFLOW:
        return _drive(run.input, id, timeout, workflows_url, server)
    now = _find(id, workflows_url)
    if not retried:
        raise Failure(f"{id} is {now.status}, not failed; it goes on in a process that has {run.workflow!r}")
    _print(now, as_json=server.json)
    return 0


def _drive(
    document: dict[str, Any], run_id: str | None, timeout: float | None, workflows_url: str, server: Server
) -> int:
    """Run the engine until this run has ended, and print it."""
    from bot.workflows import Durable
    from bot.workflows.automation.automations import WORKFLOW, serve

    with server.client() as client:
        try:
            app = Durable(client, workflows_url)
        except ValueError as error:
            raise Failure(f"{error}. See --workflows-url and ASSENT_WORKFLOWS_URL.", status=2) from None
        serve(app)
        try:
            app.launch()
        except Exception as error:  # noqa: BLE001 - whatever a driver says of a database that is not there
            raise Failure(f"cannot open the runs: {_first_line(error)}") from None
        try:
            run_id = app.start(WORKFLOW, document, run_id=run_id)
            _wait(app, run_id, timeout)
        except ValueError as error:
            raise Failure(str(error), status=2) from None
        finally:
            app.close()
    run = _find(run_id, workflows_url)  # what was under way has ended by now
    _print(run, as_json=server.json)
    return _exit_status(run)


def _wait(app: Durable, id: str, timeout: float | None) -> None:
    """Wait for the end of a run, telling at which gates it stands."""
    deadline = None if timeout is None else time.monotonic() + timeout
    told = None
    while (run := app.run(id)).status in {"running", "paused"}:
        if run.waiting and run.waiting != told:
            told = run.waiting
            display.print_error(f"{id} waits for {told['request']} at {told['key']}")
        if deadline is not None and time.monotonic() >= deadline:
            return
        time.sleep(POLL_SECONDS)


def _exit_status(run: Run) -> int:
    if run.status in {"running", "paused"}:
        return EXIT_OF_STATUS["pending"]
    if run.status == "failed":
        return 1
    if run.refused:
        return EXIT_OF_STATUS[run.refused["status"]]
    *_, last = (None, *run.outcomes.values())
    return 0 if last is None else EXIT_OF_STATUS[last.status]


def _print(run: Run, *, as_json: bool) -> None:
    if as_json:
        display.print_json(_described(run))
        return
    _say(f"{run.id}  {run.status}  {_name(run)}, started {display.instant(run.started_at.isoformat())}")
    for key, outcome in run.outcomes.items():
        _say(f"  gate {key}: {outcome.text}")
    if run.waiting:
        _say(f"  gate {run.waiting['key']}: waits for {run.waiting['request']}")
    for name in run.done:
        if name.startswith(("step:", "notify:")):
            _say(f"  {name.replace(':', ' ')}: {run.untold.get(name, 'done')}")
    if run.error:
        _say(f"  {run.error}")
    elif run.status == "completed":
        _say(f"  result: {jsonlib.dumps(run.result, ensure_ascii=False)}")


def _say(text: str) -> None:
    print(display.line(text))


def _name(run: Run) -> str:
    from bot.workflows.automation.automations import WORKFLOW

    return str(run.input["name"]) if run.workflow == WORKFLOW else run.workflow


def _described(run: Run) -> dict[str, Any]:
    from bot.workflows.automation.automations import WORKFLOW

    return {
        "id": run.id,
        "workflow": _name(run),
        "application": run.application,
        "status": run.status,
        "attempt": run.attempt,
        "input": run.input["input"] if run.workflow == WORKFLOW else run.input,
        "waiting": run.waiting and {"key": run.waiting["key"], "request": run.waiting["request"]},
        "done": run.done,
        "untold": run.untold,
        "outcomes": {key: outcome.text for key, outcome in run.outcomes.items()},
        "result": run.result,
        "error": run.error,
        "started_at": run.started_at.isoformat(),
        "updated_at": run.updated_at.isoformat(),
    }


def _find(id: str, workflows_url: str) -> Run:
    store = _open(workflows_url)
    run = store.find(id) if store else None
    if run is None:
        raise Failure(f"there is no run {id}; `assent runs list` names them")
    return run


def _open(workflows_url: str) -> Runs | None:
    """Open the runs for reading, None where there is no database of them yet."""
    _check_extra()
    from bot.workflows.executors import sqlite_path
    from bot.workflows.runs import Runs

    if not workflows_url.startswith(("sqlite:///", "postgresql://")):
        raise Failure(
            f"{workflows_url!r} is no database of runs: sqlite:///path.db or postgresql://…", status=2
        )
    if workflows_url.startswith("sqlite") and not sqlite_path(workflows_url).exists():
        return None
    store = Runs(workflows_url, None)
    try:
        store.check()
    except Exception as error:  # noqa: BLE001 - whatever a driver says of a database that is not there
        raise Failure(f"cannot read the runs: {_first_line(error)}") from None
    return store


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _input(text: str | None) -> dict[str, Any]:
    try:
        given = read_json(text[1:]) if text and text.startswith("@") else json_in(text or "{}")
    except (ValueError, RecursionError) as error:
        raise Failure(f"--input is not JSON: {error}", status=2) from None
    if not isinstance(given, dict):
        raise Failure("--input must be a JSON object", status=2)
    audience = [part.strip() for part in os.environ.get("ASSENT_AUDIENCE", "").split(",") if part.strip()]
    return {"audience": audience, **given} if audience else given


def _check_extra() -> None:
    try:
        import bot.workflows  # noqa: F401 - only to see whether it is there
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
