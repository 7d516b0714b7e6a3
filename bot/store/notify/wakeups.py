"""Who waits for which request. A wake-up is a hint; whoever is woken trusts only what was committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.domain.model.request import Request


class Watch:
    """One waiter, told of commits to a request (None: to any) within the block that it is entered for.

    A hint that comes before it waits is kept, so that none is lost.
    `known` is the request as this process committed it a moment ago, if nothing was heard of it since.
    """

    def __init__(self, watches: Watches, request_id: str | None, known: Request | None) -> None:
        self.known = known
        self._watches, self._request_id = watches, request_id
        self._hinted = False
        self._latest: Request | None = None
        self._waiting: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._watches.setdefault(self._request_id, set()).add(self)
        return self

    def __exit__(self, *_: object) -> None:
        watching = self._watches[self._request_id]
        watching.discard(self)
        if not watching:
            del self._watches[self._request_id]

    def hint(self, request: Request | None) -> None:
        """Something was committed; `request` is the result, where this process committed it.

        Where another process has committed too, only the store knows which is newer, unless one is final.
        """
        if request and (request.status.final or not self._hinted):
            self._latest = request
        elif not (self._latest and self._latest.status.final):
            self._latest = None
        self._hinted = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    async def changed(self, seconds: float) -> Request | None:
        """Wait for the next hint, at most `seconds`; the committed request where it is at hand."""
        if not self._hinted:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
        self._hinted = False
        latest, self._latest = self._latest, None
        return latest


Watches = dict[str | None, set[Watch]]
"""Who watches each request, or (None) all of them."""


class Wakeups:
    """Hands hints to the waiters of each request, and to listeners who care about any commit.

    `recent`: requests as this process committed them a moment ago, if nothing was heard of them since.
    """

    def __init__(self) -> None:
        self._watches: Watches = {}
        self.recent: dict[str, Request] = {}
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    def on_commit(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener` in the event loop after every commit that may have made work, with its topics."""
        self._listeners.append(listener)

    def watch(self, request_id: str | None) -> Watch:
        """A watch on one request, or on all of them."""
        return Watch(self._watches, request_id, self.recent.get(request_id) if request_id else None)

    def committed(self, changed: dict[str, Request], topics: frozenset[str]) -> None:
        """This process committed these requests."""
        self.recent.update(changed)
        for request_id, request in changed.items():
            for watch in self._watches.get(request_id, ()):
                watch.hint(request)
        if changed:
            self._hint((None,))
        self._tell_listeners(topics)

    def elsewhere(self, request_ids: Iterable[str], topics: frozenset[str]) -> None:
        """Somebody else committed these requests; no ids at all means any of them."""
        named = set(request_ids)
        if named:
            for request_id in named:
                self.recent.pop(request_id, None)
        else:
            self.forget()
        self._hint({*named, None} if named else list(self._watches))
        self._tell_listeners(topics)

    def forget(self) -> None:
        """Let whoever begins to wait ask the store."""
        self.recent.clear()

    def _hint(self, watched: Iterable[str | None]) -> None:
        for request_id in watched:
            for watch in self._watches.get(request_id, ()):
                watch.hint(None)

    def _tell_listeners(self, topics: frozenset[str]) -> None:
        if topics:
            for listener in self._listeners:
                listener(topics)
