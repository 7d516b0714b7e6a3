"""The two small languages of automations: conditions, and `{{ places }}` in texts.

A condition compares values: `approval.approved and prepare.amount > 100`, `input.region in ['eu', 'uk']`. It knows
names with their members (`a.b`, `a['b']`, `a[0]`), text, numbers, lists, `true`, `false`, `null`, the comparisons
`== != < <= > >= in`, and `and`, `or`, `not`, with parentheses. Nothing in it is ever executed: there are no calls. What
is not there is null, so it is equal to nothing else, and comparing it by size is an error.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

PLACE = re.compile(r"\{\{([^{}]*)\}\}")

_CONSTANTS = {"true": True, "false": False, "null": None}
_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, many: value in many,
    ast.NotIn: lambda value, many: value not in many,
}


def parse(text: str) -> ast.expr:
    """Read a condition; raises ValueError where it is not of the language."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(
            f"{text.strip()!r} is not a condition: {error.msg} at column {error.offset}"
        ) from None
    _check(tree)
    return tree


def names(tree: ast.expr) -> set[str]:
    """Return the names whose values a condition needs."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - _CONSTANTS.keys()


def evaluate(tree: ast.expr, scope: Mapping[str, Any]) -> Any:  # noqa: C901, PLR0911 - a line or two each kind of node
    """Return the value of what `parse` read; raises TypeError where values cannot be compared."""
    match tree:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _CONSTANTS[name] if name in _CONSTANTS else scope.get(name)
        case ast.Attribute(value=whole, attr=part):
            return _member(evaluate(whole, scope), part)
        case ast.Subscript(value=whole, slice=part):
            return _member(evaluate(whole, scope), evaluate(part, scope))
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [evaluate(part, scope) for part in parts]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not evaluate(operand, scope)
        case ast.UnaryOp(operand=operand):
            return -evaluate(operand, scope)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(evaluate(value, scope) for value in values)
        case ast.BoolOp(values=values):
            return any(evaluate(value, scope) for value in values)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            values = [evaluate(value, scope) for value in (left, *rights)]
            return all(
                _COMPARISONS[type(op)](*pair) for op, *pair in zip(ops, values, values[1:], strict=False)
            )
    raise TypeError(f"{ast.unparse(tree)} is not of the language")


def places(value: Any) -> list[str]:
    """Return the texts between braces in a text, or in the texts of a list or map."""
    match value:
        case str():
            return [place.strip() for place in PLACE.findall(value)]
        case Mapping():
            return [place for part in value.values() for place in places(part)]
        case list():
            return [place for part in value for place in places(part)]
    return []


def fill(value: Any, scope: Mapping[str, Any]) -> Any:
    """Put values in their places; a text that is nothing but a place becomes the value itself.

    Raises LookupError where a value is not there.
    """
    match value:
        case str():
            if whole := PLACE.fullmatch(value.strip()):
                return _found(whole[1], scope)
            return PLACE.sub(lambda place: str(_found(place[1], scope)), value)
        case Mapping():
            return {key: fill(part, scope) for key, part in value.items()}
        case list():
            return [fill(part, scope) for part in value]
    return value


def _found(place: str, scope: Mapping[str, Any]) -> Any:
    value = evaluate(parse(place), scope)
    if value is None:
        raise LookupError(f"{place.strip()} has no value")
    return value


def _member(whole: Any, part: Any) -> Any:
    match whole, part:
        case Mapping(), _:
            return whole.get(part)
        case Sequence(), int() if not isinstance(whole, str):
            return whole[part] if -len(whole) <= part < len(whole) else None
    return None


def _check(tree: ast.expr) -> None:
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() | int() | float() | bool() | None):
                continue
            case ast.UnaryOp(op=ast.Not() | ast.USub()) | ast.Subscript(slice=ast.Constant()):
                continue
            case ast.Name() | ast.Attribute() | ast.List() | ast.Tuple() | ast.BoolOp() | ast.Compare():
                continue
            case ast.expr_context() | ast.boolop() | ast.unaryop():
                continue
            case ast.cmpop() if type(node) in _COMPARISONS:
                continue
        what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__.lower()
        raise ValueError(f"{what!r} is not of the language: compare names and values with == != < <= > >= in")
