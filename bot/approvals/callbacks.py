"""Where outcomes may be posted to: refused at submit what would be refused at delivery."""

from __future__ import annotations

import asyncio
import socket

from yarl import URL

from bot.domain.errors import Fault
from bot.domain.network import private_address

RESOLVE_SECONDS = 1.0
"""How long a submission waits for the resolver; an unknown name passes, as delivery checks every address."""


async def callback_faults(url: str | None, *, allow_private: bool) -> list[Fault]:
    """What is wrong with a `callback_url`."""
    if url is None:
        return []
    try:
        parts = URL(url)
        host, port = parts.raw_host or "", parts.port
        host.encode("idna")  # as the resolver will
    except ValueError:
        host, port = "", None
    if not host:
        return [Fault("/callback_url", "has no valid host or port; write https://HOST/PATH")]
    private = None if allow_private else private_address(host) or await _resolved(host, port)
    if private is None:
        return []
    advice = "give a public one, or set ASSENT_CALLBACK_ALLOW_PRIVATE=true"
    return [Fault("/callback_url", f"leads to {private}, where callbacks may not go; {advice}")]


async def _resolved(host: str, port: int | None) -> str | None:
    """What is private about the addresses behind a name."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return next((kind for *_, address in found if (kind := private_address(str(address[0])))), None)
