"""What a process does beside its runs: wake those that were decided, take over those of the dead, forget old ones."""

from __future__ import annotations

import itertools
import logging
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from dbos import DBOS

from bot.client import AssentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbos import WorkflowStatus

    from bot.client import Client
    from bot.workflows.executors import Executors
    from bot.workflows.runs import Runs

BEAT_SECONDS = 1.0
"""Between two looks whether others still see that this process lives."""

ROUND_SECONDS = 2.0
"""Between two looks for dead executors."""

EVENTS_SECONDS = 30.0
"""After which events are asked for again where they were refused."""

SETTLING_ROUNDS = 6
"""In which decisions are looked for at first, or after trouble: the stream of events is up to ten seconds late."""

CATCH_UP_ROUNDS = 150
"""Between two looks for decisions after that, in case no event told of one."""

FORGET_ROUNDS = 1800
KEEP = timedelta(days=30)
"""How long ended runs are kept."""

log = logging.getLogger(__name__)


class Keeper:
    """Three threads that end with the process, or with `stop`."""

    def __init__(
        self,
        runs: Runs,
        client: Client,
        executors: Executors,
        listening: threading.Event,
    ) -> None:
        """Take what it looks after; it sets `listening` while events tell of decisions."""
        self._runs = runs
        self._client = client
        self._executors = executors
        self._executor = DBOS.executor_id
        self._version = DBOS.application_version
        self._listening = listening
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._listen, name="assent-events", daemon=True),
            threading.Thread(target=self._live, name="assent-heart", daemon=True),
            threading.Thread(target=self._keep, name="assent-keeper", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let them end. The one that listens may stay in a read for some seconds, and then touches nothing more."""
        self._stopped.set()
        for thread in self._threads[1:]:
            thread.join()

    def _listen(self) -> None:
        """Wake what each event decides; the client goes on where a lost stream ended."""
        while not self._stopped.is_set():
            self._listening.set()
            try:
                for event in self._client.events():
                    if self._stopped.is_set():
                        return
                    if event.status != "pending":
                        self._runs.wake_for(event.request_id)
            except Exception as error:  # noqa: BLE001 - polling goes on without events, whatever is wrong with them
                self._listening.clear()
                if not self._stopped.wait(EVENTS_SECONDS):
                    log.warning("no events from Assent, decisions are found by polling: %s", error)

    def _live(self) -> None:
        """Show that this process lives, whatever the other threads wait for."""
        while not self._stopped.wait(BEAT_SECONDS):
            self._logged(partial(self._executors.live, self._executor))

    def _keep(self) -> None:
        quiet = 0  # rounds without trouble
        for number in itertools.count():
            self._logged(self._take_over)
            if quiet < SETTLING_ROUNDS or quiet % CATCH_UP_ROUNDS == 0:
                quiet = quiet if self._logged(self._catch_up) else -1
            if number % FORGET_ROUNDS == 0:
                self._logged(self._forget)
            quiet += 1
            if self._stopped.wait(ROUND_SECONDS):
                return

    def _take_over(self) -> None:
        """Go on with what dead processes were busy with."""
        for row in self._runs.half_taken():
            self._runs.take_over(row.workflow_id)
        for executor in {row.executor_id for row in self._runs.under_way()} - {None, self._executor}:
            with self._executors.bury(str(executor)) as dead:
                if dead:
                    self._take_over_of(partial(_is_of, executor))
        # DBOS itself starts the rows of an executor id again that is not unique, but only those of its version.
        self._take_over_of(lambda row: _is_of(self._executor, row) and row.app_version != self._version)

    def _take_over_of(self, abandoned: Callable[[WorkflowStatus], bool]) -> None:
        for row in filter(abandoned, self._runs.under_way()):
            log.warning("taking over %s from %s", row.workflow_id, row.executor_id)
            self._runs.take_over(row.workflow_id)

    def _catch_up(self) -> None:
        """Wake what was decided while nobody listened."""
        if awaited := self._runs.awaited():
            pending = {request.id for request in self._client.list(status="pending")}
            for request in awaited - pending:
                self._runs.wake_for(request)

    def _forget(self) -> None:
        self._runs.forget(datetime.now(UTC) - KEEP)

    def _logged(self, job: Callable[[], None]) -> bool:
        """Do a job, and tell whether it succeeded; no failure ends the thread, since a later round tries again."""
        try:
            job()
        except AssentError as error:
            log.warning("cannot ask Assent, trying again later: %s", error)
        except Exception:
            log.exception("cannot look after the runs, trying again later")
        else:
            return True
        return False


def _is_of(executor: str | None, row: WorkflowStatus) -> bool:
    return row.executor_id == executor
