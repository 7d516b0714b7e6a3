"""Hand composed mails to the relay, over a few connections that stay open.

What the relay answered comes back as a `SendResult`. Two things are kept apart: a fault of one mail or its recipient
(`Deferred`, `Refused`, `Interrupted`), and a fault of the relay (`RelayDown`), which says nothing about the mail. Until
the relay has taken the sender (MAIL) whatever goes wrong is its own; after that others may fare better, so that one
recipient who always breaks the connection does not hold up everybody. No result holds a password or a personal link.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.email.config import SmtpConfig
    from bot.email.message import Composed

    Deliver = Callable[[Composed], Awaitable["SendResult"]]

_RELAY_CODES = frozenset({421, 454, 530, 534, 535, 538})
"""Shutting down; authentication wanted, or failed (RFC 5321 §4.2.3, RFC 4954 §6). At MAIL it hits any mail."""

_TOO_BIG = 552
_NO_SMTPUTF8 = 553

_Error = TypeVar("_Error", bound=BaseException)

_LINK = re.compile(r"/r/[A-Za-z0-9]{8,}")
_CONTROLS = re.compile(r"[\x00-\x20\x7f]+")
_MAX_WHY = 300
_RESET_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The relay took the mail; `reply` is its answer, often with a queue id."""

    reply: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """The relay cannot take this mail now (4xx, or what is about the relay but came after MAIL): try again later."""

    code: int
    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The relay will never take this mail, or any to this recipient (5xx)."""

    code: int
    why: str


@dataclass(frozen=True, slots=True)
class RelayDown:
    """The relay cannot be used by any mail now, so this one has spent no attempt."""

    why: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection broke over this mail, which may have arrived if its text was handed over.

    Send the same bytes again: mailboxes that have them know the Message-ID.
    """

    why: str


SendResult = Accepted | Deferred | Refused | RelayDown | Interrupted


class Busy(Exception):
    """No turn came in time; `str` says so in words."""


TURN = 0.9
"""The part of its time that a mail waits for a turn; with what is left then, nothing worth beginning could be done."""


class Mailer:
    """A pool of connections to one relay, opened when needed and used for one mail at a time each.

    `connections` is the most mails under way at once. `timeout` are the seconds for one mail, with its wait
    for a turn; it ends within two more. `connect_timeout` are those for connecting, TLS and login.
    """

    def __init__(
        self,
        config: SmtpConfig,
        *,
        connections: int = 3,
        timeout: float = 12.0,
        connect_timeout: float = 8.0,
    ) -> None:
        self._config = config
        self._relay = f"the mail relay {config.host}:{config.port}"
        self._tls_context = None if config.tls == "none" else ssl.create_default_context()
        if self._tls_context and config.cafile:
            self._tls_context.load_verify_locations(config.cafile)
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[SMTP] = []
        self._timeout = timeout
        self._connect_timeout = connect_timeout

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Deliver]:
        """Wait for a turn, which may take long; what it gives then delivers one mail to its one recipient.

        Raises `Busy` where no turn came in time.
        """
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(now + TURN * self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy(f"{self._relay} is too slow for the mails that wait") from None
        try:
            yield partial(self._send, deadline=now + self._timeout)
        finally:
            self._slots.release()

    async def _send(self, mail: Composed, deadline: float) -> SendResult:
        """An idle connection that turns out to be dead is replaced by a new one, once."""
        if self._idle:
            result = await self._transaction(self._idle.pop(), mail, deadline)
            if not isinstance(result, RelayDown):
                return result
        try:
            async with asyncio.timeout_at(deadline):
                client = await self._connect()
        except (SMTPException, OSError) as error:
            return RelayDown(self._explain(error))
        return await self._transaction(client, mail, deadline)

    async def check(self, sender: str | None = None) -> RelayDown | None:
        """Connect, start TLS, log in, offer a mail from `sender` to itself, and send nothing.

        None when all of it worked.
        """
        try:
            client = await self._connect()
        except TimeoutError as error:
            return RelayDown(await self._hint() or self._explain(error))
        except (SMTPException, OSError) as error:
            return RelayDown(self._explain(error))
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._offer(client, sender) if sender else None
        except (SMTPException, OSError) as error:
            return RelayDown(self._explain(error))
        finally:
            await _quit(client)

    async def _offer(self, client: SMTP, sender: str) -> RelayDown | None:
        """Whether the relay would take a mail; what was begun is taken back."""
        try:
            await client.mail(sender)
            await client.rcpt(sender)
        except SMTPResponseException as error:
            return RelayDown(self._refusal(error, sender))
        await _reset(client)
        return None

    def _refusal(self, error: SMTPResponseException, sender: str) -> str:
        said = f"{self._relay} refuses a mail from {sender} ({_answer(error)})"
        if 400 <= error.code < 500:
            return _scrub(f"{said}: that may pass, try again later")
        if self._config.username is None:
            return _scrub(
                f"{said}: it wants a user name and a password in ASSENT_SMTP_URL, or this machine's address"
            )
        return _scrub(f"{said}: the login may not send as ASSENT_MAIL_FROM")

    async def _hint(self) -> str | None:
        """What a relay that says nothing waits for, where that is TLS from the first byte."""
        if self._config.tls == "implicit":
            return None
        anyhow = ssl.create_default_context()
        anyhow.check_hostname, anyhow.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # nothing is sent, and nothing trusted
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, writer = await asyncio.open_connection(self._config.host, self._config.port, ssl=anyhow)
        except (OSError, ValueError):
            return None
        writer.transport.abort()
        return f"{self._relay} speaks TLS from the first byte: write tls=implicit instead of tls={self._config.tls}"

    async def close(self) -> None:
        """End the idle connections."""
        while self._idle:
            await _quit(self._idle.pop())

    async def _connect(self) -> SMTP:
        client = SMTP(
            hostname=self._config.host,
            port=self._config.port,
            username=self._config.username,
            password=self._config.password,
            use_tls=self._config.tls == "implicit",
            start_tls=self._config.tls == "starttls",
            tls_context=self._tls_context,
            timeout=self._connect_timeout,
        )
        async with asyncio.timeout(self._connect_timeout):
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        return client

    async def _transaction(self, client: SMTP, mail: Composed, deadline: float) -> SendResult:
        begun = usable = False
        try:
            async with asyncio.timeout_at(deadline):
                if mail.recipient.needs_smtputf8 and not client.supports_extension("smtputf8"):
                    usable = True
                    return Refused(
                        _NO_SMTPUTF8, "the mail relay only takes ASCII addresses (it has no SMTPUTF8)"
                    )
                await _begin(client, mail)
                begun = True
                await client.rcpt(str(mail.recipient), encoding=_encoding(mail))
                reply = await client.data(mail.raw, timeout=None)
                usable = True
                return Accepted(_scrub(reply.message))
        except SMTPResponseException as error:
            result = _classify(error, begun=begun)
            usable = not isinstance(result, RelayDown | Interrupted) and await _reset(client)
            return result
        except (SMTPException, OSError) as error:
            why = self._explain(error)
            return Interrupted(why) if begun else RelayDown(why)
        finally:
            if usable:
                self._idle.append(client)
            else:
                client.close()

    def _explain(self, error: BaseException) -> str:
        relay = self._relay
        if isinstance(error, SMTPAuthenticationError):
            passing = 400 <= error.code < 500
            trouble = "cannot log anybody in just now, which may pass: try again later"
            wrong = "refuses the user name or password in ASSENT_SMTP_URL"
            return _scrub(f"{relay} {trouble if passing else wrong} ({_answer(error)})")
        if untrusted := _cause(error, ssl.SSLCertVerificationError):
            return _scrub(
                f"the certificate of {relay} is not trusted ({untrusted.verify_message}); "
                "name its root certificate with cafile= in ASSENT_SMTP_URL"
            )
        if _cause(error, ssl.SSLError):
            return f"{relay} does not speak TLS as tls={self._config.tls} in ASSENT_SMTP_URL wants it"
        if isinstance(error, TimeoutError):
            return f"{relay} did not answer in time"
        if isinstance(error, SMTPResponseException):
            return _scrub(f"{relay} answered {_answer(error)}")
        return _scrub(f"{relay} cannot be used: {error}")


async def _begin(client: SMTP, mail: Composed) -> None:
    options = [f"SIZE={len(mail.raw)}"] if client.supports_extension("size") else []
    if mail.recipient.needs_smtputf8:
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    await client.mail(str(mail.sender), options=options, encoding=_encoding(mail))


def _encoding(mail: Composed) -> str:
    return "utf-8" if mail.recipient.needs_smtputf8 else "ascii"


def _classify(error: SMTPResponseException, *, begun: bool) -> SendResult:
    """What an answer means; `begun`: the relay has taken MAIL."""
    why = _scrub(error.message)
    if error.code in _RELAY_CODES:
        answered = f"the mail relay answered {error.code} {why}"
        return Deferred(error.code, why) if begun else RelayDown(answered)
    if 400 <= error.code < 500:
        return Deferred(error.code, why)
    if not begun and error.code != _TOO_BIG:
        return RelayDown(f"the mail relay refuses the sender in ASSENT_MAIL_FROM ({error.code} {why})")
    if 500 <= error.code < 600:
        return Refused(error.code, why)
    return Interrupted(why)


async def _reset(client: SMTP) -> bool:
    try:
        await client.rset(timeout=_RESET_SECONDS)
    except (SMTPException, OSError):
        return False
    return True


async def _quit(client: SMTP) -> None:
    with suppress(SMTPException, OSError):
        await client.quit()
    client.close()


def _answer(error: SMTPResponseException) -> str:
    return f"{error.code} {error.message}"


def _cause(error: BaseException | None, kind: type[_Error]) -> _Error | None:
    while error:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _scrub(text: str) -> str:
    """One short line without personal links, which spam filters like to quote."""
    return _LINK.sub("/r/…", _CONTROLS.sub(" ", text)).strip()[:_MAX_WHY]
