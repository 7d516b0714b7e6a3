"""The audit trail, played again: what its events say of a request comes to exactly what is stored, and found by.

The first event of a change carries, beside its data, the `change` itself: `set` has the fields of the request that
changed, and `splice` those of them that are lists, as `[at, gone, come]`: from place `at` so many go, and these come.
The event that created a request sets every field. Nothing is worked out again, so a trail written under other rules
still comes to what was decided then.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, exists, select

from bot.store.database import row_codec
from bot.store.database.tables import events, requests, terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.model.request import Json, Request


def change(before: Request | None, after: Request) -> dict[str, Any]:
    """What to write down of a change, in domain values."""
    if before is None:
        return {"set": vars(after)}
    old = vars(before)
    fields: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for name, value in vars(after).items():
        if value is old[name]:
            continue
        if isinstance(value, tuple):
            lists[name] = splice(old[name], value)
        else:
            fields[name] = value
    return {"set": fields, "splice": lists}


def splice(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, int, Sequence[Any]]:
    """Where two lists differ: from which place on, how many went, and what came for them."""
    shorter = min(len(old), len(new))
    at = same = 0
    while at < shorter and old[at] is new[at]:
        at += 1
    while same < shorter - at and old[-1 - same] is new[-1 - same]:
        same += 1
    return at, len(old) - at - same, new[at : len(new) - same]


def replay(bodies: Iterable[Mapping[str, Json]]) -> Request:
    """The request that the events of its trail (`events.body`, oldest first) come to; raises `ValueError` for none."""
    state: dict[str, Json] = {}
    for body in bodies:
        changed = body.get("change", {})
        state |= changed.get("set", {})
        for name, (at, gone, come) in changed.get("splice", {}).items():
            state[name] = [*state[name][:at], *come, *state[name][at + gone :]]
    return row_codec.of_json(state)


def first_difference(connection: Connection) -> str | None:
    """What is wrong with the first request, by id, that is not what its events come to."""
    trails = (
        select(events.c.request_id, events.c.body, requests)
        .outerjoin(requests, requests.c.id == events.c.request_id)
        .order_by(events.c.request_id, events.c.seq)
    )
    with connection.execute(trails, execution_options={"yield_per": 1000}) as rows:
        for request_id, trail in groupby(rows, key=attrgetter("request_id")):
            if fault := _fault(connection, list(trail)):
                return f"{request_id} {fault}"
    unheard = connection.scalar(
        select(requests.c.id).where(~exists().where(events.c.request_id == requests.c.id)).limit(1)
    )
    return f"{unheard} has no events" if unheard else None


def _fault(connection: Connection, trail: Sequence[Any]) -> str | None:
    row = trail[0]
    if row.state is None:
        return "has events but is not there"
    try:
        stored = row_codec.load((row.spec, row.state))
    except ValueError:
        return "is stored as something that is no request"
    said = replay(orjson.loads(row.body) for row in trail)
    if differing := [name for name, value in vars(said).items() if value != vars(stored)[name]]:
        return f"is stored as other than its events say: {', '.join(differing)}"
    if differing := [name for name, value in row_codec.searched(said).items() if value != getattr(row, name)]:
        return f"is searched by other than its events say: {', '.join(differing)}"
    return _misplaced(connection, said)


def _misplaced(connection: Connection, request: Request) -> str | None:
    """What is wrong with the terms that lead to a request; those of people who are gone may stay."""
    rows = connection.execute(select(terms.c.term, terms.c.open).where(terms.c.request_id == request.id))
    there = {row.term: row.open for row in rows}
    if missing := sorted(row_codec.terms(request) - there.keys()):
        return f"is not found by {', '.join(missing)}"
    wrong = sorted(term for term, is_open in there.items() if is_open is request.status.final)
    return f"is listed as what it is not under {', '.join(wrong)}" if wrong else None
