"""The API keys as the server keeps them: `ports.Keyring` on the store's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.store.queries import api_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.ports.store import ApiKey
    from bot.ports.system import Clock
    from bot.store.store import SqlStore


class Keyring:
    """Every key but those that nobody made; `callback_secret` makes the secret that signs a new key's callbacks."""

    def __init__(self, store: SqlStore, clock: Clock, callback_secret: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._callback_secret = callback_secret

    async def every(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, revoked ones too."""
        return await self._store.run_read(api_keys.every)

    async def create(self, name: str, scopes: frozenset[str]) -> tuple[ApiKey, str, str]:
        """A new key: what is known of it, the key itself, and the secret that signs its callbacks."""
        now, signing = self._clock.now(), self._callback_secret()
        key, secret = await self._store.run_write(lambda c: api_keys.create(c, name, scopes, now, signing))
        return key, secret, signing

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key for good; False where there is none."""
        now = self._clock.now()
        await self._store.run_write(lambda c: api_keys.revoke(c, key_id, now))
        return any(key.id == key_id for key in await self.every())
