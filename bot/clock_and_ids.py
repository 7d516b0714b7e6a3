"""The real clock, and ids that nobody can guess."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime

_CROCKFORD = [a + b for a, b in itertools.product("0123456789abcdefghjkmnpqrstvwxyz", repeat=2)]
_BASE32 = [a + b for a, b in itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]
"""Every pair of letters: ten bits."""


class SystemClock:
    """`ports.Clock`: this machine's time."""

    def now(self) -> datetime:
        """This instant, UTC."""
        return datetime.now(UTC)


class Entropy:
    """Bytes of the operating system's generator, fetched a few thousand at a time: asking costs more than using."""

    FETCH = 4096

    def __init__(self) -> None:
        self._pool, self._taken = b"", 0

    def take(self, count: int) -> int:
        """A number of the next `count` bytes; no byte is given twice."""
        if self._taken + count > len(self._pool):
            self._pool, self._taken = os.urandom(self.FETCH), 0
        begin, self._taken = self._taken, self._taken + count
        return int.from_bytes(self._pool[begin : self._taken])


class RandomIds:
    """`ports.Ids`. Request ids are ULIDs: sorted by creation time, and within a millisecond by order of making."""

    def __init__(self) -> None:
        self._last = 0
        self._entropy = Entropy()

    def request(self, now: datetime) -> str:
        """`req_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
        fresh = (int(now.timestamp() * 1000) << 80) | self._entropy.take(10)
        same_moment = fresh >> 80 <= self._last >> 80
        self._last = self._last + 1 + self._entropy.take(4) if same_moment else fresh
        return "req_" + _letters(self._last, _CROCKFORD, 26)

    def respondent(self) -> str:
        """`rsp_` and 13 characters of base32: 64 random bits."""
        return "rsp_" + _letters(self._entropy.take(8), _BASE32, 13)


def _letters(number: int, pairs: list[str], count: int) -> str:
    """The last `count` letters of a number, two at a time."""
    even = count + count % 2
    text = "".join([pairs[number >> shift & 1023] for shift in range(5 * even - 10, -1, -10)])
    return text[even - count :]
