"""A request and everything that belongs to it, as frozen values.

A `Request` is what was asked (`spec`, changed only by a new revision) and what has happened to it since. It is
only ever changed by `lifecycle.apply`, which returns a new value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.domain.model.hours import working
from bot.domain.model.identity import email_keys
from bot.domain.model.spec import EscalationLevel, Spec, Step  # noqa: TC001 - the store reads the annotations of Request

Json = Any
"""A JSON value as `json.loads` returns it."""


class Status(StrEnum):
    """`pending` until an outcome; every other status is final and never changes."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether this status can never change."""
        return self is not Status.PENDING


class Surface(StrEnum):
    """Where a response came from."""

    SLACK = "slack"
    EMAIL = "email"
    WEB = "web"
    API = "api"
    CLI = "cli"
    MCP = "mcp"
    POLICY = "policy"
    TIMEOUT = "timeout"


class RespondentState(StrEnum):
    """Where one respondent stands. `unreachable`: no address of theirs could be told; they may still answer."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    DELEGATED = "delegated"
    UNREACHABLE = "unreachable"

    @property
    def answered(self) -> bool:
        """Whether this person's response is in."""
        return self in {RespondentState.APPROVED, RespondentState.REJECTED, RespondentState.SKIPPED}


class ResolvedBy(StrEnum):
    """Who brought the outcome about."""

    RESPONDENTS = "respondents"
    TIMEOUT = "timeout"
    POLICY = "policy"
    OPERATOR = "operator"
    REQUESTER = "requester"


APPROVE, REJECT, SKIP = "approve", "reject", "skip"
"""The decisions every request knows. A `choice` request adds the ids of its choices."""


LADDER = -1
"""The step of those who are asked only once the request is escalated to their level."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """One place where a person or a channel is told: `surface` is `slack` or `email`."""

    surface: Surface
    value: str


@dataclass(frozen=True, kw_only=True)
class Respondent:
    """One person of the audience, whatever addresses reach them; they count once.

    `via` are the selectors that seated them, `groups` the names in the request that led there (`group:finance`).
    `levels` are the rungs of the escalation ladder they stand on (0: asked from the start).
    `generation` rises when their link must die (delegation, reassignment).
    """

    id: str
    name: str | None = None
    email: str | None = None
    slack_user_id: str | None = None
    step: int = 0
    via: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    levels: tuple[int, ...] = (0,)
    addresses: tuple[Address, ...] = ()
    state: RespondentState = RespondentState.WAITING
    generation: int = 0
    trouble: str | None = None
    time_zone: str | None = None
    aliases: tuple[str, ...] = ()
    """Ids of seats that turned out to be this same person; their links still lead here."""
    delegate_of: str | None = None
    """The respondent who handed the request on to this one."""

    @property
    def keys(self) -> frozenset[str]:
        """Every name this person is known by, however it is spelt: `rsp_…`, `email:…`, `slack:U…`."""
        keys = {self.id, *self.aliases}
        if self.email:
            keys |= email_keys(self.email)
        if self.slack_user_id:
            keys.add(f"slack:{self.slack_user_id}")
        for address in self.addresses:
            if address.surface is Surface.EMAIL:
                keys |= email_keys(address.value)
            else:
                keys.add(f"{address.surface}:{address.value}")
        return frozenset(keys)

    @property
    def label(self) -> str:
        """What people call them."""
        return self.name or self.email or self.slack_user_id or self.id


@dataclass(frozen=True, kw_only=True)
class Response:
    """One respondent's answer, as given."""

    respondent: str
    decision: str
    reason: str | None = None
    values: dict[str, Any] | None = None
    surface: Surface
    at: datetime
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The one result. `payload` has the respondents' edits merged in; `by` names who decided, in words."""

    decision: Status
    choice: str | None = None
    reason: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    payload: Json = None
    edited: bool = False
    resolved_by: ResolvedBy
    respondents: tuple[str, ...] = ()
    surface: Surface
    by: str


@dataclass(frozen=True, kw_only=True)
class Unreached:
    """A selector or address that could not be told, and why, in words."""

    target: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class OpenSelector:
    """A selector that is kept as it is (a channel, or somebody still to be looked up), and what it seats people as."""

    selector: str
    step: int = 0
    levels: tuple[int, ...] = (0,)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One sentence of the trail: what happened beside the answers, the same words on every surface."""

    at: datetime
    text: str
    reminder: bool = False
    """Whether somebody reminded everybody."""


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A question that a respondent asked back, or (`respondent` is None) the requester's reply."""

    by: str
    respondent: str | None = None
    text: str
    surface: Surface
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One value that was changed before it was decided: what it was, what it is, and who changed it."""

    field: str
    old: Json
    new: Json
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class HeldOutcome:
    """A decision that waiters do not see before `until`, so that whoever decided can take it back."""

    outcome: Outcome
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question put to people, with all that has happened to it."""

    id: str
    spec: Spec
    status: Status = Status.PENDING
    version: int = 1
    revision: int = 1
    step: int = 0
    requester_keys: frozenset[str] = frozenset()
    requester_known: bool = True
    """False while Slack could not be asked which addresses are the requester's own."""
    requester_name: str | None = None
    """What Slack calls the requester."""
    requester_addresses: tuple[Address, ...] = ()
    """Where the requester can be told of questions."""
    respondents: tuple[Respondent, ...] = ()
    places: tuple[OpenSelector, ...] = ()
    """The channels that are asked, of every step and level."""
    lookups: tuple[OpenSelector, ...] = ()
    """What Slack could not be asked about yet; the people are looked up later."""
    unreached: tuple[Unreached, ...] = ()
    responses: tuple[Response, ...] = ()
    values: dict[str, Json] = field(default_factory=dict)
    """What respondents have filled in or changed so far; it goes over the payload."""
    edits: tuple[Edit, ...] = ()
    comments: tuple[Comment, ...] = ()
    trail: tuple[HistoryEntry, ...] = ()
    escalated: tuple[int, ...] = ()
    """The step in which each level of the escalation ladder was asked, as far as it was climbed."""
    reminders: int = 0
    """How many scheduled reminders of the open step have come and gone."""
    opened_at: datetime
    """When the open step opened, or its last escalation began: what reminders and escalation count from."""
    held: HeldOutcome | None = None
    outcome: Outcome | None = None
    created_at: datetime
    timeout_at: datetime | None = None
    step_timeout_at: datetime | None = None
    resolved_at: datetime | None = None

    @property
    def current(self) -> Step:
        """The step that is open now (of a final request: the last one that was)."""
        return self.spec.steps[self.step]

    @property
    def seated(self) -> tuple[Respondent, ...]:
        """The respondents of the open step."""
        return tuple([r for r in self.respondents if r.step == self.step])

    @property
    def known(self) -> tuple[Respondent, ...]:
        """Everybody but those whom nobody has turned to yet: the ladder's unreached levels."""
        return tuple([r for r in self.respondents if r.step != LADDER])

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of the open step, any member of which may answer."""
        return tuple([p.selector for p in self.open_places])

    @property
    def open_places(self) -> tuple[OpenSelector, ...]:
        """The channels of the open step, and what they seat people as."""
        return tuple([p for p in self.places if p.step == self.step])

    @property
    def open_lookups(self) -> tuple[OpenSelector, ...]:
        """Who of the open step is still to be looked up."""
        return tuple([p for p in self.lookups if p.step == self.step])

    def respondent(self, key: str) -> Respondent | None:
        """The respondent known by `key` (`rsp_…`, `email:…`, `slack:U…`), of the open step first."""
        matches = [r for r in self.respondents if key == r.id or key in r.keys]
        return next((r for r in matches if r.step == self.step), matches[0] if matches else None)

    @property
    def by_id(self) -> dict[str, Respondent]:
        """Every respondent by their ids, those of the open step first."""
        ordered = sorted(self.respondents, key=lambda r: r.step == self.step)
        return {i: r for r in ordered for i in (*r.aliases, r.id)}

    def response_of(self, respondent_id: str) -> Response | None:
        """The answer this respondent gave."""
        return next((r for r in self.responses if r.respondent == respondent_id), None)

    @property
    def deadline(self) -> datetime | None:
        """When the request, or its open step, runs out of time."""
        return min(filter(None, (self.timeout_at, self.step_timeout_at)), default=None)

    @property
    def remind_at(self) -> datetime | None:
        """When the next scheduled reminder of the open step is due."""
        return self.reminder(self.reminders + 1)

    def reminder(self, number: int) -> datetime | None:
        """When the open step's scheduled reminder of this number (the first is 1) is due."""
        times, every = self.spec.remind_after_seconds, self.spec.remind_every_seconds
        if every:
            return self.opened_at + timedelta(seconds=every * number)
        return self.opened_at + timedelta(seconds=times[number - 1]) if 0 < number <= len(times) else None

    @property
    def level(self) -> int:
        """How many levels of the escalation ladder have been asked."""
        return len(self.escalated)

    @property
    def next_level(self) -> EscalationLevel | None:
        """Who is asked next, if the ladder goes on."""
        return self.spec.escalation[self.level] if self.level < len(self.spec.escalation) else None

    @property
    def due_at(self) -> datetime | None:
        """When something must happen by itself; nothing does once the request is final."""
        if self.status.final:
            return None
        if self.held:
            return self.held.until
        return min(filter(None, (self.deadline, self.remind_at, self.escalate_at)), default=None)

    @property
    def escalate_at(self) -> datetime | None:
        """When the next level is asked by itself, within working hours."""
        level = self.next_level
        if level is None or level.after_seconds is None:
            return None
        return working(self.spec.hours, self.opened_at + timedelta(seconds=level.after_seconds), None)
