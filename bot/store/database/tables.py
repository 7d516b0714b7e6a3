"""The tables. Instants are whole milliseconds since 1970; a request's JSON keeps them exactly.

- `requests`: `spec` is what was asked, `state` everything since, both as JSON; the other columns are what is searched,
  `title` in lower case, because a database folds no more than ASCII.
- `terms`: one row for every key a request can be found by (`respondent:email:…`, `requester:…`, `label:env:prod`).
- `events`: the audit chain. `body` is the exact text that was hashed with the hash before it; `seq` has no gaps, and
  rises in the order of commits, so that who has read up to a number has missed nothing.
- `chain`: one row, the last event, and its seal (`seals`); whoever appends holds it.
- `probes`: scratch rows, written to find out whether anything can be.
- `groups`, `standins`: small tables that people keep, read whole.
- `deliveries`: the outbox and the memory of what was sent. A row is due while `due_at` is in the past; a lease is a
  `due_at` in the future with a token. A card is out of date while `shown_version` < `wanted_version`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text

metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("unresolved", Boolean, nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index("requests_by_status", "status", "id"),
    Index(
        "requests_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "requests_unresolved", "id", sqlite_where=text("unresolved = 1"), postgresql_where=text("unresolved")
    ),
)

terms = Table(
    "terms",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("term", Text, primary_key=True),
    Column("open", Boolean, nullable=False),
    Index("terms_by_term", "term", "open", "request_id"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("events_by_request", "request_id", "seq"),
)

chain = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("seal", Text),
)

probes = Table(
    "probes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("filler", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text),
    Column("surface", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("respondent", Text),
    Column("content", Text),
    Column("wanted_version", Integer, nullable=False),
    Column("shown_version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("receipt", Text),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("due_at", BigInteger),
    Column("lease", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index("deliveries_by_request", "request_id"),
    Index(
        "deliveries_due",
        "surface",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("callback_secret", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

groups = Table(
    "groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("members", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

standins = Table(
    "standins",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)
