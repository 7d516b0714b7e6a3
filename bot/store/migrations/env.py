"""Run by Alembic, on the connection that `upgrade` opened and locked."""

from __future__ import annotations

from alembic import context

from bot.store.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
context.run_migrations()
