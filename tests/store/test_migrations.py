"""The schema: brought up to date once, by however many start at once, and equal to what the code expects."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.domain.errors import Unavailable
from bot.store import SqlStore, migrations
from bot.store.audit import audit_replay
from bot.store.database.engine import open_engine
from bot.store.database.tables import metadata
from tests.store.conftest import opened
from tests.support.product import running

if TYPE_CHECKING:
    from pathlib import Path


def test_again_changes_nothing(database_url: str) -> None:
    for _ in range(2):
        migrations.upgrade(database_url)
        assert migrations.check(database_url)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM chain")) == 1
    engine.dispose()


def test_the_newest_revision_is_known_without_alembic() -> None:
    assert migrations._head() == ScriptDirectory(str(migrations.FOLDER)).get_current_head()


def test_processes_that_start_at_once_do_it_once(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=migrations.upgrade, args=(database_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert migrations.check(database_url)


def test_an_empty_database_is_behind(database_url: str) -> None:
    assert not migrations.check(database_url)


async def test_a_store_says_that_the_schema_is_behind(database_url: str) -> None:
    migrations.upgrade(database_url)
    async with opened(database_url) as store:
        assert await store.check() is None
        await store.run_write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '0000'")))
        async with asyncio.timeout(10):
            while (said := await store.check()) is None:  # noqa: ASYNC110 - what it found counts for two seconds
                await asyncio.sleep(0.05)
        assert said == "the schema is behind: run `assent db upgrade`"


async def test_a_store_on_an_empty_database_does_not_start(database_url: str) -> None:
    store = SqlStore(database_url)
    with pytest.raises(Unavailable):
        await store.start()
    await store.stop()


def test_the_schema_is_what_the_code_expects(migrated_url: str) -> None:
    engine = open_engine(migrated_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    fresh = {i.name: str(i.dialect_options[engine.dialect.name]["where"]) for i in _partial(metadata)}
    with engine.connect() as connection:
        reflected = sa.MetaData()
        reflected.reflect(connection)
    engine.dispose()
    there = {i.name: str(i.dialect_options[engine.dialect.name]["where"]) for i in _partial(reflected)}
    assert {name: where.strip("()") for name, where in there.items()} == fresh


async def test_what_older_versions_stored_belongs_to_its_key(database_url: str) -> None:
    async with running(database_url) as product:
        agent = await product.new_key("submit")
        mine = await product.submit_with(agent)
        other = await product.submit()
        call = {"run_id": "r", "call_id": "c.1", "spec": {"fn": "f", "kwargs": {}, "channel": MAIL}}
        path = "/humanlayer/v1/function_calls"
        assert (await product.call("POST", path, json=call, headers=agent)).status == 201
        await product.assent.store.run_write(_as_before_keys)
        listed = await product.call("GET", "/v1/requests", headers=agent)
        assert listed.json["items"] == []
        migrations.upgrade(database_url)
        found = (await product.call("GET", "/v1/requests", headers=agent)).json["items"]
        assert mine["id"] in {r["id"] for r in found}
        assert len(found) == 2
        assert (await product.call("GET", f"/v1/requests/{other['id']}", headers=agent)).status == 404
        assert (await product.call("POST", path, json=call, headers=agent)).status == 200
        assert (await product.call("GET", f"{path}/c.1", headers=agent)).status == 200
        assert await product.assent.store.run_read(audit_replay.first_difference) is None


MAIL = {"email": {"address": "ana@example.com"}}


def _as_before_keys(connection: sa.Connection) -> None:
    connection.execute(sa.text("DELETE FROM terms WHERE term LIKE 'key:%' OR term LIKE 'room:%'"))
    connection.execute(
        sa.text("INSERT INTO terms SELECT id, 'respondent:email:nobody@example.com', true FROM requests")
    )
    call = "SELECT key FROM idempotency WHERE key LIKE 'humanlayer:%'"
    (key,) = connection.scalars(sa.text(call)).all()
    old = sa.text("UPDATE idempotency SET key = :old WHERE key = :key")
    connection.execute(old, {"key": key, "old": key.partition("/")[0]})
    connection.execute(sa.text("ALTER TABLE chain DROP COLUMN seal"))
    connection.execute(sa.text("DROP TABLE probes"))
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))


def _partial(tables: sa.MetaData) -> list[sa.Index]:
    names = {"requests_due", "requests_unresolved", "deliveries_due"}
    return [i for table in tables.tables.values() for i in table.indexes if i.name in names]


class TestSqlite:
    def test_what_is_committed_survives_a_loss_of_power(self, sqlite_url: str) -> None:
        engine = open_engine(sqlite_url)
        with engine.connect() as connection:
            for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
        engine.dispose()

    def test_its_folder_is_made(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/a/b/assent.db"
        migrations.upgrade(url)
        assert migrations.check(url)
