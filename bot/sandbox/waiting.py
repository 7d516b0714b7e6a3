"""Awaiting what becomes visible in the workspace; nothing polls and nothing sleeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.slack.workspace import Message, Workspace

T = TypeVar("T")
WAIT_SECONDS = 20.0
"""Only how soon a test that waits in vain fails: a loaded machine takes seconds for what an idle one does at once."""


class Watcher:
    """Wakes whoever waits at each change, and remembers which messages were already handed out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._changed = asyncio.Event()
        self._seen: set[str] = set()
        self.version = 0

    def changed(self) -> None:
        """Something that people see may be different now."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next change, however long that takes."""
        await self._changed.wait()

    async def until(self, condition: Callable[[], T], timeout: float, what: str) -> T:
        """The first true value of `condition`, which is tried now and after every change.

        Raises TimeoutError, naming `what` did not happen and the messages there are.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := condition()):
                    await self._changed.wait()
                return value
        except TimeoutError:
            shown = "\n".join(
                f"- {message.channel}: {message.words!r}" for message in self._workspace.messages
            )
            raise TimeoutError(
                f"{what} did not happen in {timeout:g} s. Messages:\n{shown or '- none'}"
            ) from None

    async def next_message(self, matches: Callable[[Message], bool], timeout: float, what: str) -> Message:
        """The oldest matching message not handed out before."""

        def unseen() -> Message | None:
            fresh = (message for message in self._workspace.messages if message.ts not in self._seen)
            return next((message for message in fresh if not message.deleted and matches(message)), None)

        message = await self.until(unseen, timeout, what)
        if message is None:
            raise AssertionError  # until() gives true values only
        self._seen.add(message.ts)
        return message
