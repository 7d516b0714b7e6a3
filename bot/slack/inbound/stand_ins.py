"""Somebody is away: what waits for them is handed on, and until they are back whatever comes goes to another."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import AssentError, Invalid
from bot.domain.model.zones import named
from bot.slack.inbound.responses import sentence

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.ports.system import Clock
    from bot.slack.inbound.payloads import User
    from bot.slack.outbound.inbox import Inbox

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class StandInCommands:
    """Hands over and takes back; each says in words what came of it."""

    def __init__(self, approvals: Approvals, inbox: Inbox, clock: Clock) -> None:
        self._approvals = approvals
        self._inbox = inbox
        self._clock = clock

    async def hand_over(self, user: User, to: str, until: str | None) -> str:
        """Hand on what waits for this person now and, with a day, whatever comes until its end where they are.

        One line for each request that could not be handed on. Raises the refusal where none can.
        """
        said: list[str] = []
        try:
            name = (await self._approvals.one_person(to)).label
            if until:
                day, end = await self._end_of(user.id, until)
                await self._approvals.stand_in(user.actor, to, end)
                said.append(f"Until the end of {day:%A, %Y-%m-%d} {name} is asked in your place.")
        except Invalid as error:
            raise AssentError(_subject(error)) from None
        waiting = await self._inbox.personal(user.id)
        refused = [await self._refusal(user, request, to) for request in waiting]
        number = refused.count(None)
        said.append(f"Handed on to {name}: {number} of {len(waiting)} that wait for you.")
        return "\n".join([*said, *filter(None, refused)])

    async def back(self, user: User) -> str:
        """Let this person be asked again themselves."""
        ended = await self._approvals.end_stand_in(user.actor)
        return "You are asked yourself again." if ended else "Nobody stands in for you."

    async def _refusal(self, user: User, request: Request, to: str) -> str | None:
        try:
            await self._approvals.delegate(request.id, user.actor, to, None)
        except Invalid as error:
            return f"• “{request.spec.title[:60]}”: {_subject(error)}"
        except AssentError as error:
            return f"• “{request.spec.title[:60]}”: {sentence(error)}"
        return None

    async def _end_of(self, user_id: str, text: str) -> tuple[date, datetime]:
        zone = named((await self._inbox.insider(user_id)).time_zone) or UTC
        day = named_day(text, self._clock.now().astimezone(zone).date())
        return day, datetime.combine(day + timedelta(days=1), time(), zone)


def named_day(text: str, today: date) -> date:
    """`2026-12-01`, `today`, `tomorrow`, or the next of a weekday; raises `AssentError`."""
    word = text.strip().lower()
    if word in {"today", "tomorrow"}:
        return today + timedelta(days=word == "tomorrow")
    matches = [number for number, name in enumerate(WEEKDAYS) if len(word) > 2 and name.startswith(word)]
    if matches:
        return today + timedelta(days=(matches[0] - today.weekday() - 1) % 7 + 1)
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise AssentError(
            f"“{text[:40]}” is no day; write one such as 2026-12-01, friday or tomorrow."
        ) from None


def _subject(error: Invalid) -> str:
    """What is wrong with whoever, or the day, that was named."""
    subjects = {"/to": "Whom you named", "/until": "The day"}
    return "; ".join(f"{subjects.get(f.pointer, '')} {f.detail}".strip() for f in error.faults) + "."
