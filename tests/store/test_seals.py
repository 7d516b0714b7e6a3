"""The seal of the audit chain: whoever may write to the database, but has not the secret keys, cannot make one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import Operate
from bot.domain.model.request import Surface
from bot.store import migrations, trail
from bot.store.audit.seals import Seals
from bot.store.database.engine import for_writing, open_engine
from bot.store.queries.snapshot import SqlReader
from tests.store.conftest import opened
from tests.support.asking import asked, response, somebody
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from structlog.typing import EventDict

    from bot.store import SqlStore

OLD, KEY, NEW = "o" * 32, "k" * 32, "n" * 32
ANA, BEN = somebody("ana"), somebody("ben")
REJECT = Operate(answer=ResponseInput(decision="reject", reason=None), by="x", surface=Surface.CLI)


@pytest.fixture
async def sealed(migrated_url: str) -> AsyncIterator[SqlStore]:
    """A store with the keys, and three events."""
    async with opened(migrated_url, KEY) as store:
        await save(store, asked(ANA, BEN, quorum=2))
        await happen(store, "req_1", response("ana", reason="fine"))
        await save(store, asked(ANA, request_id="req_2"))
        yield store


async def fault(store: SqlStore, *secrets: str) -> str | None:
    def look(connection: sa.Connection) -> str | None:
        chained = SqlReader(connection).verify_chain()[1]
        return chained or trail.seal_fault(connection, secrets or (KEY,))[1]

    return await store.run_read(look)


async def head(store: SqlStore, *secrets: str) -> Any:
    return await store.run_read(lambda c: trail.seal_fault(c, secrets or (KEY,))[0])


async def tamper(store: SqlStore, *statements: str) -> None:
    for statement in statements:
        await store.run_write(lambda c, text=statement: c.execute(sa.text(text)))


CUT = (
    "DELETE FROM events WHERE seq > 2",
    "UPDATE chain SET seq = 2, hash = (SELECT hash FROM events WHERE seq = 2)",
)


async def test_an_honest_trail_has_a_seal_that_holds(sealed: SqlStore) -> None:
    assert await fault(sealed) is None
    found = await head(sealed)
    assert (found.seq, found.loose, found.broken) == (3, 0, None)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (CUT, "it is sealed up to event 3, and ends with event 2: events after 2 are missing"),
        (
            ("DELETE FROM events", "UPDATE chain SET seq = 0, hash = repeat('0', 64)"),
            "it is sealed up to event 3, and ends with event 0",
        ),
        ((*CUT, "UPDATE chain SET seal = NULL"), "has no seal"),
        ((*CUT, "UPDATE chain SET seal = replace(seal, '.3.', '.2.')"), "its seal is forged"),
        (("UPDATE chain SET seal = 'nothing'",), "this is no sealed head"),
        (("UPDATE chain SET seal = ''",), "has no seal"),
    ],
    ids=["cut", "emptied", "unsealed", "renumbered", "garbage", "empty"],
)
async def test_a_trail_without_a_seal_for_its_end_is_found(
    sealed: SqlStore, statements: tuple[str, ...], words: str
) -> None:
    if sealed._engine.dialect.name == "sqlite":
        statements = tuple(s.replace("repeat('0', 64)", f"'{'0' * 64}'") for s in statements)
    await tamper(sealed, *statements)
    assert words in str(await fault(sealed))


async def test_a_trail_that_was_written_anew_is_found(sealed: SqlStore, migrated_url: str) -> None:
    before = await sealed.run_read(lambda c: c.scalar(sa.text("SELECT seal FROM chain")))
    await tamper(sealed, *CUT)
    async with opened(migrated_url) as forger:  # it has no keys: it goes on from there
        await save(forger, asked(ANA, request_id="req_3"), asked(ANA, request_id="req_4"))
    await tamper(sealed, f"UPDATE chain SET seal = '{before}'")
    assert "event 3 is not the one that was sealed" in str(await fault(sealed))


async def test_what_is_appended_to_a_cut_trail_does_not_mend_it(
    sealed: SqlStore, migrated_url: str, logged: list[EventDict]
) -> None:
    await tamper(sealed, *CUT)
    async with opened(migrated_url, KEY) as restarted:
        assert [e["action"] for e in logged if e["log_level"] == "error"] == ["audit.seal"]
        assert "events after 2 are missing" in str(await fault(restarted))
        await happen(restarted, "req_1", REJECT)
        assert "the seal did not hold at event 2" in str(await fault(restarted))
        await save(restarted, asked(ANA, request_id="req_5"))
        assert "the seal did not hold at event 2" in str(await fault(restarted))


async def test_a_running_server_notices_that_an_old_row_was_put_back(
    sealed: SqlStore, logged: list[EventDict]
) -> None:
    row = await sealed.run_read(lambda c: c.execute(sa.text("SELECT seq, hash, seal FROM chain")).one())
    await save(sealed, asked(ANA, request_id="req_6"))
    await save(sealed, asked(ANA, request_id="req_7"))
    await tamper(
        sealed,
        "DELETE FROM events WHERE seq > 3",
        "DELETE FROM requests WHERE id IN ('req_6', 'req_7')",
        "DELETE FROM terms WHERE request_id IN ('req_6', 'req_7')",
        f"UPDATE chain SET seq = {row.seq}, hash = '{row.hash}', seal = '{row.seal}'",
    )
    assert await fault(sealed) is None, (
        "the row is a genuine one of before: only what was kept elsewhere can tell"
    )
    await save(sealed, asked(ANA, request_id="req_8"))
    assert "the seal did not hold at event 3" in str(await fault(sealed))
    assert [e["action"] for e in logged if e["log_level"] == "error"] == ["audit.seal"]


async def test_what_was_kept_elsewhere_finds_a_trail_that_was_set_back(sealed: SqlStore) -> None:
    row = await sealed.run_read(lambda c: c.execute(sa.text("SELECT seq, hash, seal FROM chain")).one())
    await save(sealed, asked(ANA, request_id="req_6"))
    kept = await head(sealed)
    short = lambda: sealed.run_read(lambda c: trail.cut_short(c, kept.seq, kept.hash))  # noqa: E731
    assert await short() is None
    await save(sealed, asked(ANA, request_id="req_7"))
    assert await short() is None
    await tamper(
        sealed,
        "DELETE FROM events WHERE seq > 3",
        f"UPDATE chain SET seq = {row.seq}, hash = '{row.hash}', seal = '{row.seal}'",
    )
    assert await short() == "event 4, which the trail had before, is missing"
    await save(sealed, asked(ANA, request_id="req_9"))
    assert await short() == "event 4 is another than the trail had before"


async def test_keys_are_changed_by_putting_a_new_one_in_front(sealed: SqlStore, migrated_url: str) -> None:
    assert (await head(sealed)).key == Seals([KEY]).newest
    async with opened(migrated_url, NEW, KEY) as store:
        assert await fault(store, NEW) is None, "sealed anew at the start, so that the old key can be dropped"
        assert "which is not among the secret keys here" in str(await fault(store, KEY))
    async with opened(migrated_url, NEW) as store:
        await save(store, asked(ANA, request_id="req_3"))
        assert await fault(store, NEW) is None


async def test_another_key_is_told_and_is_not_taken_for_ours(
    sealed: SqlStore, migrated_url: str, logged: list[EventDict]
) -> None:
    async with opened(migrated_url, NEW) as other:
        assert "is not among the secret keys here" in next(e["why"] for e in logged if "why" in e)
        assert await fault(sealed) is None, "who only starts leaves the seal alone"
        await save(other, asked(ANA, request_id="req_3"), asked(ANA, request_id="req_4"))
        assert len([e for e in logged if e["log_level"] == "error"]) == 1, "told once"
        assert "cannot be checked" in str(await fault(other, NEW))
        found = await head(sealed)
        assert (await fault(sealed), found.loose, found.last_loose) == (None, 2, 5), "nor does who writes"
        await save(sealed, asked(ANA, request_id="req_5"))
        assert (await fault(sealed), (await head(sealed)).loose) == (None, 2)


async def test_a_key_that_was_lost_is_told_until_the_trail_is_sealed_anew(
    sealed: SqlStore, migrated_url: str
) -> None:
    async with opened(migrated_url, NEW) as store:
        await save(store, asked(ANA, request_id="req_3"))
        assert "which is not among the secret keys here" in str(await fault(store, NEW))
        assert await store.run_write(lambda c: trail.seal(c, [NEW])) == (4, None)
        await save(store, asked(ANA, request_id="req_4"))
        found = await head(store, NEW)
        assert (await fault(store, NEW), found.seq, found.loose, found.last_loose) == (None, 5, 4, 4)


async def test_what_is_broken_is_not_sealed_over(sealed: SqlStore) -> None:
    await tamper(sealed, "UPDATE events SET body = replace(body, 'fine', 'fishy')")
    assert await sealed.run_write(lambda c: trail.seal(c, [KEY])) == (1, "event 2 of req_1 was altered")


async def test_a_trail_of_before_is_sealed_at_the_first_start(
    migrated_url: str, logged: list[EventDict]
) -> None:
    async with opened(migrated_url) as store:
        await save(store, asked(ANA), asked(ANA, request_id="req_2"))
        assert "has no seal" in str(await fault(store))
    async with opened(migrated_url, KEY) as store:
        assert [e["events"] for e in logged if e.get("action") == "audit.sealed"] == [2]
        assert await fault(store) is None
        await save(store, asked(ANA, request_id="req_3"))
        found = await head(store)
        assert (await fault(store), found.seq, found.loose, found.last_loose) == (None, 3, 2, 2)


async def test_a_program_without_the_keys_may_write_too_and_that_is_told(
    sealed: SqlStore, migrated_url: str
) -> None:
    async with opened(migrated_url) as keyless:
        await save(keyless, asked(ANA, request_id="req_3"))
        await happen(keyless, "req_3", REJECT)
        found = await head(sealed)
        assert (await fault(sealed), found.loose, found.last_loose) == (None, 2, 5)
        await save(sealed, asked(ANA, request_id="req_4"))
        found = await head(sealed)
        assert (await fault(sealed), found.seq, found.loose, found.last_loose) == (None, 6, 2, 5)


async def test_replicas_that_write_at_once_leave_one_seal(migrated_url: str) -> None:
    async with opened(migrated_url, NEW, OLD) as here, opened(migrated_url, NEW, OLD) as there:
        stores = (here, there)
        await asyncio.gather(
            *(save(stores[n % 2], asked(ANA, request_id=f"req_{n}")) for n in range(40)),
            *(fault(stores[n % 2], NEW) for n in range(10)),
        )
        assert await fault(here, NEW) is None
        assert (await head(there, NEW)).seq == 40


def test_the_chain_of_the_first_schema_is_kept(database_url: str) -> None:
    migrations._upgrade(database_url, "0001")
    hashed = "f" * 64
    engine = open_engine(database_url)
    with for_writing(engine).begin() as connection:
        connection.execute(sa.text(f"UPDATE chain SET seq = 7, hash = '{hashed}'"))
    migrations.upgrade(database_url)
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT seq, hash, seal FROM chain")).one()
    engine.dispose()
    assert tuple(row) == (7, hashed, None)
