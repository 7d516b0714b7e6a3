"""What a run knows, carried from row to row of the queue, and how it can end."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from bot.client import Outcome, Request
from bot.client.binding import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any
RUN, GATE = "assent.run", "assent.gate"
"""Labels of the requests that runs ask."""

Status = Literal["running", "paused", "completed", "rejected", "failed"]


class WrongRequest(Exception):
    """A gate was given the outcome of something else than this run asked there."""


class Waiting(TypedDict):
    """The gate at which a run stands."""

    key: str
    request: str
    on_reject: str


@dataclass(kw_only=True)
class State:
    """All that a run knows; each row of the queue holds it as the row's input."""

    run_id: str
    workflow: str
    input: Json
    row: str
    """Id of the row."""
    nonce: str
    """Drawn when the run begins: what it asks is asked by no other run, whatever their ids."""
    before: str | None = None
    """Id of the row before it."""
    number: int = 0
    """Of the row, counted up with every pause, poll and take-over."""
    attempt: int = 0
    """How often the handler was called."""
    memory: dict[str, Json] = field(default_factory=dict)
    """Results of steps (`step:NAME`), questions (`question:KEY`), outcomes (`outcome:KEY`), and of notifications
    (`notify:NAME`) None, or why nobody was told."""
    waiting: Waiting | None = None
    looks: int = 0
    """How often in a row it has looked in vain for a decision, or for the server."""

    def json(self) -> Json:
        """Return it as JSON, of which `State(**json)` is the opposite."""
        return asdict(self)

    @property
    def successor(self) -> str:
        """Id of the row after it."""
        return f"{self.run_id}/{self.number + 1}"

    def outcome(self, key: str) -> Outcome | None:
        """Return what people decided at a gate, None while they have not."""
        request = self.memory.get(f"outcome:{key}")
        return Outcome.of(Request(request)) if request else None

    def labels(self, key: str) -> dict[str, str]:
        """Return what the request of a gate is marked with when it is asked; no other gate of any run has that."""
        mark = hashlib.sha256(f"{self.nonce} {self.run_id} {key}".encode()).hexdigest()[:32]
        return {RUN: self.run_id, GATE: mark}

    def hold(self, key: str, request: Mapping[str, Any]) -> None:
        """Raise `WrongRequest` unless this is the request that this run asked at this gate, about what it asked."""
        labels = request.get("labels") or {}
        if any(labels.get(name) != value for name, value in self.labels(key).items()):
            raise WrongRequest(f"{request['id']} is not the request that this run asked at the gate {key!r}")
        asked = self.memory.get(f"question:{key}") or {}
        if digest(asked.get("payload")) != digest(request.get("payload")):
            raise WrongRequest(
                f"{request['id']} is not about what this run asked at the gate {key!r}: its payload is another, or was "
                "revised since"
            )


class Ending(TypedDict, total=False):
    """What a row leaves behind."""

    status: Literal["continued", "completed", "rejected", "failed"]
    row: str
    """Id of the next one, where it is continued."""
    result: Json
    error: str
    request: Json
    """The one that was not approved."""
    state: Json
    """What the run knew at its end."""


class Parked(BaseException):
    """Ends an attempt until there is a decision or, without `waiting`, until the server answers again.

    Not an Exception, so that no handler takes it for an error of its own.
    """

    def __init__(self, waiting: Waiting | None) -> None:
        self.waiting = waiting
        super().__init__(waiting)
