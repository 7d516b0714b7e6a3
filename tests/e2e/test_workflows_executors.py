"""Who lives and who is dead: the locks that decide whether runs are taken over."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest
from dbos import DBOS

from bot.workflows import executors, maintenance
from bot.workflows.executors import AdvisoryLocks, FileLocks, executors_of
from bot.workflows.maintenance import Keeper

if TYPE_CHECKING:
    from pathlib import Path

    from bot.workflows.executors import Executors

pytestmark = pytest.mark.measured


def test_a_lost_connection_is_no_death(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = AdvisoryLocks(postgres_url), AdvisoryLocks(postgres_url)
    one.live("one")
    other.live("other")

    def dead() -> bool:
        with other.bury("one") as buried:
            return buried

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'one'"
        )
        assert not dead()
        one.live("one")
        assert not dead()
        with pytest.raises(RuntimeError, match="another process runs as 'one'"):
            AdvisoryLocks(postgres_url).live("one")
        one.close()
        while admin.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'one'").fetchone():
            pass
    with monkeypatch.context() as patch:
        patch.setattr(executors, "SUSPICION_SECONDS", 0.0)
        assert [dead(), dead(), dead()] == [False, False, False]  # each look is too long after the one before
    assert dead()
    other.close()


def test_a_file_is_locked_as_long_as_its_process_lives(tmp_path: Path) -> None:
    one, other = FileLocks(tmp_path / "runs.db"), FileLocks(tmp_path / "runs.db")
    one.live("one")
    with other.bury("one") as dead:
        assert not dead
    with pytest.raises(RuntimeError, match="another process runs as 'one'"):
        other.live("one")
    one.close()
    with other.bury("one") as dead:
        assert dead
    assert list((tmp_path / "runs.db.executors").iterdir()) == []


def test_a_file_is_the_same_by_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.db").symlink_to(tmp_path / "runs.db")
    one, other = FileLocks(tmp_path / "runs.db"), FileLocks(tmp_path / "folder" / "link.db")
    one.live("one")
    with other.bury("one") as dead:
        assert not dead
    one.close()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_forked_child_does_not_hold_the_lock(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    if database == "postgres":
        url = request.getfixturevalue("postgres_url")
    ready, says = os.pipe()
    waits, end = os.pipe()
    if not (process := os.fork()):
        os.close(end)
        executors_of(url).live("one")
        if not os.fork():
            os.write(says, b"child")
        os.read(waits, 1)
        os._exit(0)
    os.close(waits)
    assert os.read(ready, 5) == b"child"
    with closing(executors_of(url)) as other:
        other.live("other")
        assert [is_dead(other) for _ in range(2)] == [False, False]
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        deadline = time.monotonic() + 10
        while not is_dead(other):  # the server notices the closed connection in its own time
            assert time.monotonic() < deadline
    for pipe in (ready, says, end):
        os.close(pipe)


def is_dead(locks: Executors) -> bool:
    with locks.bury("one") as dead:
        return dead


def test_a_process_that_waits_for_the_server_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, beats, answered = Event(), [], Event()

    class Stub:
        """Runs, a client and executors, none of which has anything to do but these."""

        def under_way(self) -> list[Any]:
            return []

        half_taken = events = under_way

        def awaited(self) -> set[str]:
            asked.set()
            answered.wait()
            return set()

        def forget(self, _: object) -> None:
            pass

        def live(self, executor: str) -> None:
            if asked.is_set():
                beats.append(executor)
            if len(beats) == 3:
                answered.set()

    monkeypatch.setattr(maintenance, "BEAT_SECONDS", 0.01)
    stub = cast("Any", Stub())
    keeper = Keeper(stub, stub, stub, Event())
    keeper.start()
    assert answered.wait(10)
    keeper.stop()
    assert beats[:3] == [DBOS.executor_id] * 3
