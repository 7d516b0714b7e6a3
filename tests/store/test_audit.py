"""The audit chain: without gaps, in the order of commits, and nothing in it can be altered unseen."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import DeliveryFailed, Operate, Revise
from bot.domain.model.request import Status, Surface
from bot.store.audit import audit_replay
from bot.store.audit.seals import GENESIS
from bot.store.queries.snapshot import SqlReader
from tests.support.asking import NOW, asked, response, somebody
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from bot.store import SqlStore

ANA, BEN = somebody("ana"), somebody("ben")


async def verified(store: SqlStore) -> tuple[int, str | None]:
    return await store.run_read(lambda c: SqlReader(c).verify_chain())


async def tamper(store: SqlStore, statement: str) -> None:
    await store.run_write(lambda c: c.execute(sa.text(statement)))


@pytest.fixture
async def filled(store: SqlStore, other: SqlStore) -> SqlStore:
    """Six events of two requests, written by two stores."""
    await save(store, asked(ANA, BEN, quorum=2), asked(ANA, request_id="req_2"))
    await happen(other, "req_1", response("ana", reason="fine"))
    await happen(store, "req_2", DeliveryFailed(target="email:ana@example.com", reason="full"))
    await happen(other, "req_1", response("ben"))
    return store


async def test_an_empty_chain_verifies(store: SqlStore) -> None:
    assert await verified(store) == (0, None)


async def test_every_change_has_its_event_with_the_state_it_led_to(filled: SqlStore) -> None:
    events = await filled.read(lambda tx: tx.events("req_1"))
    assert [(e.type, e.status, e.version) for e in events] == [
        ("request.created", Status.PENDING, 1),
        ("request.response", Status.PENDING, 2),
        ("request.response", Status.APPROVED, 3),
        ("request.resolved", Status.APPROVED, 3),
    ]
    assert events[1].data["reason"] == "fine"
    assert events[1].at == NOW
    assert await verified(filled) == (6, None)


async def test_each_hash_covers_the_text_and_the_hash_before(filled: SqlStore) -> None:
    rows = await filled.run_read(
        lambda c: c.execute(sa.text("SELECT seq, body, hash FROM events ORDER BY seq")).all()
    )
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert len({row.hash for row in rows}) == 6
    assert GENESIS not in {row.hash for row in rows}
    assert all(json.loads(row.body)["seq"] == row.seq for row in rows)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE events SET body = replace(body, 'fine', 'fishy') WHERE seq = 3",
            "event 3 of req_1 was altered",
        ),
        ("UPDATE events SET body = 'not even JSON' WHERE seq = 3", "event 3 of req_1 was altered"),
        ("UPDATE events SET request_id = 'req_2' WHERE seq = 3", "event 3 of req_2 was altered"),
        ("UPDATE events SET hash = 'f' WHERE seq = 6", "event 6 of req_1 was altered"),
        ("DELETE FROM events WHERE seq = 1", "event 1 is missing"),
        ("DELETE FROM events WHERE seq = 4", "event 4 is missing"),
        ("DELETE FROM events WHERE seq > 4", "events after 4 are missing"),
        ("DELETE FROM events", "events after 0 are missing"),
        ("UPDATE chain SET hash = 'f'", "events after 6 are missing"),
        ("DELETE FROM chain", "the record of the last event is missing"),
        ("INSERT INTO events VALUES (7, 'req_1', '{}', 'f')", "events after 6 were added"),
        ("INSERT INTO events VALUES (0, 'req_1', '{}', 'f')", "event 1 is missing"),
    ],
)
async def test_whatever_is_tampered_with_is_found(filled: SqlStore, statement: str, fault: str) -> None:
    await tamper(filled, statement)
    number, words = await verified(filled)
    assert words == fault
    assert number < 6 or "after" in fault


async def test_two_events_that_change_places_are_found(filled: SqlStore) -> None:
    for old, new in ((3, 99), (4, 3), (99, 4)):
        await tamper(filled, f"UPDATE events SET seq = {new} WHERE seq = {old}")
    assert await verified(filled) == (2, "event 3 of req_2 was altered")


async def test_it_can_be_verified_while_others_write(store: SqlStore, other: SqlStore) -> None:
    await save(store, *(asked(ANA, request_id=f"req_{n}") for n in range(30)))
    operate = Operate(answer=ResponseInput(decision="reject", reason=None), by="x", surface=Surface.CLI)
    writing = [happen((store, other)[n % 2], f"req_{n}", operate) for n in range(30)]
    verifying = asyncio.gather(*(verified(other) for _ in range(10)))
    await asyncio.gather(*writing)
    assert {fault for _, fault in await verifying} == {None}
    assert await verified(store) == (60, None)


SMUGGLE = """INSERT INTO requests
    SELECT 'req_3', status, version, title, created_at, due_at, unresolved, spec, state FROM requests"""


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("SELECT 1", None),
        (
            "UPDATE requests SET state = replace(state, 'approved', 'rejected') WHERE id = 'req_1'",
            "req_1 is stored as other than its events say: status, respondents, outcome",
        ),
        ("UPDATE requests SET state = 'no JSON'", "req_1 is stored as something that is no request"),
        ("DELETE FROM requests WHERE id = 'req_2'", "req_2 has events but is not there"),
        (f"{SMUGGLE} WHERE id = 'req_2'", "req_3 has no events"),
        (
            "UPDATE requests SET status = 'approved', due_at = 1 WHERE id = 'req_2'",
            "req_2 is searched by other than its events say: status, due_at",
        ),
        (
            "DELETE FROM terms WHERE request_id = 'req_2' AND term = 'respondent:rsp_ana'",
            "req_2 is not found by respondent:rsp_ana",
        ),
        (
            "UPDATE terms SET open = NOT open WHERE request_id = 'req_2' AND term = 'respondent:rsp_ana'",
            "req_2 is listed as what it is not under respondent:rsp_ana",
        ),
    ],
)
async def test_every_request_is_what_its_events_come_to(
    filled: SqlStore, statement: str, fault: str | None
) -> None:
    await happen(
        filled, "req_2", Revise(changes={"title": "Less"}, reason=None, by="bob", surface=Surface.API)
    )
    await tamper(filled, statement)
    assert await filled.run_read(audit_replay.first_difference) == fault
