"""Who may see a request, and who may do what with it, by an API key: asked on every path that a key can take.

    see it                             `read`, or `submit` where this key submitted it
    cancel, revise, remind, escalate,  the key that submitted it (`submit`), or `operate`
      reply as the requester
    act for a respondent               `respond`; or `operate`, but not on what the key submitted itself
    decide as operator                 `operate`, but not on what the key submitted itself

So a program that asks can never decide what it asked, whatever else its key may do but `respond`, which is for those
who bring people's answers. `HOLDERS` are the exception: whoever has one of those has the whole server anyway.

People do not come with a key: what they may do is `audience.admit`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from bot.domain.errors import ForbiddenScope, NotYours, SelfApproval
from bot.domain.model.events import (
    AddComment,
    Cancel,
    Delegate,
    Escalate,
    Operate,
    Remind,
    Respond,
    Revise,
    Withdraw,
)
from bot.domain.model.frozen import replace

if TYPE_CHECKING:
    from bot.domain.errors import AssentError
    from bot.domain.model.events import Event
    from bot.domain.model.request import Request

    E = TypeVar("E", bound=Event)


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    READ = "read"
    RESPOND = "respond"
    OPERATE = "operate"
    LINKS = "links"
    ADMIN = "admin"


HOLDERS = frozenset({"bootstrap", "local"})
"""Ids of the keys that nobody made: that of the settings, and that of a client straight on the database."""

DECIDING = (Scope.RESPOND, Scope.OPERATE, Scope.LINKS, Scope.ADMIN)
"""With any of these a key can answer: for people, as operator, by their links, or with a key that it makes itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as it is known: never the key itself."""

    id: str
    name: str
    scopes: frozenset[str]


def submitted(key: Key, request: Request) -> bool:
    """Whether the request came with this key."""
    return request.spec.submitted_by == key.id


def reads(key: Key | None, request: Request) -> bool:
    """Whether a call with this key (None: no key is asked for) may be told what the request says."""
    if key is None or Scope.READ in key.scopes:
        return True
    return Scope.SUBMIT in key.scopes and submitted(key, request)


def only_own(key: Key | None) -> str | None:
    """The id of a key that sees nothing but what it submitted; None where it sees everything."""
    return None if key is None or Scope.READ in key.scopes else key.id


def admit_key(key: Key | None, event: E, request: Request) -> E:
    """The event with who does it, in words; raises `ForbiddenScope`, `NotYours` or `SelfApproval`."""
    if key is None:
        return event
    _check_key(key, event, request)
    match event:
        case Delegate():
            return replace(event, by=None if Scope.RESPOND in key.scopes else operator(key))
        case Revise() | AddComment():
            return replace(event, by=author(key, request))
        case Operate():
            return replace(event, by=operator(key))
        case Cancel() | Remind() | Escalate():
            return replace(event, by=operator(key) if Scope.OPERATE in key.scopes else author(key, request))
    return event


def _check_key(key: Key, event: Event, request: Request) -> None:
    match event:
        case Operate():
            check_decides(key, request)
        case Respond() | Withdraw() | Delegate():
            check_answers(key, request)
        case AddComment() | Escalate() if event.actor:
            check_answers(key, request)
        case Cancel() | Revise() | Remind() | AddComment() | Escalate():
            check_manages(key, request)
        case _:
            raise ForbiddenScope("No key may do this.")


def check_manages(key: Key | None, request: Request) -> None:
    """Raise unless the key may do what the requester may: cancel, revise, remind, escalate, reply."""
    if key is None or Scope.OPERATE in key.scopes:
        return
    _need(key, Scope.SUBMIT)
    if not submitted(key, request):
        raise NotYours(
            f"This request was submitted with another key than {key.name!r}: that one may do this, or one with the "
            "scope `operate`."
        )


def check_answers(key: Key | None, request: Request) -> None:
    """Raise unless the key may act for respondents."""
    if key is None or Scope.RESPOND in key.scopes:
        return
    _need(key, Scope.OPERATE)
    _not_its_own(key, request)


def check_decides(key: Key | None, request: Request) -> None:
    """Raise unless the key may decide as operator."""
    if key is None:
        return
    _need(key, Scope.OPERATE)
    _not_its_own(key, request)


def operator(key: Key) -> str:
    """The owner of a key who acts as operator, in words."""
    return f"operator ({key.name})"


def author(key: Key, request: Request) -> str:
    """Who speaks with a key as whoever asked, in words: the requester only where it is the key that submitted."""
    if submitted(key, request):
        return request.spec.requester or key.name
    return operator(key)


def told(refusal: AssentError, key: Key | None, request: Request) -> AssentError:
    """A refusal as a call with this key may hear it: without what the request says, where it may not read that."""
    if not reads(key, request):
        refusal.withhold()
    return refusal


def _need(key: Key, scope: Scope) -> None:
    if scope not in key.scopes:
        raise ForbiddenScope(f"This needs the scope `{scope}`, which the key {key.name!r} has not.")


def _not_its_own(key: Key, request: Request) -> None:
    if submitted(key, request) and key.id not in HOLDERS:
        raise SelfApproval(
            f"This request was submitted with the key {key.name!r} itself, and no key decides what it asked: "
            "answer as a person, or with another key."
        )
