"""The pytest fixture `assent_offline`."""

from __future__ import annotations

import pytest

from bot.client.clients import AsyncClient, Client
from bot.client.testing import AsyncOffline, Offline


@pytest.fixture
def assent_offline(monkeypatch: pytest.MonkeyPatch) -> Offline:
    """Every client that the test makes is offline; `assent_offline.answers(approve())` chooses what people say."""
    offline = Offline()
    monkeypatch.setattr(Client, "_transport", offline)
    monkeypatch.setattr(AsyncClient, "_transport", AsyncOffline(offline))
    return offline
