"""The Assent client: ask people from a workflow, and wait for their answer."""

from __future__ import annotations

from bot.client.clients import AsyncClient, Client
from bot.client.errors import (
    ApiError,
    AssentError,
    BadEdit,
    Cancelled,
    Expired,
    Fault,
    NotApproved,
    Rejected,
    Unreachable,
    Unsendable,
    Unverified,
)
from bot.client.events import Event
from bot.client.outcome import Outcome, Request

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
    "NotApproved",
    "Outcome",
    "Rejected",
    "Request",
    "Unreachable",
    "Unsendable",
    "Unverified",
]
