"""What keeps a URL from leading anywhere, told with the standard library: clients check their submissions, too."""

from __future__ import annotations

from urllib.parse import urlsplit

from bot.domain.errors import Fault

_NOT_IN_HOSTS = frozenset(' \t\r\n"<>\\^`{|}%')


def url_faults(url: str, pointer: str) -> list[Fault]:
    """What keeps an http or https URL from leading to a host."""
    return (
        []
        if host_and_port(url)[0]
        else [Fault(pointer, "has no valid host or port; write https://HOST/PATH")]
    )


def host_and_port(url: str) -> tuple[str, int | None]:
    """The host as the resolver is asked for it, and the port; an empty host where one of them is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if _NOT_IN_HOSTS & set(parts.netloc.rpartition("@")[2]) or not host.isprintable():
            return "", None
        return host.encode("idna").decode(), port
    except ValueError:
        return "", None
