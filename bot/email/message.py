"""Compose a mail out of a request's state: bytes, ready for the relay. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.email.addresses import Address


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished mail for one recipient. Send `raw` as it is, and again as it is."""

    raw: bytes = field(repr=False)
    message_id: str
    sender: Address
    recipient: Address
