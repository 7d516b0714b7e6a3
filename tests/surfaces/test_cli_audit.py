"""`assent audit verify`: whatever was done to the trail behind its back is found."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bot.store import direct, migrations
from tests.store.conftest import opened
from tests.support import command
from tests.support.asking import asked, response, somebody
from tests.support.storing import happen, save


@pytest.fixture
async def url(sqlite_url: str) -> str:
    """A database with three events: a request asked, answered, resolved."""
    migrations.upgrade(sqlite_url)
    async with opened(sqlite_url) as store:
        await save(store, asked(somebody("ana")))
        await happen(store, "req_1", response("ana", reason="fine"))
    return sqlite_url


async def verify(url: str, *options: str) -> command.Done:
    return await command.run("audit", "verify", *options, ASSENT_DATABASE_URL=url)


async def test_an_honest_trail_is_ok(url: str) -> None:
    done = await verify(url)
    assert done == command.Done(0, "OK: 3 events, each as it was written.\n", "")
    assert (await verify(url, "--json")).json == {"ok": True, "events": 3, "fault": None}


@pytest.mark.parametrize(
    ("statement", "good", "fault"),
    [
        (
            "UPDATE events SET body = replace(body, 'fine', 'mine') WHERE seq = 2",
            1,
            "event 2 of req_1 was altered",
        ),
        ("UPDATE events SET body = substr(body, 1, 20) WHERE seq = 2", 1, "event 2 of req_1 was altered"),
        ("DELETE FROM events WHERE seq = 2", 1, "event 2 is missing"),
        ("DELETE FROM events WHERE seq > 1", 1, "events after 1 are missing"),
    ],
    ids=["altered", "cut", "deleted", "truncated"],
)
async def test_what_was_tampered_with_is_named(url: str, statement: str, good: int, fault: str) -> None:
    with direct.writing(url) as connection:
        connection.execute(sa.text(statement))
    done = await verify(url)
    assert (done.status, done.err) == (1, "")
    assert done.out.startswith(f"Not OK: {fault}. ")
    assert (await verify(url, "--json")).json == {"ok": False, "events": good, "fault": fault}


async def test_a_request_that_is_not_what_its_events_come_to_is_named(url: str) -> None:
    with direct.writing(url) as connection:
        connection.execute(sa.text("UPDATE requests SET state = replace(state, 'Ana', 'Eve')"))
    done = await verify(url)
    fault = "req_1 is stored as other than its events say: respondents, outcome"
    said = " ".join(done.out.split())
    assert (done.status, said) == (1, f"Not OK: {fault}. All 3 events are as they were written.")
