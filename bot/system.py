"""The real clock, and ids that nobody can guess."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class SystemClock:
    """`ports.Clock`: this machine's time."""

    def now(self) -> datetime:
        """This instant, UTC."""
        return datetime.now(UTC)


class Entropy:
    """Bytes of the operating system's generator, fetched a few thousand at a time: asking costs more than using."""

    FETCH = 4096

    def __init__(self) -> None:
        self._pool = b""

    def take(self, count: int) -> bytes:
        """The next `count` bytes; no byte is given twice."""
        if len(self._pool) < count:
            self._pool = os.urandom(self.FETCH)
        taken, self._pool = self._pool[:count], self._pool[count:]
        return taken


class RandomIds:
    """`ports.Ids`. Request ids are ULIDs: sorted by creation time, and within a millisecond by order of making."""

    def __init__(self) -> None:
        self._last = 0
        self._entropy = Entropy()

    def request(self, now: datetime) -> str:
        """`req_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
        fresh = (int(now.timestamp() * 1000) << 80) | int.from_bytes(self._entropy.take(10))
        same_moment = fresh >> 80 <= self._last >> 80
        self._last = self._last + 1 + int.from_bytes(self._entropy.take(4)) if same_moment else fresh
        return "req_" + "".join(_CROCKFORD[(self._last >> shift) & 31] for shift in range(125, -1, -5))

    def respondent(self) -> str:
        """`rsp_` and 13 characters of base32: 64 random bits."""
        return "rsp_" + base64.b32encode(self._entropy.take(8)).decode().rstrip("=").lower()
