"""BASE-PG: the least a durable gate on PostgreSQL has to do, on asyncpg.

`python -m bench.base_pg --port PORT --database URL`. A pool, one statement a transaction, default
durability.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # ships no types
import orjson

from bench import base_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATUS = "SELECT status FROM requests WHERE id = $1"

CONNECTIONS = 16

SCHEMA = """
CREATE TABLE requests (id text PRIMARY KEY, status text NOT NULL, body jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz);
CREATE TABLE respondents (request_id text NOT NULL, address text NOT NULL, PRIMARY KEY (request_id, address));
CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, request_id text NOT NULL,
    event text NOT NULL, actor text, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE deliveries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, request_id text NOT NULL,
    address text NOT NULL, due_at timestamptz DEFAULT now());
"""

SUBMIT = """
WITH request AS (INSERT INTO requests (id, status, body) VALUES ($1, 'pending', $2)),
    respondent AS (INSERT INTO respondents VALUES ($1, $3)),
    event AS (INSERT INTO audit (request_id, event) VALUES ($1, 'created'))
INSERT INTO deliveries (request_id, address) VALUES ($1, $3)
"""

ANSWER = """
WITH answered AS (
    UPDATE requests SET status = $3, resolved_at = now() WHERE id = $1 AND status = 'pending'
    AND EXISTS (SELECT 1 FROM respondents WHERE request_id = $1 AND address = $2) RETURNING id)
INSERT INTO audit (request_id, event, actor) SELECT id, $3, $2 FROM answered RETURNING id
"""


class PgStore:
    """Each call is one statement, and so one transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def submit(self, request_id: str, body: dict[str, Any]) -> None:
        """Insert four rows: request, respondent, audit event, delivery."""
        await self._pool.execute(SUBMIT, request_id, orjson.dumps(body).decode(), body["audience"][0])

    async def answer(self, request_id: str, respondent: str, status: str) -> bool:
        """Update the request if it is pending and its respondent answers, and append the audit event."""
        event_id: int | None = await self._pool.fetchval(ANSWER, request_id, respondent, status)
        return event_id is not None

    async def status(self, request_id: str) -> str | None:
        """Read one row."""
        status: str | None = await self._pool.fetchval(STATUS, request_id)
        return status


@contextlib.asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PgStore]:
    """Create the tables in the empty database at `url` and open a pool on it."""
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute(SCHEMA)
        yield PgStore(pool)


if __name__ == "__main__":
    base_http.main(open_store)
