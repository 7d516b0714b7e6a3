"""One page of a list: read off the end of one index, while the other filters are looked up for one request at a time.

Of several filters the one that fits the fewest requests leads, so that a page costs no more than what the rarest fits.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select, union_all

from bot.domain.model.identity import person_keys
from bot.domain.model.request import Status
from bot.store.database.tables import requests, terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from bot.ports.store import Query

Keys = list[str]
"""Terms, any of which a request must have."""

SAMPLE = 200
"""How many of the newest requests are looked at for each filter to find the rarest."""


def newest(connection: Connection, query: Query) -> Sequence[Row[str, str]]:
    """`spec` and `state` of the newest requests that the query wants, one more than its limit where there are more."""
    filters = _filters(query)
    leading = _rarest(connection, query, filters)
    page = select(requests.c.spec, requests.c.state).order_by(requests.c.id.desc()).limit(query.limit + 1)
    if leading is None:
        wanted = [*_of_requests(query), *_below(requests.c.id, query), *_having(requests.c.id, filters)]
        return connection.execute(page.where(*wanted)).all()
    id = terms.c.request_id
    others = [keys for keys in filters if keys is not leading]
    wanted = [*_below(id, query), *_having(id, others), *_being(id, query)]
    ids = _off_the_end(leading, query.status, query.limit + 1, *wanted)
    return connection.execute(page.where(requests.c.id.in_(ids))).all()


def _filters(query: Query) -> list[Keys]:
    """What a request must have one of, each."""
    filters = []
    if query.respondents or query.rooms:
        asked = [f"respondent:{key}" for key in query.respondents]
        filters.append([*asked, *(f"room:{room}" for room in query.rooms)])
    if query.requester:
        names = [query.requester, query.requester.lower(), f"email:{query.requester.lower()}"]
        names += sorted(person_keys(frozenset(n for n in names if n.startswith("email:"))))
        filters.append([f"requester:{name}" for name in dict.fromkeys(names)])
    if query.submitted_by:
        filters.append([f"key:{query.submitted_by}"])
    return [*filters, *([f"label:{label}"] for label in query.labels)]


def _rarest(connection: Connection, query: Query, filters: list[Keys]) -> Keys | None:
    """The filter that leads; None where it is the status, or there is no filter."""
    candidates: list[Keys | None] = [*filters]
    if query.status not in {None, Status.PENDING} or not filters:
        candidates.append(None)
    if len(candidates) == 1:
        return candidates[0]
    samples = [connection.execute(_sample(keys, query.status)).one() for keys in candidates]
    return candidates[samples.index(min(samples))]


def _sample(keys: Keys | None, status: Status | None) -> Select[int, str]:
    """How many there are, at most `SAMPLE` a term, and the oldest of them: the rarer, the older."""
    if keys is None:
        last = select(requests.c.id).where(requests.c.status == str(status))
        ids = last.order_by(requests.c.id.desc()).limit(SAMPLE).subquery().c.id
    else:
        ids = _off_the_end(keys, status, SAMPLE).subquery().c.request_id
    return select(func.count(), func.coalesce(func.min(ids), ""))


def _off_the_end(
    keys: Keys, status: Status | None, most: int, *conditions: ColumnElement[bool]
) -> Select[Any]:
    """The ids of the newest requests with one of the terms, `most` of each, read off the end of the index on terms."""
    opens = (True, False) if status is None else (status is Status.PENDING,)
    parts = []
    for key, is_open in product(keys, opens):
        part = select(terms.c.request_id).where(terms.c.term == key, terms.c.open == is_open, *conditions)
        part = part.order_by(terms.c.request_id.desc()).limit(most)
        parts.append(select(part.subquery().c.request_id))
    return select(union_all(*parts).subquery().c.request_id)


def _of_requests(query: Query) -> list[ColumnElement[bool]]:
    """What the query wants of a request's own columns."""
    wanted: list[ColumnElement[bool]] = []
    if query.status is not None:
        wanted.append(requests.c.status == str(query.status))
    if query.text:
        wanted.append(requests.c.title.like(f"%{_like(query.text.lower())}%", escape="\\"))
    return wanted


def _being(request_id: ColumnElement[str], query: Query) -> list[ColumnElement[bool]]:
    """The same of the request of this id; the index on terms knows which are pending."""
    wanted = _of_requests(replace(query, status=None) if query.status is Status.PENDING else query)
    fits = select(requests.c.id).where(requests.c.id == request_id, *wanted)
    return [fits.scalar_subquery().is_not(None)] if wanted else []


def _below(column: ColumnElement[str], query: Query) -> list[ColumnElement[bool]]:
    return [column < query.cursor] if query.cursor else []


def _having(request_id: ColumnElement[str], filters: Iterable[Keys]) -> list[ColumnElement[bool]]:
    """Whether a request has one of each filter's terms; a scalar, because a planner may turn EXISTS into a scan."""
    conditions: list[ColumnElement[bool]] = []
    for keys in filters:
        other = terms.alias()
        found = select(other.c.term).where(other.c.request_id == request_id, other.c.term.in_(keys)).limit(1)
        conditions.append(found.scalar_subquery().is_not(None))
    return conditions


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
