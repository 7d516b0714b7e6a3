"""The outbox: which deliveries are due, who has leased them, and what became of them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, case, func, select, update

from bot.domain.lifecycle import Notice
from bot.domain.request import Json
from bot.ports import Delivery, Failed, Lost, Result, Retry, Sent
from bot.store import codec
from bot.store.tables import deliveries

LEASE = timedelta(seconds=20)
"""How long a row belongs to whoever claimed it. A sending is given up before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A claimed delivery and the token under which its result is recorded."""

    delivery: Delivery
    lease: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A sending's result, and when to try again (None: not at all)."""

    leased: Leased
    result: Result
    retry_at: datetime | None


def claim(connection: Connection, now: datetime, limit: int, surfaces: tuple[str, ...]) -> list[Leased]:
    """Lease the deliveries of `surfaces` that have been due longest; replicas skip each other's rows."""
    lease = secrets.token_hex(8)
    due = (
        select(deliveries.c.id)
        .where(deliveries.c.due_at <= codec.millis(now), deliveries.c.surface.in_(surfaces))
        .order_by(deliveries.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(deliveries)
        .where(deliveries.c.id.in_(due))
        .values(lease=lease, due_at=codec.millis(now + LEASE))
        .returning(deliveries)
    )
    rows = connection.execute(statement).all()
    return [Leased(delivery=_delivery(row), lease=lease) for row in sorted(rows, key=lambda r: (r.created_at, r.id))]


def record(connection: Connection, results: list[Recorded], now: datetime) -> None:
    """Write down what became of leased deliveries; a result whose lease has run out changes nothing."""
    for item in results:
        values = _values(item, now)
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == item.leased.delivery.id, deliveries.c.lease == item.leased.lease)
            .values(lease=None, **values)
        )


def _values(item: Recorded, now: datetime) -> dict[str, Any]:
    match item.result:
        case Sent(receipt, version):
            out_of_date = (deliveries.c.wanted_version > version) & (deliveries.c.notice == str(Notice.CARD))
            return {
                "state": "sent",
                "receipt": _receipt(receipt, reposted=item.leased.delivery.reposted),
                "shown_version": version,
                "attempts": 0,
                "error": None,
                "sent_at": codec.millis(now),
                "due_at": case((out_of_date, codec.millis(now)), else_=None),
            }
        case Retry(reason=reason, counts=counts):
            return {
                "state": "retrying",
                "error": reason,
                "attempts": deliveries.c.attempts + int(counts),
                "due_at": codec.millis(item.retry_at) if item.retry_at else None,
            }
        case Lost(reason):
            return {
                "state": "lost",
                "error": reason,
                "receipt": _receipt({}, reposted=True),
                "due_at": codec.millis(item.retry_at) if item.retry_at else None,
            }
        case Failed(reason):
            return {"state": "failed", "error": reason, "due_at": None}


def _receipt(receipt: dict[str, Json], *, reposted: bool) -> str:
    return orjson.dumps(receipt | ({"reposted": True} if reposted else {})).decode()


def next_due(connection: Connection) -> datetime | None:
    """When the next delivery is due, leases that run out included."""
    ms = connection.scalar(_NEXT)
    return codec.instant(ms) if ms is not None else None


def backlog(connection: Connection) -> int:
    """How many deliveries wait."""
    return int(connection.scalar(_BACKLOG) or 0)


def release(connection: Connection, now: datetime) -> None:
    """Give back every lease at once. Only where no other process can hold one: a process of SQLite that starts."""
    connection.execute(update(deliveries).where(deliveries.c.lease.is_not(None)).values(lease=None, due_at=codec.millis(now)))


def others_pending(connection: Connection, delivery: Delivery) -> bool:
    """Whether another first message to the same respondent was sent or may still be."""
    return bool(connection.scalar(_OTHERS, {"req": delivery.request_id, "who": delivery.respondent, "me": delivery.id}))


def _delivery(row: Row[Any]) -> Delivery:
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


_NEXT = select(deliveries.c.due_at).where(deliveries.c.due_at.is_not(None)).order_by(deliveries.c.due_at).limit(1)
_BACKLOG = select(func.count()).select_from(deliveries).where(deliveries.c.due_at.is_not(None))
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
