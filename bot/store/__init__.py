"""The database: SQLite by default, PostgreSQL for replicas. All SQL of the product is in this folder."""

from __future__ import annotations

from bot.store.outbox import SqlOutbox
from bot.store.store import SqlStore

__all__ = ["SqlOutbox", "SqlStore"]
