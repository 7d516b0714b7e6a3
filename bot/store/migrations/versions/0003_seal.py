"""The seal of the audit chain's head, and scratch rows that tell whether anything can be written.

A chain of before has no seal until a server with the secret keys has started on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("chain", sa.Column("seal", sa.Text))
    op.create_table(
        "probes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("filler", sa.Text, nullable=False),
    )
