"""API keys: made once, shown once, known only by their digest."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot.store.queries import api_keys
from tests.support.asking import NOW

if TYPE_CHECKING:
    from bot.store import SqlStore


async def test_a_key_is_found_until_it_is_revoked(store: SqlStore) -> None:
    scopes = frozenset({"submit", "read"})
    made, secret = await store.run_write(lambda c: api_keys.create(c, "ci", scopes, NOW))
    digest = sha256(secret.encode()).hexdigest()
    assert await store.run_read(lambda c: api_keys.find(c, digest)) == made
    assert (made.name, made.scopes) == ("ci", scopes)
    assert await store.run_read(lambda c: api_keys.find(c, sha256(b"guess").hexdigest())) is None

    later = NOW + timedelta(days=1)
    assert await store.run_write(lambda c: api_keys.revoke(c, made.id, later))
    assert not await store.run_write(lambda c: api_keys.revoke(c, made.id, later))
    assert await store.run_read(lambda c: api_keys.find(c, digest)) is None
    (listed,) = await store.run_read(api_keys.every)
    assert (listed.id, listed.revoked_at) == (made.id, later)


async def test_the_key_itself_is_nowhere_in_the_database(store: SqlStore) -> None:
    _, secret = await store.run_write(lambda c: api_keys.create(c, "ci", frozenset({"read"}), NOW))
    rows = await store.run_read(lambda c: c.execute(sa.text("SELECT * FROM api_keys")).all())
    assert secret not in str(rows)
