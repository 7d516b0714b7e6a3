"""Which URLs a submission may name: refused at submit what would be refused at delivery."""

from __future__ import annotations

import asyncio
import socket

from bot.approvals.validation.url_syntax import host_and_port, url_faults
from bot.domain.callbacks.network import private_address
from bot.domain.callbacks.orchestrators import Orchestrator, misdirected
from bot.domain.errors import Fault

RESOLVE_SECONDS = 1.0
"""How long a submission waits for the resolver; an unknown name passes, as delivery checks every address."""


async def callback_faults(
    url: str | None, *, allow_private: bool, orchestrators: tuple[Orchestrator, ...] = ()
) -> list[Fault]:
    """What is wrong with a `callback_url`."""
    if url is None:
        return []
    if faults := url_faults(url, "/callback_url"):
        return faults
    if known := misdirected(url, orchestrators):
        return [Fault("/callback_url", f"lies in {known.name}, where only {known.wanted} is answered")]
    host, port = host_and_port(url)
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
