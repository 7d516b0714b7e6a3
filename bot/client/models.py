"""A request as the API answers it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from bot.client.errors import Cancelled, Expired, NotApproved, Rejected


class Request(dict[str, Any]):
    """A request as the API answers it: plain JSON whose members also read as attributes.

    >>> Request(id="req_1").id
    'req_1'
    """

    id: str
    status: str
    kind: str
    version: int
    revision: int
    title: str
    message: str
    details: dict[str, Any]
    payload: Any
    payload_digest: str | None
    form: dict[str, Any] | None
    choices: list[dict[str, Any]]
    level: str
    reason: str
    allow_skip: bool
    requester: str | None
    labels: dict[str, Any]
    source_url: str | None
    audience: list[str]
    quorum: dict[str, Any]
    step: dict[str, Any]
    respondents: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    unreachable: list[dict[str, str]]
    outcome: dict[str, Any] | None
    created_at: str
    timeout_at: str | None
    on_timeout: str
    resolved_at: str | None

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


_REFUSALS: dict[str, type[NotApproved]] = {
    "rejected": Rejected,
    "skipped": Rejected,
    "expired": Expired,
    "cancelled": Cancelled,
}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: `approve`, `reject`, `skip` or a choice's id, with its reason and what else the request wants."""

    decision: str
    reason: str | None = None
    values: dict[str, Any] | None = None
    phrase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended; true only when it was approved.

    `by` names the people who decided it, or says what did. `payload` has their edits merged in, and `edited`
    tells whether there are any.
    """

    status: str
    decision: str
    choice: str | None
    reason: str | None
    values: dict[str, Any] | None
    payload: Any
    edited: bool
    by: str
    at: datetime
    request: Request = field(repr=False)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the outcome of a final request."""
        outcome = request["outcome"]
        same = ("decision", "choice", "reason", "values", "payload", "edited", "by")
        return cls(
            status=request["status"],
            at=datetime.fromisoformat(request["resolved_at"]),
            request=request,
            **{name: outcome[name] for name in same},
        )

    def __bool__(self) -> bool:
        return self.status == "approved"

    @property
    def text(self) -> str:
        """One sentence for people and models: what, by whom, why."""
        verb = "expired" if self.status == "expired" else f"was {self.status} by {self.by}"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.request['title']} {verb}{reason}"

    def raise_for_rejection(self) -> Self:
        """Return itself if approved, or raise `Rejected` (a skip too), `Expired` or `Cancelled`."""
        if self:
            return self
        raise _REFUSALS.get(self.status, Rejected)(self)
