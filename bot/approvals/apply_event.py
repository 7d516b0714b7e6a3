"""One event applied to one stored request, within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.access import authority
from bot.domain.errors import AssentError, IdempotencyConflict, NotFound
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import Timer
from bot.domain.policies.policy import Policies
from bot.domain.policies.ruling import ruled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.domain.access.authority import Key
    from bot.domain.model.events import Event
    from bot.domain.model.request import Request
    from bot.domain.model.transition import Transition
    from bot.ports.store import Idempotency, Requests, Transaction


NO_POLICIES = Policies()


def apply(
    tx: Transaction,
    request_id: str,
    event: Event,
    now: datetime,
    follow: Callable[[Transition], Transition],
    *,
    key: Key | None = None,
    policies: Policies = NO_POLICIES,
) -> Request | AssentError:
    """Apply a timer that is due and has not fired yet, then the event; `follow` adds what either brings with it.

    `key` is the API key of the call, which must be one that may do this, and of which every fact then speaks. A refusal
    is returned, not raised, so that the timer's change is kept.
    """
    request = get_or_raise(tx, request_id)
    timed = lifecycle.apply(request, Timer(), now)
    if timed.facts:
        timed = follow(timed)
        tx.save(timed, now)
    if isinstance(event, Timer):
        return timed.request
    try:
        event = authority.admit_key(key, event, timed.request)
    except AssentError as refusal:
        return refusal
    try:
        change = ruled(timed.request, event, lifecycle.apply(timed.request, event, now), policies, now)
    except AssentError as refusal:
        return authority.told(refusal, key, timed.request)
    if change.facts:
        change = follow(change).with_key(key.name) if key else follow(change)
        tx.save(change, now)
    return change.request


def replayed(tx: Requests, idempotency: Idempotency, key: Key | None = None) -> Request | None:
    """The request of an earlier call with the same key; raises `IdempotencyConflict` where that said something else.

    With the API `key` of a call also `NotFound`, where it may not read that request.
    """
    request_id = recorded(tx, idempotency)
    return None if request_id is None else get_or_raise(tx, request_id, key)


def recorded(tx: Requests, idempotency: Idempotency) -> str | None:
    """What an earlier call with the same key was about; raises `IdempotencyConflict` as above."""
    known = tx.idempotent(idempotency.key)
    if known is None:
        return None
    digest, request_id = known
    if digest != idempotency.digest:
        raise IdempotencyConflict(
            f"This Idempotency-Key was used for {request_id} with another body; use a new key for a new call."
        )
    return request_id


def get_or_raise(tx: Requests, request_id: str, key: Key | None = None) -> Request:
    """The request; raises `NotFound`, also for one that a call with `key` may not read: nobody learns which it is."""
    request = tx.request(request_id)
    if request is None or not authority.reads(key, request):
        raise unknown(request_id)
    return request


def unknown(request_id: str) -> NotFound:
    """The refusal for a request that there is not, or that somebody may not see: nobody can tell which."""
    return NotFound(f"There is no request {request_id[:80]!r}.")
