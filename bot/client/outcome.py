"""A request as the API answers it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from bot.client.errors import Cancelled, Expired, NotApproved, Rejected


class Request(dict[str, Any]):
    """A request as the API answers it (CONTRACT §3): plain JSON whose members also read as attributes.

    >>> Request(id="req_1").id
    'req_1'
    """

    id: str
    status: str
    kind: str
    version: int
    title: str
    message: str | None
    details: dict[str, str]
    payload: dict[str, Any] | None
    payload_digest: str | None
    form: dict[str, Any] | None
    level: str
    requester: str | None
    labels: dict[str, str]
    source_url: str | None
    audience: list[str]
    quorum: dict[str, Any]
    step: dict[str, Any]
    respondents: list[dict[str, Any]]
    responses: list[dict[str, Any]]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended; true only when it was approved.

    `by` names the people whose responses decided it, or else what did: `timeout`, `policy`, `operator` or
    `requester`. `payload` has the people's edits merged in, and `edited` says whether there are any.
    """

    status: str
    decision: str
    choice: str | None
    reason: str | None
    values: dict[str, Any] | None
    payload: Any
    edited: bool
    by: tuple[str, ...]
    at: datetime
    request: Request = field(repr=False)

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the outcome of a final request."""
        outcome = request["outcome"]
        people = {person["id"]: person for person in request["respondents"]}
        named = tuple(_name(people.get(id, {"id": id})) for id in outcome["respondents"])
        return cls(
            status=request["status"],
            decision=outcome["decision"],
            choice=outcome["choice"],
            reason=outcome["reason"],
            values=outcome["values"],
            payload=outcome["payload"],
            edited=outcome["edited"],
            by=named or (outcome["resolved_by"],),
            at=datetime.fromisoformat(request["resolved_at"]),
            request=request,
        )

    def __bool__(self) -> bool:
        return self.status == "approved"

    @property
    def text(self) -> str:
        """One sentence for people and models: what, by whom, why."""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.request['title']!r} was {self.status} by {', '.join(self.by)}{reason}"

    def raise_for_rejection(self) -> Self:
        """Return itself if approved, or raise `Rejected` (a skip too), `Expired` or `Cancelled`."""
        if self:
            return self
        raise _REFUSALS.get(self.status, Rejected)(self)


def _name(person: dict[str, Any]) -> str:
    return str(person.get("name") or person.get("email") or person.get("slack_user_id") or person["id"])
