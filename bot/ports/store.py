"""What a store offers: reads of a snapshot, transactions, wake-ups, and the small tables beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.domain.access.authority import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bot.domain.model.request import Json, Request, Respondent, Status
    from bot.domain.model.transition import Transition

T = TypeVar("T")


MAX_PAGE = 200
"""Most items on one page of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Filters of a list, newest first.

    A request matches any of `respondents` (`email:…`, `slack:U…`, `slack:C…`, `rsp_…`) and `rooms` (channels and user
    groups that are asked in any step: `slack:C…`, `slack:S…`), and all `labels` (`env:prod`).
    `submitted_by` is the id of the API key that it came with. `cursor` is the id after which the page begins.
    """

    status: Status | None = None
    respondents: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    requester: str | None = None
    submitted_by: str | None = None
    labels: tuple[str, ...] = ()
    text: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of requests; `next_cursor` is None on the last."""

    items: tuple[Request, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One link of the audit chain. `hash` covers everything before it and the hash of the event before."""

    seq: int
    request_id: str
    type: str
    status: Status
    version: int
    at: datetime
    data: dict[str, Json]
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """One delivery as people see it: `state` is `queued`, `sent`, `retrying`, `failed`, `lost` or `superseded`.

    The address of a callback is its URL without what may be a secret: user and password, query, fragment.
    `receipt` is what the last sending returned: Slack's channel and ts, or a mail's Message-ID.
    """

    id: str
    surface: str
    address: str
    notice: str
    respondent: str | None
    state: str
    attempts: int
    error: str | None
    at: datetime | None
    receipt: dict[str, Json] | None = None
    shown_version: int = 0
    """The request's version that the recipient was shown last; 0 where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message without a question, for one address."""

    surface: str
    address: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A call's `Idempotency-Key`, within the API key that used it, and the digest of the body it came with.

    Of an answer it is within the request, too.
    """

    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Key):
    """A bearer key as it is stored: never the key itself."""

    created_at: datetime | None = None
    revoked_at: datetime | None = None


class Requests(Protocol):
    """What both reads and transactions can look up."""

    def request(self, request_id: str) -> Request | None:
        """The request, or None."""

    def idempotent(self, key: str) -> tuple[str, str] | None:
        """The body digest and request id recorded under an idempotency key."""


class Reader(Requests, Protocol):
    """Reads of one consistent snapshot."""

    def request_of(self, respondent_id: str) -> Request | None:
        """The request in which this respondent (`rsp_…`) was seated."""

    def find(self, query: Query) -> Page:
        """One page of requests."""

    def events(self, request_id: str) -> tuple[AuditEvent, ...]:
        """The request's audit events, oldest first."""

    def events_since(self, seq: int, request_id: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """The first `limit` audit events with a higher number than `seq`, of one request or of all."""

    def events_of_key(self, seq: int, key_id: str, limit: int) -> tuple[tuple[AuditEvent, ...], int]:
        """As `events_since`, of the requests that came with a key; and the number up to which was looked."""

    def called(self, call: str) -> tuple[str, ...]:
        """Ids of the requests recorded under the idempotency keys `CALL/KEY`, KEY being the id of any API key."""

    def last_event(self) -> int:
        """The number of the newest audit event; 0 where there is none yet."""

    def deliveries(self, request_ids: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        """What was sent, or is to be, for each of these requests."""

    def next_due(self) -> datetime | None:
        """When the next pending request's time comes, by index."""

    def unresolved(self, limit: int) -> tuple[str, ...]:
        """Ids of requests with people still to be looked up."""

    def channels(self, limit: int) -> tuple[str, ...]:
        """The channels (`slack:C…`) that pending requests were put to."""

    def rooms(self, limit: int) -> tuple[str, ...]:
        """The channels and user groups (`slack:C…`, `slack:S…`) that pending requests ask in any step."""

    def verify_chain(self) -> tuple[int, str | None]:
        """How many audit events there are in order, and what is wrong with the first that is not, if any."""


class Transaction(Requests, Protocol):
    """Reads and writes that commit together. A request read here is locked until the end."""

    def due(self, now: datetime, limit: int) -> tuple[str, ...]:
        """Ids of pending requests whose time has come, by index."""

    def save(self, change: Transition, now: datetime) -> None:
        """Store the changed request, its audit events, its deliveries and its wake-up. A new request is inserted."""

    def remember(self, idempotency: Idempotency, request_id: str, now: datetime) -> None:
        """Record an idempotency key."""

    def adopt(
        self,
        request_id: str,
        receipt: dict[str, Json],
        address: str,
        now: datetime,
        respondent: str | None = None,
    ) -> None:
        """Remember a card that stands somewhere and that the store did not know of, so that it is redrawn too.

        `respondent` is the only one who sees it.
        """

    def notify(self, notification: Message, now: datetime) -> None:
        """Queue a message without a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Until `until`, `person` (a respondent who is seated nowhere yet) is asked in place of whoever has these keys."""

    keys: frozenset[str]
    person: Respondent
    until: datetime


class Keyring(Protocol):
    """The API keys, but for those that nobody made."""

    async def every(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, revoked ones too."""

    async def create(self, name: str, scopes: frozenset[str]) -> tuple[ApiKey, str, str]:
        """A new key: what is known of it, the key itself, and the secret that signs its callbacks."""

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key for good; False where there is none."""


class Registry(Protocol):
    """What people set once and requests then use: groups, and who stands in for whom."""

    async def groups(self) -> dict[str, tuple[str, ...]]:
        """The members (selectors) of every stored group, by name."""

    async def put_group(self, name: str, members: Sequence[str], now: datetime) -> None:
        """Set a group's members."""

    async def delete_group(self, name: str) -> bool:
        """Forget a group; False where there is none."""

    async def stand_ins(self) -> tuple[StandIn, ...]:
        """Who stands in for whom, those whose time is over included."""

    async def put_stand_in(self, stand_in: StandIn) -> None:
        """Set who stands in for a person, in place of whoever did."""

    async def delete_stand_in(self, keys: frozenset[str]) -> bool:
        """End a stand-in; False where nobody stands in for this person."""


class Store(Protocol):
    """Runs plain functions as transactions; what `write` returns has been committed durably."""

    @property
    def registry(self) -> Registry:
        """The small tables in the same database."""

    async def read(self, work: Callable[[Reader], T], *, ids: Sequence[str] = ()) -> T:
        """Run `work` on a snapshot. `ids` names requests it will read, so that many can be loaded together."""

    async def write(self, work: Callable[[Transaction], T], *, ids: Sequence[str] = ()) -> T:
        """Run `work` in a transaction; it may run more than once, so it has no effect but through the transaction.

        Raises what `work` raises (then nothing is stored), or `Unavailable`. `ids` names requests it will
        read, so that many units can lock them together.
        """

    def watch(self, request_id: str | None) -> AbstractContextManager[Watch]:
        """Be told of commits to one request, or to any, from now on."""

    def wake(self) -> None:
        """Hint every waiter."""


class Watch(Protocol):
    """A hint that a request changed. The store is the truth; the hint may come early, late, or twice."""

    known: Request | None
    """The request as this process committed it a moment ago, if it did and has heard of nothing since."""

    async def changed(self, seconds: float) -> Request | None:
        """Wait for the next change, at most `seconds`; the committed request where it is at hand."""
