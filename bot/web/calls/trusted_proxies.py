"""Who a call comes from where it came through proxies: only what trusted ones say is believed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiohttp import web

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(text, strict=False) for text in trusted]

    def seen_through(self, request: web.Request) -> web.Request:
        """The request as its client sent it, with their address and scheme."""
        peer = _address(request.remote or "")
        if not self._trusted or peer is None or not self._trusts(peer):
            return request
        said = [part.strip() for part in ",".join(request.headers.getall(FORWARDED_FOR, [])).split(",")]
        scheme = request.headers.get(FORWARDED_PROTO, "").rpartition(",")[2].strip().lower()
        return request.clone(
            remote=str(self._client(peer, said[::-1])),
            scheme=scheme if scheme in {"http", "https"} else request.scheme,
        )

    def _client(self, peer: Address, said: Sequence[str]) -> Address:
        """The nearest that is not trusted, from the nearest on; what comes before it may be made up."""
        nearest = peer
        for text in said:
            address = _address(text)
            if address is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


FORWARDED_FOR, FORWARDED_PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


def _address(text: str) -> Address | None:
    """An address as proxies write it: perhaps in brackets, perhaps with a port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def limited_as(text: str) -> str:
    """What an address is limited as: one line has a whole IPv6 network of 64 bits."""
    address = _address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or text)
