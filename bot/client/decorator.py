"""`@require_approval`: a function that runs only with the arguments that people approved."""

from __future__ import annotations

import inspect
import json
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from bot.client.client import AsyncClient, Client
from bot.client.errors import BadEdit, Unsendable
from bot.client.transport.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.client.models import Outcome
    from bot.client.transport.protocol import Flow

P = ParamSpec("P")
T = TypeVar("T")

_RECEIVERS = {"self", "cls"}
_NAMELESS = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}


def require_approval(
    *,
    client: Client | AsyncClient | None = None,
    timeout: float | None = None,
    idempotency_key: str | Callable[..., str] | None = None,
    **fields: Any,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Put each call of a function to people, and run it with the arguments they approved, which they may have edited.

    The payload of the request is the call's arguments by name, without the object of a method (a first parameter `self`
    or `cls`); `fields` are those of `submit` (`audience`, `form`, …), and the title is the function's name in words
    unless given. An async function needs an `AsyncClient`; without `client` it is the one of the environment.
    `idempotency_key` may be a function of the arguments in the payload. `timeout` is how many seconds a call waits (not
    when the request ends: that is `timeout_seconds`).

    A call raises `Rejected`, `Expired` or `Cancelled` where it was not approved, `BadEdit` where what was approved does
    not fit the function, `TimeoutError`, `Unsendable` where an argument is no JSON, and whatever `submit` raises; in
    all these cases the function has not run. Decorating raises TypeError for what cannot be asked like this.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        gate = _Gate(function, timeout, idempotency_key, fields)
        fitting = AsyncClient if inspect.iscoroutinefunction(function) else Client
        if client is not None and not isinstance(client, fitting):
            raise TypeError(f"{function.__name__}() needs {fitting.__name__}, not {type(client).__name__}")
        gated = _asynchronously if fitting is AsyncClient else _blocking
        return cast("Callable[P, T]", wraps(function)(gated(gate, client)))

    return decorate


def _blocking(gate: _Gate, client: Any) -> Callable[..., Any]:
    def gated(*args: Any, **kwargs: Any) -> Any:
        with nullcontext(client) if client else Client() as assent:
            approved = assent.run(gate.pass_through(assent, args, kwargs))
        return gate.function(**approved)

    return gated


def _asynchronously(gate: _Gate, client: Any) -> Callable[..., Any]:
    async def gated(*args: Any, **kwargs: Any) -> Any:
        async with nullcontext(client) if client else AsyncClient() as assent:
            approved = await assent.run(gate.pass_through(assent, args, kwargs))
        return await gate.function(**approved)

    return gated


class _Gate:
    """What the calls of one function have in common."""

    def __init__(
        self,
        function: Callable[..., Any],
        timeout: float | None,
        key: str | Callable[..., str] | None,
        fields: Mapping[str, Any],
    ) -> None:
        self.function = function
        self._timeout = timeout
        self._key = key
        self._fields = {"title": function.__name__.replace("_", " ").strip().capitalize(), **fields}
        self._signature = inspect.signature(function)
        self._receiver = _RECEIVERS.intersection([*self._signature.parameters][:1])
        for parameter in self._signature.parameters.values():
            if parameter.kind in _NAMELESS:
                raise TypeError(
                    f"{function.__name__}() cannot be put to people: its parameter {parameter} has no name in a call"
                )

    def pass_through(self, client: Operations, args: Any, kwargs: Any) -> Flow[dict[str, Any]]:
        """Ask and wait; the arguments that were approved, with the object of a method."""
        arguments = self._named(args, kwargs)
        receiver = {name: arguments.pop(name) for name in self._receiver & arguments.keys()}
        self._check_sendable(arguments)
        key = self._key(**arguments) if callable(self._key) else self._key
        asked = {**self._fields, "payload": arguments, "idempotency_key": key}
        request = yield from Operations.submit.flow(client, **asked)
        outcome = yield from Operations.wait.flow(client, request.id, self._timeout)
        return receiver | self._fitting(outcome.raise_for_rejection(), receiver)

    def _named(self, args: Any, kwargs: Any) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for name, value in self._signature.bind(*args, **kwargs).arguments.items():
            variable = self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            named |= value if variable else {name: value}
        return named

    def _check_sendable(self, arguments: Mapping[str, Any]) -> None:
        for name, value in arguments.items():
            if not _is_json(value):
                raise Unsendable(
                    f"{self.function.__name__}() cannot be put to people: its argument {name!r} is no JSON value "
                    f"({type(value).__name__}); pass text, numbers, true or false, None, lists, and dicts keyed by text"
                )

    def _fitting(self, outcome: Outcome, receiver: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(outcome.payload, dict):
            raise BadEdit(outcome, f"its payload is not the arguments of {self.function.__name__}()")
        try:
            self._signature.bind(**receiver, **outcome.payload)
        except TypeError as error:
            raise BadEdit(outcome, f"its payload does not fit {self.function.__name__}(): {error}") from None
        return outcome.payload


def _is_json(value: Any) -> bool:
    """Whether a value comes back from JSON as it was: a tuple, or a dict keyed by numbers, would not."""
    try:
        same: bool = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError, RecursionError):
        return False
    return same
