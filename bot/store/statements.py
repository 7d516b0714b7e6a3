"""What a batch of units asks and writes: one statement each, for any number of rows."""

from __future__ import annotations

from sqlalchemy import bindparam, case, func, select, update

from bot.domain.telling import Notice
from bot.store.prepared import Lock, ManyRows, Prepared, changed, inserted
from bot.store.tables import chain, deliveries, events, idempotency, requests, terms

CHANNEL = "assent"
"""Where PostgreSQL tells the other replicas of commits."""

LOCK = Lock()
DUE = Prepared(
    select(requests.c.id)
    .where(requests.c.due_at <= bindparam("now"))
    .order_by(requests.c.due_at)
    .limit(bindparam("most"))
)
OPEN = inserted(requests)
CHANGE = changed(requests, "status", "version", "due_at", "unresolved", "state")
REVISE = changed(requests, "title", "spec")
CLOSE_TERMS = ManyRows(
    [terms.c.request_id, terms.c.open],
    lambda _, row: update(terms).where(terms.c.request_id == row["request_id"]).values(open=row["open"]),
)
INSERT_TERMS = inserted(terms, unless_there=True)
REDRAW = ManyRows(
    [deliveries.c.request_id, deliveries.c.wanted_version, deliveries.c.due_at],
    lambda _, row: (
        update(deliveries)
        .where(
            deliveries.c.request_id == row["request_id"],
            deliveries.c.notice == str(Notice.CARD),
            deliveries.c.state != "failed",
        )
        .values(
            wanted_version=row["wanted_version"],
            due_at=case((deliveries.c.lease.is_(None), row["due_at"]), else_=deliveries.c.due_at),
        )
    ),
)
DELIVER = inserted(deliveries)
REMEMBER = inserted(idempotency)
APPEND = inserted(events)
CARDS = Prepared(
    select(deliveries.c.receipt).where(
        deliveries.c.request_id == bindparam("of_request"),
        deliveries.c.notice == str(Notice.CARD),
        deliveries.c.receipt.is_not(None),
    )
)
LAST_EVENT = Prepared(select(chain.c.seq, chain.c.hash).where(chain.c.id == 1).with_for_update())
MOVE_ON = Prepared(
    update(chain).where(chain.c.id == 1).values(seq=bindparam("last_seq"), hash=bindparam("last_hash"))
)
NOTIFY = Prepared(select(func.pg_notify(CHANNEL, bindparam("message"))))
IDEMPOTENT = Prepared(
    select(idempotency.c.digest, idempotency.c.request_id).where(idempotency.c.key == bindparam("wanted"))
)
