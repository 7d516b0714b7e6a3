"""Search terms are made anew: by every spelling of an address, and by the channels and user groups that are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from bot.store.database import row_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BATCH = 500
"""Requests looked at in one statement."""

REQUESTS = sa.table("requests", sa.column("id"), sa.column("status"), sa.column("spec"), sa.column("state"))
TERMS = sa.table("terms", sa.column("request_id"), sa.column("term"), sa.column("open", sa.Boolean))


def upgrade() -> None:
    """Give every request the terms that it is found by now, and no others."""
    for rows in _batches():
        ids = [row.id for row in rows]
        found = op.get_bind().execute(
            sa.select(TERMS.c.request_id, TERMS.c.term).where(TERMS.c.request_id.in_(ids))
        )
        known = {(row.request_id, row.term) for row in found}
        pending = {row.id: row.status == "pending" for row in rows}
        wanted = {
            (row.id, term) for row in rows for term in row_codec.terms(row_codec.load((row.spec, row.state)))
        }
        for request_id, term in known - wanted:
            op.execute(sa.delete(TERMS).where(TERMS.c.request_id == request_id, TERMS.c.term == term))
        new = [
            {"request_id": id_, "term": term, "open": pending[id_]} for id_, term in sorted(wanted - known)
        ]
        if new:
            op.bulk_insert(TERMS, new)


def _batches() -> Iterator[list[sa.Row[tuple[str, str, str, str]]]]:
    last = ""
    while rows := list(
        op.get_bind().execute(
            sa.select(REQUESTS).where(REQUESTS.c.id > last).order_by(REQUESTS.c.id).limit(BATCH)
        )
    ):
        yield rows
        last = rows[-1].id
