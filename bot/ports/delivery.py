"""The outbox, what becomes of a delivery, and who sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.domain.messages.notifications import Notice
    from bot.domain.model.request import Json, Request

Reposted = Literal["once", "last"]
"""That a message took the place of one that was lost: while its request was pending, or to tell the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the outbox, leased. `notice` says what is told; `content` is a notification's message.

    `receipt` is what the last sending returned: Slack's channel and ts, or a mail's Message-ID. `reposted`: the message
    was lost before, `last` where that was when the request was over; then it is not posted again. `unconfirmed`: it was
    sent before, and nobody knows whether it arrived.
    """

    id: str
    request_id: str | None
    surface: str
    address: str
    notice: Notice
    respondent: str | None
    receipt: dict[str, Json] | None
    attempts: int
    created_at: datetime
    content: str | None = None
    reposted: Reposted | None = None
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """It arrived. `version` is the request's version that the recipient now sees (0: a message without a request)."""

    receipt: dict[str, Json]
    version: int


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. `after` seconds where the target said so.

    `counts` is false where the whole target is down or throttles, which spends no attempt; `pause` names what to leave
    alone until then (`slack`, `email`, or one address). `unconfirmed`: it may have arrived all the same.
    """

    reason: str
    after: float | None = None
    counts: bool = True
    pause: str | None = None
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Never: this address cannot be told. `reason` is in words, for the request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The message that stood there is gone or stays as it is: another takes its place.

    That happens once while the request is pending, and once for its outcome.
    """

    reason: str
    instead: Reposted = "once"


@dataclass(frozen=True, slots=True)
class Superseded:
    """Not any more: what it would have said no longer holds."""

    reason: str


Result = Sent | Retry | Failed | Lost | Superseded


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A claimed delivery, and the token under which its result is recorded."""

    delivery: Delivery
    lease: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A sending's result (None: it was not its turn), and when to try again (None: not at all)."""

    leased: Leased
    result: Result | None
    retry_at: datetime | None = None


class Outbox(Protocol):
    """The deliveries that wait, shared by all replicas."""

    async def claim(
        self, now: datetime, limit: int, surfaces: Sequence[str], full: Sequence[str] = ()
    ) -> list[Leased]:
        """Lease what has been due longest, at most `limit` of each surface.

        What goes to URLs at the hosts `full` (`https://example.com`, as the URLs have it) is left out.
        """

    async def record(self, results: Sequence[Recorded], now: datetime) -> None:
        """Write down what became of leased deliveries; where a lease has run out, only that a card stands there."""

    async def next_due(self, surfaces: Sequence[str], full: Sequence[str] = ()) -> datetime | None:
        """When the next delivery is due, leases that run out included; `full` is left out as by `claim`."""

    async def requests(self, request_ids: Sequence[str]) -> dict[str, Request]:
        """The requests as they are now."""


class Sender(Protocol):
    """Sends deliveries of one surface: renders the request as it is now and sends it, outside any transaction."""

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        """Send one delivery (post, or update where there is a receipt). Never raises for what the target does."""
