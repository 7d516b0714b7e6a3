"""One server for a module of tests, and somebody of her own for each test to ask."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.person import Person, office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.mail import Mailbox
    from tests.support.product import Product

NUMBERS = count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Product, Mailbox]]:
    """The running product and its mail relay."""
    async with office(f"sqlite:///{tmp_path_factory.mktemp('assent') / 'assent.db'}") as place:
        yield place


@pytest.fixture
def ana(place: tuple[Product, Mailbox], monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody to ask, whom the environment names to what is started in this process."""
    person = Person(*place, f"ana{next(NUMBERS)}@example.com")
    for name, value in person.environment.items():
        monkeypatch.setenv(name, value)
    return person
