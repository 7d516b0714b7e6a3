"""Lists and their filters, and what is due: found by index, however much there is."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import AudienceResolved, Cancel, Operate
from bot.domain.model.request import Status, Surface
from bot.ports.store import Query
from bot.store import SqlOutbox
from bot.store.queries.snapshot import SqlReader
from tests.support.asking import NOW, asked, places, response, somebody
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.model.request import Request
    from bot.store import SqlStore

ANA, BEN, DAN = somebody("ana"), somebody("ben"), somebody("dan", slack="U4")
BOB = frozenset({"email:bob@example.com", "slack:U9"})
CANCEL = Cancel(reason=None, by="bob", surface=Surface.API)

REQUESTS = (
    asked(
        ANA, request_id="req_a", requester="Email:Bob@Example.com", requester_keys=BOB, labels={"env": "prod"}
    ),
    asked(ANA, BEN, request_id="req_b", labels={"env": "test", "team": "a:b"}, title="50% off_now ÄÖÜ"),
    asked(DAN, request_id="req_c", channels=("slack:C1",), requester="deploy-Bot", labels={"env": "prod"}),
    asked(BEN, request_id="req_d", channels=("slack:G2",)),
)


@pytest.fixture
async def filled(store: SqlStore) -> SqlStore:
    """The requests above; D is cancelled."""
    await save(store, *REQUESTS)
    await happen(store, "req_d", CANCEL)
    return store


async def found(store: SqlStore, **query: Any) -> str:
    """The last letters of the ids found, in the order they came."""
    page = await store.read(partial(SqlReader.find, query=Query(**query)))
    return "".join(request.id[-1] for request in page.items)


FILTERS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "dcba"),
    ({"status": Status.PENDING}, "cba"),
    ({"status": Status.CANCELLED}, "d"),
    ({"status": Status.APPROVED}, ""),
    ({"respondents": ("email:ana@example.com",)}, "ba"),
    ({"respondents": ("rsp_ana",)}, "ba"),
    ({"respondents": ("slack:U4",)}, "c"),
    ({"respondents": ("slack:C1",)}, "c"),
    ({"respondents": ("slack:G2", "slack:U4")}, "dc"),
    ({"respondents": ("email:ben@example.com",), "status": Status.PENDING}, "b"),
    ({"respondents": ("email:ben@example.com",), "status": Status.CANCELLED}, "d"),
    ({"respondents": ("email:ben@example.com", "rsp_ana")}, "dba"),
    ({"respondents": ("email:nobody@example.com",)}, ""),
    ({"requester": "email:bob@example.com"}, "a"),
    ({"requester": "slack:U9"}, "a"),
    ({"requester": "DEPLOY-BOT"}, "c"),
    ({"requester": "email:ana@example.com"}, ""),
    ({"labels": ("env:prod",)}, "ca"),
    ({"labels": ("team:a:b",)}, "b"),
    ({"labels": ("env:prod",), "status": Status.PENDING, "respondents": ("slack:C1",)}, "c"),
    ({"labels": ("env:prod",), "requester": "slack:U9"}, "a"),
    ({"labels": ("env",)}, ""),
    ({"labels": ("env:test", "team:a:b")}, "b"),
    ({"labels": ("env:prod", "team:a:b")}, ""),
    ({"requester": "bob@example.com"}, "a"),
    ({"text": "refund"}, "dca"),
    ({"text": "REFUND €1"}, "dca"),
    ({"text": "äöü"}, "b"),
    ({"text": "%"}, "b"),
    ({"text": "f_n"}, "b"),
    ({"text": "f%n"}, ""),
    ({"text": "\\"}, ""),
    ({"cursor": "req_c"}, "ba"),
    ({"cursor": "req_a"}, ""),
    ({"limit": 2}, "dc"),
)


async def test_filters(filled: SqlStore) -> None:
    assert [(query, await found(filled, **query)) for query, _ in FILTERS] == list(FILTERS)


DIMENSIONS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({}, {"status": Status.PENDING}, {"status": Status.CANCELLED}, {"status": Status.APPROVED}),
    ({}, {"respondents": ("email:ben@example.com", "slack:C1")}, {"respondents": ("rsp_ana",)}),
    ({}, {"requester": "slack:U9"}),
    ({}, {"labels": ("env:prod",)}, {"labels": ("env:test",)}),
    ({}, {"text": "refund"}),
    ({}, {"cursor": "req_c"}),
)


async def test_filters_together_find_what_each_of_them_finds(filled: SqlStore) -> None:
    alone = {str(one): await found(filled, **one) for dimension in DIMENSIONS for one in dimension}
    for combined in product(*DIMENSIONS):
        expected = [id for id in "dcba" if all(id in alone[str(one)] for one in combined)]
        query = {name: value for one in combined for name, value in one.items()}
        assert list(await found(filled, **query)) == expected, query


async def paged(store: SqlStore, limit: int) -> list[str]:
    """The ids on each page, one after the other; only the last page may be short."""
    pages: list[str] = []
    cursor = None
    while not pages or cursor:
        query = Query(limit=limit, cursor=cursor)
        page = await store.read(partial(SqlReader.find, query=query))
        pages.append("".join(request.id[-1] for request in page.items))
        cursor = page.next_cursor
    return pages


async def test_pages_hold_everything_once(filled: SqlStore) -> None:
    assert [await paged(filled, limit) for limit in (1, 2, 3, 4, 5)] == [
        ["d", "c", "b", "a"],
        ["dc", "ba"],
        ["dcb", "a"],
        ["dcba"],
        ["dcba"],
    ]


async def test_a_respondent_found_later_finds_the_request(store: SqlStore) -> None:
    await save(store, asked(ANA, lookups=("slack:U4",)))
    assert await found(store, respondents=("slack:U4",)) == ""
    await happen(store, "req_1", AudienceResolved(places=places("slack:U4"), found=(DAN,)))
    assert await found(store, respondents=("slack:U4",), status=Status.PENDING) == "1"
    assert await store.read(lambda tx: tx.request_of("rsp_dan"))
    await happen(store, "req_1", response("ana"))
    assert await found(store, respondents=("slack:U4",), status=Status.PENDING) == ""
    assert await found(store, respondents=("slack:U4",)) == "1"


async def test_the_channels_of_pending_requests(filled: SqlStore) -> None:
    await save(filled, *(asked(request_id=f"req_x{n}", channels=(f"slack:C{n}",)) for n in range(3, 9)))
    assert await filled.read(lambda tx: tx.channels(50)) == tuple(f"slack:C{n}" for n in (1, *range(3, 9)))
    assert len(await filled.read(lambda tx: tx.channels(2))) == 2


async def test_the_rooms_of_pending_requests_and_what_asks_them(filled: SqlStore) -> None:
    of_group = somebody("eve", via=("slack:S7",))
    await save(filled, asked(of_group, request_id="req_x", channels=("slack:C8",)))
    assert {"slack:C8", "slack:S7"} <= set(await filled.read(lambda tx: tx.rooms(50)))
    assert len(await filled.read(lambda tx: tx.rooms(1))) == 1
    assert await found(filled, rooms=("slack:S7",), status=Status.PENDING) == "x"
    assert await found(filled, rooms=("slack:C8",), respondents=("slack:C1",)) == "xc"


async def test_what_is_due_is_taken_the_oldest_first(store: SqlStore) -> None:
    minutes = {"late": 3, "soon": 1, "then": 2}
    await save(
        store,
        *(
            asked(ANA, request_id=f"req_{n}", timeout_at=NOW + timedelta(minutes=m))
            for n, m in minutes.items()
        ),
        asked(ANA, request_id="req_never"),
    )
    assert await store.read(lambda tx: tx.next_due()) == NOW + timedelta(minutes=1)

    async def due(minutes: float) -> tuple[str, ...]:
        return await store.write(lambda tx: tx.due(NOW + timedelta(minutes=minutes), 2))

    assert await due(0.999) == ()
    assert await due(1) == ("req_soon",)
    assert await due(9) == ("req_soon", "req_then")
    await happen(store, "req_soon", response("ana"))
    assert await due(9) == ("req_then", "req_late")


async def test_nothing_is_due_before_its_time_by_rounding(store: SqlStore) -> None:
    exactly = NOW + timedelta(microseconds=1)
    await save(store, asked(ANA, timeout_at=exactly))
    due = await store.read(lambda tx: tx.next_due())
    assert due
    assert exactly <= due < exactly + timedelta(milliseconds=1)


async def test_people_who_must_still_be_looked_up(store: SqlStore) -> None:
    await save(
        store,
        asked(ANA, request_id="req_a", lookups=("slack:U4",)),
        asked(ANA, request_id="req_b", requester_known=False),
        asked(ANA, request_id="req_c"),
        asked(ANA, request_id="req_d", requester_known=False, lookups=("slack:U4",)),
    )
    await happen(store, "req_d", CANCEL)
    assert sorted(await store.read(lambda tx: tx.unresolved(10))) == ["req_a", "req_b"]
    await happen(store, "req_a", AudienceResolved(places=places("slack:U4"), found=(DAN,)))
    await happen(store, "req_b", AudienceResolved(requester_keys=BOB))
    assert await store.read(lambda tx: tx.unresolved(10)) == ()


MANY = 3000


def many() -> Iterable[Request]:
    for n in range(MANY):
        yield asked(
            somebody(f"p{n}", slack=f"U{n}"),
            request_id=f"req_{n:05}",
            channels=(f"slack:C{n % 7}",) if n % 100 == 0 else (),
            lookups=("slack:S1",) if n % 500 == 0 else (),
            timeout_at=NOW + timedelta(days=n) if n % 10 == 0 else None,
            labels={"team": f"t{n % 50}"},
        )


NO_SCANS = "SET LOCAL enable_seqscan = off"
"""PostgreSQL may still scan a table this small; with this it only does where no index helps."""


class Plans:
    """Collects the statements that a store runs, and says how the database would run them."""

    def __init__(self, store: SqlStore) -> None:
        self._engine = store._engine
        self._seen: dict[str, Any] = {}
        sa.event.listen(self._engine, "before_cursor_execute", self._note)

    @property
    def dialect(self) -> sa.Dialect:
        return self._engine.dialect

    def _note(self, _c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        many_rows = isinstance(parameters, list)
        self.note(statement, parameters[0] if many_rows else parameters)

    def note(self, statement: str, parameters: Any) -> None:
        self._seen.setdefault(statement, parameters)

    def __iter__(self) -> Any:
        sa.event.remove(self._engine, "before_cursor_execute", self._note)
        sqlite = self._engine.dialect.name == "sqlite"
        explain, prefer = ("EXPLAIN QUERY PLAN ", "SELECT 1") if sqlite else ("EXPLAIN ", NO_SCANS)
        for statement, parameters in self._seen.items():
            if statement.startswith(("SELECT", "UPDATE")) and "pg_" not in statement:
                with self._engine.connect() as connection:
                    connection.exec_driver_sql(prefer)
                    rows = connection.exec_driver_sql(explain + statement, parameters).all()
                    yield statement, "\n".join(str(row[-1]) for row in rows)


async def test_nothing_is_found_by_looking_through_everything(store: SqlStore) -> None:
    await save(store, *many())
    sent = sa.text("UPDATE deliveries SET due_at = NULL, state = 'sent' WHERE request_id > 'req_00020'")
    await store.run_write(lambda c: (c.execute(sent), c.execute(sa.text("ANALYZE"))))
    plans, outbox = Plans(store), SqlOutbox(store)
    await store.read(lambda tx: (tx.next_due(), tx.unresolved(10), tx.channels(10), tx.request_of("rsp_p7")))
    for query in (
        Query(),
        Query(cursor="req_02000"),
        Query(status=Status.PENDING),
        Query(status=Status.PENDING, respondents=("slack:U7",)),
        Query(status=Status.APPROVED, respondents=("slack:U7",)),
        Query(respondents=("slack:U7", "email:p8@example.com")),
        Query(labels=("team:t7",)),
        Query(requester="slack:U9", status=Status.PENDING),
        Query(labels=("team:t7",), requester="slack:U9"),
        Query(labels=("team:t7",), respondents=("slack:U7",), status=Status.PENDING, text="refund"),
        Query(labels=("team:t7",), status=Status.REJECTED),
    ):
        await store.read(partial(SqlReader.find, query=query))
    await store.read(lambda tx: (tx.events("req_00001"), tx.deliveries(["req_00001"])))
    await store.write(lambda tx: tx.due(NOW, 10))
    await outbox.next_due(["slack", "email"])
    await outbox.claim(NOW, 10, ["slack", "email"])
    operate = Operate(answer=ResponseInput(decision="reject", reason=None), by="x", surface=Surface.CLI)
    await happen(store, "req_00002", operate)
    explained = list(plans)
    assert len(explained) > 15
    for statement, plan in explained:
        of_one_row = "FROM chain" in statement or "UPDATE chain" in statement
        assert of_one_row or not _looks_through_everything(plan), f"{statement}\n{plan}"


def _looks_through_everything(plan: str) -> bool:
    """A PostgreSQL `Seq Scan`, or an SQLite `SCAN` without an index; `anon_N`, `ANY_subquery` hold a page found."""
    return any(
        "Seq Scan" in line
        or (line.startswith("SCAN ") and " USING " not in line and not re.search("subquery|anon_", line))
        for line in plan.splitlines()
    )
