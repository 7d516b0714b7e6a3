"""The pytest fixture `assent_offline`. It loads the client only for tests that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bot.client.testing import Offline


@pytest.fixture
def assent_offline(monkeypatch: pytest.MonkeyPatch) -> Offline:
    """Put every client that the test makes offline; `assent_offline.answers(approve())` chooses what people say."""
    from bot.client import AsyncClient, Client  # noqa: PLC0415 - see above
    from bot.client.testing import AsyncOffline, Offline  # noqa: PLC0415 - see above

    offline = Offline()

    async def connected(_client: AsyncClient) -> AsyncOffline:
        return AsyncOffline(offline)

    monkeypatch.setattr(Client, "_connected", lambda _client: offline)
    monkeypatch.setattr(AsyncClient, "_connected", connected)
    return offline
