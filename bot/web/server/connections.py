"""Connections: nobody holds one by sending or reading slowly, and what is no HTTP is refused without an echo of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from bot.domain.errors import AssentError, Malformed
from bot.web.calls.json_body import problem
from bot.web.server.response_headers import harden, new_id

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest
    from aiohttp.web_server import Server

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may take, in seconds."""

    head: float = 15.0
    """From the first byte of a request's head, or from connecting, to its last."""
    body: float = 15.0
    """For a whole body; each `body_rate` bytes of it that have come earn a second more."""
    body_rate: int = 16 * 1024
    reading: float = 30.0
    """Without room in the buffers for the answer, of some 64 KiB."""
    idle: float = 75.0
    """Between two requests of one connection; longer than balancers keep theirs."""


PATIENCE = Patience()


class Runner(web.AppRunner):
    """Runs an application whose connections have the patience given."""

    def __init__(self, app: web.Application, *, patience: Patience = PATIENCE, **options: Any) -> None:
        super().__init__(app, **options)
        self._patience = patience

    @property
    def server(self) -> Any:
        """What makes the connections of a site."""
        server = super().server
        return server and (lambda: Connection(server, self._patience))


class Connection(web.RequestHandler):
    """One connection, closed where its client sends or reads too slowly. Streams and long waits owe nothing."""

    __slots__ = ("_answering", "_deadline", "_patience", "_read_deadline")

    def __init__(self, server: Server, patience: Patience) -> None:
        loop = asyncio.get_running_loop()
        no_log: Any = None  # an access log would quote addresses
        super().__init__(
            server,
            loop=loop,
            access_log=no_log,
            keepalive_timeout=patience.idle,
            auto_decompress=False,  # else what a small body unpacks to is read to its end after a 413, too
        )
        self._patience = patience
        self._answering = False
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head of which some has come."""
        super().data_received(data)
        if not self._answering and self._deadline is None:
            self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Expect nothing any more."""
        self._settle()
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Expect the client to read on."""
        super().pause_writing()
        if self._read_deadline is None:
            self._read_deadline = self._loop.call_later(self._patience.reading, self.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._read_on()

    def _read_on(self) -> None:
        if self._read_deadline:
            self._read_deadline.cancel()
            self._read_deadline = None

    def begin(self, request: web.Request) -> None:
        """A head is complete; expect the rest of its body."""
        self._settle()
        self._answering = True
        if request.can_read_body:
            self._deadline = self._loop.call_later(
                self._patience.body, self._look_at_body, request, self._loop.time()
            )

    def end(self) -> None:
        """A request has its answer."""
        self._settle()
        self._answering = False

    def abort(self) -> None:
        """Close at once, whatever has not been sent."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def _expect_head(self) -> None:
        self._deadline = self._loop.call_later(self._patience.head, self.abort)

    def _settle(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _look_at_body(self, request: web.Request, began: float) -> None:
        self._deadline = None
        if request.content.is_eof():
            return
        earned = request.content.total_bytes / self._patience.body_rate
        left = began + self._patience.body + earned - self._loop.time()
        if left <= 0:
            self.abort()
        else:
            self._deadline = self._loop.call_later(max(left, 0.05), self._look_at_body, request, began)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what came
    ) -> web.StreamResponse:
        """Refuse what is no HTTP: in words that echo nothing of it, with one line of the log."""
        if status < 500:
            fault = type(exc).__name__
            log.warning("what came is no HTTP", action="http.malformed", peer=request.remote, fault=fault)
            error: AssentError = Malformed(
                "What came is no HTTP request: its first line or a header is malformed or too long."
            )
        else:
            log.error("unexpected error", action="http.error", exc_info=exc)
            error = AssentError("Something went wrong on our side.")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun before")
        response = problem(error, new_id())
        harden(response)
        response.force_close()
        return response


def of(request: web.Request) -> Connection | None:
    """The connection of a request, where it is one of ours: tests and other servers have others."""
    return request.protocol if isinstance(request.protocol, Connection) else None
