"""The use cases. Each is one transaction; whoever must be asked first (Slack) is asked before it begins.

Times come from the clock port, ids from the ids port; the rules are `domain/`'s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.approvals.asking import Asking, Audience, check_reach
from bot.approvals.callbacks import callback_faults
from bot.approvals.submission import audience_faults, build_spec, deadline, selectors
from bot.domain import lifecycle, policy
from bot.domain.audience import Actor, Person, parse_selector, seat
from bot.domain.errors import (
    AssentError,
    IdempotencyConflict,
    Invalid,
    NoAudience,
    NotFound,
    NotInAudience,
    Unavailable,
)
from bot.domain.events import Cancel, Event, LookedUp, NotTold, Operate, Respond, Timer
from bot.domain.request import Request, RespondentState, Spec, Status, Surface
from bot.ports import (
    AuditEvent,
    Clock,
    DeliveryState,
    Directory,
    DirectoryUnavailableError,
    Idempotency,
    Ids,
    Notification,
    Page,
    Query,
    Requests,
    Store,
    Transaction,
    UnknownTargetError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.answers import Answer
    from bot.domain.lifecycle import Change
    from bot.wire import NotifyBody, SubmitBody

MAX_WAIT_SECONDS = 60.0
INBOX_CHANNELS = 50
"""Most channels looked through for one person's inbox."""
POLL_SECONDS = 2.0
"""How often a waiter looks for itself, should every hint be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration says about who is asked and who decides."""

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    default_audience: tuple[str, ...] = ()
    auto_approve: bool = False
    callback_allow_private: bool = False
    surfaces: frozenset[Surface] = frozenset()
    """Where people can be told: `slack`, `email`."""


class Approvals:
    """Everything people and programs can do with requests."""

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, directory: Directory | None, rules: Rules
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._directory = directory
        self._asking = Asking(directory, rules.groups, rules.surfaces)
        self._rules = rules
        self._draining = False

    async def submit(self, body: SubmitBody, idempotency: Idempotency | None = None) -> tuple[Request, bool]:
        """Open a request; the flag says whether it is new (else the same key and body were used before).

        Raises `NoAudience`, `Invalid`, `IdempotencyConflict`.
        """
        now = self._clock.now()
        if idempotency and (known := await self._store.read(lambda tx: _replayed(tx, idempotency))):
            return known, False
        known_faults = await callback_faults(
            body.callback_url, allow_private=self._rules.callback_allow_private
        )
        spec = build_spec(body, self._rules.default_audience, now, known_faults)
        audience = await self._asking.resolve(spec.steps[0].audience)
        request = await self._seat(spec, audience, deadline(body, now), now)
        change = lifecycle.open_request(
            request, policy.rule(spec, auto_approve=self._rules.auto_approve), now
        )

        def work(tx: Transaction) -> tuple[Request, bool]:
            if idempotency:
                if known := _replayed(tx, idempotency):
                    return known, False
                tx.remember(idempotency, request.id, now)
            tx.save(change, now)
            return change.request, True

        return await self._store.write(work)

    async def _seat(
        self, spec: Spec, audience: Audience, timeout_at: datetime | None, now: datetime
    ) -> Request:
        keys, known = await self._asking.identity(spec.requester)
        request = Request(
            id=self._ids.request(now),
            spec=spec,
            requester_keys=keys,
            requester_known=known,
            respondents=seat(audience.found, (self._ids.respondent() for _ in audience.found)),
            channels=audience.channels,
            lookups=audience.lookups,
            unreached=audience.unreached,
            created_at=now,
            timeout_at=timeout_at,
        )
        check_reach(request)
        return request

    async def respond(
        self, request_id: str, actor: Actor, answer: Answer, revision: int | None = None
    ) -> Request:
        """Record one person's answer, once; raises the refusal in words, and then nothing was recorded."""
        return await self._as_member(request_id, actor, answer, revision, self._apply)

    async def rehearse(
        self, request_id: str, actor: Actor, answer: Answer, revision: int | None = None
    ) -> None:
        """Raise the refusal that `respond` would raise now, and record nothing."""
        await self._as_member(request_id, actor, answer, revision, self._dry_run)

    async def _as_member(
        self,
        request_id: str,
        actor: Actor,
        answer: Answer,
        revision: int | None,
        apply: Callable[[str, Event], Awaitable[Request]],
    ) -> Request:
        """Apply an answer; memberships cost a question to Slack, so they are looked up only where they decide."""
        event = Respond(
            actor=await self._known(actor), answer=answer, new_id=self._ids.respondent(), revision=revision
        )
        try:
            return await apply(request_id, event)
        except NotInAudience:
            memberships = await self._memberships(request_id, actor)
            if not memberships:
                raise
            return await apply(
                request_id, replace(event, actor=replace(event.actor, memberships=memberships))
            )

    async def _dry_run(self, request_id: str, event: Event) -> Request:
        return lifecycle.apply(await self.get(request_id), event, self._clock.now()).request

    async def defer(self, surface: str, address: str, content: str) -> None:
        """Queue what was accepted for the sender of `surface`, which carries it out even after a crash."""
        now = self._clock.now()
        accepted = Notification(surface=surface, address=address, message=content)
        await self._store.write(lambda tx: tx.notify(accepted, now))

    async def operate(
        self, request_id: str, decision: str, reason: str | None, by: str, surface: Surface
    ) -> Request:
        """Decide at once, as an operator."""
        return await self._apply(
            request_id, Operate(decision=decision, reason=reason, by=by, surface=surface)
        )

    async def cancel(self, request_id: str, reason: str | None, by: str, surface: Surface) -> Request:
        """Take the question back."""
        return await self._apply(request_id, Cancel(reason=reason, by=by, surface=surface))

    async def not_told(self, request_id: str, event: NotTold) -> None:
        """Show on the request that an address could not be told."""
        await self._apply(request_id, event)

    async def tick(self, limit: int = 100) -> int:
        """Let every pending request whose time has come move on; how many there were."""
        now = self._clock.now()
        next_due = await self.next_due()
        if next_due is None or next_due > now:
            return 0

        def work(tx: Transaction) -> int:
            due = tx.due(now, limit)
            for request_id in due:
                _apply(tx, request_id, Timer(), now)
            return len(due)

        return await self._store.write(work)

    async def next_due(self) -> datetime | None:
        """When the next pending request's time comes."""
        return await self._store.read(lambda tx: tx.next_due())

    async def look_up(self, limit: int = 20) -> int:
        """Try again to find the people Slack could not be asked about; how many requests have news."""
        found = 0
        for request_id in await self._store.read(lambda tx: tx.unresolved(limit)):
            request = await self.get(request_id)
            audience = await self._asking.resolve(request.lookups)
            keys, known = await self._asking.identity(request.spec.requester)
            event = LookedUp(
                selectors=tuple(s for s in request.lookups if s not in audience.lookups),
                found=seat(
                    audience.found, (self._ids.respondent() for _ in audience.found), step=request.step
                ),
                channels=audience.channels,
                unreached=audience.unreached,
                requester_keys=keys if known and not request.requester_known else None,
            )
            if event.selectors or event.requester_keys is not None:
                await self._apply(request_id, event)
                found += 1
        return found

    async def get(self, request_id: str) -> Request:
        """The request as stored; raises `NotFound`."""
        return await self._store.read(lambda tx: _must(tx, request_id), ids=(request_id,))

    async def of_respondent(self, respondent_id: str) -> Request | None:
        """The request a personal link belongs to."""
        return await self._store.read(lambda tx: tx.request_of(respondent_id))

    async def wait(self, request_id: str, seconds: float) -> Request:
        """The request as soon as it is final, else as it stands after `seconds` (at most 60); raises `NotFound`."""
        ends = asyncio.get_running_loop().time() + min(seconds, MAX_WAIT_SECONDS)
        with self._store.watch(request_id) as watch:
            request = watch.known or await self.get(request_id)
            while not (request.status.final or self._draining):
                left = ends - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                hinted = await watch.changed(min(left, POLL_SECONDS))
                request = hinted or await self.get(request_id)
        return request

    def drain(self) -> None:
        """Answer every waiter with what is known now, and each one to come at once: the process is about to end."""
        self._draining = True
        self._store.wake()

    async def find(self, query: Query) -> Page:
        """One page of requests, newest first."""
        return await self._store.read(lambda tx: tx.find(query))

    async def inbox(self, person: Person, limit: int = 50) -> tuple[Request, ...]:
        """The pending requests that wait for this person's answer, newest first, channels they are in included."""
        channels = await self._store.read(lambda tx: tx.channels(INBOX_CHANNELS))
        keys = (*sorted(person.keys), *await self._joined(channels, person))
        if not keys:
            return ()
        page = await self.find(Query(status=Status.PENDING, respondents=keys, limit=limit))
        return tuple(r for r in page.items if _awaits(r, person))

    async def _joined(self, targets: Sequence[str], person: Person) -> tuple[str, ...]:
        """Which of these channels and groups the person is in; none where Slack cannot be asked."""
        if self._directory is None or person.slack_user_id is None:
            return ()
        try:
            return tuple(
                [
                    t
                    for t in targets
                    if await self._directory.is_member(t.removeprefix("slack:"), person.slack_user_id)
                ]
            )
        except DirectoryUnavailableError:
            return ()

    async def adopt(self, request_id: str, channel: str, ts: str) -> None:
        """A card was clicked; from now on it is redrawn, even where its posting was never confirmed."""
        receipt, now = {"channel": channel, "ts": ts}, self._clock.now()
        await self._store.write(lambda tx: tx.adopt(request_id, receipt, channel, now))

    async def audit(self, request_id: str) -> tuple[AuditEvent, ...]:
        """The request's audit events, oldest first; raises `NotFound`."""
        return await self._store.read(lambda tx: (_must(tx, request_id), tx.events(request_id))[1])

    async def deliveries(self, request_ids: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        """What was sent, or is to be, for each request."""
        return await self._store.read(lambda tx: tx.deliveries(request_ids))

    async def notify(self, body: NotifyBody) -> None:
        """Tell people without asking; raises `Invalid`, or `NoAudience` where that reaches nobody."""
        if faults := audience_faults(body.audience, body.destination):
            raise Invalid(faults)
        audience = await self._asking.resolve(
            selectors(body.audience, body.destination, self._rules.default_audience)
        )
        now = self._clock.now()
        places = [(a.surface.value, a.value) for f in audience.found if not f.trouble for a in f.addresses]
        places += [("slack", c.removeprefix("slack:")) for c in audience.channels]
        if not places:
            raise NoAudience(
                "The notification reaches nobody: name somebody who can be told by Slack or mail."
            )

        def work(tx: Transaction) -> None:
            for surface, address in dict.fromkeys(places):
                tx.notify(Notification(surface=surface, address=address, message=body.message), now)

        await self._store.write(work)

    async def person(self, slack_user_id: str, team: str | None = None) -> Person:
        """What Slack knows of a user now, who acted from the workspace `team`; raises `Unavailable`."""
        if self._directory is None:
            return Person(slack_user_id=slack_user_id)
        try:
            return await self._directory.user_now(slack_user_id, team)
        except DirectoryUnavailableError:
            raise Unavailable(
                "Slack cannot be asked who you are just now. Nothing was recorded; try again."
            ) from None
        except UnknownTargetError as error:
            raise NotInAudience(f"Slack does not vouch for you: {error}.") from None

    async def _known(self, actor: Actor) -> Actor:
        """A Slack actor with what Slack says about them now."""
        user = next((k.removeprefix("slack:") for k in actor.keys if k.startswith("slack:")), None)
        if user is None or actor.person or actor.surface is not Surface.SLACK:
            return actor
        person = await self.person(user, actor.team)
        return replace(actor, person=person, keys=actor.keys | person.keys, name=person.name or actor.name)

    async def _memberships(self, request_id: str, actor: Actor) -> frozenset[str]:
        """The channels and user groups of the request that this actor is in at this moment."""
        request = await self.get(request_id)
        seats = [r for r in request.seated if r.keys & actor.keys]
        keys = actor.keys.union(*(r.keys for r in seats))
        users = [k.removeprefix("slack:") for k in keys if k.startswith("slack:")]
        dynamic = {*request.channels, *(s for s in request.current.audience if parse_selector(s).dynamic)}
        dynamic |= {v for r in seats for v in r.via if parse_selector(v).dynamic}
        if not users or not dynamic or self._directory is None:
            return frozenset()
        try:
            return frozenset(
                [s for s in dynamic if await self._directory.is_member(s.removeprefix("slack:"), users[0])]
            )
        except DirectoryUnavailableError:
            raise Unavailable(
                "Slack cannot be asked just now whether you are a member. Nothing was recorded; try again."
            ) from None

    async def _apply(self, request_id: str, event: Event) -> Request:
        now = self._clock.now()
        outcome = await self._store.write(lambda tx: _apply(tx, request_id, event, now), ids=(request_id,))
        if isinstance(outcome, AssentError):
            raise outcome
        return outcome


def _apply(tx: Transaction, request_id: str, event: Event, now: datetime) -> Request | AssentError:
    """Apply a timer that is due and has not fired yet, then the event.

    A refusal is returned, not raised, so that the timer's change is kept.
    """
    request = _must(tx, request_id)
    timed = lifecycle.apply(request, Timer(), now)
    _save(tx, timed, now)
    try:
        change = lifecycle.apply(timed.request, event, now)
    except AssentError as refusal:
        return refusal
    _save(tx, change, now)
    return change.request


def _awaits(request: Request, person: Person) -> bool:
    """Whether this person's answer is still wanted; nobody's own request waits for them."""
    if request.requester_keys & person.keys and not request.spec.allow_self_approval:
        return False
    mine = [r for r in request.seated if r.keys & person.keys]
    return not any(r.state.answered or r.state is RespondentState.DELEGATED for r in mine)


def _save(tx: Transaction, change: Change, now: datetime) -> None:
    if change.facts:
        tx.save(change, now)


def _must(tx: Requests, request_id: str) -> Request:
    request = tx.request(request_id)
    if request is None:
        raise NotFound(f"There is no request {request_id[:80]!r}.")
    return request


def _replayed(tx: Requests, idempotency: Idempotency) -> Request | None:
    known = tx.idempotent(idempotency.key)
    if known is None:
        return None
    digest, request_id = known
    if digest != idempotency.digest:
        raise IdempotencyConflict(
            f"This Idempotency-Key was used for {request_id} with another body; use a new key for a new request."
        )
    return _must(tx, request_id)
