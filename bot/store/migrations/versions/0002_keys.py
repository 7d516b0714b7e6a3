"""Requests are found by the API key that they came with, and calls of HumanLayer's client belong to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CALLS = ("humanlayer:function_calls:", "humanlayer:contact_requests:")


def upgrade() -> None:
    """Write the search term `key:ID` of every request that came with a key, and the key's id behind each call's."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    member = "json_extract(spec, '$.submitted_by')" if sqlite else "(spec::json ->> 'submitted_by')"
    op.execute(
        sa.text(
            "INSERT INTO terms (request_id, term, open) "  # noqa: S608 - `member` is one of the two above
            f"SELECT id, 'key:' || {member}, status = 'pending' FROM requests WHERE {member} IS NOT NULL"
        )
    )
    for call in CALLS:
        op.execute(
            sa.text(
                "UPDATE idempotency SET key = key || '/' || "  # noqa: S608 - likewise
                f"(SELECT {member} FROM requests WHERE requests.id = idempotency.request_id) "
                "WHERE substr(key, 1, :length) = :call AND EXISTS (SELECT 1 FROM requests WHERE "
                f"requests.id = idempotency.request_id AND {member} IS NOT NULL)"
            ).bindparams(length=len(call), call=call)
        )
