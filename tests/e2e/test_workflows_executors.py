"""Who lives and who is dead: the locks that decide whether runs are taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from bot.workflows.executors import AdvisoryLocks, FileLocks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lost_connection_is_no_death(postgres_url: str) -> None:
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
    assert [dead(), dead()] == [False, True]
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
