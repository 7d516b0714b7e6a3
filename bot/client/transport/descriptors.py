"""Flows as methods, so that each is written once: `Client` runs it, `AsyncClient` when it is awaited."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from bot.client.client import AsyncClient, Client
    from bot.client.transport.events import Event, Following
    from bot.client.transport.protocol import Flow

P = ParamSpec("P")
T = TypeVar("T")


class operation(Generic[P, T]):  # noqa: N801 - used as a decorator
    """A flow as a method that returns its result."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        return self if client is None else _bound(client, client.run, self.flow)


class stream(Generic[P]):  # noqa: N801 - likewise
    """A stream as a method that generates its events."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Following]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Generator[Event]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncGenerator[Event]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        return self if client is None else _bound(client, client.iterate, self.flow)


def _bound(client: Any, carry: Callable[[Any], Any], flow: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(flow)
    def method(*args: Any, **kwargs: Any) -> Any:
        return carry(flow(client, *args, **kwargs))

    return method
