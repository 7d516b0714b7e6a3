"""Which hosts a callback may go to: none that only this machine, this network or this cloud can reach."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64 = ip_network("64:ff9b::/96")
"""Public IPv4 addresses as an IPv6-only network sees them (RFC 6052)."""

IPV4_COMPATIBLE = ip_network("::/96")
"""Deprecated, but some systems still route it to the IPv4 address inside (RFC 4291 §2.5.5.1)."""

PLATFORM = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
"""Public in form, but reached only from inside: protocol assignments (RFC 6890; Oracle Cloud's metadata
service is among them) and Azure's platform service."""


def private_address(host: str) -> str | None:
    """What is private about `host`, an address or a name: `a loopback address`, …; None where nothing is.

    An address that carries another one inside (IPv4-mapped, 6to4, Teredo, NAT64) is judged by that one. Of
    names only `localhost` and those below it (RFC 6761 §6.3) are known; only a resolver knows others.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return "this machine"
    try:
        address = ip_address(name)
    except ValueError:
        return None
    return _kind(_inside(address))


def _inside(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64 or (address in IPV4_COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    kinds = {
        "an unspecified address": address.is_unspecified,
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "a reserved address": address.is_reserved,
        "a cloud platform's own address": any(address in network for network in PLATFORM),
        "a private address": site_local or not address.is_global,
    }
    return next((kind for kind, applies in kinds.items() if applies), None)
