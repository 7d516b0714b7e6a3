"""What can happen to a request: the inputs of `lifecycle.apply`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.lifecycle.response_rules import ResponseInput
    from bot.domain.model.request import OpenSelector, Respondent, Surface, Unreached
    from bot.domain.people.audience import Actor


class SeenVersion(NamedTuple):
    """What somebody had before them when they answered, as far as that is known."""

    revision: int | None = None
    step: int | None = None


UNKNOWN = SeenVersion()


@dataclass(frozen=True, kw_only=True)
class Respond:
    """`actor` gives `answer` to what they have `seen`. `new_id` is for a channel member's new seat."""

    actor: Actor
    answer: ResponseInput
    new_id: str
    seen: SeenVersion = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Operate:
    """An operator decides at once, whatever the quorum. `by` names the operator in words."""

    answer: ResponseInput
    by: str
    surface: Surface
    seen: SeenVersion = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """The question is taken back. `by` names who did so, in words."""

    reason: str | None
    by: str
    surface: Surface


@dataclass(frozen=True, kw_only=True)
class Timer:
    """Time has passed; whether anything is due is the request's to say."""


@dataclass(frozen=True, kw_only=True)
class Withdraw:
    """`actor` takes their answer back, or undoes a decision that is still held."""

    actor: Actor


@dataclass(frozen=True, kw_only=True)
class AddComment:
    """A question back, by `actor`; or without one the requester's reply, by whoever `by` names in words."""

    text: str
    surface: Surface
    by: str
    actor: Actor | None = None
    new_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Revise:
    """The requester asks for something else: `changes` are fields of `Spec` and what they are from now on."""

    changes: Mapping[str, Any]
    reason: str | None
    by: str
    surface: Surface


@dataclass(frozen=True, kw_only=True)
class Remind:
    """Ask those who are awaited once more, now."""

    by: str


@dataclass(frozen=True, kw_only=True)
class Escalate:
    """Ask the next level, now: an operator (`by`, in words), or a respondent (`actor`)."""

    reason: str | None
    by: str
    actor: Actor | None = None
    new_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """`actor` hands the request on to the person in the seat `to` (its `step`, `groups` and `levels` are not read).

    `by` names an operator who does it for them; `standing`: a stand-in whom they named earlier takes over.
    """

    actor: Actor
    to: Respondent
    new_id: str
    reason: str | None = None
    by: str | None = None
    standing: bool = False


@dataclass(frozen=True, kw_only=True)
class AudienceResolved:
    """What became of `places`, which Slack could not be asked about before.

    `found` are new seats (in the `step` and `levels` of their place), `rooms` channels, `lookups` whoever of a user
    group is still to be looked up, `unreached` what cannot be told, `requester_keys` the requester's addresses where
    those were the question, and `requester_name` their name.
    """

    places: tuple[OpenSelector, ...] = ()
    found: tuple[Respondent, ...] = ()
    rooms: tuple[OpenSelector, ...] = ()
    lookups: tuple[OpenSelector, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    requester_keys: frozenset[str] | None = None
    requester_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryFailed:
    """A delivery failed for good: nobody can be told at `target` (`slack:U…`, `slack:C…`, `email:…`), and why."""

    target: str
    reason: str


Event = (
    Respond
    | Operate
    | Cancel
    | Withdraw
    | AddComment
    | Revise
    | Remind
    | Escalate
    | Delegate
    | Timer
    | AudienceResolved
    | DeliveryFailed
)
