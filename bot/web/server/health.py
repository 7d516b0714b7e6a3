"""Whether the process lives, and whether what it needs works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from bot.schemas.answers import described
from bot.web.calls.json_body import respond
from bot.web.calls.operation import operation

if TYPE_CHECKING:
    from aiohttp import web

Check = Callable[[], Awaitable[str | None]]
"""Finds out whether one part works: None, or what is wrong in words."""


@described
class Health(TypedDict):
    """The process answers."""

    status: Literal["ok"]


@described
class Readiness(TypedDict):
    """Whether each part works: `ok`, or what is wrong in words."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class HealthCalls:
    """Runs `checks`, and `notes` that leave it ready whatever they find."""

    checks: Mapping[str, Check]
    notes: Mapping[str, Check]

    @operation(
        method="GET",
        path="/healthz",
        id="healthz",
        tag="server",
        summary="Is the process alive?",
        key=False,
        answers={200: ("It is.", Health)},
    )
    async def alive(self, _http: web.Request) -> web.Response:
        """It answers, so it is."""
        return respond(Health(status="ok"))

    @operation(
        method="GET",
        path="/readyz",
        id="readyz",
        tag="server",
        summary="Do the database, the deliveries and Slack work?",
        key=False,
        answers={
            200: (
                "It works here; `delivery` names what cannot be reached just now, and is sent to later.",
                Readiness,
            ),
            503: ("Something does not.", Readiness),
        },
    )
    async def ready(self, _http: web.Request) -> web.Response:
        """Each part, `ok` or what is wrong."""
        faults = {name: await check() for name, check in self.checks.items()}
        noted = {name: await note() for name, note in self.notes.items()}
        good = not any(faults.values())
        return respond(
            Readiness(
                status="ready" if good else "unavailable",
                checks={name: faults.get(name) or noted.get(name) or "ok" for name in faults | noted},
            ),
            status=200 if good else 503,
        )
