"""Keeps the loops running: each works, then sleeps until something is due or a commit hints that there may be.

A loop that fails is logged and goes on after a pause; `faults` says so to `/readyz` while it lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from bot.ports.system import Clock

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
"""The longest sleep: what another replica queued is found at the latest then."""

DRAIN_SECONDS = 2.0
"""How long a stop waits for the work in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to keep doing: `run_once` says how much it did, `next_due` when there will be more."""

    name: str
    run_once: Callable[[], Awaitable[int]]
    next_due: Callable[[], Awaitable[datetime | None]]


class Supervisor:
    """Runs works until stopped."""

    def __init__(self, works: list[Work], clock: Clock) -> None:
        self._works = works
        self._clock = clock
        self._hints = {work.name: asyncio.Event() for work in works}
        self._faults: dict[str, str] = {}
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def hint(self, names: Iterable[str]) -> None:
        """There may be something to do for these works."""
        for name in names:
            self._hints[name].set()

    async def start(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._loop(work), name=f"assent-{work.name}") for work in self._works
        ]

    async def stop(self) -> None:
        """Finish the work in hand, then end."""
        self._stopping.set()
        self.hint(self._hints)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()

    async def check(self) -> str | None:
        """What does not work just now, in words."""
        return "; ".join(f"{name}: {fault}" for name, fault in self._faults.items()) or None

    async def _loop(self, work: Work) -> None:
        hint = self._hints[work.name]
        while not self._stopping.is_set():
            hint.clear()
            try:
                pause = 0.0 if await work.run_once() else await self._pause(work)
                self._faults.pop(work.name, None)
            except Exception as error:
                self._faults[work.name] = type(error).__name__
                log.exception("a loop failed and goes on", action="loop.error", loop=work.name)
                pause = 1.0
            if pause:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await hint.wait()

    async def _pause(self, work: Work) -> float:
        due = await work.next_due()
        if due is None:
            return POLL_SECONDS
        return min(max((due - self._clock.now()).total_seconds(), 0.01), POLL_SECONDS)
