"""What is committed stays, is never lost to a race, and never half there."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from bot.approvals import Approvals, Rules
from bot.clock_and_ids import RandomIds, SystemClock
from bot.domain.errors import AlreadyResolved, Unavailable
from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import DeliveryFailed, Revise
from bot.domain.model.request import Status, Surface
from bot.ports.store import Idempotency, Message, Query
from bot.schemas.requests import SubmitBody
from bot.store.database.engine import Driver
from bot.store.queries import batch_sql as sql
from tests.store.conftest import opened
from tests.support.asking import NOW, asked, by_mail, response, somebody
from tests.support.storing import happen, save, stored

if TYPE_CHECKING:
    from bot.domain.model.request import Request
    from bot.ports.store import Transaction
    from bot.store import SqlStore

ANA, BEN = somebody("ana", slack="U1"), somebody("ben")


def use_cases(store: SqlStore) -> Approvals:
    rules = Rules(surfaces=frozenset({Surface.EMAIL}))
    return Approvals(store, SystemClock(), RandomIds(), None, rules)


async def test_what_was_committed_is_there_after_a_restart(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        await save(store, asked(ANA, BEN, quorum=2, channels=("slack:C1",), timeout_at=NOW))
        before = await happen(store, "req_1", response("ana", reason="großartig ✓"))
    async with opened(migrated_url) as store:
        assert await stored(store, "req_1") == before
        assert await store.read(lambda tx: tx.request_of("rsp_ben")) == before
        assert await store.read(lambda tx: tx.request("req_2")) is None


async def test_every_field_of_a_request_survives(store: SqlStore) -> None:
    request = asked(
        ANA,
        BEN,
        quorum="all",
        timeout_at=NOW,
        lookups=("slack:S1",),
        requester_keys=frozenset({"email:bob@example.com"}),
        payload={"deep": [1, 2.5, None, True, {"ü": "\u2028"}], "big": 2**53 - 1},
        labels={"env": "prod"},
        form={"type": "object"},
    )
    await save(store, request)
    assert await stored(store, "req_1") == request
    final = await happen(store, "req_1", response("ana", "reject", reason="no"))
    assert await stored(store, "req_1") == final
    assert final.status is Status.REJECTED


async def test_a_revision_is_there_after_a_restart_and_found_by_its_new_title(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        await save(store, asked(ANA, BEN))
        changes = {"title": "Refund €900", "payload": {"amount": 900}}
        event = Revise(changes=changes, reason=None, by="bob", surface=Surface.API)
        revised = await happen(store, "req_1", event)
    async with opened(migrated_url) as store:
        assert await stored(store, "req_1") == revised
        assert (revised.spec.title, revised.spec.payload) == tuple(changes.values())
        assert (await store.read(lambda tx: tx.find(Query(text="€900")))).items == (revised,)


async def test_updates_from_two_stores_are_never_lost(store: SqlStore, other: SqlStore) -> None:
    await save(store, asked(ANA))
    events = [DeliveryFailed(target=f"slack:{n}", reason="gone") for n in range(60)]
    await asyncio.gather(*(happen((store, other)[n % 2], "req_1", e) for n, e in enumerate(events)))
    request = await stored(store, "req_1")
    assert request.version == 1 + len(events)
    assert {u.target for u in request.unreached} == {e.target for e in events}


async def test_fifty_answers_racing_come_to_one_outcome(store: SqlStore, other: SqlStore) -> None:
    people = [f"p{n}" for n in range(50)]
    await save(store, asked(*map(somebody, people), quorum=1))

    async def answer(n: int) -> Request | AlreadyResolved:
        decision = "approve" if n % 2 else "reject"
        try:
            approvals = use_cases((store, other)[n % 2])
            return await approvals.respond("req_1", by_mail(people[n]), ResponseInput(decision=decision))
        except AlreadyResolved as refusal:
            return refusal

    results = await asyncio.gather(*(answer(n) for n in range(50)))
    (winner,) = (r for r in results if not isinstance(r, AlreadyResolved))
    losers = [r for r in results if isinstance(r, AlreadyResolved)]
    request = await stored(other, "req_1")
    assert request == winner
    assert len(request.responses) == 1
    assert winner.outcome
    assert all(loser.request.outcome == winner.outcome for loser in losers)
    assert {loser.detail.split(" at ")[0] for loser in losers} == {
        f"Already {winner.status} by {winner.outcome.by}"
    }
    assert [e.type for e in await store.read(lambda tx: tx.events("req_1"))] == [
        "request.created",
        "request.response",
        "request.resolved",
    ]


async def test_one_idempotency_key_used_everywhere_at_once_opens_one_request(
    store: SqlStore, other: SqlStore
) -> None:
    body = SubmitBody(title="T", audience=["email:ana@example.com"])
    key = Idempotency(key="key_1:k", digest="d")
    results = await asyncio.gather(*(use_cases((store, other)[n % 2]).submit(body, key) for n in range(20)))
    assert len({request.id for request, _ in results}) == 1
    assert [new for _, new in results].count(True) == 1
    assert len((await use_cases(store).find(Query())).items) == 1


async def test_a_unit_that_raises_leaves_nothing(store: SqlStore) -> None:
    def work(tx: Transaction) -> None:
        tx.save(lifecycle.open_request(asked(ANA), None, NOW), NOW)
        tx.remember(Idempotency(key="k", digest="d"), "req_1", NOW)
        tx.notify(Message(surface="email", address="ana@example.com", message="hi"), NOW)
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        await store.write(work)
    assert await store.read(lambda tx: (tx.request("req_1"), tx.idempotent("k"), tx.events("req_1"))) == (
        None,
        None,
        (),
    )
    assert await store.run_read(lambda c: c.scalar(sa.text("SELECT count(*) FROM deliveries"))) == 0


async def in_one_batch(store: SqlStore, *works: Any) -> list[Any]:
    """Hand these units in so that they commit together; what each returns or raises."""
    going_on = threading.Event()
    first = asyncio.create_task(store.run_write(lambda _: going_on.wait(10)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(store.write(work)) for work in works]
    await asyncio.sleep(0)
    going_on.set()
    await first
    return await asyncio.gather(*others, return_exceptions=True)


def opening(name: str) -> Any:
    request = asked(somebody(name), request_id=f"req_{name}")
    return lambda tx: tx.save(lifecycle.open_request(request, None, NOW), NOW)


def unwritable(tx: Transaction) -> None:
    """Half a surrogate pair: a string that no database takes."""
    tx.remember(Idempotency(key="\ud800", digest="d"), "req_1", NOW)


async def test_a_unit_that_cannot_be_written_costs_its_neighbours_nothing(store: SqlStore) -> None:
    await save(store, asked(ANA, request_id="req_there"))
    duplicate = opening("there")
    results = await in_one_batch(store, opening("a"), duplicate, opening("b"), unwritable, opening("c"))
    assert isinstance(results[1], Unavailable)
    assert isinstance(results[3], TypeError | ValueError)
    assert [results[i] for i in (0, 2, 4)] == [None] * 3
    for name in "abc":
        assert await stored(store, f"req_{name}")
    count = await store.run_read(lambda c: c.scalar(sa.text("SELECT count(*) FROM events")))
    assert count == 4


async def test_reads_that_cannot_be_asked_cost_their_neighbours_nothing(store: SqlStore) -> None:
    await save(store, asked(ANA))
    reads = [store.read(lambda tx: tx.request("req_1"), ids=("req_1",)) for _ in range(20)]
    bad = [store.read(lambda tx: tx.request("\ud800"), ids=("\ud800",)) for _ in range(10)]
    results = await asyncio.gather(*reads, *bad, return_exceptions=True)
    assert all(getattr(r, "id", None) == "req_1" for r in results[:20])
    assert all(isinstance(r, TypeError | ValueError) for r in results[20:])
    assert (await stored(store, "req_1")).id == "req_1"


async def test_units_of_one_batch_see_each_other(store: SqlStore) -> None:
    await save(store, asked(ANA, BEN, quorum=2))

    def answer(name: str) -> Any:
        def work(tx: Transaction) -> Request:
            request = tx.request("req_1")
            assert request
            change = lifecycle.apply(request, response(name), NOW)
            tx.save(change, NOW)
            return change.request

        return work

    first, second = await in_one_batch(store, answer("ana"), answer("ben"))
    assert (first.version, first.status) == (2, Status.PENDING)
    assert (second.version, second.status) == (3, Status.APPROVED)
    assert await stored(store, "req_1") == second


async def test_a_caller_that_goes_away_does_not_undo_its_unit(store: SqlStore) -> None:
    await save(store, asked(ANA))
    task = asyncio.create_task(happen(store, "req_1", response("ana")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.write(lambda _: None)
    assert (await stored(store, "req_1")).status is Status.APPROVED


async def test_what_was_handed_in_before_a_stop_is_finished(migrated_url: str) -> None:
    async with opened(migrated_url) as store:
        tasks = [asyncio.create_task(save(store, asked(ANA, request_id=f"req_{n}"))) for n in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    async with opened(migrated_url) as store:
        for n in range(20):
            assert await stored(store, f"req_{n}")


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
async def test_whoever_waited_for_a_lock_sees_what_was_committed_meanwhile(
    store: SqlStore, other: SqlStore
) -> None:
    await save(store, asked(ANA, BEN, quorum=2))
    locked, decided = threading.Event(), threading.Event()

    def slowly(tx: Transaction) -> None:
        request = tx.request("req_1")
        assert request
        locked.set()
        assert decided.wait(10)
        tx.save(lifecycle.apply(request, response("ana"), NOW), NOW)

    first = asyncio.create_task(other.write(slowly, ids=("req_1",)))
    await asyncio.to_thread(locked.wait, 10)
    second = asyncio.create_task(happen(store, "req_1", response("ben")))
    async with asyncio.timeout(10):
        while not await store.run_read(_somebody_waits_for_a_lock):
            pass
    decided.set()
    await first
    assert (await second).status is Status.APPROVED
    assert len((await stored(store, "req_1")).responses) == 2


def _somebody_waits_for_a_lock(connection: sa.Connection) -> bool:
    waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(connection.scalar(waiting))


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
class TestPostgresqlThatGoesAway:
    async def test_connections_that_were_cut_are_replaced(self, store: SqlStore, other: SqlStore) -> None:
        await save(store, asked(ANA))
        await other.run_read(_cut_all_others)
        await happen(store, "req_1", DeliveryFailed(target="slack:U1", reason="gone"))
        assert (await stored(store, "req_1")).version == 2

    async def test_a_unit_cut_in_the_middle_runs_again(self, store: SqlStore) -> None:
        await save(store, asked(ANA))
        tries = []

        def work(tx: Any) -> Request:
            request: Request = tx.request("req_1")
            tries.append(request.version)
            if len(tries) == 1:
                cursor = tx._batch._source.connection.cursor()
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            change = lifecycle.apply(request, response("ana"), NOW)
            tx.save(change, NOW)
            return change.request

        assert (await store.write(work)).status is Status.APPROVED
        assert tries == [1, 1]
        assert (await stored(store, "req_1")).version == 2

    async def test_a_statement_cut_in_the_middle_is_reported_and_the_next_works(
        self, store: SqlStore
    ) -> None:
        with pytest.raises(Unavailable):
            await store.run_write(
                lambda c: c.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
            )
        await save(store, asked(ANA))


def _cut_all_others(connection: sa.Connection) -> None:
    connection.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


class Explaining:
    """Where statements are explained instead of run: a `prepared.Source` over another."""

    def __init__(self, source: Driver) -> None:
        self.dialect = source.dialect
        self.connection: Any = self
        self.plans: list[str] = []
        self._source = source

    def cursor(self) -> Explaining:
        return self

    def execute(self, statement: str, parameters: Any) -> Explaining:
        explain = "EXPLAIN QUERY PLAN " if self.dialect.name == "sqlite" else "EXPLAIN "
        rows = self._source.connection.cursor().execute(explain + statement, parameters).fetchall()
        self.plans.append(" ".join(str(row[-1]) for row in rows))
        return self

    def executemany(self, statement: str, rows: list[Any]) -> None:
        self.execute(statement, rows[0])

    def fetchall(self) -> list[Any]:
        return []


async def test_a_batch_finds_its_rows_by_their_keys_also_in_tables_never_analysed(store: SqlStore) -> None:
    await save(store, *(asked(ANA, request_id=f"req_{n}") for n in range(200)))
    driver = Driver(store._engine)
    with driver.transaction():
        explaining = Explaining(driver)
        sql.LOCK.run(explaining, {"req_7": 1})
        state = {"status": "approved", "version": 2, "due_at": None, "unresolved": False, "state": "{}"}
        sql.CHANGE.run(explaining, [{"id": "req_7", **state}])
        sql.REVISE.run(explaining, [{"id": "req_7", "title": "t", "spec": "{}"}])
        sql.CLOSE_TERMS.run(explaining, [{"request_id": "req_7", "open": False}])
        sql.REDRAW.run(explaining, [{"request_id": "req_7", "wanted_version": 2, "due_at": 1}])
    driver.close()
    assert len(explaining.plans) == 5
    for plan in explaining.plans:
        assert not re.search(r"(?i)\b(seq )?scan (on )?(requests|terms|deliveries)\b", plan), plan
