"""One event applied to one stored request, within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain import lifecycle
from bot.domain.errors import AssentError, IdempotencyConflict, NotFound
from bot.domain.events import Timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.change import Change
    from bot.domain.events import Event
    from bot.domain.request import Request
    from bot.ports import Idempotency, Requests, Transaction


def apply(
    tx: Transaction, request_id: str, event: Event, now: datetime, follow: Callable[[Change], Change]
) -> Request | AssentError:
    """Apply a timer that is due and has not fired yet, then the event; `follow` adds what either brings with it.

    A refusal is returned, not raised, so that the timer's change is kept.
    """
    request = must(tx, request_id)
    timed = lifecycle.apply(request, Timer(), now)
    if timed.facts:
        timed = follow(timed)
        tx.save(timed, now)
    if isinstance(event, Timer):
        return timed.request
    try:
        change = lifecycle.apply(timed.request, event, now)
    except AssentError as refusal:
        return refusal
    if change.facts:
        change = follow(change)
        tx.save(change, now)
    return change.request


def replayed(tx: Requests, idempotency: Idempotency) -> Request | None:
    """The request of an earlier call with the same key; raises `IdempotencyConflict` where that said something else."""
    known = tx.idempotent(idempotency.key)
    if known is None:
        return None
    digest, request_id = known
    if digest != idempotency.digest:
        raise IdempotencyConflict(
            f"This Idempotency-Key was used for {request_id} with another body; use a new key for a new call."
        )
    return must(tx, request_id)


def must(tx: Requests, request_id: str) -> Request:
    """The request; raises `NotFound`."""
    request = tx.request(request_id)
    if request is None:
        raise unknown(request_id)
    return request


def unknown(request_id: str) -> NotFound:
    """The refusal for a request that there is not, or that somebody may not see: nobody can tell which."""
    return NotFound(f"There is no request {request_id[:80]!r}.")
