"""Open a request, and look for people whom Slack could not name at once; tell people without asking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.approvals.apply_event import recorded, replayed
from bot.approvals.audience.groups import Asker
from bot.approvals.audience.resolver import AT_ONCE, Audience, check_reach, together, too_many
from bot.approvals.context import Core, asker, warn_if_lost
from bot.approvals.idempotency import this_call
from bot.approvals.offload import aside
from bot.approvals.validation.callback_urls import callback_faults
from bot.approvals.validation.submission import (
    Defaults,
    audience_faults,
    build_spec,
    deadline,
    keeps_from_seating,
    named_in,
    read_submission,
    selectors,
    submission_faults,
)
from bot.domain.errors import Invalid, NoAudience
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import AudienceResolved
from bot.domain.model.frozen import replace
from bot.domain.model.request import LADDER, OpenSelector, Request, Unreached
from bot.domain.people.audience import MAX_AUDIENCE, MAX_PEOPLE, seat
from bot.domain.policies import policy
from bot.ports.store import Idempotency, Message

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.model.request import Json, Respondent
    from bot.domain.model.spec import Spec
    from bot.ports.store import Transaction
    from bot.schemas.requests import NotifyBody, SubmitBody

NOTIFICATION = "a notification"
"""What stands in the place of a request's id where an idempotency key is of a call that asks nobody."""


class Submitting(Core):
    """Asking people."""

    async def submit(self, body: SubmitBody, idempotency: Idempotency | None = None) -> tuple[Request, bool]:
        """Open a request; the flag says whether it is new (else the same key and body were used before).

        Raises `NoAudience`, `Invalid`, `IdempotencyConflict`.
        """
        now = self._clock.now()
        if idempotency and (known := await self._store.read(lambda tx: replayed(tx, idempotency, self._key))):
            return known, False
        request = await self._checked(body, now)
        ruling = policy.rule(
            request.spec, auto_approve=self._rules.auto_approve, policies=self._rules.policies
        )
        standing = await self._stand_ins.now()
        change = await aside(
            lambda: standing.take_over(lifecycle.open_request(request, ruling, now), now, self._ids),
            people=len(request.respondents),
        )
        if self._key:
            change = change.with_key(self._key.name)

        def work(tx: Transaction) -> tuple[Request, bool]:
            if idempotency:
                if known := replayed(tx, idempotency, self._key):
                    return known, False
                tx.remember(idempotency, request.id, now)
            tx.save(change, now)
            return change.request, True

        return await self._store.write(work)

    def read(self, body: Json) -> SubmitBody:
        """The body of a submission; raises `Invalid`."""
        return read_submission(body, self._clock.now())

    async def _checked(self, body: SubmitBody, now: datetime) -> Request:
        """The request that `body` asks for; raises `Invalid` with every fault, or `NoAudience`."""
        faults = await callback_faults(
            body.callback_url,
            allow_private=self._rules.callback_allow_private,
            orchestrators=self._rules.orchestrators,
        )
        faults += await aside(
            lambda: submission_faults(body, now), body.payload, body.form, people=named_in(body)
        )
        if keeps_from_seating(faults):
            raise Invalid(faults)
        defaults = Defaults(audience=self._rules.default_audience, hours=self._rules.hours)
        try:
            spec = await aside(
                lambda: build_spec(body, defaults, now, key=self._key), body.payload, body.form
            )
            request = await self._seat(spec, deadline(body, now), now)
        except (Invalid, NoAudience) as error:
            faults += error.faults if isinstance(error, Invalid) else ()
            if not faults:
                raise
        if faults:
            raise Invalid(faults)
        return request

    async def _seat(self, spec: Spec, timeout_at: datetime | None, now: datetime) -> Request:
        requester = await self._asking.identity(spec.requester)
        audience, respondents = await self._audience(spec)
        request = Request(
            id=self._ids.request(now),
            spec=spec,
            requester_keys=requester.keys,
            requester_known=requester.known,
            requester_name=requester.name,
            requester_addresses=requester.addresses,
            respondents=respondents,
            places=audience.channels,
            lookups=audience.lookups,
            unreached=audience.unreached,
            created_at=now,
            timeout_at=timeout_at,
            opened_at=now,
        )
        await aside(lambda: check_reach(request), people=len(respondents))
        return lifecycle.at_first_step(request, now)

    async def _audience(self, spec: Spec) -> tuple[Audience, tuple[Respondent, ...]]:
        """Everybody of every step and level, each seated where they will be asked."""
        who = asker(spec)
        parts: list[Audience] = []
        respondents: list[Respondent] = []
        for index, step in enumerate(spec.steps):
            pointer = "/audience" if len(spec.steps) == 1 else f"/steps/{index}/audience"
            part, seats = await self._seats(
                step.audience, OpenSelector(selector="", step=index), who, pointer
            )
            parts.append(part)
            respondents += seats
            _few_enough(len(respondents), pointer)
        for number, level in enumerate(spec.escalation, 1):
            place, pointer = (
                OpenSelector(selector="", step=LADDER, levels=(number,)),
                f"/escalation/{number - 1}/audience",
            )
            part, seats = await self._seats(level.audience, place, who, pointer)
            parts.append(part)
            respondents += seats
            _few_enough(len(respondents), pointer)
        return together(parts), tuple(respondents)

    async def _seats(
        self, audience: tuple[str, ...], place: OpenSelector, who: Asker, pointer: str = "/audience"
    ) -> tuple[Audience, tuple[Respondent, ...]]:
        part = await self._asking.resolve(audience, who, pointer=pointer, place=place)
        ids = (self._ids.respondent() for _ in part.found)
        seats = await aside(
            lambda: seat(part.found, ids, step=place.step, levels=place.levels), people=len(part.found)
        )
        if len(seats) > MAX_AUDIENCE:
            raise too_many(pointer, len(seats))
        return part, seats

    async def look_up(self, limit: int = 20) -> int:
        """Try again to find the people Slack could not be asked about; how many requests have news."""
        found = 0
        for request_id in await self._store.read(lambda tx: tx.unresolved(limit)):
            request = await self.get(request_id)
            event = await self._found(request)
            if event.places or event.requester_keys is not None:
                warn_if_lost(await self._apply(request_id, event))
                found += 1
        return found

    async def _found(self, request: Request) -> AudienceResolved:
        """What Slack says now about everybody it could not name before."""
        event, room = AudienceResolved(), MAX_PEOPLE - len(request.respondents)
        for start in range(0, len(request.lookups), AT_ONCE):
            places = request.lookups[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._again(place, request) for place in places))
            for place, (part, seats) in zip(places, answers, strict=True):
                if any(p.selector == place.selector for p in part.lookups):
                    continue
                if len(seats) > room:
                    part, seats = _no_room(place), ()  # noqa: PLW2901 - they are not asked
                room -= len(seats)
                event = replace(
                    event,
                    places=(*event.places, place),
                    found=(*event.found, *seats),
                    rooms=(*event.rooms, *part.channels),
                    lookups=(*event.lookups, *part.lookups),
                    unreached=(*event.unreached, *part.unreached),
                )
        if request.requester_known:
            return event
        asks = await self._asking.identity(request.spec.requester)
        return replace(event, requester_keys=asks.keys, requester_name=asks.name) if asks.known else event

    async def _again(self, place: OpenSelector, request: Request) -> tuple[Audience, tuple[Respondent, ...]]:
        """What one selector comes to now; a user group that has grown too large is shown as such."""
        try:
            return await self._seats((place.selector,), place, asker(request.spec))
        except Invalid:
            return _no_room(place), ()

    async def notify(self, body: NotifyBody) -> None:
        """Tell people without asking; raises `Invalid`, or `NoAudience` where that reaches nobody."""
        if faults := audience_faults(body.audience, body.destination):
            raise Invalid(faults)
        audience = await self._asking.resolve(
            selectors(body.audience, body.destination, self._rules.default_audience), Asker(labels={})
        )
        now, once = self._clock.now(), this_call(NOTIFICATION)
        places = [(a.surface.value, a.value) for f in audience.found if not f.trouble for a in f.addresses]
        places += [("slack", c.selector.removeprefix("slack:")) for c in audience.channels]
        if not places:
            raise NoAudience(
                "The notification reaches nobody: name somebody who can be told by Slack or mail."
            )

        def work(tx: Transaction) -> None:
            if once:
                if recorded(tx, once) is not None:
                    return
                tx.remember(once, NOTIFICATION, now)
            for surface, address in dict.fromkeys(places):
                tx.notify(Message(surface=surface, address=address, message=body.message), now)

        await self._store.write(work)

    async def defer(self, surface: str, address: str, content: str) -> None:
        """Queue what was accepted for the sender of `surface`, which carries it out even after a crash."""
        now = self._clock.now()
        accepted = Message(surface=surface, address=address, message=content)
        await self._store.write(lambda tx: tx.notify(accepted, now))


def _few_enough(people: int, pointer: str) -> None:
    if people > MAX_PEOPLE:
        raise too_many(pointer, people, MAX_PEOPLE)


def _no_room(place: OpenSelector) -> Audience:
    """What a selector comes to that brings more people than one request may have."""
    reason = f"brings more people than one request may ask ({MAX_PEOPLE:,}, {MAX_AUDIENCE:,} in one audience)"
    return Audience(unreached=(Unreached(target=place.selector, reason=reason),))
