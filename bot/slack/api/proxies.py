"""Which proxy leads to Slack: as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, in capitals or not."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_FAMILY = {"wss": "https", "ws": "http"}
"""A WebSocket goes the way of the scheme it begins as."""


def proxy_for(url: str) -> str | None:
    """The proxy for `url`, with its user and password where the environment has them; None for none."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc.rpartition("@")[2]) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    found = proxies.get(_FAMILY.get(parts.scheme, parts.scheme))
    return found if not found or "://" in found else f"http://{found}"
