"""Values on their way into the database and back: JSON there, the annotated types here."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = Any
Adapter = TypeAdapter[Any]
_ANY: Adapter = TypeAdapter(Any)


def to_json(value: Any, what: str) -> Json:
    """Return a value as JSON; raises TypeError where it has none."""
    try:
        return _ANY.dump_python(value, mode="json")
    except ValueError as error:
        raise TypeError(
            f"{what} cannot be stored: give JSON values, dataclasses or pydantic models ({error})"
        ) from None


def from_json(adapter: Adapter, stored: Json, what: str) -> Any:
    """Return what was stored as its annotation says; raises TypeError where it is something else."""
    try:
        return adapter.validate_python(stored)
    except ValidationError as error:
        raise TypeError(f"{what} is not what its annotation says: {error}") from None


def result_adapter(function: Callable[..., Any]) -> Adapter:
    """Return what reads the results of a function, by its return annotation."""
    return _adapter(function, "return", {})


def input_adapter(handler: Callable[..., Any], names: Mapping[str, Any]) -> Adapter:
    """Return what reads the inputs of a handler, by the annotation of its second parameter.

    `names` are the local names that the annotation may mean. Raises TypeError for a handler of another shape.
    """
    parameters = list(inspect.signature(handler).parameters)
    if len(parameters) != 2:
        raise TypeError(f"{handler.__qualname__} must take two parameters: the context and the input")
    return _adapter(handler, parameters[1], names)


def _adapter(function: Callable[..., Any], name: str, names: Mapping[str, Any]) -> Adapter:
    try:
        return TypeAdapter(get_type_hints(function, localns=dict(names), include_extras=True).get(name, Any))
    except (NameError, TypeError, PydanticUserError):
        return _ANY
