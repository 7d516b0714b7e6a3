"""The outbox: which deliveries are due, who has leased them, and what became of them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)

from bot.domain.messages.notifications import Notice
from bot.ports.delivery import Delivery, Failed, Leased, Lost, Recorded, Retry, Sent, Superseded
from bot.store.database import row_codec
from bot.store.database.tables import deliveries, requests
from bot.store.queries import batch_sql as sql
from bot.store.queries.unit_of_work import adopt, standing_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.model.request import Json, Request
    from bot.ports.delivery import Reposted
    from bot.store.store import SqlStore

LEASE = timedelta(seconds=20)
"""How long a row belongs to whoever claimed it. A sending is given up before that."""


class SqlOutbox:
    """`ports.Outbox` on the store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def claim(
        self, now: datetime, limit: int, surfaces: Sequence[str], full: Sequence[str] = ()
    ) -> list[Leased]:
        """Lease what has been due longest on each surface; looks before it writes."""
        due = await self._store.run_read(
            lambda c: [s for s in surfaces if c.scalar(_due(now, s, full).limit(1))]
        )
        if not due:
            return []
        return await self._store.run_write(lambda c: claim(c, now, limit, due, full))

    async def record(self, results: Sequence[Recorded], now: datetime) -> None:
        """Write down what became of leased deliveries."""
        await self._store.run_write(lambda c: record(c, results, now))

    async def next_due(self, surfaces: Sequence[str], full: Sequence[str] = ()) -> datetime | None:
        """When the next delivery is due."""
        due = await self._store.run_read(lambda c: [c.scalar(_next(s, full)) for s in surfaces])
        return min((row_codec.instant(ms) for ms in due if ms is not None), default=None)

    async def requests(self, request_ids: Sequence[str]) -> dict[str, Request]:
        """The requests as they are now."""
        wanted = list(request_ids)
        rows = await self._store.run_read(lambda c: c.execute(_REQUESTS, {"wanted": wanted}).all())
        return {request.id: request for request in map(row_codec.load, rows)}

    async def release(self, now: datetime) -> None:
        """Give back every lease at once: right only where no other process can hold one, as on SQLite at start."""
        ms = row_codec.millis(now)
        await self._store.run_write(lambda c: c.execute(_RELEASE, {"now": ms}).rowcount)


def claim(
    connection: Connection, now: datetime, limit: int, surfaces: Sequence[str], full: Sequence[str]
) -> list[Leased]:
    """Lease the deliveries of each surface that have been due longest; replicas skip each other's rows."""
    lease = secrets.token_hex(8)
    rows: list[Row[Any]] = []
    for surface in surfaces:
        due = _due(now, surface, full).limit(limit).with_for_update(skip_locked=True)
        statement = (
            update(deliveries)
            .where(deliveries.c.id.in_(due))
            .values(lease=lease, due_at=row_codec.millis(now + LEASE), receipt=_UNSURE)
            .returning(deliveries)
        )
        rows += connection.execute(statement)
    return [
        Leased(delivery=_delivery(row), lease=lease)
        for row in sorted(rows, key=lambda r: (r.created_at, r.id))
    ]


def record(connection: Connection, results: Sequence[Recorded], now: datetime) -> None:
    """Write down what became of leased deliveries; a result whose lease has run out changes nothing.

    But a card that was posted stands there, whoever has the lease.
    """
    for item in results:
        delivery = item.leased.delivery
        known = connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.lease == item.leased.lease)
            .values(lease=None, **_values(item, now))
        ).rowcount
        if isinstance(item.result, Sent) and delivery.notice is Notice.CARD and delivery.receipt is None:
            card = (delivery.request_id, item.result.receipt, delivery.address, now, delivery.respondent)
            if known:
                _disown(connection, delivery, item.result.receipt)
            else:
                adopt(connection, standing_card(*card))


def _disown(connection: Connection, posted: Delivery, receipt: dict[str, Json]) -> None:
    """Forget the row under which a click on this card adopted it, before it was known to be posted."""
    cards = sql.CARDS.run(connection, of_request=posted.request_id).fetchall()
    twins = [
        id_ for id_, known in cards if id_ != posted.id and orjson.loads(known).items() >= receipt.items()
    ]
    if twins:
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(twins)))


def _values(item: Recorded, now: datetime) -> dict[str, Any]:
    retry_at = row_codec.millis(item.retry_at) if item.retry_at else None
    before = case((deliveries.c.state == "sent", 0), else_=deliveries.c.attempts)
    match item.result:
        case Sent(receipt, version):
            out_of_date = (deliveries.c.wanted_version > version) & (deliveries.c.notice == str(Notice.CARD))
            return {
                "state": "sent",
                "receipt": _receipt(receipt, reposted=item.leased.delivery.reposted),
                "shown_version": version,
                "attempts": before + 1,
                "error": None,
                "sent_at": row_codec.millis(now),
                "due_at": case((out_of_date, row_codec.millis(now)), else_=None),
            }
        case None:
            return {"due_at": retry_at}
        case Retry(reason=reason, counts=counts):
            attempts = before + int(counts)
            again = {"state": "retrying", "error": reason, "attempts": attempts, "due_at": retry_at}
            return again | _noted(item)
        case Lost(reason, instead):
            return {
                "state": "lost",
                "error": reason,
                "receipt": _receipt({}, reposted=instead),
                "due_at": retry_at,
            }
        case Failed(reason):
            return {"state": "failed", "error": reason, "attempts": before + 1, "due_at": None}
        case Superseded(reason):
            return {"state": "superseded", "error": reason, "due_at": None}


def _noted(item: Recorded) -> dict[str, str]:
    """What is remembered of a sending that may have arrived: that, so that the next one looks first."""
    delivery, result = item.leased.delivery, item.result
    sure = not (isinstance(result, Retry) and result.unconfirmed) and not delivery.unconfirmed
    if sure or delivery.receipt or delivery.surface != "slack":
        return {}
    return {"receipt": _receipt({"unconfirmed": True}, reposted=delivery.reposted)}


def _receipt(receipt: dict[str, Json], *, reposted: Reposted | None) -> str:
    return orjson.dumps(receipt | ({"reposted": reposted} if reposted else {})).decode()


def _delivery(row: Row[Any]) -> Delivery:
    receipt = orjson.loads(row.receipt) if row.receipt else {}
    reposted, unconfirmed = receipt.pop("reposted", None), receipt.pop("unconfirmed", False)
    return Delivery(
        id=row.id,
        request_id=row.request_id,
        surface=row.surface,
        address=row.address,
        notice=Notice(row.notice),
        respondent=row.respondent,
        receipt=receipt or None,
        attempts=0 if row.state == "sent" else row.attempts,
        created_at=row_codec.instant(row.created_at),
        content=row.content,
        reposted="once" if reposted is True else reposted,
        unconfirmed=unconfirmed,
    )


def _due(now: datetime, surface: str, full: Sequence[str]) -> Select[str]:
    """Ids of what is due on one surface, the oldest first."""
    due = select(deliveries.c.id).where(
        _on(surface, full), deliveries.c.due_at <= row_codec.millis(now), _in_turn()
    )
    return due.order_by(deliveries.c.due_at, deliveries.c.id)


def _next(surface: str, full: Sequence[str]) -> Select[int]:
    """When what waits on one surface is due, the earliest first."""
    waiting = select(deliveries.c.due_at).where(
        _on(surface, full), deliveries.c.due_at.is_not(None), _in_turn()
    )
    return waiting.order_by(deliveries.c.due_at).limit(1)


def _in_turn() -> ColumnElement[bool]:
    """Whether it follows nothing: what asks somebody goes to an address before whatever else is told of the request."""
    first = deliveries.alias("first")
    asks_before = (
        select(first.c.id)
        .where(
            first.c.request_id == deliveries.c.request_id,
            first.c.surface == deliveries.c.surface,
            first.c.address == deliveries.c.address,
            first.c.notice.in_(_ASKING),
            first.c.state.in_(["queued", "retrying"]),
            first.c.sent_at.is_(None),
            first.c.due_at.is_not(None),
            first.c.created_at <= deliveries.c.created_at,
        )
        .exists()
    )
    return or_(deliveries.c.notice.in_(_ASKING), deliveries.c.request_id.is_(None), not_(asks_before))


_ASKING = (str(Notice.ASK), str(Notice.CARD))


def _on(surface: str, full: Sequence[str]) -> ColumnElement[bool]:
    """What goes out on one surface, but for what goes to one of the hosts `full` (`https://example.com`)."""
    return and_(deliveries.c.surface == surface, *(not_(_to(host)) for host in full))


def _to(host: str) -> ColumnElement[bool]:
    """Whether an address is a URL at `host`, and not only at one whose name begins alike."""
    address, length = deliveries.c.address, len(host)
    behind = func.substr(address, length + 1, 1)
    return and_(func.substr(address, 1, length) == host, behind.in_(["", "/", "?", "#"]))


_REQUESTS = select(requests.c.spec, requests.c.state).where(
    requests.c.id.in_(bindparam("wanted", expanding=True))
)
_UNSURE = case(
    (
        and_(
            deliveries.c.lease.is_not(None),
            deliveries.c.surface == "slack",
            deliveries.c.receipt.is_(None),
        ),
        '{"unconfirmed":true}',
    ),
    (
        and_(
            deliveries.c.lease.is_not(None),
            deliveries.c.surface == "slack",
            deliveries.c.receipt.in_(['{"reposted":"once"}', '{"reposted":"last"}', '{"reposted":true}']),
        ),
        func.replace(deliveries.c.receipt, "{", '{"unconfirmed":true,'),
    ),
    else_=deliveries.c.receipt,
)
"""The receipt of a row that is taken from whoever had leased it and never said what came of it."""
_RELEASE = (
    update(deliveries)
    .where(deliveries.c.lease.is_not(None))
    .values(lease=None, due_at=bindparam("now"), receipt=_UNSURE)
)
