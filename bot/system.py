"""The real clock, and ids that nobody can guess."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class SystemClock:
    """`ports.Clock`: this machine's time."""

    def now(self) -> datetime:
        """This instant, UTC."""
        return datetime.now(UTC)


class RandomIds:
    """`ports.Ids`. Request ids are ULIDs: sorted by creation time, and within a millisecond by order of making."""

    def __init__(self) -> None:
        self._last = 0

    def request(self, now: datetime) -> str:
        """`req_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
        fresh = (int(now.timestamp() * 1000) << 80) | secrets.randbits(80)
        same_moment = fresh >> 80 <= self._last >> 80
        self._last = self._last + 1 + secrets.randbits(32) if same_moment else fresh
        return "req_" + "".join(_CROCKFORD[(self._last >> shift) & 31] for shift in range(125, -1, -5))

    def respondent(self) -> str:
        """`rsp_` and 13 characters of base32: 64 random bits."""
        return "rsp_" + base64.b32encode(secrets.token_bytes(8)).decode().rstrip("=").lower()
