"""The time, and new identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """The time, UTC."""

    def now(self) -> datetime:
        """This instant."""


class Ids(Protocol):
    """New identifiers."""

    def request(self, now: datetime) -> str:
        """`req_…`, sortable by creation time."""

    def respondent(self) -> str:
        """`rsp_…`, 64 random bits."""
