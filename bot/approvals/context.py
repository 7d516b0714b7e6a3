"""What every use case stands on: the ports, who somebody is, and one event applied in one transaction."""

from __future__ import annotations

import asyncio
import copy
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bot.approvals.apply_event import apply, get_or_raise, replayed
from bot.approvals.audience.groups import Asker, Groups
from bot.approvals.audience.resolver import AudienceResolver
from bot.approvals.audience.stand_ins import StandIns
from bot.approvals.idempotency import this_call
from bot.domain.access import authority
from bot.domain.access.visibility import Visibility
from bot.domain.errors import AssentError, NotInAudience, Unavailable
from bot.domain.lifecycle import lifecycle
from bot.domain.model.frozen import replace
from bot.domain.model.request import Request, Surface
from bot.domain.people import quorum
from bot.domain.people.audience import Actor, Person, parse_selector
from bot.domain.policies.payload_views import NO_VIEWS, Views
from bot.domain.policies.policy import Policies
from bot.domain.policies.ruling import ruled
from bot.ports.directory import DirectoryUnavailableError, UnknownTargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.access.authority import Key
    from bot.domain.callbacks.orchestrators import Orchestrator
    from bot.domain.model.events import Event
    from bot.domain.model.spec import Hours, Spec
    from bot.domain.policies.policy import Policy
    from bot.ports.directory import Directory
    from bot.ports.store import Idempotency, Store, Transaction
    from bot.ports.system import Clock, Ids


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration says about who is asked and who decides."""

    groups: Mapping[str, Sequence[str] | str] = field(default_factory=dict)
    default_audience: tuple[str, ...] = ()
    hours: Hours | None = None
    policies: tuple[Policy, ...] = ()
    auto_approve: bool = False
    callback_allow_private: bool = False
    orchestrators: tuple[Orchestrator, ...] = ()
    """Systems that are answered by one route of theirs, and not called back otherwise."""
    surfaces: frozenset[Surface] = frozenset()
    """Where people can be told: `slack`, `email`."""
    visibility: Visibility = Visibility.INVOLVED
    views: Views = NO_VIEWS
    """How payloads of known tools are shown."""

    @property
    def deciding(self) -> Policies:
        """The policies, for what is decided without anybody."""
        return Policies(self.policies, self.auto_approve)


class Core:
    """The ports and the rules, shared by all use cases."""

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, directory: Directory | None, rules: Rules
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._directory = directory
        self._rules = rules
        self.groups = Groups(rules.groups, store.registry, clock)
        self._asking = AudienceResolver(directory, self.groups, rules.surfaces)
        self._stand_ins = StandIns(store.registry, clock)
        self._key: Key | None = None
        self._draining = asyncio.Event()

    @property
    def views(self) -> Views:
        """How payloads of known tools are shown."""
        return self._rules.views

    def by(self, key: Key) -> Self:
        """The same use cases for a call with this API key, which does and sees no more than the key may."""
        bound = copy.copy(self)
        bound._key = key  # noqa: SLF001 - a copy of this very object
        return bound

    async def get(self, request_id: str) -> Request:
        """The request as stored; raises `NotFound`, also where there is one that the key may not read."""
        return await self._store.read(lambda tx: get_or_raise(tx, request_id, self._key), ids=(request_id,))

    async def _stored(self, request_id: str) -> Request:
        """The request, to work with it and not to show it; raises `NotFound`."""
        return await self._store.read(lambda tx: get_or_raise(tx, request_id), ids=(request_id,))

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
        request = await self._stored(request_id)
        seats = [r for r in request.seated if r.keys & actor.keys]
        keys = actor.keys.union(*(r.keys for r in seats))
        users = [k.removeprefix("slack:") for k in keys if k.startswith("slack:")]
        dynamic = {*request.channels, *(s for s in request.current.audience if parse_selector(s).dynamic)}
        dynamic |= {v for r in request.seated for v in r.via if parse_selector(v).dynamic}
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

    async def _apply(self, request_id: str, event: Event, once: Idempotency | None = None) -> Request:
        """Apply an event, once where its call has a key."""
        now = self._clock.now()
        once = once or this_call(request_id)
        standing = await self._stand_ins.now()

        def work(tx: Transaction) -> Request | AssentError:
            if once and (known := replayed(tx, once)):
                authority.admit_key(self._key, event, known)
                return known
            applied = apply(
                tx,
                request_id,
                event,
                now,
                lambda change: standing.take_over(change, now, self._ids),
                key=self._key,
                policies=self._rules.deciding,
            )
            if once and isinstance(applied, Request):
                tx.remember(once, request_id, now)
            return applied

        outcome = await self._store.write(work, ids=(request_id,))
        if isinstance(outcome, AssentError):
            raise outcome
        return outcome

    async def _dry_run(self, request_id: str, event: Event) -> Request:
        request, now = await self.get(request_id), self._clock.now()
        return ruled(request, event, lifecycle.apply(request, event, now), self._rules.deciding, now).request


def asker(spec: Spec) -> Asker:
    """What computed groups may know of a request."""
    return Asker(requester=spec.requester, labels=spec.labels)


def warn_if_lost(request: Request) -> None:
    """Tell the operators, in the log, that nobody can decide a request any more."""
    if not request.status.final and quorum.out_of_reach(request):
        log.warning("%s: the quorum can no longer be reached; its trail says who cannot be told", request.id)
