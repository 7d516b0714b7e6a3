"""Waits survive a restart, timers fire once and never after an answer, and what is due is found by index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bot.approvals import Approvals, Rules
from bot.clock_and_ids import RandomIds
from bot.domain.errors import AlreadyResolved
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.request import Status, Surface
from bot.domain.people.audience import Actor
from bot.schemas.requests import SubmitBody, parse
from bot.store import migrations
from bot.store.audit import audit_replay
from bot.store.database import row_codec
from bot.store.queries import batch_sql
from bot.store.queries.snapshot import SqlReader
from tests.store.conftest import opened
from tests.store.test_finding import Plans, many
from tests.support.asking import NOW
from tests.support.storing import save

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.request import Request
    from bot.store import SqlStore

ANA, BEN = (
    Actor(keys=frozenset({f"email:{name}@example.com"}), surface=Surface.API) for name in ("ana", "ben")
)
YES = ResponseInput(decision="approve")
BODY = {
    "title": "Refund",
    "audience": ["email:ana@example.com", "email:ben@example.com"],
    "quorum": 2,
    "remind_after_seconds": [60, 120],
    "escalation": [{"name": "manager", "after_seconds": 300, "audience": ["email:max@example.com"]}],
    "timeout_seconds": 900,
    "grace_seconds": 60,
}


@dataclass
class Clock:
    """Stands still until the test moves it."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


class Server:
    """A server that is started anew for everything it does, as if it had crashed in between."""

    def __init__(self, url: str) -> None:
        migrations.upgrade(url)
        self.url, self.clock = url, Clock()

    async def __call__(self, what: str, *arguments: object, **options: object) -> Request:
        async with opened(self.url) as store:
            rules = Rules(surfaces=frozenset({Surface.EMAIL}))
            approvals = Approvals(store, self.clock, RandomIds(), None, rules)
            if what == "submit":
                self.request, _ = await approvals.submit(parse(SubmitBody, BODY))
            elif what == "tick":
                await approvals.tick()
            else:
                await getattr(approvals, what)(self.request.id, *arguments, **options)
            self.due = await approvals.next_due()
            self.told = await store.run_read(
                lambda c: c.scalars(sa.text("SELECT notice FROM deliveries ORDER BY id")).all()
            )
            self.request = await approvals.get(self.request.id)
            assert await store.run_read(audit_replay.first_difference) is None
            return self.request

    async def later(self, seconds: float) -> Request:
        self.clock.at = NOW + timedelta(seconds=seconds)
        return await self("tick")


async def test_a_restart_in_the_middle_of_any_wait_changes_nothing(sqlite_url: str) -> None:
    server = Server(sqlite_url)
    await server("submit")
    assert server.due == NOW + timedelta(seconds=60)
    assert (await server.later(59)).reminders == 0
    assert (await server.later(60)).reminders == 1
    assert (await server.later(119)).reminders == 1
    await server("respond", ANA, YES)
    assert (await server.later(120)).reminders == 2
    assert server.told.count("reminder") == 3
    assert (await server.later(299)).level == 0
    assert (await server.later(300)).level == 1
    await server("respond", BEN, YES)
    assert server.due == NOW + timedelta(seconds=360)
    assert (await server.later(359)).status is Status.PENDING
    await server("withdraw", BEN)
    assert server.due == NOW + timedelta(seconds=360)  # a reminder of the manager's
    await server.later(400)
    await server("respond", BEN, YES)
    done = await server.later(460)
    assert (done.status, server.due) == (Status.APPROVED, None)


async def test_a_timer_never_fires_after_an_answer(sqlite_url: str) -> None:
    server = Server(sqlite_url)
    await server("submit")
    done = await server("respond", ANA, ResponseInput(decision="reject"))
    assert done.held
    end = await server.later(60)
    told = server.told
    for seconds in (61, 120, 300, 900, 10_000):
        assert await server.later(seconds) == end
    assert (end.status, server.told, server.due) == (Status.REJECTED, told, None)


async def test_an_answer_after_the_deadline_finds_the_deadline_first(sqlite_url: str) -> None:
    server = Server(sqlite_url)
    await server("submit")
    server.clock.at = NOW + timedelta(seconds=900)
    with pytest.raises(AlreadyResolved, match="expired"):
        await server("respond", ANA, YES)
    assert (await server("tick")).status is Status.EXPIRED


async def test_the_next_due_time_and_what_is_due_are_found_by_index(store: SqlStore) -> None:
    await save(store, *many())
    await store.run_write(lambda c: c.execute(sa.text("ANALYZE")))
    plans = Plans(store)
    await store.read(SqlReader.next_due)
    text, bound = batch_sql.DUE._bound(plans.dialect, [{"now": row_codec.millis(NOW), "most": 10}])
    plans.note(text, bound[0])
    explained = [plan for statement, plan in plans if "due_at" in statement]
    assert len(explained) == 2
    assert all("requests_due" in plan for plan in explained), explained
