"""State → the words that tell a person about it; every surface shows the same sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.request import REJECT, SKIP, OnTimeout, Request, ResolvedBy, Response, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

PAST_TENSE = {REJECT: "rejected", SKIP: "skipped"}


def instant(at: datetime) -> str:
    """An instant in words, where the reader's time zone is not known."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def names(request: Request, respondents: Iterable[str]) -> str:
    """`Ana, Ben and Cy`, in the order given."""
    labels = [r.label if (r := request.respondent(i)) else i for i in dict.fromkeys(respondents)]
    if len(labels) < 2:
        return "".join(labels)
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def requester(request: Request) -> str | None:
    """Who asks, by name where the audience knows them."""
    asker = request.spec.requester
    if asker is None:
        return None
    known = request.respondent(asker)
    return known.label if known else asker.removeprefix("email:").replace("slack:", "Slack user ", 1)


def outcome(request: Request) -> str:
    """Who decided what, when, without the reason: `Approved by Ana at 2026-11-21 08:00 UTC`."""
    result = request.outcome
    if result is None or request.resolved_at is None:
        return "Waiting for a decision"
    verb = {
        Status.APPROVED: "Approved",
        Status.REJECTED: "Rejected",
        Status.SKIPPED: "Skipped",
        Status.EXPIRED: "Expired",
        Status.CANCELLED: "Cancelled",
    }[result.decision]
    if result.choice:
        label = next((c.label for c in request.spec.choices if c.id == result.choice), result.choice)
        verb = f"{verb} ({label})"
    when = instant(request.resolved_at)
    if result.resolved_by is ResolvedBy.TIMEOUT:
        return (
            f"{verb} at {when}" if result.decision is Status.EXPIRED else f"{verb} by the deadline at {when}"
        )
    return f"{verb} by {result.by} at {when}"


def already_resolved(request: Request) -> str:
    """What the loser of a race, or somebody late, reads."""
    reason = request.outcome.reason if request.outcome else None
    sentence = outcome(request)
    return f"Already {sentence[0].lower()}{sentence[1:]}" + (f": {reason.rstrip('.')}." if reason else ".")


def decided(decision: str, request: Request) -> str:
    """`approved`, `rejected`, `skipped`, or the chosen label."""
    label = next((c.label for c in request.spec.choices if c.id == decision), None)
    return f"chose {label}" if label else PAST_TENSE.get(decision, "approved")


def did(decision: str, request: Request, what: str) -> str:
    """`approved WHAT`, or `chose LABEL for WHAT`."""
    words = decided(decision, request)
    return f"{words} for {what}" if words.startswith("chose ") else f"{words} {what}"


def already_responded(request: Request, response: Response) -> str:
    """What somebody reads who answers a second time, differently."""
    return f"You already {did(response.decision, request, 'this')} at {instant(response.at)}."


def recorded(request: Request, response: Response) -> str:
    """The receipt for one answer."""
    return f"You {did(response.decision, request, 'this')} at {instant(response.at)}."


def waiting_for(request: Request) -> tuple[str, ...]:
    """The names of those whose answer is still awaited."""
    return tuple(r.label for r in request.seated if not r.state.answered)


def without_answer(request: Request) -> str | None:
    """What happens if nobody answers in time."""
    if request.timeout_at is None:
        return None
    return {
        OnTimeout.EXPIRE: "Without a decision by then it expires.",
        OnTimeout.APPROVE: "Without a decision by then it counts as approved.",
        OnTimeout.REJECT: "Without a decision by then it counts as rejected.",
        OnTimeout.SKIP: "Without a decision by then it is skipped.",
        OnTimeout.ESCALATE: "Without a decision by then it is escalated.",
    }[request.spec.on_timeout]
