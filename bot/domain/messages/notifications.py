"""Who must be told what: what a change of a request leaves to be delivered.

A card is told of once and then redrawn from the stored state after every change; a mail is sent once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.model.frozen import replace
from bot.domain.model.hours import working
from bot.domain.model.request import ResolvedBy, RespondentState, Surface
from bot.domain.people.audience import awaited, may_still_answer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.model.request import Address, Request, Respondent


class Notice(StrEnum):
    """What a delivery says. A card is redrawn with the state; a mail is sent once."""

    CARD = "card"
    ASK = "ask"
    REMINDER = "reminder"
    NEWS = "news"
    RECEIPT = "receipt"
    OUTCOME = "outcome"
    NOTIFICATION = "notification"
    CALLBACK = "callback"


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Somebody must be told something, later."""

    notice: Notice
    surface: str
    address: str
    respondent: str | None = None
    text: str | None = None
    """What the news is, in a sentence."""
    at: datetime | None = None
    """Not before this."""


def asks(respondents: Iterable[Respondent]) -> tuple[Notification, ...]:
    """The first card or mail to every address of those who are awaited."""
    return tuple(
        Notification(
            notice=Notice.CARD if address.surface is Surface.SLACK else Notice.ASK,
            surface=str(address.surface),
            address=address.value,
            respondent=r.id,
        )
        for r in respondents
        if r.state is RespondentState.WAITING
        for address in r.addresses
    )


def newly_asked(before: Request, after: Request) -> tuple[Notification, ...]:
    """The first card or mail to every address of the open step that was not asked `before`."""
    told = {a for r in before.seated for a in r.addresses}
    new = [replace(r, addresses=tuple(a for a in r.addresses if a not in told)) for r in after.seated]
    return (*asks(new), *channel_cards(c for c in after.channels if c not in before.channels))


def channel_cards(channels: Iterable[str]) -> tuple[Notification, ...]:
    """One card a channel."""
    return tuple(
        Notification(notice=Notice.CARD, surface=str(Surface.SLACK), address=c.removeprefix("slack:"))
        for c in channels
    )


def _mail(respondent: Respondent) -> Address | None:
    return next((a for a in respondent.addresses if a.surface is Surface.EMAIL), None)


def receipt(respondent: Respondent) -> tuple[Notification, ...]:
    """The mail that says their answer was recorded, where they have an address."""
    mail = _mail(respondent)
    if mail is None:
        return ()
    return (
        Notification(
            notice=Notice.RECEIPT, surface=mail.surface, address=mail.value, respondent=respondent.id
        ),
    )


def outcome_mails(request: Request) -> tuple[Notification, ...]:
    """Everybody who was asked by mail, in this step or an earlier one, and has not answered need not any more."""
    asked = sorted((r for r in request.known if r.step <= request.step), key=lambda r: r.step)
    latest = {mail: r for r in asked if (mail := _mail(r))}
    return tuple(
        Notification(notice=Notice.OUTCOME, surface=mail.surface, address=mail.value, respondent=r.id)
        for mail, r in latest.items()
        if r.state is RespondentState.WAITING
    )


def callback(request: Request) -> tuple[Notification, ...]:
    """The POST to whoever wants to be called back."""
    url = request.spec.callback_url
    return (Notification(notice=Notice.CALLBACK, surface="callback", address=url),) if url else ()


def reminders(request: Request, now: datetime, last: datetime | None = None) -> tuple[Notification, ...]:
    """Everybody who is awaited is asked again, in their working hours; a channel as a whole.

    Whoever still has the reminder of `last` to come, because they do not work yet, gets no second one.
    """
    hours = request.spec.hours

    def spared(zone: str | None) -> bool:
        return last is not None and working(hours, last, zone) > now

    people = tuple(
        Notification(
            notice=Notice.REMINDER,
            surface=str(address.surface),
            address=address.value,
            respondent=r.id,
            at=working(hours, now, r.time_zone),
        )
        for r in awaited(request)
        if not spared(r.time_zone)
        for address in r.addresses
    )
    rooms = tuple(
        Notification(
            notice=Notice.REMINDER,
            surface=str(Surface.SLACK),
            address=p.selector.removeprefix("slack:"),
            at=working(hours, now, None),
        )
        for p in request.open_places
        if may_still_answer(request, p) and not spared(None)
    )
    return people + rooms


def news(respondents: Iterable[Respondent], text: str) -> tuple[Notification, ...]:
    """Tell people what happened to a request they follow, in one sentence."""
    return tuple(
        Notification(
            notice=Notice.NEWS,
            surface=str(address.surface),
            address=address.value,
            respondent=r.id,
            text=text,
        )
        for r in respondents
        for address in r.addresses
    )


def requester_news(request: Request, text: str) -> tuple[Notification, ...]:
    """Tell the requester, where they can be told."""
    return tuple(
        Notification(notice=Notice.NEWS, surface=str(a.surface), address=a.value, text=text)
        for a in request.requester_addresses
    )


def obsolete(notice: Notice, respondent_id: str | None, request: Request | None) -> str | None:
    """Why there is nothing to say any more, if so.

    Nobody is asked or reminded of what is decided or what they have answered, or told how it was going meanwhile.
    An answer that does not stand any more has no receipt.
    """
    if request is None or notice not in {Notice.ASK, Notice.REMINDER, Notice.NEWS, Notice.RECEIPT}:
        return None
    decided = request.outcome and request.outcome.resolved_by is not ResolvedBy.POLICY
    if decided and notice is not Notice.RECEIPT:
        return "the request was decided before it could be sent"
    respondent = request.respondent(respondent_id or "")
    return _unwanted(notice, respondent, request) if respondent else None


def _unwanted(notice: Notice, respondent: Respondent, request: Request) -> str | None:
    match notice:
        case Notice.RECEIPT if not request.response_of(respondent.id):
            return "the answer was taken back or set back"
        case Notice.ASK | Notice.REMINDER if respondent.state is RespondentState.DELEGATED:
            return "they have handed it on"
        case Notice.ASK | Notice.REMINDER if respondent.step != request.step:
            return "their step is closed"
        case Notice.ASK | Notice.REMINDER if respondent.state.answered:
            return "they have answered already"
    return None
