"""What goes wrong at Slack: errors, rate limits, lost connections, delays, clicks that arrive twice."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Drop = Literal["before", "after"]


@dataclass
class Fault:
    """One planned failure. Without anything set but `delay`, the call succeeds late."""

    method: str
    status: int = 200
    error: str | None = None
    retry_after: int | None = None
    drop: Drop | None = None
    delay: float = 0.0
    times: int | None = 1
    where: Callable[[dict[str, Any]], bool] | None = None


class Faults:
    """Planned failures, taken in the order they were planned; `*` stands for every method.

    >>> slack.faults.next("chat.postMessage", status=429, retry_after=1)
    >>> slack.faults.next("chat.update", drop="after")  # done, but the app never hears of it
    >>> slack.faults.next("*", error="token_revoked", times=None)  # from now on
    """

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self.deliveries = 1
        """How many times the next interaction or event reaches the app."""
        self.delivery_delay = 0.0
        """Seconds that interactions and events are under way."""

    def next(
        self,
        method: str,
        *,
        status: int = 200,
        error: str | None = None,
        retry_after: int | None = None,
        drop: Drop | None = None,
        delay: float = 0.0,
        times: int | None = 1,
        where: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Fault:
        """Let calls of `method` (those for which `where(arguments)` holds) fail; `times=None` is for ever.

        `drop="before"` closes the connection with nothing done, `"after"` does it and then closes it.
        """
        fault = Fault(method, status, error, retry_after, drop, delay, times, where)
        self._planned.append(fault)
        return fault

    def twice(self) -> None:
        """The next click, submission, command or event reaches the app twice at once."""
        self.deliveries = 2

    def clear(self) -> None:
        self._planned.clear()
        self.deliveries = 1
        self.delivery_delay = 0.0

    def take(self, method: str, arguments: dict[str, Any]) -> Fault | None:
        for fault in self._planned:
            if fault.method in (method, "*") and (fault.where is None or fault.where(arguments)):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._planned.remove(fault)
                return fault
        return None

    def take_deliveries(self) -> int:
        count, self.deliveries = self.deliveries, 1
        return count


class RateLimits:
    """Slack's limits over sliding windows: https://docs.slack.dev/apis/web-api/rate-limits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[str, deque[float]] = defaultdict(deque)

    def wait(self, key: str, *, most: int, seconds: int) -> int:
        """Count a use of `key`; seconds to wait before the next one when the window is full, else 0."""
        now, used = self._clock(), self._used[key]
        while used and used[0] <= now - seconds:
            used.popleft()
        if len(used) >= most:
            return max(1, round(used[0] + seconds - now))
        used.append(now)
        return 0
