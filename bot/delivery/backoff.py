"""When to try again, and what to leave alone meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60.0
HOUR = 60 * MINUTE

DELAYS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "slack": (1, 3, 10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR),
        "slack-answer": (0.5, 1, 2, 5, 10, 30, MINUTE),
        "email": (5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR),
        "callback": (1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 8 * HOUR),
    }
)
"""Seconds after the first, second, … failed attempt; the last one repeats. Three callbacks fall in the first 40 s."""

GIVE_UP: Mapping[str, timedelta] = MappingProxyType(
    {
        "slack": timedelta(days=5),
        "slack-answer": timedelta(minutes=15),
        "email": timedelta(days=5),
        "callback": timedelta(days=1),
    }
)
"""How long a delivery is tried, counted in the delays between its failed attempts; while its target is down none fails.
Five days is what mail relays do (RFC 5321 §4.5.4.1); a click that nobody could check for a quarter of an hour is better
given again.
"""

JITTER = 0.2
"""A delay is lengthened by up to this part of it, so that retries do not come in step."""

BREAKER = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds a whole target that is down is left alone, after the first, second, … failure in a row."""


def delay(surface: str, attempts: int) -> float:
    """Seconds until the next try after `attempts` failed ones (1 or more)."""
    delays = DELAYS[surface]
    base = delays[min(attempts, len(delays)) - 1]
    return base * (1 + JITTER * random.random())  # noqa: S311 - spreads retries, guards nothing


def exhausted(surface: str, attempts: int) -> bool:
    """Whether the delays after so many failed attempts come to more than `GIVE_UP`."""
    delays = DELAYS[surface]
    tried = sum(delays[:attempts]) + delays[-1] * max(attempts - len(delays), 0)
    return timedelta(seconds=tried) > GIVE_UP[surface]


@dataclass(slots=True)
class Breakers:
    """Targets (`slack`, `email`, or one address) that are down or throttle, each for a span of time."""

    _open: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def trip(self, target: str, now: datetime, after: float | None) -> datetime:
        """Leave `target` alone: `after` seconds where it said so, else a little longer each time.

        Sendings that were under way together meet the same failure, which counts once.
        """
        until = self.open_until(target, now)
        if after is None:
            if until:
                return until
            failures = self._failures.get(target, 0)
            self._failures[target] = failures + 1
            after = BREAKER[min(failures, len(BREAKER) - 1)]
        until = max(now + timedelta(seconds=after), until or now)
        self._open[target] = (now, until)
        return until

    def reset(self, target: str) -> None:
        """`target` works again."""
        self._failures.pop(target, None)
        self._open.pop(target, None)

    def failed(self, target: str) -> bool:
        """Whether `target` was down when it was last tried."""
        return target in self._failures

    def open_until(self, target: str, now: datetime) -> datetime | None:
        """Until when `target` is to be left alone, if it is. A clock that was set back ends it."""
        since, until = self._open.get(target, (now, now))
        if since <= now < until:
            return until
        self._open.pop(target, None)
        return None
