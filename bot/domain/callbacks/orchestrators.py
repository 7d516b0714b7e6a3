"""Where in a configured orchestrator an outcome may be told: the URL that a request names, compared once it is plain.

A server may decode, join and resolve a path before it reads it, so that `/pf/x/%2e%2e/secret` is `/pf/secret` there.
What is compared here is therefore the plain form, and what goes out is built anew from its parts; the URL that a
requester wrote is never used with the operator's credentials.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

PORTS = {"http": 80, "https": 443}

NEVER_DECODED = 8
"""A path that is encoded more often than this is nobody's; each time is looked at."""

Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """A configured system: its name, where it is (without user information), and the one route that is answered.

    `route` describes a path below the base, segment by segment, each decoded; named groups are not needed.
    """

    name: str
    origin: Origin
    path: tuple[str, ...]
    route: re.Pattern[str]
    wanted: str
    """The route in words, for whoever has written another one."""

    def target(self, url: str) -> str | None:
        """The URL to call, built from its parts, where `url` is exactly the route; else None."""
        parts = _split(url)
        if parts is None or _origin(parts) != self.origin or _has_more(parts):
            return None
        segments = plain(unquote(parts.path))
        below = segments[len(self.path) :]
        if segments[: len(self.path)] != self.path or not self.route.fullmatch("/".join(below)):
            return None
        return self.address(*below)

    def address(self, *below: str) -> str:
        """The URL of what has these segments below the base."""
        scheme, host, port = self.origin
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == PORTS[scheme] else f"{shown}:{port}"
        return f"{scheme}://{authority}/" + "/".join(quote(s, safe="") for s in (*self.path, *below))

    def owns(self, url: str) -> bool:
        """Whether `url` may be read as one below the base, by somebody who decodes it once or more often."""
        parts = _split(url)
        if parts is None or _origin(parts) != self.origin:
            return False
        return any(segments[: len(self.path)] == self.path for segments in _readings(parts.path))


def orchestrator(name: str, url: str, route: str, wanted: str) -> Orchestrator:
    """A system whose base is `url`; raises `ValueError` where that is none."""
    parts = _split(url)
    origin = _origin(parts) if parts else None
    if parts is None or origin is None:
        raise ValueError("must be http://HOST or https://HOST, with a port and a path where it has one")
    return Orchestrator(name, origin, plain(unquote(parts.path)), re.compile(route), wanted)


def plain(path: str) -> tuple[str, ...]:
    """The segments of a decoded path: no empty ones, no dots, and a backslash is a slash."""
    segments: list[str] = []
    for segment in path.replace("\\", "/").split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in {"", "."}:
            segments.append(segment)
    return tuple(segments)


def _readings(path: str) -> Iterator[tuple[str, ...]]:
    """What a path may be taken for: decoded once or more often, with and without `;parameters`."""
    for _ in range(NEVER_DECODED):
        for form in (path, unicodedata.normalize("NFKC", path)):
            yield plain(form)
            yield plain(re.sub(r";[^/\\]*", "", form))
        path, before = unquote(path), path
        if path == before:
            return


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _has_more(parts: SplitResult) -> bool:
    """Whether there is more to a URL than where it leads."""
    return bool(parts.query or parts.fragment or "@" in parts.netloc)


def _origin(parts: SplitResult) -> Origin | None:
    scheme = parts.scheme.lower()
    try:
        port = parts.port or PORTS[scheme]
        host = _host(parts.hostname or "")
    except (KeyError, ValueError):
        return None
    return (scheme, host, port) if host else None


def _host(name: str) -> str:
    """A host in its one spelling; raises `ValueError` for what is none."""
    name = unicodedata.normalize("NFKC", unquote(name)).replace("\u3002", ".").rstrip(".").lower()
    if not name.isascii():
        name = name.encode("idna").decode("ascii")
    if re.search(r"[\s/\\?#@%<>^|]", name):
        raise ValueError("no host has such characters")
    try:
        return ip_address(name).compressed
    except ValueError:
        return _number(name) or name


def _number(name: str) -> str | None:
    """The IPv4 address that `127.1` or `0x7f000001` are to a resolver: its last number fills what is left."""
    if not re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}", name):
        return None
    *first, last = [_integer(part) for part in name.split(".")]
    room = 256 ** (4 - len(first))
    if last >= room or any(number > 255 for number in first):
        return None
    return str(IPv4Address(sum(n << (24 - 8 * i) for i, n in enumerate(first)) + last))


def _integer(text: str) -> int:
    """A number as C reads it: hexadecimal, octal or decimal; raises `ValueError`."""
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if len(text) > 1 and text.startswith("0") else int(text)


_ID = r"[0-9A-Za-z_-]{1,64}"
_WORD = r"[\w.~:+@ -]{1,250}"

AIRFLOW_ROUTE = rf"api/v2/dags/{_WORD}/dagRuns/{_WORD}/taskInstances/{_WORD}/(-1|[0-9]{{1,9}})/hitlDetails"
AIRFLOW_WANTED = "…/api/v2/dags/DAG/dagRuns/RUN/taskInstances/TASK/MAP_INDEX/hitlDetails"
PREFECT_ROUTE = rf"(api/(accounts/{_ID}/workspaces/{_ID}/)?)?flow_runs/{_ID}/resume"
PREFECT_WANTED = "…/flow_runs/ID/resume"


def airflow(url: str) -> Orchestrator:
    """Airflow 3.1 or newer: a human-in-the-loop task."""
    return orchestrator("Airflow", url, AIRFLOW_ROUTE, AIRFLOW_WANTED)


def prefect(url: str) -> Orchestrator:
    """Prefect 3, its own server or Prefect Cloud: a paused flow run. The base may be the server or its API."""
    return orchestrator("Prefect", url, PREFECT_ROUTE, PREFECT_WANTED)


def misdirected(url: str, orchestrators: tuple[Orchestrator, ...]) -> Orchestrator | None:
    """The orchestrator that has `url`, though not as a route that is answered there."""
    if any(known.target(url) for known in orchestrators):
        return None
    return next((known for known in orchestrators if known.owns(url)), None)
