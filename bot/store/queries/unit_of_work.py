"""A unit of work: what it reads is locked, what it writes is collected and flushed together with its neighbours'.

Many units share one database transaction (`Batch`): their requests are locked by one statement, each unit decides in
memory and sees what the units before it decided, and everything is written by one statement a table. A unit that fails
leaves nothing behind, since nothing of it has been written yet.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from bot.domain.messages.notifications import Notice, Notification
from bot.domain.model.request import Json, Request, Surface
from bot.store.audit import audit_replay
from bot.store.database import row_codec
from bot.store.queries import batch_sql as sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bot.domain.model.transition import AuditEntry, Transition
    from bot.ports.store import Idempotency, Message
    from bot.store.audit.seals import Sealer
    from bot.store.database.prepared_statements import ManyRows, Source

Row = dict[str, Any]

_SERIAL = itertools.count()

_WRITTEN: tuple[tuple[ManyRows, str | None], ...] = (
    (sql.OPEN, None),
    (sql.CHANGE, "id"),
    (sql.REVISE, "id"),
    (sql.INSERT_TERMS, None),
    (sql.CLOSE_TERMS, None),
    (sql.REDRAW, "request_id"),
    (sql.POST_ANEW, None),
    (sql.DELIVER, None),
    (sql.REMEMBER, None),
)
"""What a batch writes, in this order. Of several rows with the same value in the column named here the last counts."""


class _Told(NamedTuple):
    """An audit event before its place in the chain is known: `text` is its JSON but for the number it begins with."""

    request_id: str
    type: str
    status: str
    text: bytes


class Batch:
    """Units that commit together on one connection; requests that nobody has changed since are taken from `recent`.

    `committed`: the requests they change; `happened`: how often each type of event, by the status that it led to;
    `events`: the number of the last event before them, and of their own last.
    """

    def __init__(self, source: Source, recent: Mapping[str, Request], sealer: Sealer | None = None) -> None:
        self._source = source
        self._sealer = sealer
        self._recent = recent
        self._rows: defaultdict[ManyRows, list[Row]] = defaultdict(list)
        self._adopted: list[Row] = []
        self._told: list[_Told] = []
        self._keys: dict[str, tuple[str, str]] = {}
        self.requests: dict[str, Request | None] = {}
        self.committed: dict[str, Request] = {}
        self.events = (0, 0)
        self.happened: Counter[tuple[str, str]] = Counter()

    def lock(self, request_ids: Iterable[str]) -> None:
        """Lock and load requests, always in the same order so that two batches cannot wait for each other."""
        wanted = sorted(set(request_ids) - self.requests.keys())
        if not wanted:
            return
        recent = {i: self._recent.get(i) for i in wanted}
        self.requests |= dict.fromkeys(wanted)
        versions = {i: request.version if request else 0 for i, request in recent.items()}
        for request_id, spec, state in sql.LOCK.run(self._source, versions):
            self.requests[request_id] = (
                row_codec.load((spec, state)) if spec and state else recent[request_id]
            )

    def unit(self) -> SqlTransaction:
        """A new unit on top of what the units before it did."""
        return SqlTransaction(self)

    def absorb(self, unit: SqlTransaction) -> None:
        """Take over what a finished unit did."""
        self.requests.update(unit.requests)
        self.committed.update(unit.requests)
        self._keys.update(unit.keys)
        for statement, row in unit.rows:
            self._rows[statement].append(row)
        self._adopted += unit.adopted
        self._told += unit.told

    def idempotent(self, key: str) -> tuple[str, str] | None:
        """An idempotency key's record, this batch's own included."""
        return self._keys.get(key) or recorded_key(self._source, key)

    def due(self, now: datetime, limit: int) -> tuple[str, ...]:
        """Ids of requests whose time has come."""
        rows = sql.DUE.run(self._source, now=row_codec.millis(now), most=limit)
        return tuple(request_id for (request_id,) in rows.fetchall())

    def flush(self) -> None:
        """Write everything."""
        for statement, key in _WRITTEN:
            if rows := self._rows.get(statement):
                last = list({row[key]: row for row in rows}.values()) if key else rows
                statement.run(self._source, last)
        for adopted in self._adopted:
            adopt(self._source, adopted)
        if self._told:
            self._append(self._told)

    def _append(self, told: list[_Told]) -> None:
        """Chain the events: each hash covers the event's text and the hash before it."""
        seq: int
        last: str
        seal: str | None
        seq, last, seal = sql.LAST_EVENT.run(self._source).fetchone()
        head = self._sealer.follow(seq, last, seal, self._hash_at) if self._sealer else None
        self.events = (seq, seq + len(told))
        rows = []
        for event in told:
            seq += 1
            body = b'{"seq":%d,%b' % (seq, event.text)
            last = chain_hash(last, body)
            rows.append({"seq": seq, "request_id": event.request_id, "body": body.decode(), "hash": last})
            self.happened[event.type, event.status] += 1
        sql.APPEND.run(self._source, rows)
        if self._sealer and head:
            sealed = self._sealer.seal(replace(head, seq=seq, hash=last))
            sql.MOVE_ON_SEALED.run(self._source, last_seq=seq, last_hash=last, sealed=sealed)
        else:
            sql.MOVE_ON.run(self._source, last_seq=seq, last_hash=last)

    def _hash_at(self, seq: int) -> str | None:
        row = sql.HASH_AT.run(self._source, at=seq).fetchone()
        return row[0] if row else None

    @property
    def topics(self) -> frozenset[str]:
        """Which works may find something to do after the commit."""
        rows = [*self._rows[sql.OPEN], *self._rows[sql.CHANGE]]
        found = {
            DELIVERY: bool(self._rows[sql.DELIVER] or self._rows[sql.REDRAW] or self._adopted),
            DEADLINES: any(row["due_at"] is not None for row in rows),
            LOOKUPS: any(row["unresolved"] for row in rows),
        }
        return frozenset(topic for topic, there in found.items() if there)

    def notify(self, origin: str) -> None:
        """Wake the other replicas (PostgreSQL): `origin|topics|ids`; a list of ids too long to send means any request.

        `origin` names this store, which hears of its own commits without that.
        """
        ids = ",".join(self.committed)
        message = f"{origin}|{','.join(sorted(self.topics))}|{ids if len(ids) < MAX_NOTIFY else ''}"
        sql.NOTIFY.run(self._source, message=message)


MAX_NOTIFY = 7900
"""Bytes; PostgreSQL takes fewer than 8000 in one notification."""

DELIVERY, DEADLINES, LOOKUPS = "delivery", "deadlines", "lookups"
"""What a commit may have made work for."""

TOPICS = frozenset({DELIVERY, DEADLINES, LOOKUPS})


def chain_hash(previous: str, body: bytes) -> str:
    """The hash of one link of the chain: hex SHA-256 of the hash before it and the event's text."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


class SqlTransaction:
    """One unit: `ports.Transaction`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.requests: dict[str, Request] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.rows: list[tuple[ManyRows, Row]] = []
        self.adopted: list[Row] = []
        self.told: list[_Told] = []

    def request(self, request_id: str) -> Request | None:
        """The request, locked until the end."""
        if request_id in self.requests:
            return self.requests[request_id]
        if request_id not in self._batch.requests:
            self._batch.lock((request_id,))
        return self._batch.requests[request_id]

    def idempotent(self, key: str) -> tuple[str, str] | None:
        """The body digest and request id recorded under `key`."""
        return self._batch.idempotent(key)

    def due(self, now: datetime, limit: int) -> tuple[str, ...]:
        """Ids of pending requests whose time has come, locked."""
        ids = self._batch.due(now, limit)
        self._batch.lock(ids)
        return ids

    def save(self, change: Transition, now: datetime) -> None:
        """Store the changed request, its audit events, its deliveries and its redraws."""
        request = change.request
        before = self.request(request.id) if self._known(request) else None
        self.requests[request.id] = request
        self._save_row(request, before, now)
        self._save_terms(request, before)
        first, *others = change.facts
        self.told.append(_told(request, first, now, change=audit_replay.change(before, request)))
        self.told += [_told(request, fact, now) for fact in others]
        self.rows += [(sql.DELIVER, _delivery(request, tell, now)) for tell in change.tells]
        self.rows += [(sql.POST_ANEW, _anew(request, tell, now)) for tell in change.tells if _reminds(tell)]
        if before and _has_cards(request):
            shown = {"wanted_version": request.version, "due_at": row_codec.millis(now)}
            self.rows.append((sql.REDRAW, shown | {"request_id": request.id}))

    def _known(self, request: Request) -> bool:
        return request.id in self.requests or request.id in self._batch.requests

    def _save_row(self, request: Request, before: Request | None, now: datetime) -> None:
        row = {"id": request.id, "state": row_codec.dump_state(request)} | row_codec.searched(request)
        if before is None:
            created = {"created_at": row_codec.millis(now), "spec": row_codec.dump_spec(request)}
            self.rows.append((sql.OPEN, row | created))
            return
        self.rows.append((sql.CHANGE, row))
        if before.spec is not request.spec and before.spec != request.spec:
            self.rows.append((sql.REVISE, row | {"spec": row_codec.dump_spec(request)}))

    def _save_terms(self, request: Request, before: Request | None) -> None:
        new = row_codec.terms(request) - (row_codec.terms(before) if before else frozenset())
        is_open = not request.status.final
        self.rows += [
            (sql.INSERT_TERMS, {"request_id": request.id, "term": term, "open": is_open})
            for term in sorted(new)
        ]
        if before and request.status.final and not before.status.final:
            self.rows.append((sql.CLOSE_TERMS, {"request_id": request.id, "open": False}))

    def remember(self, record: Idempotency, request_id: str, now: datetime) -> None:
        """Record an idempotency key."""
        self.keys[record.key] = (record.digest, request_id)
        row = {
            "key": record.key,
            "digest": record.digest,
            "request_id": request_id,
            "created_at": row_codec.millis(now),
        }
        self.rows.append((sql.REMEMBER, row))

    def notify(self, notification: Message, now: datetime) -> None:
        """Queue a message without a question."""
        row = _row(
            surface=notification.surface,
            address=notification.address,
            notice=Notice.NOTIFICATION,
            content=notification.message,
            now=now,
        )
        self.rows.append((sql.DELIVER, row))

    def adopt(
        self,
        request_id: str,
        receipt: dict[str, Json],
        address: str,
        now: datetime,
        respondent: str | None = None,
    ) -> None:
        """Remember a card that the store did not know of; redraw one that is known and could not be changed."""
        self.adopted.append(standing_card(request_id, receipt, address, now, respondent))


def _has_cards(request: Request) -> bool:
    """Whether anybody may have one, those of other steps than the open one included."""
    return bool(request.places) or any(
        a.surface is Surface.SLACK for r in request.respondents for a in r.addresses
    )


def _reminds(tell: Notification) -> bool:
    return tell.notice is Notice.REMINDER and tell.surface == Surface.SLACK


def _anew(request: Request, tell: Notification, now: datetime) -> Row:
    due = row_codec.millis(tell.at or now)
    return {"request_id": request.id, "address": tell.address, "due_at": due}


def _told(request: Request, fact: AuditEntry, now: datetime, **more: Json) -> _Told:
    status = str(request.status)
    body = {
        "request_id": request.id,
        "type": fact.type,
        "status": status,
        "version": request.version,
        "at": now.isoformat(),
        "data": fact.data,
        **more,
    }
    return _Told(request.id, fact.type, status, orjson.dumps(body, default=list)[1:])


def _delivery(request: Request, tell: Notification, now: datetime) -> Row:
    return _row(
        content=tell.text,
        due=tell.at,
        surface=tell.surface,
        address=tell.address,
        notice=tell.notice,
        respondent=tell.respondent,
        request_id=request.id,
        now=now,
    )


def _row(
    *,
    surface: str,
    address: str,
    notice: Notice,
    now: datetime,
    respondent: str | None = None,
    request_id: str | None = None,
    content: str | None = None,
    due: datetime | None = None,
) -> Row:
    """A delivery that is due now, or later; ids sort in the order they were queued in."""
    ms = row_codec.millis(now)
    return {
        "id": f"dlv_{ms:012x}{next(_SERIAL) & 0xFFFFFF:06x}{secrets.token_hex(6)}",
        "request_id": request_id,
        "surface": surface,
        "address": address,
        "notice": str(notice),
        "respondent": respondent,
        "content": content,
        "wanted_version": 1,
        "shown_version": 0,
        "state": "queued",
        "receipt": None,
        "attempts": 0,
        "error": None,
        "due_at": row_codec.millis(due) if due else ms,
        "lease": None,
        "created_at": ms,
        "sent_at": None,
    }


def standing_card(
    request_id: str | None,
    receipt: dict[str, Json],
    address: str,
    now: datetime,
    respondent: str | None,
) -> Row:
    """The row of a card that stands somewhere already; it is due, because who knows what it shows."""
    row = _row(
        surface="slack",
        address=address,
        notice=Notice.CARD,
        respondent=respondent,
        request_id=request_id,
        now=now,
    )
    return row | {"receipt": orjson.dumps(receipt).decode(), "state": "sent"}


def adopt(source: Source, row: Row) -> None:
    """Insert a card's row unless one with this receipt is known, which is redrawn if that failed before."""
    receipt = orjson.loads(row["receipt"])
    for card, known in sql.CARDS.run(source, of_request=row["request_id"]).fetchall():
        if orjson.loads(known).items() >= receipt.items():
            sql.REDRAW_FAILED.run(source, of_card=card, now=row["due_at"])
            return
    sql.DELIVER.run(source, [row])


def recorded_key(source: Source, key: str) -> tuple[str, str] | None:
    """The body digest and request id recorded under an idempotency key."""
    recorded: tuple[str, str] | None = sql.IDEMPOTENT.run(source, wanted=key).fetchone()
    return recorded
