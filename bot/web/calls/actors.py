"""Who acts by an HTTP call, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Fault, Invalid
from bot.domain.model.identity import canonical
from bot.domain.model.request import Surface
from bot.domain.people.audience import Actor, SelectorKind, parse_selector

if TYPE_CHECKING:
    from aiohttp import web

SURFACE_HEADER = "X-Assent-Surface"
"""Which of our own clients calls (`cli`, `mcp`, `web`); anything else is `api`."""

_CLIENTS = {s.value: s for s in (Surface.CLI, Surface.MCP, Surface.WEB)}


def surface(http: web.Request) -> Surface:
    """Where an answer by this call is recorded as coming from."""
    return _CLIENTS.get(http.headers.get(SURFACE_HEADER, ""), Surface.API)


def respondent(text: str, http: web.Request, pointer: str = "/respondent") -> Actor:
    """The respondent for whom a call acts; raises `Invalid` at `pointer`."""
    return Actor(keys=frozenset({person(text, pointer)}), surface=surface(http))


def person(text: str, pointer: str = "/respondent") -> str:
    """The key of a person as people write it: `rsp_…`, `email:…`, `slack:U…`, or a bare address, in any spelling."""
    if text.startswith("rsp_"):
        return text
    try:
        selector = parse_selector(text)
    except ValueError as error:
        raise Invalid([Fault(pointer, str(error))]) from None
    match selector.kind:
        case SelectorKind.EMAIL | SelectorKind.BOTH | SelectorKind.SLACK_EMAIL:
            return f"email:{canonical(selector.value)}"
        case SelectorKind.SLACK_USER | SelectorKind.SLACK_CHANNEL:
            return selector.text
    raise Invalid([Fault(pointer, "names no single person; write rsp_…, email:NAME@HOST or slack:U…")])
