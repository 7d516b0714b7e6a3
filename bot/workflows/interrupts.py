"""What a handler says to people: the question that pauses its run, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

OnReject = Literal["reject", "continue"]
"""What a "no" does: end the run as rejected, or go on with an outcome that is false."""

DEFAULT_KEY = "approval"
"""The gate that `ctx.approved` is about."""

LONGEST_TITLE = 200
"""Characters; a longer message gets a title of its own."""


@dataclass(frozen=True, slots=True)
class Email:
    """One mail address."""

    email: str

    def json(self) -> dict[str, Any]:
        """Return the destination as the API takes it."""
        return {"type": "email", "email": self.email}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """A Slack channel, or a user by id or by address: exactly one of the three."""

    channel_id: str | None = None
    user_id: str | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.channel_id, self.user_id, self.email)) != 1:
            raise ValueError("Slack(…) takes exactly one of channel_id, user_id and email")

    def json(self) -> dict[str, Any]:
        """Return the destination as the API takes it."""
        parts = {"channelId": self.channel_id, "userId": self.user_id, "email": self.email}
        return {"type": "slack"} | {name: part for name, part in parts.items() if part is not None}


AudienceItem = Email | Slack | dict[str, Any]
Destination = AudienceItem | list[AudienceItem]


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question that a handler returns: its run pauses until people have answered."""

    key: str
    on_reject: OnReject
    fields: Mapping[str, Any]

    @classmethod
    def approval(
        cls,
        message: str | None = None,
        *,
        key: str = DEFAULT_KEY,
        destination: Destination | None = None,
        timeout: timedelta | float | None = None,
        on_reject: OnReject = "reject",
        **fields: Any,
    ) -> Self:
        """Ask for approval; `fields` are further ones of a request (`audience`, `quorum`, …).

        A message of one line is the title, unless `title` is given. `timeout` is a timedelta or seconds. `key`
        names the gate among those of the handler.
        """
        if not (key and key.isascii() and key.isprintable()):
            raise ValueError(f"the gate's key {key!r} must be printable ASCII")
        return cls(key, on_reject, request_fields(message, destination, timeout, fields))

    def question(self, workflow: str) -> dict[str, Any]:
        """Return the fields of the request; one without words asks to approve the workflow."""
        return {"title": f"Approve {workflow}", **self.fields}


def request_fields(
    message: str | None,
    destination: Destination | None,
    timeout: timedelta | float | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the given fields under the names of the API."""
    given = dict(fields)
    if message is not None:
        is_title = "title" not in given and len(message) <= LONGEST_TITLE and "\n" not in message
        given["title" if is_title else "message"] = message
    if destination is not None:
        given["destination"] = destination_json(destination)
    if timeout is not None:
        given["timeout_seconds"] = timeout if isinstance(timeout, int | float) else timeout.total_seconds()
    return given


def destination_json(destination: Destination) -> dict[str, Any] | Sequence[dict[str, Any]]:
    """Return one destination or several as the API takes them."""
    if isinstance(destination, list):
        return [_place(place) for place in destination]
    return _place(destination)


def _place(place: AudienceItem) -> dict[str, Any]:
    return place if isinstance(place, dict) else place.json()
