"""An operation of the HTTP API, stated once, beside its handler: what it takes, who may call it, what it answers.

Routes, scopes, the OpenAPI document and the table of who may do what are made of these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, TypeVar, Unpack, overload

from aiohttp import web

from bot.approvals.idempotency import under_way
from bot.approvals.offload import aside
from bot.schemas.requests import Body, parse
from bot.web.calls.idempotency import idempotency
from bot.web.calls.json_body import read_json

if TYPE_CHECKING:
    from bot.domain.access.authority import Scope
    from bot.domain.errors import AssentError
    from bot.domain.model.request import Json
    from bot.web.calls.door import Door, Visit

JsonObject = dict[str, Any]
Refusals = tuple["type[AssentError]", ...]


class About(TypedDict):
    """What is said of an operation beside its body, and whether it needs a key."""

    method: str
    path: str
    id: str
    tag: str
    """The area of the API: generated clients make a module of each."""
    summary: str
    text: NotRequired[str]
    scopes: NotRequired[tuple[Scope, ...]]
    """The key needs one of them; the body may ask for more."""
    told_once: NotRequired[bool]
    """What it answers is kept nowhere, so that it cannot be answered again."""
    submits: NotRequired[bool]
    """It takes of what one key may submit in a time."""
    parameters: NotRequired[tuple[JsonObject, ...]]
    empty: NotRequired[bool]
    """No body at all means `{}`."""
    examples: NotRequired[Mapping[str, JsonObject]]
    media: NotRequired[str]
    answers: Mapping[int, tuple[str, Any]]
    """By status: what it means, and the type of its body; `str` is plain text, None no body."""
    refusals: NotRequired[Refusals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation; see `About`. The body is given to the handler as `body`, or as it came where it is `sent`."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    text: str = ""
    key: bool = True
    scopes: tuple[Scope, ...] = ()
    told_once: bool = False
    submits: bool = False
    parameters: tuple[JsonObject, ...] = ()
    body: type[Body] | None = None
    sent: type[Body] | None = None
    empty: bool = False
    examples: Mapping[str, JsonObject] = field(default_factory=dict)
    media: str = "application/json"
    answers: Mapping[int, tuple[str, Any]]
    refusals: Refusals = ()

    def __post_init__(self) -> None:
        if self.key != bool(self.scopes):
            raise ValueError(f"{self.id} must name the scopes that it needs, or say that it needs no key")

    @property
    def takes(self) -> type[Body] | None:
        """The model of its body."""
        return self.body or self.sent

    @property
    def heeds_key(self) -> bool:
        """Whether it heeds an `Idempotency-Key`: it changes something, and its answer may be given again."""
        return self.method == "POST" and self.path.startswith("/v1/") and not self.told_once


S = TypeVar("S")
B = TypeVar("B", bound=Body)
R = TypeVar("R", bound=web.StreamResponse)
Open = Callable[[S, web.Request], Awaitable[R]]
Keyed = Callable[[S, web.Request, "Visit"], Awaitable[R]]
Taking = Callable[[S, web.Request, "Visit", B], Awaitable[R]]


@overload
def operation(*, key: Literal[False], **about: Unpack[About]) -> Callable[[Open[S, R]], Open[S, R]]: ...
@overload
def operation(*, body: type[B], **about: Unpack[About]) -> Callable[[Taking[S, B, R]], Taking[S, B, R]]: ...
@overload
def operation(
    *, sent: type[Body], **about: Unpack[About]
) -> Callable[[Taking[S, Json, R]], Taking[S, Json, R]]: ...
@overload
def operation(**about: Unpack[About]) -> Callable[[Keyed[S, R]], Keyed[S, R]]: ...


def operation(**about: Any) -> Any:
    """Say which operation a method is the handler of; it may be that of several."""
    described = Operation(**about)

    def attached(handler: Any) -> Any:
        handler.__dict__.setdefault(_ATTACHED, []).insert(0, described)
        return handler

    return attached


_ATTACHED = "operations"


def operations_of(*handlers: type) -> tuple[Operation, ...]:
    """Every operation of some classes, as they stand there."""
    return tuple(described for kind in handlers for _, described in _attached(kind))


def routes_of(*handlers: object, door: Door | None = None) -> list[web.RouteDef]:
    """The routes of some handlers: the door lets in whoever has a key for it, and what it takes is read."""
    return [
        web.route(described.method, described.path, _opened(described, getattr(group, name), door))
        for group in handlers
        for name, described in _attached(type(group))
    ]


def _attached(kind: type) -> Iterable[tuple[str, Operation]]:
    for name, member in vars(kind).items():
        for described in getattr(member, "__dict__", {}).get(_ATTACHED, ()):
            yield name, described


def _opened(
    described: Operation, handler: Callable[..., Awaitable[web.StreamResponse]], door: Door | None
) -> Any:
    if not described.key:
        return handler
    if door is None:
        raise ValueError(f"{described.id} needs a key, so it needs a door")

    async def entered(http: web.Request) -> web.StreamResponse:
        call = await door.enter(http, *described.scopes, submits=described.submits)
        if not described.heeds_key or described.submits:
            return await _handled(described, handler, http, call)
        with under_way(await idempotency(http, f"{call.caller.id}:{http.path}")):
            return await _handled(described, handler, http, call)

    return entered


async def _handled(
    described: Operation,
    handler: Callable[..., Awaitable[web.StreamResponse]],
    http: web.Request,
    call: Visit,
) -> web.StreamResponse:
    if not described.takes:
        return await handler(http, call)
    sent = await read_json(http, empty=described.empty)
    model = described.body
    return await handler(http, call, await aside(lambda: parse(model, sent), sent) if model else sent)
