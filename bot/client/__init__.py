"""The Assent client: ask people from a workflow, and wait for their answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.client.client import AsyncClient, Client
from bot.client.decorator import require_approval
from bot.client.errors import (
    ApiError,
    AssentError,
    BadEdit,
    Cancelled,
    Expired,
    Fault,
    NotApproved,
    Rejected,
    Unanswered,
    Unreachable,
    Unsendable,
    Unverified,
)
from bot.client.models import Outcome, Request, Response
from bot.client.transport.events import Event

if TYPE_CHECKING:
    from bot.client.handler import Handler

__all__ = [
    "ApiError",
    "AssentError",
    "AsyncClient",
    "BadEdit",
    "Cancelled",
    "Client",
    "Event",
    "Expired",
    "Fault",
    "Handler",
    "NotApproved",
    "Outcome",
    "Rejected",
    "Request",
    "Response",
    "Unanswered",
    "Unreachable",
    "Unsendable",
    "Unverified",
    "require_approval",
]


def __getattr__(name: str) -> Any:
    """Load what few programs need, and what takes longer to import than all the rest, when it is first asked for."""
    if name != "Handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bot.client.handler import Handler  # noqa: PLC0415 - see above

    return Handler
