"""API keys: only their SHA-256 is stored. The secrets that sign callbacks are stored as they are, to sign with."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, select, update

from bot.ports.store import ApiKey
from bot.store.database import row_codec
from bot.store.database.tables import api_keys

if TYPE_CHECKING:
    from datetime import datetime


def create(
    connection: Connection,
    name: str,
    scopes: frozenset[str],
    now: datetime,
    callback_secret: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key: what is known of it, and the key itself, which is shown this once."""
    secret = f"ask_{secrets.token_urlsafe(32)}"
    key = ApiKey(id=f"key_{secrets.token_hex(6)}", name=name, scopes=scopes, created_at=now)
    connection.execute(
        api_keys.insert().values(
            id=key.id,
            name=name,
            digest=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=",".join(sorted(scopes)),
            callback_secret=callback_secret,
            created_at=row_codec.millis(now),
        )
    )
    return key, secret


def find(connection: Connection, digest: str) -> ApiKey | None:
    """The key with this SHA-256 (hex), unless it was revoked."""
    row = connection.execute(_BY_DIGEST, {"wanted": digest}).first()
    return _key(row) if row else None


def callback_secret(connection: Connection, key_id: str) -> str | None:
    """What signs the callbacks of requests that came with this key, were it revoked since or not."""
    found: str | None = connection.scalar(select(api_keys.c.callback_secret).where(api_keys.c.id == key_id))
    return found


def every(connection: Connection) -> tuple[ApiKey, ...]:
    """All keys, oldest first, revoked ones too."""
    return tuple(
        map(_key, connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)))
    )


def revoke(connection: Connection, key_id: str, now: datetime) -> bool:
    """Revoke a key for good; False where there is none, or it was revoked before."""
    revoked = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=row_codec.millis(now))
    )
    return revoked.rowcount == 1


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes.split(",")),
        created_at=row_codec.instant(row.created_at),
        revoked_at=row_codec.instant(row.revoked_at) if row.revoked_at is not None else None,
    )


_BY_DIGEST = select(api_keys).where(api_keys.c.digest == bindparam("wanted"), api_keys.c.revoked_at.is_(None))
