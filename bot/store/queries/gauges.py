"""How much waits, counted by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bot.domain.model.request import Status
from bot.store.database.tables import deliveries, requests

if TYPE_CHECKING:
    from sqlalchemy import Connection


def load(connection: Connection) -> tuple[int, int]:
    """How many requests are pending, and how many deliveries wait to be sent, now or later."""
    return connection.scalar(_PENDING) or 0, connection.scalar(_QUEUED) or 0


_PENDING = select(func.count()).select_from(requests).where(requests.c.status == str(Status.PENDING))
_QUEUED = select(func.count()).select_from(deliveries).where(deliveries.c.due_at.is_not(None))
