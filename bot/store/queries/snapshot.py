"""Reads of one snapshot: `ports.Reader`. Every query is answered by an index."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Row, bindparam, func, select

from bot.domain.access.authority import HOLDERS
from bot.domain.messages.notifications import Notice
from bot.domain.model.request import Request, Status
from bot.ports.store import AuditEvent, DeliveryState, Page, Query
from bot.store.audit.seals import GENESIS
from bot.store.database import row_codec
from bot.store.database.prepared_statements import ByIds
from bot.store.database.tables import api_keys, chain, deliveries, events, idempotency, requests, terms
from bot.store.queries.search import newest
from bot.store.queries.unit_of_work import chain_hash, recorded_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


SCAN = 1000
"""Events looked through at once for those of one key."""


class SqlReader:
    """Reads on one connection; the requests `ids` are loaded together, at once."""

    def __init__(self, connection: Connection, ids: Collection[str] = ()) -> None:
        self._connection = connection
        rows = _GET.run(connection, ids) if ids else ()
        loaded = {request.id: request for request in map(row_codec.load, rows)}
        self._loaded = {i: loaded.get(i) for i in ids}

    def request(self, request_id: str) -> Request | None:
        """The request, or None."""
        if request_id in self._loaded:
            return self._loaded[request_id]
        return next(map(row_codec.load, _GET.run(self._connection, [request_id])), None)

    def idempotent(self, key: str) -> tuple[str, str] | None:
        """The body digest and request id recorded under `key`."""
        return recorded_key(self._connection, key)

    def request_of(self, respondent_id: str) -> Request | None:
        """The request in which this respondent was seated."""
        row = self._connection.execute(_OF_TERM, {"term": f"respondent:{respondent_id}"}).first()
        return row_codec.load(row) if row else None

    def find(self, query: Query) -> Page:
        """One page of requests, newest first."""
        rows = newest(self._connection, query)
        items = tuple(row_codec.load(row) for row in rows[: query.limit])
        return Page(items=items, next_cursor=items[-1].id if len(rows) > query.limit else None)

    def events(self, request_id: str) -> tuple[AuditEvent, ...]:
        """The request's audit events, oldest first."""
        rows = self._connection.execute(
            select(events.c.seq, events.c.body, events.c.hash)
            .where(events.c.request_id == request_id)
            .order_by(events.c.seq)
        )
        return tuple(map(_event, rows))

    def events_since(self, seq: int, request_id: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """The first `limit` audit events with a higher number than `seq`, of one request or of all."""
        statement = select(events.c.seq, events.c.body, events.c.hash).where(events.c.seq > seq)
        if request_id is not None:
            statement = statement.where(events.c.request_id == request_id)
        return tuple(map(_event, self._connection.execute(statement.order_by(events.c.seq).limit(limit))))

    def events_of_key(self, seq: int, key_id: str, limit: int) -> tuple[tuple[AuditEvent, ...], int]:
        """As `events_since`, of the requests that came with a key; and the number up to which was looked.

        That is at most `SCAN` events on, so that no read is long where few of very many are this key's.
        """
        until = min(self.last_event(), seq + SCAN)
        own = select(terms.c.term).where(
            terms.c.request_id == events.c.request_id, terms.c.term == f"key:{key_id}"
        )
        statement = (
            select(events.c.seq, events.c.body, events.c.hash)
            .where(events.c.seq > seq, events.c.seq <= until, own.scalar_subquery().is_not(None))
            .order_by(events.c.seq)
            .limit(limit)
        )
        found = tuple(map(_event, self._connection.execute(statement)))
        return found, found[-1].seq if len(found) == limit else max(seq, until)

    def called(self, call: str) -> tuple[str, ...]:
        """Ids of the requests recorded under the idempotency keys `CALL/KEY`, KEY being the id of any API key."""
        ids = [*HOLDERS, *self._connection.scalars(select(api_keys.c.id))]
        wanted = [f"{call}/{key_id}" for key_id in ids]
        statement = select(idempotency.c.request_id).where(idempotency.c.key.in_(wanted))
        return tuple(self._connection.scalars(statement.order_by(idempotency.c.request_id)))

    def last_event(self) -> int:
        """The number of the newest audit event; 0 where there is none yet."""
        return self._connection.scalar(select(chain.c.seq)) or 0

    def deliveries(self, request_ids: Sequence[str]) -> dict[str, tuple[DeliveryState, ...]]:
        """What was sent, or is to be, for each of these requests."""
        result: dict[str, tuple[DeliveryState, ...]] = dict.fromkeys(request_ids, ())
        rows = self._connection.execute(
            select(deliveries)
            .where(deliveries.c.request_id.in_(list(request_ids)))
            .order_by(deliveries.c.created_at, deliveries.c.id)
        )
        for row in rows:
            result[row.request_id] += (_delivery_state(row),)
        return result

    def next_due(self) -> datetime | None:
        """When the next pending request's time comes."""
        ms = self._connection.scalar(_NEXT_DUE)
        return row_codec.instant(ms) if ms is not None else None

    def unresolved(self, limit: int) -> tuple[str, ...]:
        """Ids of pending requests with people still to be looked up."""
        return tuple(
            self._connection.scalars(select(requests.c.id).where(requests.c.unresolved).limit(limit))
        )

    def channels(self, limit: int) -> tuple[str, ...]:
        """The channels that pending requests were put to."""
        found = self._open_terms(("respondent:slack:C", "respondent:slack:G"), limit)
        return tuple([term.removeprefix("respondent:") for term in found])

    def rooms(self, limit: int) -> tuple[str, ...]:
        """The channels and user groups that pending requests ask in any step."""
        return tuple([term.removeprefix("room:") for term in self._open_terms(("room:slack:",), limit)])

    def _open_terms(self, prefixes: Sequence[str], limit: int) -> list[str]:
        """The terms that begin so and pending requests have: two index probes for each ever used, not a scan."""
        found: list[str] = []
        for prefix in prefixes:
            term: str | None = prefix
            while len(found) < limit and (
                term := self._connection.scalar(_NEXT_TERM, {"after": term, "below": _above(prefix)})
            ):
                if self._connection.scalar(_IS_OPEN, {"term": term}):
                    found.append(term)
        return found

    def verify_chain(self) -> tuple[int, str | None]:
        """Walk the whole audit chain: how many events there are, and what is wrong with the first bad one, if any."""
        head = self._connection.execute(_HEAD).first()
        if head is None:
            return 0, "the record of the last event is missing"
        last, expected = GENESIS, 1
        statement = (
            select(events.c.seq, events.c.request_id, events.c.body, events.c.hash)
            .where(events.c.seq <= head.seq)
            .order_by(events.c.seq)
        )
        with self._connection.execute(statement, execution_options={"yield_per": 1000}) as rows:
            for row in rows:
                if row.seq != expected:
                    return expected - 1, f"event {expected} is missing"
                last = chain_hash(last, row.body.encode())
                if row.hash != last or not _names(row.body, row.seq, row.request_id):
                    return expected - 1, f"event {row.seq} of {row.request_id} was altered"
                expected += 1
        if (head.seq, head.hash) != (expected - 1, last):
            return expected - 1, f"events after {expected - 1} are missing"
        newest = self._connection.scalar(_NEWEST)  # looked up before the head, which others may move on
        if newest and newest > self._connection.execute(_HEAD).one().seq:
            return expected - 1, f"events after {expected - 1} were added"
        return expected - 1, None


def _above(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _names(body: str, seq: int, request_id: str) -> bool:
    """Whether an event whose text is genuine stands in the row it belongs to."""
    event = orjson.loads(body)
    return bool((event["seq"], event["request_id"]) == (seq, request_id))


def _event(row: Row[Any, Any, Any]) -> AuditEvent:
    body = orjson.loads(row.body)
    return AuditEvent(
        seq=row.seq,
        request_id=body["request_id"],
        type=body["type"],
        status=Status(body["status"]),
        version=body["version"],
        at=datetime.fromisoformat(body["at"]),
        data=body["data"],
        hash=row.hash,
    )


def _delivery_state(row: Row[Any]) -> DeliveryState:
    return DeliveryState(
        id=row.id,
        surface=row.surface,
        address=_SECRET.sub("", row.address) if row.notice == Notice.CALLBACK else row.address,
        notice=row.notice,
        respondent=row.respondent,
        state=row.state,
        attempts=row.attempts,
        error=row.error,
        at=row_codec.instant(row.sent_at) if row.sent_at is not None else None,
        receipt=orjson.loads(row.receipt) if row.receipt else None,
        shown_version=row.shown_version,
    )


_SECRET = re.compile(r"(?<=//)[^/?#]*@|[?#].*")
"""What may be one in a URL: user and password, query, fragment."""

_GET = ByIds()
_OF_TERM = (
    select(requests.c.spec, requests.c.state)
    .join(terms, terms.c.request_id == requests.c.id)
    .where(terms.c.term == bindparam("term"))
    .limit(1)
)
_HEAD = select(chain.c.seq, chain.c.hash).where(chain.c.id == 1)
_NEWEST = select(func.max(events.c.seq))
_NEXT_DUE = (
    select(requests.c.due_at).where(requests.c.due_at.is_not(None)).order_by(requests.c.due_at).limit(1)
)
_NEXT_TERM = (
    select(terms.c.term)
    .where(terms.c.term > bindparam("after"), terms.c.term < bindparam("below"))
    .order_by(terms.c.term)
    .limit(1)
)
_IS_OPEN = select(terms.c.term).where(terms.c.term == bindparam("term"), terms.c.open).limit(1)
