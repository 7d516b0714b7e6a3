"""The loops: they work when there is something to do, survive what fails, and end in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.delivery import worker_loops as module
from bot.delivery.worker_loops import Supervisor, Work
from tests.support.asking import NOW
from tests.support.dispatching import StandingClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime


class Job:
    """Something to do: `ran` says how often it did it; `fault` is raised instead while it is set."""

    def __init__(self) -> None:
        self.left = 0
        self.ran = 0
        self.due: datetime | None = None
        self.fault: Exception | None = None
        self.turns = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()

    async def run_once(self) -> int:
        await self.gate.wait()
        async with self.turns:
            self.ran += 1
            self.turns.notify_all()
        if self.fault:
            raise self.fault
        self.left -= bool(self.left)
        return self.left

    async def next_due(self) -> datetime | None:
        return self.due

    async def ran_times(self, number: int) -> None:
        async with asyncio.timeout(20), self.turns:
            await self.turns.wait_for(lambda: self.ran >= number)


@pytest.fixture
async def job() -> Job:
    return Job()


@pytest.fixture
async def supervisor(job: Job) -> AsyncIterator[Supervisor]:
    """Runs `job` under the name `job`, not yet started."""
    supervisor = Supervisor([Work(name="job", run_once=job.run_once, next_due=job.next_due)], StandingClock())
    yield supervisor
    job.gate.set()
    await supervisor.stop()


async def test_it_goes_on_while_there_is_more(job: Job, supervisor: Supervisor) -> None:
    job.left = 10
    await supervisor.start()
    await job.ran_times(10)


async def test_a_hint_wakes_it(job: Job, supervisor: Supervisor) -> None:
    await supervisor.start()
    await job.ran_times(1)
    supervisor.hint(["job"])
    await job.ran_times(2)


async def test_a_hint_while_it_works_is_not_lost(job: Job, supervisor: Supervisor) -> None:
    job.gate.clear()
    await supervisor.start()
    await asyncio.sleep(0)
    supervisor.hint(["job"])
    job.gate.set()
    await job.ran_times(2)


async def test_it_wakes_when_something_is_due(job: Job, supervisor: Supervisor) -> None:
    job.due = NOW + timedelta(milliseconds=20)
    await supervisor.start()
    await job.ran_times(3)


async def test_and_looks_from_time_to_time_anyway(
    job: Job, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    await supervisor.start()
    await job.ran_times(3)


async def test_a_failure_shows_and_passes(job: Job, supervisor: Supervisor) -> None:
    job.fault = ConnectionError("no database")
    await supervisor.start()
    await job.ran_times(1)
    await asyncio.sleep(0)
    assert await supervisor.check() == "job: ConnectionError"
    job.fault = None
    supervisor.hint(["job"])
    await job.ran_times(2)
    await asyncio.sleep(0)
    assert await supervisor.check() is None


async def test_it_has_passed_also_where_there_is_always_more() -> None:
    rounds, said = 0, asyncio.Queue[str | None]()

    async def busy() -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            supervisor.hint(["job"])
            raise ConnectionError("no database")
        await said.put(await supervisor.check())
        await asyncio.sleep(0)
        return 1

    supervisor = Supervisor([Work(name="job", run_once=busy, next_due=Job().next_due)], StandingClock())
    await supervisor.start()
    async with asyncio.timeout(20):
        assert [await said.get() for _ in range(2)] == ["job: ConnectionError", None]
    await supervisor.stop()


async def test_stopping_finishes_the_work_in_hand(job: Job, supervisor: Supervisor) -> None:
    job.gate.clear()
    await supervisor.start()
    await asyncio.sleep(0)
    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    job.gate.set()
    async with asyncio.timeout(20):
        await stopping
    assert job.ran == 1


async def test_but_does_not_wait_for_ever(
    job: Job, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)
    job.gate.clear()
    await supervisor.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await supervisor.stop()
    assert job.ran == 0
