"""The sample workflow: it asks over the HTTP API, waits, and says what it learns the moment it learns it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import TYPE_CHECKING

from bot.client import AssentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.client import AsyncClient, Outcome
    from bot.demo.team import Sample

PLACES = {
    "slack": "in Slack",
    "email": "by the mailed link",
    "api": "over the API",
    "cli": "on the command line",
}
"""Surface → where an answer was given, in words."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell; `status` is that of the request it is about, or `failed`."""

    status: str
    text: str


class Workflow:
    """Runs one sample after the other, and the first again after the last; `tell` gets the news."""

    def __init__(self, client: AsyncClient, samples: Sequence[Sample], tell: Callable[[News], None]) -> None:
        self._client = client
        self._samples = cycle(samples)
        self._tell = tell
        self._runs: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()

    def start(self) -> None:
        """Begin the next run; it goes on while others wait."""
        run = asyncio.create_task(self._run(next(self._samples)))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def stop(self) -> None:
        """End all runs."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    async def _run(self, sample: Sample) -> None:
        """Ask, wait however long it takes, and do it or not."""
        try:
            async with self._asking:  # in the order of the samples
                request = await self._client.submit(**sample.fields)
                self._tell(News("pending", f"Asked {sample.asked}: {request.title}"))
            outcome = await self._client.wait(request.id)
            self._tell(News(outcome.status, _learned(outcome, sample.step)))
        except AssentError as error:
            self._tell(News("failed", str(error)))


def _learned(outcome: Outcome, step: str) -> str:
    place = PLACES.get(outcome.request["outcome"]["surface"])
    by = f" by {outcome.by} {place}" if place else ""
    reason = f" (“{outcome.reason}”)" if outcome.reason else ""
    consequence = f"Running the step: {step}" if outcome else "Not doing it"
    stop = "" if outcome.request.title.endswith(("?", "!", ".")) else "."
    late = (datetime.now(UTC) - outcome.at).total_seconds() * 1000
    return (
        f"{outcome.status.capitalize()}{by}{reason}: {outcome.request.title}{stop} "
        f"{consequence}, {late:.0f} ms after the decision."
    )
