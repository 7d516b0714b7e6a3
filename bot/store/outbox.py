"""The outbox: which deliveries are due, who has leased them, and what became of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, case, select, update

from bot.domain.lifecycle import Notice
from bot.domain.request import Json, Request
from bot.ports import Delivery, Failed, Leased, Lost, Recorded, Retry, Sent, Superseded
from bot.store import codec
from bot.store.store import SqlStore
from bot.store.tables import deliveries, requests

LEASE = timedelta(seconds=20)
"""How long a row belongs to whoever claimed it. A sending is given up before that."""


class SqlOutbox:
    """`ports.Outbox` on the store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def claim(self, now: datetime, limit: int, surfaces: Sequence[str]) -> list[Leased]:
        """Lease what has been due longest; looks before it writes."""
        ms = codec.millis(now)
        if not await self._store.run_read(lambda c: c.scalar(_DUE, {"now": ms, "surfaces": list(surfaces)})):
            return []
        return await self._store.run_write(lambda c: claim(c, now, limit, surfaces))

    async def record(self, results: Sequence[Recorded], now: datetime) -> None:
        """Write down what became of leased deliveries."""
        await self._store.run_write(lambda c: record(c, results, now))

    async def _delivery(row: Row[Any]) -> Delivery:
    receipt = orjson.loads(row.receipt) if row.receipt else {}
    reposted = receipt.pop("reposted", False)
    return Delivery(
        id=row.id,
        request_id=row.request_id,
        surface=row.surface,
        address=row.address,
        notice=Notice(row.notice),
        respondent=row.respondent,
        receipt=receipt or None,
        attempts=row.attempts,
        created_at=codec.instant(row.created_at),
        content=row.content,
        reposted=reposted,
    )


_SURFACES = deliveries.c.surface.in_(bindparam("surfaces", expanding=True))
_DUE = select(deliveries.c.id).where(deliveries.c.due_at <= bindparam("now"), _SURFACES).limit(1)
_NEXT = (
    select(deliveries.c.due_at)
    .where(deliveries.c.due_at.is_not(None), _SURFACES)
    .order_by(deliveries.c.due_at)
    .limit(1)
)
_OTHERS = (
    select(deliveries.c.id)
    .where(
        deliveries.c.request_id == bindparam("req"),
        deliveries.c.respondent == bindparam("who"),
        deliveries.c.id != bindparam("me"),
        deliveries.c.notice.in_([str(Notice.CARD), str(Notice.ASK)]),
        deliveries.c.state != "failed",
    )
    .limit(1)
)
_REQUESTS = select(requests.c.spec, requests.c.state).where(requests.c.id.in_(bindparam("wanted", expanding=True)))
_RELEASE = (
    update(deliveries).where(deliveries.c.lease.is_not(None)).values(lease=None, due_at=bindparam("now"))
)
