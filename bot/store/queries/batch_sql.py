"""What a batch of units asks and writes: one statement each, for any number of rows."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, case, func, select, update

from bot.domain.messages.notifications import Notice
from bot.store.database.prepared_statements import Lock, ManyRows, Prepared, changed, inserted
from bot.store.database.tables import chain, deliveries, events, idempotency, requests, terms

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
IS_CARD = deliveries.c.notice == str(Notice.CARD)
STANDS = deliveries.c.receipt.contains('"ts"')
"""The card was posted. One that was not shows the newest state when its own time comes, or never."""
REDRAW = ManyRows(
    [deliveries.c.request_id, deliveries.c.wanted_version, deliveries.c.due_at],
    lambda _, row: (
        update(deliveries)
        .where(deliveries.c.request_id == row["request_id"], IS_CARD)
        .values(
            wanted_version=row["wanted_version"],
            due_at=case(
                (and_(STANDS, deliveries.c.lease.is_(None)), row["due_at"]), else_=deliveries.c.due_at
            ),
        )
    ),
)
_ANEW = {"state": "queued", "attempts": 0, "error": None}
POST_ANEW = ManyRows(
    [deliveries.c.request_id, deliveries.c.address, deliveries.c.due_at],
    lambda _, row: (
        update(deliveries)
        .where(
            deliveries.c.request_id == row["request_id"],
            deliveries.c.address == row["address"],
            deliveries.c.state == "failed",
            IS_CARD,
        )
        .values(due_at=row["due_at"], **_ANEW)
    ),
)
"""Cards that were given up are tried once more where their people are reminded."""
DELIVER = inserted(deliveries)
REMEMBER = inserted(idempotency)
APPEND = inserted(events)
CARDS = Prepared(
    select(deliveries.c.id, deliveries.c.receipt).where(
        deliveries.c.request_id == bindparam("of_request"), IS_CARD, STANDS
    )
)
REDRAW_FAILED = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("of_card"), deliveries.c.state == "failed")
    .values(due_at=bindparam("now"), **_ANEW)
)
"""One that could not be changed."""
LAST_EVENT = Prepared(
    select(chain.c.seq, chain.c.hash, chain.c.seal).where(chain.c.id == 1).with_for_update()
)
MOVE_ON = Prepared(
    update(chain).where(chain.c.id == 1).values(seq=bindparam("last_seq"), hash=bindparam("last_hash"))
)
MOVE_ON_SEALED = Prepared(
    update(chain)
    .where(chain.c.id == 1)
    .values(seq=bindparam("last_seq"), hash=bindparam("last_hash"), seal=bindparam("sealed"))
)
HASH_AT = Prepared(select(events.c.hash).where(events.c.seq == bindparam("at")))
NOTIFY = Prepared(select(func.pg_notify(CHANNEL, bindparam("message"))))
IDEMPOTENT = Prepared(
    select(idempotency.c.digest, idempotency.c.request_id).where(idempotency.c.key == bindparam("wanted"))
)
