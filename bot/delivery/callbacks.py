"""Outcomes posted to a requester's own address, signed as Standard Webhooks says (standardwebhooks.com).

A callback goes to whatever URL a requester gave, so the connection itself is guarded: a socket is made only
for a public address, whichever name led to it.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import orjson
from standardwebhooks import Webhook

from bot.delivery.backoff import DELAYS
from bot.domain.callbacks.network import private_address
from bot.domain.callbacks.orchestrators import misdirected
from bot.ports.delivery import Delivery, Failed, Result, Retry, Sent
from bot.schemas.responses import instant, request_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.delivery.orchestrators import Receiver
    from bot.domain.model.request import Request

TIMEOUT_SECONDS = 10.0
"""From looking up the name to the answer's headers; its body is not read."""

LONGEST_PAUSE = DELAYS["callback"][-1]
"""Seconds; a `Retry-After` is honoured up to this, so that none puts a callback off past the last try."""


class PrivateAddressError(OSError):
    """A connection to an address that callbacks may not go to."""


class CallbackSender:
    """`ports.Sender` for the surface `callback`; an address is a URL. It belongs to one event loop.

    `secrets` (`whsec_…`) all sign, so that receivers can move from an old one to a new one; where `secret_of` knows
    one of the API key that a request came with, that one signs in their place. What is at one of the `receivers` is
    told in that system's own words instead.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        allow_private: bool,
        receivers: Sequence[Receiver] = (),
        secret_of: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        self._secrets = secrets
        self._secret_of = secret_of
        self._receivers = receivers
        self._allow_private = allow_private
        self._open: aiohttp.ClientSession | None = None

    async def send(self, delivery: Delivery, request: Request | None, now: datetime) -> Result:
        """Post the request as it is now. All failures but 410 Gone are tried again, as the standard says."""
        if request is None:
            return Failed("its request is gone")
        try:
            return await self._post(delivery, request, now)
        except (aiohttp.InvalidURL, UnicodeError):  # a host that no name can be is found by the resolver
            return Failed("the callback URL is not valid")
        except aiohttp.ClientConnectorError as error:
            private = isinstance(error.os_error, PrivateAddressError)
            return Failed(str(error.os_error)) if private else Retry("the receiver could not be reached")
        except aiohttp.ClientError as error:
            return Retry(f"the receiver did not answer properly ({type(error).__name__})")
        except TimeoutError:
            return Retry(f"the receiver did not answer within {TIMEOUT_SECONDS:g} seconds")

    async def close(self) -> None:
        """Close every connection."""
        if self._open is not None:
            await self._open.close()

    async def _post(self, delivery: Delivery, request: Request, now: datetime) -> Result:
        for receiver in self._receivers:
            if receiver.serves(delivery.address):
                return await receiver.tell(self._session(), delivery.address, request)
        if known := misdirected(delivery.address, tuple(r.place for r in self._receivers)):
            return Failed(f"the callback URL lies in {known.name}, where only {known.wanted} is answered")
        event = {"type": "request.resolved", "timestamp": instant(request.resolved_at)}
        body = orjson.dumps(event | {"data": request_json(request)})
        headers = _headers(delivery.id, body, now, await self._secrets_for(request))
        async with self._session().post(
            delivery.address, data=body, headers=headers, allow_redirects=False
        ) as response:
            return _judge(response.status, response.headers.get("Retry-After"), request, now)

    async def _secrets_for(self, request: Request) -> Sequence[str]:
        key_id = request.spec.submitted_by
        own = await self._secret_of(key_id) if self._secret_of and key_id else None
        return [own] if own else self._secrets

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            self._open = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._socket),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._open

    def _socket(self, target: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for exactly the address that is about to be connected to."""
        family, kind, protocol, _, address = target
        if not self._allow_private and (private := private_address(str(address[0]))):
            raise PrivateAddressError(f"the callback URL leads to {private}, where callbacks may not go")
        return socket.socket(family, kind, protocol)


def _headers(message_id: str, body: bytes, now: datetime, secrets: Sequence[str]) -> dict[str, str]:
    at, text = now.astimezone(UTC), body.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "Assent",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, text) for secret in secrets),
    }


def _judge(status: int, retry_after: str | None, request: Request, now: datetime) -> Result:
    if 200 <= status < 300:
        return Sent({}, request.version)
    if status == HTTPStatus.GONE:
        return Failed("the receiver wants no more callbacks (410 Gone)")
    patient = status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
    return Retry(f"the receiver answered {status}", after=_seconds(retry_after, now) if patient else None)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """How long a `Retry-After` header (seconds or an HTTP date, RFC 9110 §10.2.3) asks to wait."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return min(max((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds(), 0.0), LONGEST_PAUSE)
