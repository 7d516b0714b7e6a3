"""State → the words that tell a person about it; every surface shows the same sentences."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.model.request import REJECT, SKIP, Request, ResolvedBy, Response, Status
from bot.domain.model.spec import Kind, OnTimeout
from bot.domain.people import naming
from bot.domain.people.audience import awaited

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.model.request import Json

"""Whose answer may still come."""

PAST_TENSE = {REJECT: "rejected", SKIP: "skipped"}


def instant(at: datetime) -> str:
    """An instant in words, where the reader's time zone is not known."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def names(request: Request, respondents: Iterable[str]) -> str:
    """`Ana, Ben and Cy`, in the order given; who answered in several steps is named once, and nobody like another."""
    people, alike = {}, naming.alike(request)
    seats = request.by_id
    for key in respondents:
        r = seats.get(key) or request.respondent(key)
        people[(r.email or r.slack_user_id or r.id) if r else key] = naming.label_in(alike, r) if r else key
    labels = list(people.values())
    if len(labels) < 2:
        return "".join(labels)
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def requester(request: Request) -> str | None:
    """Who asks, by name where the audience or Slack knows them."""
    asker = request.spec.requester
    if asker is None:
        return None
    known = request.respondent(asker)
    if known:
        return naming.label(request, known)
    if request.requester_name:
        return naming.requester_label(request, request.requester_name)
    return asker.removeprefix("email:").replace("slack:", "Slack user ", 1)


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
    if request.spec.kind is Kind.FEEDBACK and result.decision is Status.APPROVED:
        verb = "Answered"
    when = instant(request.resolved_at)
    if result.resolved_by is ResolvedBy.TIMEOUT:
        return (
            f"{verb} at {when}" if result.decision is Status.EXPIRED else f"{verb} by the deadline at {when}"
        )
    return f"{verb} by {result.by} at {when}"


def reasons(request: Request) -> str:
    """Why a final request ended so, in the words of those who decided; whose they are where several did."""
    result = request.outcome
    if result is None:
        return ""
    said = [r for r in request.responses if r.respondent in result.respondents and (r.reason or "").strip()]
    if not said or len(result.respondents) == 1:
        return (result.reason or "").strip()
    return "\n".join(f"{names(request, [r.respondent])}: {(r.reason or '').strip()}" for r in said)


def already_resolved(request: Request) -> str:
    """What the loser of a race, or somebody late, reads."""
    reason = request.outcome.reason if request.outcome else None
    sentence = outcome(request)
    return f"Already {sentence[0].lower()}{sentence[1:]}" + (f": {reason.rstrip('.')}." if reason else ".")


def decided(decision: str, request: Request) -> str:
    """`approved`, `rejected`, `skipped`, or the chosen label."""
    label = next((c.label for c in request.spec.choices if c.id == decision), None)
    if label:
        return f"chose {label}"
    positive = {Kind.INPUT: "filled in", Kind.FEEDBACK: "gave feedback"}.get(request.spec.kind, "approved")
    return PAST_TENSE.get(decision, positive)


def did(decision: str, request: Request, what: str) -> str:
    """`approved WHAT`, or `chose LABEL for WHAT`."""
    words = decided(decision, request)
    if words == "gave feedback":
        return f"{words} on {what}"
    return f"{words} for {what}" if words.startswith("chose ") else f"{words} {what}"


def answered(response: Response, request: Request) -> str:
    """What somebody's answer was: `approved`, `gave feedback: 0.8, “quick and friendly”`."""
    words, values = decided(response.decision, request), response.values or {}
    if request.spec.kind is not Kind.FEEDBACK or "score" not in values:
        return words
    comment = f", “{value(values['comment'])}”" if values.get("comment") else ""
    return f"{words}: {values['score']}{comment}"


def already_responded(request: Request, response: Response) -> str:
    """What somebody reads who answers a second time, differently."""
    return f"You already {did(response.decision, request, 'this')} at {instant(response.at)}."


def recorded(request: Request, response: Response) -> str:
    """The receipt for one answer."""
    return f"You {did(response.decision, request, 'this')} at {instant(response.at)}."


def waiting_for(request: Request) -> tuple[str, ...]:
    """The names of those whose answer is still awaited."""
    return naming.labels(request, awaited(request))


def handed_on(giver: str, taker: str, reason: str | None, *, by: str | None, standing: bool) -> str:
    """Who takes over from whom: `Ana handed this on to Ben: on holiday`."""
    if standing:
        words = f"{taker} stands in for {giver}"
    elif by:
        words = f"{by} handed this on from {giver} to {taker}"
    else:
        words = f"{giver} handed this on to {taker}"
    return f"{words}: {reason}" if reason else f"{words}."


def edited(editor: str, changes: Iterable[tuple[str, Json, Json]], set_back: Sequence[str]) -> str:
    """What somebody changed, and whose approval that sets back."""
    words = f"{editor} changed {_changes(changes)}."
    if set_back:
        whose = f"{', '.join(set_back[:-1])} and {set_back[-1]}" if len(set_back) > 1 else set_back[0]
        words += f" The approval of {whose} was for other values, so it does not count any more."
    return words


def revised(by: str, changes: Sequence[tuple[str, Json, Json]], reason: str | None) -> str:
    """What the requester asks now in place of what was asked before."""
    words = f"{by} changed {_changes(changes) if changes else 'the question'}"
    return f"{words}: {reason}" if reason else f"{words}. Earlier answers do not count any more."


def _changes(changes: Iterable[tuple[str, Json, Json]]) -> str:
    return "; ".join(
        f"{name or 'the payload'} from {value(old)} to {value(new)}" for name, old, new in changes
    )


def value(value: Json) -> str:
    """A JSON value in short, as people read it."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


MAX_VALUE = 100


NO_DEADLINE = "There is no deadline: it waits until it is answered."


def without_answer(request: Request) -> str | None:
    """What happens if nobody answers in time."""
    if request.deadline is None:
        return None
    if request.spec.kind is Kind.FEEDBACK:
        return "What was given by then is the result."
    whole = request.deadline == request.timeout_at
    rule = request.spec.on_timeout if whole else request.current.on_timeout or request.spec.on_timeout
    return {
        OnTimeout.EXPIRE: "Without a decision by then it expires.",
        OnTimeout.APPROVE: "Without a decision by then it counts as approved.",
        OnTimeout.REJECT: "Without a decision by then it counts as rejected.",
        OnTimeout.SKIP: "Without a decision by then it is skipped.",
        OnTimeout.ESCALATE: "Without a decision by then it is escalated.",
    }[rule]
