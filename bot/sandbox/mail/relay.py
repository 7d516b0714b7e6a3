"""A mail relay on this machine that keeps what it is sent: for `assent demo` and for the tests.

It is a real SMTP server: plain, with STARTTLS or with implicit TLS, with or without AUTH. It fails on request
(`Mailbox.fail`, `pause`, `go_down`) the way real relays do.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.policy
import itertools
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast
from urllib.parse import quote, urlencode

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from bot.sandbox.mail.certificate import server_context
from bot.sandbox.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from email.message import EmailMessage

Tls = Literal["none", "starttls", "implicit"]
Stage = Literal["auth", "mail", "rcpt", "data", "stored"]

_HOST = "127.0.0.1"
_LINK_LINE = re.compile(r"^\s*(https?://\S+/r/[A-Za-z0-9]+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mail:
    """One message the relay took, with the envelope it came in."""

    id: int
    sender: str
    recipient: str
    received_at: dt.datetime
    raw: bytes = field(repr=False)
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The parsed message."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """The decoded subject line."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The text part, or nothing."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML part, or nothing."""
        return self._body("html")

    @property
    def link(self) -> str:
        """The personal link: the only `…/r/TOKEN` alone on its line of the text part.

        Raises LookupError when there is none, or more than one.
        """
        links = _LINK_LINE.findall(self.text)
        if len(links) != 1:
            raise LookupError(f"mail {self.subject!r} to {self.recipient} has {len(links)} personal links")
        return str(links[0])

    def _body(self, subtype: Literal["plain", "html"]) -> str:
        part = self.message.get_body((subtype,))
        return part.get_content().replace("\r\n", "\n") if part else ""


@dataclass(slots=True)
class _Fault:
    stage: Stage
    reply: str | None
    to: str | None
    times: int | None

    def hits(self, stage: Stage, recipient: str | None) -> bool:
        if self.stage != stage or self.times == 0 or (self.to and self.to != recipient):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class _Connection(SMTP):
    """A server side of one connection, which tells the mailbox when it comes and goes."""

    def __init__(self, mailbox: Mailbox, **options: Any) -> None:
        super().__init__(mailbox, hostname="assent-mailbox", ident="ESMTP", **options)
        self._mailbox = mailbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._mailbox.open_connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._mailbox.open_connections.discard(self)


class Mailbox:
    """The relay and what it has taken.

    Use it as `async with Mailbox() as mailbox`, or call `start` and `stop`. `credentials` are the user name
    and password that AUTH must give; without them no AUTH is asked for. `smtputf8=False` plays an old relay.
    """

    def __init__(
        self,
        *,
        tls: Tls = "none",
        credentials: tuple[str, str] | None = None,
        smtputf8: bool = True,
        port: int = 0,
    ) -> None:
        self.port = port
        self.connections = 0
        self.open_connections: set[_Connection] = set()
        self._tls = tls
        self._credentials = credentials
        self._smtputf8 = smtputf8
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._cafile: Path | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._faults: list[_Fault] = []
        self._mails: list[Mail] = []
        self._taken: set[int] = set()
        self._ids = itertools.count(1)
        self._changed = asyncio.Condition()
        self._answering = asyncio.Event()
        self._answering.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the certificate where one is wanted, and listen."""
        if self._tls != "none":
            self._folder = tempfile.TemporaryDirectory(prefix="assent-mailbox-")
            self._context, self._cafile = server_context(Path(self._folder.name))
        await self.come_up()

    async def stop(self) -> None:
        """Stop listening, drop the connections, remove the certificate. The mails stay readable."""
        await self.go_down()
        if self._folder:
            self._folder.cleanup()

    @property
    def url(self) -> str:
        """The value for `ASSENT_SMTP_URL`."""
        login = "{}:{}@".format(*(quote(c, safe="") for c in self._credentials)) if self._credentials else ""
        query = {"tls": self._tls} | ({"cafile": str(self._cafile)} if self._cafile else {})
        return f"smtp://{login}{_HOST}:{self.port}?{urlencode(query)}"

    # What was taken

    def messages(self, to: str | None = None) -> list[Mail]:
        """All mails, or those to one address, oldest first."""
        return [mail for mail in self._mails if to in (None, mail.recipient)]

    async def next_message(
        self,
        to: str | None = None,
        *,
        timeout: float = WAIT_SECONDS,
        where: Callable[[Mail], bool] = lambda _: True,
    ) -> Mail:
        """Wait for the oldest matching mail that no earlier call returned.

        Raises TimeoutError, naming what is there instead, after `timeout` seconds.
        """

        def match() -> Mail | None:
            waiting = (mail for mail in self.messages(to) if mail.id not in self._taken)
            return next((mail for mail in waiting if where(mail)), None)

        try:
            async with asyncio.timeout(timeout), self._changed:
                mail = cast("Mail", await self._changed.wait_for(match))
        except TimeoutError:
            there = [(mail.recipient, mail.subject) for mail in self._mails]
            raise TimeoutError(
                f"no such mail to {to or 'anyone'} in {timeout} s; there are {there}"
            ) from None
        self._taken.add(mail.id)
        return mail

    async def wait_beyond(self, mail_id: int) -> list[Mail]:
        """Wait until there are mails newer than `mail_id`, and return those."""

        def newer() -> list[Mail]:
            return [mail for mail in self._mails if mail.id > mail_id]

        async with self._changed:
            return await self._changed.wait_for(newer)

    # Faults

    def fail(self, stage: Stage, reply: str | None, *, to: str | None = None, times: int | None = 1) -> None:
        """Answer the next `times` commands (None: all) of `stage` with `reply`, such as `451 4.3.0 Later`.

        `to` limits it to one recipient. `data` answers the final dot and keeps nothing; `stored` keeps the
        message first. A reply of None drops the connection; so does a 421, once it is sent.
        """
        self._faults.append(_Fault(stage, reply, to, times))

    def heal(self) -> None:
        """Forget all faults and answer again."""
        self._faults.clear()
        self._answering.set()

    def pause(self) -> None:
        """Keep messages from now on, but do not answer the final dot until `heal`: a slow relay."""
        self._answering.clear()

    async def go_down(self) -> None:
        """Refuse connections and drop those that are open."""
        server, self._server = self._server, None
        if server:
            server.close()
        await self.drop_connections()
        if server:
            await server.wait_closed()

    async def come_up(self) -> None:
        """Listen (again), on the port of the first time."""
        loop = asyncio.get_running_loop()
        context = self._context if self._tls == "implicit" else None
        self._server = await loop.create_server(self._connection, _HOST, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def drop_connections(self) -> None:
        """Cut all open connections, as a relay does with idle ones."""
        for connection in list(self.open_connections):
            _abort(connection)
        self.open_connections.clear()
        await asyncio.sleep(0)

    # aiosmtpd calls what follows

    def _connection(self) -> _Connection:
        self.connections += 1
        starttls = self._tls == "starttls"
        return _Connection(
            self,
            enable_SMTPUTF8=self._smtputf8,
            tls_context=self._context if starttls else None,
            require_starttls=starttls,
            auth_require_tls=starttls or self._credentials is None,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        fault = self._fault("auth")
        if fault:
            return AuthResult(success=False, handled=False, message=fault.reply)
        if not isinstance(data, LoginPassword) or self._credentials is None:
            return AuthResult(success=False, handled=False)
        given = data.login.decode(), data.password.decode()
        return AuthResult(success=given == self._credentials, handled=False, auth_data=given[0])

    async def handle_MAIL(  # noqa: N802  aiosmtpd looks for this name
        self, server: _Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Start a message."""
        if self._credentials and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if fault := self._fault("mail"):
            return _reply(server, fault)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  aiosmtpd looks for this name
        self, server: _Connection, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take one recipient."""
        if fault := self._fault("rcpt", address):
            return _reply(server, fault)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Connection, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd looks for this name
        """Take the message at its final dot."""
        for recipient in envelope.rcpt_tos:
            if fault := self._fault("data", recipient):
                return _reply(server, fault)
        await self._keep(session, envelope)
        await self._answering.wait()
        for recipient in envelope.rcpt_tos:
            if fault := self._fault("stored", recipient):
                return _reply(server, fault)
        return f"250 2.0.0 OK: queued as {self._mails[-1].id}"

    async def _keep(self, session: Session, envelope: Envelope) -> None:
        async with self._changed:
            self._mails.extend(
                Mail(
                    id=next(self._ids),
                    sender=str(envelope.mail_from),
                    recipient=recipient,
                    received_at=dt.datetime.now(dt.UTC),
                    raw=cast("bytes", envelope.content),
                    user=session.auth_data,
                )
                for recipient in envelope.rcpt_tos
            )
            self._changed.notify_all()

    def _fault(self, stage: Stage, recipient: str | None = None) -> _Fault | None:
        return next((fault for fault in self._faults if fault.hits(stage, recipient)), None)


def _reply(server: _Connection, fault: _Fault) -> str:
    if fault.reply is None:
        _abort(server)
        return "421 4.4.2 Dropped"
    if fault.reply.startswith("421"):
        asyncio.get_running_loop().call_soon(_close, server)
    return fault.reply


def _abort(connection: _Connection) -> None:
    transport = cast("asyncio.Transport | None", connection.transport)
    if transport and not transport.is_closing():
        transport.abort()


def _close(connection: _Connection) -> None:
    if connection.transport:
        connection.transport.close()
