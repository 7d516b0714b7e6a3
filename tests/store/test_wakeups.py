"""A waiter is hinted by whoever commits, and misses nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.approvals import Approvals, Rules
from bot.clock_and_ids import RandomIds, SystemClock
from bot.domain.errors import NotFound
from bot.domain.model.events import DeliveryFailed
from bot.domain.model.request import Status
from bot.store.notify.wakeups import Wakeups
from bot.store.queries.unit_of_work import DEADLINES, DELIVERY, LOOKUPS
from tests.support.asking import NOW, after, asked, response, somebody
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from bot.store import SqlStore

ANA = somebody("ana")
SECONDS = 5.0


@pytest.fixture(autouse=True)
async def request_(store: SqlStore) -> None:
    await save(store, asked(ANA, request_id="req_1"), asked(ANA, request_id="req_2"))


def approvals(store: SqlStore) -> Approvals:
    return Approvals(store, SystemClock(), RandomIds(), None, Rules())


async def test_a_commit_here_hands_over_the_request(store: SqlStore) -> None:
    with store.watch("req_1") as watch:
        await happen(store, "req_1", response("ana"))
        request = await watch.changed(SECONDS)
    assert request
    assert request.status is Status.APPROVED


async def test_a_commit_elsewhere_is_heard_of(store: SqlStore, other: SqlStore) -> None:
    with store.watch("req_1") as watch:
        await happen(other, "req_1", response("ana"))
        async with asyncio.timeout(SECONDS):
            assert await watch.changed(SECONDS) is None


async def test_who_waits_right_after_a_commit_here_knows_it_unless_another_committed_since(
    store: SqlStore, other: SqlStore
) -> None:
    before = await happen(store, "req_1", DeliveryFailed(target="slack:U1", reason="gone"))
    with store.watch("req_1") as watch:
        assert watch.known == before
        await happen(other, "req_1", response("ana"))
        await watch.changed(SECONDS)
    with store.watch("req_1") as watch:
        assert watch.known is None
    assert (await approvals(store).wait("req_1", 60)).status is Status.APPROVED


async def test_only_the_waiters_of_that_request_are_hinted(store: SqlStore, other: SqlStore) -> None:
    for writer in (store, other):
        await writer._tail.look()  # what was committed before the test
    with store.watch("req_1") as watch, store.watch("req_2") as another:
        for writer in (store, other):
            await happen(writer, "req_1", DeliveryFailed(target=f"slack:{id(writer)}", reason="x"))
            await watch.changed(SECONDS)
        assert not another._hinted


async def test_nobody_is_kept_who_does_not_wait(store: SqlStore) -> None:
    with store.watch("req_1"), store.watch("req_1"):
        assert store.wakeups._watches
    assert not store.wakeups._watches


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_waiter_wakes_well_before_its_time(
    store: SqlStore, other: SqlStore, *, elsewhere: bool
) -> None:
    waiting = asyncio.create_task(approvals(store).wait("req_1", 60))
    await approvals(store).get("req_1")
    await happen(other if elsewhere else store, "req_1", response("ana"))
    async with asyncio.timeout(SECONDS):
        assert (await waiting).status is Status.APPROVED


async def test_a_hundred_waiters_all_wake(store: SqlStore) -> None:
    waiting = [asyncio.create_task(approvals(store).wait("req_1", 60)) for _ in range(100)]
    await asyncio.sleep(0)
    await happen(store, "req_1", response("ana"))
    async with asyncio.timeout(SECONDS):
        assert {r.status for r in await asyncio.gather(*waiting)} == {Status.APPROVED}


async def test_waiting_has_an_end(store: SqlStore) -> None:
    assert (await approvals(store).wait("req_1", 0)).status is Status.PENDING
    assert (await approvals(store).wait("req_1", 0.01)).status is Status.PENDING
    with pytest.raises(NotFound):
        await approvals(store).wait("req_none", 60)


async def test_a_drain_answers_every_waiter_with_what_is_known(store: SqlStore) -> None:
    service = approvals(store)
    waiting = asyncio.create_task(service.wait("req_1", 60))
    await service.get("req_1")
    service.drain()
    async with asyncio.timeout(SECONDS):
        assert (await waiting).status is Status.PENDING
        assert (await service.wait("req_2", 60)).status is Status.PENDING


async def test_a_commit_says_for_whom_there_may_be_work(store: SqlStore) -> None:
    heard: list[frozenset[str]] = []
    store.wakeups.on_commit(heard.append)
    await save(store, asked(somebody("ben", addresses=()), request_id="req_3"))
    await save(store, asked(ANA, request_id="req_4", timeout_at=NOW))
    await save(store, asked(ANA, request_id="req_5", lookups=("slack:U1",)))
    of_polling_and_before = {frozenset({DELIVERY, DEADLINES, LOOKUPS}), frozenset({DELIVERY})}
    assert set(heard) - of_polling_and_before == {
        frozenset({DELIVERY, DEADLINES}),
        frozenset({DELIVERY, LOOKUPS}),
    }


async def test_another_stores_commit_wakes_the_works_too(store: SqlStore, other: SqlStore) -> None:
    heard: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    store.wakeups.on_commit(heard.put_nowait)
    await save(other, asked(ANA, request_id="req_3"))
    async with asyncio.timeout(SECONDS):
        assert DELIVERY in await heard.get()


class TestHints:
    PENDING = asked(ANA)
    NEWER = replace(PENDING, version=5)
    FINAL = after(PENDING, ("ana", "approve"))

    async def test_one_that_comes_before_the_waiting_is_kept(self) -> None:
        watch = Wakeups().watch("req_1")
        watch.hint(self.PENDING)
        assert await watch.changed(0) is self.PENDING
        assert await watch.changed(0) is None

    async def test_a_commit_elsewhere_may_be_newer_so_the_store_is_asked(self) -> None:
        watch = Wakeups().watch("req_1")
        watch.hint(None)
        watch.hint(self.NEWER)
        assert await watch.changed(0) is None

    @pytest.mark.parametrize("order", [(FINAL, None), (None, FINAL), (FINAL, NEWER), (NEWER, FINAL)])
    async def test_but_nothing_is_newer_than_the_end(self, order: tuple[object, ...]) -> None:
        watch = Wakeups().watch("req_1")
        for hint in order:
            watch.hint(hint)  # type: ignore[arg-type]  # only its version is read
        assert await watch.changed(0) is self.FINAL
