"""What a respondent does with a request: answer, take the answer back, ask back, escalate, hand it on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bot.approvals.audience.groups import Asker
from bot.approvals.visibility import Seeing
from bot.domain.access.authority import told
from bot.domain.errors import AlreadyResolved, AssentError, Fault, Invalid, NotInAudience
from bot.domain.model.events import UNKNOWN, AddComment, Delegate, Escalate, Respond, SeenVersion, Withdraw
from bot.domain.model.frozen import replace
from bot.domain.model.request import OpenSelector, Request, Respondent
from bot.domain.model.spec import Level
from bot.domain.people.audience import OUTSIDER, Actor, SelectorKind, parse_selector, seat
from bot.ports.store import StandIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from bot.domain.lifecycle.response_rules import ResponseInput
    from bot.domain.model.events import Event
    from bot.ports.store import Idempotency

    Acting = Respond | Withdraw | AddComment | Escalate | Delegate


class Answering(Seeing):
    """What respondents do."""

    async def respond(
        self,
        request_id: str,
        actor: Actor,
        answer: ResponseInput,
        seen: SeenVersion = UNKNOWN,
        once: Idempotency | None = None,
    ) -> Request:
        """Record one person's answer, once; raises the refusal in words, and then nothing was recorded.

        The same call again, by its key (`once`), records nothing either.
        """
        return await self._act(request_id, self._answer(actor, answer, seen), partial(self._apply, once=once))

    async def check_response(
        self, request_id: str, actor: Actor, answer: ResponseInput, seen: SeenVersion = UNKNOWN
    ) -> None:
        """Raise the refusal that `respond` would raise now, and record nothing."""
        await self._act(request_id, self._answer(actor, answer, seen), self._dry_run)

    def _answer(self, actor: Actor, answer: ResponseInput, seen: SeenVersion) -> Respond:
        return Respond(actor=actor, answer=answer, new_id=self._ids.respondent(), seen=seen)

    async def respond_to_many(
        self, request_ids: Iterable[str], answer: Callable[[str], Awaitable[Request]]
    ) -> dict[str, Request | AssentError]:
        """Answer several requests, each by its own response; what came of each, in their order.

        Those that want a phrase typed are refused: they are to be looked at one by one.
        """
        results: dict[str, Request | AssentError] = {}
        for request_id in dict.fromkeys(request_ids):
            try:
                request = await self._stored(request_id)
                if request.spec.level is Level.VERIFY:
                    raise told(Invalid([Fault("/requests", TOO_IMPORTANT)]), self._key, request)
                results[request_id] = await answer(request_id)
            except AssentError as refusal:
                results[request_id] = refusal
        return results

    async def withdraw(self, request_id: str, actor: Actor) -> Request:
        """Take an answer back while the request is pending, a decision that is held included."""
        return await self._act(request_id, Withdraw(actor=actor), self._apply)

    async def ask_back(self, request_id: str, actor: Actor, text: str) -> Request:
        """Ask the requester something; the request stays open."""
        event = AddComment(
            text=text,
            surface=actor.surface,
            by=actor.name or "",
            actor=actor,
            new_id=self._ids.respondent(),
        )
        return await self._act(request_id, event, self._apply)

    async def escalate(
        self, request_id: str, reason: str | None, *, by: str = "", actor: Actor | None = None
    ) -> Request:
        """Ask the next level now: as a respondent (`actor`), or as whoever `by` names."""
        event = Escalate(reason=reason, by=by, actor=actor, new_id=self._ids.respondent())
        return await self._act(request_id, event, self._apply)

    async def delegate(
        self, request_id: str, actor: Actor, to: str, reason: str | None, *, by: str | None = None
    ) -> Request:
        """Hand one request on to the person that the selector `to` names; `by`: an operator does it for them."""
        event = Delegate(
            actor=actor,
            to=replace(await self.one_person(to), id=self._ids.respondent()),
            new_id=self._ids.respondent(),
            reason=reason,
            by=by,
        )
        return await self._act(request_id, event, self._apply)

    async def stand_in(self, actor: Actor, to: str, until: datetime) -> Respondent:
        """From now until `until` the person that `to` names is asked in place of the actor; who that is.

        Raises `Invalid` where that is nobody else, or the time is over.
        """
        known = await self._known(actor)
        person = await self.one_person(to)
        if person.keys & known.keys:
            raise Invalid([Fault("/to", "is you; name somebody else")])
        if until <= self._clock.now():
            raise Invalid([Fault("/until", "is in the past; give a day to come")])
        keys = frozenset(k for k in known.keys if not k.startswith("rsp_"))
        await self._stand_ins.put(StandIn(keys=keys, person=person, until=until))
        return person

    async def end_stand_in(self, actor: Actor) -> bool:
        """Be asked again oneself; False where nobody stands in."""
        return await self._stand_ins.delete((await self._known(actor)).keys)

    async def one_person(self, selector: str) -> Respondent:
        """The one person that a selector names, seated nowhere; raises `Invalid` at `/to`."""
        try:
            kind = parse_selector(selector).kind
        except ValueError as error:
            raise Invalid([Fault("/to", str(error))]) from None
        if kind not in _PEOPLE:
            raise Invalid([Fault("/to", "must be one person: slack:U…, email:NAME@HOST or NAME@HOST")])
        found = await self._asking.resolve([selector], Asker(labels={}), place=OpenSelector(selector=""))
        seats = seat(found.found, ("" for _ in found.found))
        if found.lookups and not seats:
            raise Invalid([Fault("/to", "cannot be looked up in Slack just now; try again")])
        if any(f.person.external for f in found.found):
            raise Invalid([Fault("/to", OUTSIDER)])
        if not seats or seats[0].trouble:
            why = "; ".join(u.reason for u in found.unreached) or "nobody is known by that"
            raise Invalid([Fault("/to", f"cannot be asked: {why}")])
        return seats[0]

    async def _act(
        self, request_id: str, event: Acting, apply: Callable[[str, Event], Awaitable[Request]]
    ) -> Request:
        """Apply what an actor does; memberships cost a question to Slack: they are looked up where they decide."""
        if event.actor is None:
            return await apply(request_id, event)
        actor = await self._known(event.actor)
        try:
            return await apply(request_id, replace(event, actor=actor))
        except AlreadyResolved as refusal:
            raise await self.refused(refusal, actor) from None
        except NotInAudience:
            memberships = await self._memberships(request_id, actor)
            if not memberships:
                raise
            return await apply(request_id, replace(event, actor=replace(actor, memberships=memberships)))


TOO_IMPORTANT = "this one wants a phrase typed, so it cannot be answered together with others; open it"

_PEOPLE = {SelectorKind.EMAIL, SelectorKind.BOTH, SelectorKind.SLACK_USER, SelectorKind.SLACK_EMAIL}
