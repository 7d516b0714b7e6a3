"""What came with one key is found by index: requests, their events, and the calls of HumanLayer's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot.store.queries import snapshot
from tests.support.product import running

if TYPE_CHECKING:
    import pytest

    from bot.ports.store import Reader

MAIL = {"email": {"address": "ana@example.com"}}


async def test_the_events_of_a_key_are_read_window_by_window(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "SCAN", 4)
    async with running(database_url) as product:
        agent = await product.new_key("submit")
        first = await product.submit_with(agent)
        for _ in range(10):
            await product.submit()
        last = await product.submit_with(agent)
        store = product.assent.store
        key_id = (await store.run_read(lambda c: c.scalar(sa.text("SELECT id FROM api_keys")))) or ""

        def window(tx: Reader, seq: int) -> tuple[list[str], int]:
            events, until = tx.events_of_key(seq, key_id, 2)
            return [event.request_id for event in events], until

        read = [await store.read(lambda tx, s=seq: window(tx, s)) for seq in (0, 4, 8, 11, 12, 99)]
        assert read == [
            ([first["id"]], 4),
            ([], 8),
            ([last["id"]], 12),
            ([last["id"]], 12),
            ([], 12),
            ([], 99),
        ]


async def test_calls_are_found_by_whichever_key_used_their_id(database_url: str) -> None:
    async with running(database_url) as product:
        path = "/humanlayer/v1/function_calls"
        for key in (await product.new_key("submit"), dict(product.http.headers)):
            call = {"run_id": "r", "call_id": "c1", "spec": {"fn": "f", "kwargs": {}, "channel": MAIL}}
            assert (await product.call("POST", path, json=call, headers=key)).status == 201
        every = (await product.call("GET", "/v1/requests")).json["items"]
        store = product.assent.store
        found = await store.read(lambda tx: tx.called("humanlayer:function_calls:c1"))
        assert sorted(found) == sorted(r["id"] for r in every)
        for other in ("humanlayer:function_calls:c", "humanlayer:contact_requests:c1", "c1"):
            assert await store.read(lambda tx, call=other: tx.called(call)) == ()
