"""How often one caller may do something: buckets that fill again at a steady rate."""

from __future__ import annotations

import math
import time

from bot.domain.errors import RateLimited

MAX_CALLERS = 10_000
"""Callers whose buckets are remembered; of one more, the full ones are forgotten."""


class Buckets:
    """A bucket of `burst` tokens for each caller, filled with `rate` a second.

    What is kept of a bucket is when it will be full again (the generic cell rate algorithm).
    """

    def __init__(self, rate: float, burst: int, told: str) -> None:
        self._each, self._burst, self._told = 1 / rate, burst, told
        self._full_at: dict[str, float] = {}

    def take(self, caller: str) -> None:
        """Take a token; raises `RateLimited` where there is none."""
        now = time.monotonic()
        full_at = max(now, self._full_at.get(caller, now)) + self._each
        late = full_at - now - self._burst * self._each
        if late > _ROUNDING:
            raise RateLimited(self._told, max(1, math.ceil(late)))
        if len(self._full_at) >= MAX_CALLERS:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        if len(self._full_at) < MAX_CALLERS or caller in self._full_at:
            self._full_at[caller] = full_at


_ROUNDING = 1e-6


def submissions() -> Buckets:
    """What one key may submit: 200 requests a second, 2,000 at once."""
    return Buckets(200, 2000, "One key may submit 200 requests a second, 2,000 at once; submit fewer.")
