"""A database instead of a server: Assent's API over it, answered by a thread of this process.

So the store is the meeting point: what a workflow asks here is told by whichever `assent serve` shares the database,
and what people answer there, or with any other client of the database, is seen here. Needs `assent[server]`.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import threading
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.client.errors import Unreachable
from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.embedded import Embedded


class LocalServer:
    """Answers on a Unix socket that only this user can open, for a key that only this object knows."""

    def __init__(self, database: str) -> None:
        parts = urlsplit(database)
        user, at, host = parts.netloc.rpartition("@")
        self.url = f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"
        """Which database, without its password."""
        self._database = database
        self._key = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def start(self) -> tuple[str, str]:
        """The socket and the key; connects to the database on first use.

        Raises `Unreachable`, or ModuleNotFoundError where the server is not installed.
        """
        with self._lock:
            if self._running is None:
                self._running = self._start()
            return self._running.socket, self._key

    def stop(self) -> None:
        """Disconnect from the database."""
        with self._lock:
            if self._running:
                self._running.stop()
            self._running = None

    def _start(self) -> _Running:
        try:
            from bot.embedded import Embedded  # noqa: PLC0415 - the server need not be installed
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{self.url} is a database, which needs the server ({error.name} is missing): "
                "pip install 'assent[server]', or name the address of a server instead",
                name=error.name,
            ) from None
        try:
            return _Running(partial(Embedded, self._database, key=self._key))
        except (Unavailable, OSError) as error:
            raise Unreachable(self.url, str(error)) from None


class _Running:
    """Assent in an event loop of its own, in a thread that does not keep the process alive."""

    def __init__(self, make: Callable[..., Embedded]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="assent-")
        self.socket = f"{self._folder.name}/api"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="assent-local", daemon=True)
        self._thread.start()
        try:
            self._embedded = make(socket=self.socket)
            self._run(self._embedded.start())
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        self._run(self._embedded.stop())
        self._end()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()
