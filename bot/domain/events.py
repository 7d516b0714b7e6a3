"""What can happen to a request: the inputs of `lifecycle.apply`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.answers import Answer
    from bot.domain.audience import Actor
    from bot.domain.request import Respondent, Surface, Unreached


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """`actor` gives `answer`. `new_id` is for a channel member's new seat; `revision` is what they saw, if known."""

    actor: Actor
    answer: Answer
    new_id: str
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operate:
    """An operator decides at once, whatever the quorum. `by` names the operator in words."""

    decision: str
    reason: str | None
    by: str
    surface: Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The question is taken back. `by` names who did so, in words."""

    reason: str | None
    by: str
    surface: Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Time has passed; whether anything is due is the request's to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """People behind `selectors` are known at last.

    `found` are new seats, `channels` and `unreached` what else came of it, `requester_keys` the requester's addresses
    where those were the question.
    """

    selectors: tuple[str, ...] = ()
    found: tuple[Respondent, ...] = ()
    channels: tuple[str, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    requester_keys: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold:
    """A delivery failed for good: nobody can be told at `target` (`slack:U…`, `slack:C…`, `email:…`), and why."""

    target: str
    reason: str


Event = Respond | Operate | Cancel | Timer | LookedUp | NotTold
