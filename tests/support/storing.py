"""Short ways to put requests into a store and to change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.lifecycle import lifecycle
from tests.support.asking import NOW

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.events import Event
    from bot.domain.model.request import Request
    from bot.ports.store import Transaction
    from bot.store import SqlStore


async def save(store: SqlStore, *requests: Request, now: datetime = NOW) -> None:
    """Open these requests, all in one unit."""

    def work(tx: Transaction) -> None:
        for request in requests:
            tx.save(lifecycle.open_request(request, None, now), now)

    await store.write(work)


async def happen(store: SqlStore, request_id: str, event: Event, now: datetime = NOW) -> Request:
    """Let one event happen to a stored request, as the use cases do."""

    def work(tx: Transaction) -> Request:
        request = tx.request(request_id)
        assert request
        change = lifecycle.apply(request, event, now)
        if change.facts:
            tx.save(change, now)
        return change.request

    return await store.write(work, ids=(request_id,))


async def stored(store: SqlStore, request_id: str) -> Request:
    """The request as it is stored now."""
    request = await store.read(lambda tx: tx.request(request_id))
    assert request
    return request
