"""One server for a module of tests, and somebody of her own for each test to ask."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.person import Person, office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.sandbox.mail.relay import Mailbox
    from tests.support.product import Product

NUMBERS = count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Product, Mailbox]]:
    """The running product and its mail relay."""
    async with office(f"sqlite:///{tmp_path_factory.mktemp('assent') / 'assent.db'}") as place:
        yield place


@pytest.fixture
def reader(place: tuple[Product, Mailbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Person:
    """Whom the documents ask; its scripts run in an empty folder, with the environment that they ask for."""
    monkeypatch.chdir(tmp_path)
    return _named(Person(*place, "ana@example.com"), monkeypatch)


@pytest.fixture
def ana(place: tuple[Product, Mailbox], monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody to ask, whom the environment names to what is started in this process."""
    return _named(Person(*place, f"ana{next(NUMBERS)}@example.com"), monkeypatch)


def _named(person: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    for name, value in person.environment.items():
        monkeypatch.setenv(name, value)
    return person
