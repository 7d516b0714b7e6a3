"""Assent without a server, for tests of what uses it: every request ends at once, as the test has chosen.

>>> from bot.client.testing import OfflineClient, reject
>>> client = OfflineClient(reject("too much"))
>>> client.wait(client.submit(title="Refund", audience=["email:ana@example.com"]).id).text
'Refund was rejected by the test: too much'

What was asked is in `client.offline.asked`. The fixture `assent_offline` puts every client of a test offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.client.client import AsyncClient, Client
from bot.client.fake_server import URL, Chosen, Offline, Rule

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.client.transport.protocol import Call, HttpResponse, Lost

__all__ = [
    "AsyncOffline",
    "Chosen",
    "Offline",
    "OfflineAsyncClient",
    "OfflineClient",
    "Rule",
    "approve",
    "cancel",
    "choose",
    "edit",
    "expire",
    "reject",
    "skip",
]


def approve(reason: str | None = None) -> Chosen:
    return Chosen(status="approved", reason=reason)


def edit(reason: str | None = None, **values: Any) -> Chosen:
    """Approved, with these members of the payload changed."""
    return Chosen(status="approved", reason=reason, edits=values)


def choose(choice: str, reason: str | None = None) -> Chosen:
    """For kind `choice`: the option with this id."""
    return Chosen(status="approved", reason=reason, choice=choice)


def reject(reason: str | None = None) -> Chosen:
    return Chosen(status="rejected", reason=reason)


def skip(reason: str | None = None) -> Chosen:
    return Chosen(status="skipped", reason=reason)


def expire() -> Chosen:
    return Chosen(status="expired")


def cancel(reason: str | None = None) -> Chosen:
    return Chosen(status="cancelled", reason=reason)


class OfflineClient(Client):
    """A `Client` whose requests end as the test has chosen: one outcome, a list, or a function of the request."""

    def __init__(self, rule: Rule = ()) -> None:
        super().__init__(URL)
        self.offline = Offline(rule)

    def _connected(self) -> Offline:
        return self.offline


class AsyncOffline:
    """The same for asyncio."""

    def __init__(self, offline: Offline) -> None:
        self.offline = offline

    async def make(self, call: Call) -> HttpResponse:
        """Answer a call."""
        return self.offline.make(call)

    async def listen(self, call: Call) -> AsyncGenerator[bytes | HttpResponse | Lost]:
        """Give the events so far, and end."""
        for part in self.offline.listen(call):
            yield part

    async def aclose(self) -> None:
        """Nothing to close."""


class OfflineAsyncClient(AsyncClient):
    """An `AsyncClient` whose requests end as the test has chosen."""

    def __init__(self, rule: Rule = ()) -> None:
        super().__init__(URL)
        self.offline = Offline(rule)

    async def _connected(self) -> AsyncOffline:
        return AsyncOffline(self.offline)
