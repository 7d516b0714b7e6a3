"""What the use cases need from the outside: a store, a clock, ids, and somebody who knows who people are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from bot.domain.access.authority import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bot.domain.messages.notifications import Notice
    from bot.domain.model.request import Json, Request, Respondent, Status
    from bot.domain.model.transition import Transition
    from bot.domain.people.audience import Person

T = TypeVar("T")

Reposted = Literal["once", "last"]
"""That a message took the place of one that was lost: while its request was pending, or to tell the outcome."""

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


class Clock(Protocol):
    """The time, UTC."""

    def now(self) -> datetime:
        """This instant."""


class Ids(Protocol):
    """New identifiers."""

    def request(self, now: datetime) -> str:
        """`req_…`, sortable by creation time."""

    def respondent(self) -> str:
        """`rsp_…`, 64 random bits."""


class DirectoryUnavailableError(Exception):
    """The directory cannot be asked just now; try again later."""


NOT_A_PERSON = "that is an app, not a person"
"""Why a Slack user that is an app is asked nothing, as `UnknownTargetError` says it."""


class UnknownTargetError(Exception):
    """The directory answers that this user, group or channel cannot be reached, and why, in words."""


class Directory(Protocol):
    """Who is who in Slack. Raises `DirectoryUnavailableError` or `UnknownTargetError`."""

    async def user(self, user_id: str) -> Person:
        """A user by id, as of a few minutes ago at most. `email` is set only where Slack says it is confirmed."""

    async def user_now(self, user_id: str, team: str | None = None) -> Person:
        """A user as they are at this moment, who acts from the workspace `team`."""

    async def user_by_email(self, email: str) -> Person:
        """A user whose confirmed address this is."""

    async def group_members(self, group_id: str) -> tuple[str, ...]:
        """The user ids in a user group."""

    async def check_channel(self, channel_id: str) -> None:
        """Return where the channel can be posted to."""

    async def is_member(self, target_id: str, user_id: str) -> bool:
        """Whether a user is in a channel (`C…`, `G…`) or a user group (`S…`) at this moment."""


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
