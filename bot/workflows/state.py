"""What a run knows, carried from row to row of the queue, and how it can end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

from bot.client import Outcome, Request

Json = Any
Status = Literal["running", "paused", "completed", "rejected", "failed"]


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
