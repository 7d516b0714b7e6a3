"""Small rules that say what a JSON value must look like, and word each fault the way Slack does.

A rule is a function of a value and its JSON pointer that yields faults such as
`[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]`. `blockkit` is written in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Rule = Callable[[Any, str], Iterator[str]]


def fault(message: str, pointer: str) -> str:
    return f"[ERROR] {message} [json-pointer:{pointer}]"


def anything(_value: Any, _pointer: str) -> Iterator[str]:
    return iter(())


def boolean(value: Any, pointer: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield fault("must provide a boolean", pointer)


def whole_number(least: int, most: int) -> Rule:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int):
            yield fault("must provide a number", pointer)
        elif not least <= value <= most:
            yield fault(f"must be between {least} and {most}", pointer)

    return check


def string(most: int, least: int = 0) -> Rule:
    """A string of `least` to `most` characters."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield fault("must provide a string", pointer)
        elif len(value) < least:
            yield fault(f"must be more than {least - 1} characters", pointer)
        elif len(value) > most:
            yield fault(f"must be less than {most + 1} characters", pointer)

    return check


def numeral(value: Any, pointer: str) -> Iterator[str]:
    """A decimal number written as a string, as the bounds of a `number_input` are."""
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        yield fault("must provide a number as a string", pointer)


def one_of(*allowed: str) -> Rule:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if value not in allowed:
            yield fault(f"must be one of: {', '.join(allowed)}", pointer)

    return check


def many(rule: Rule, most: int, least: int = 1) -> Rule:
    """A list of `least` to `most` values that each satisfy `rule`."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield fault("must provide an array", pointer)
            return
        if len(value) < least:
            yield fault(f"no less than {least} items allowed", pointer)
        if len(value) > most:
            yield fault(f"no more than {most} items allowed", pointer)
        for index, item in enumerate(value):
            yield from rule(item, f"{pointer}/{index}")

    return check


@dataclass(frozen=True)
class Shape:
    """A JSON object: members it must have, members it may have, and rules about the object as a whole."""

    required: Mapping[str, Rule] = field(default_factory=dict)
    optional: Mapping[str, Rule] = field(default_factory=dict)
    also: tuple[Rule, ...] = ()

    def __call__(self, value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield fault("must provide an object", pointer)
            return
        for name in self.required.keys() - value.keys():
            yield fault(f"missing required field: {name}", pointer)
        known = {"type": anything, **self.required, **self.optional}
        for name, member in value.items():
            if name in known:
                yield from known[name](member, f"{pointer}/{name}")
            else:
                yield fault(f"invalid additional property: {name}", pointer)
        for rule in self.also:
            yield from rule(value, pointer)


def by_type(kinds: Mapping[str, Rule]) -> Rule:
    """An object whose member `type` says which rule it follows."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield fault("must provide an object", pointer)
        elif "type" not in value:
            yield fault("missing required field: type", pointer)
        elif value["type"] not in list(kinds):
            yield fault(f"unsupported type: {value['type']}", f"{pointer}/type")
        else:
            yield from kinds[value["type"]](value, pointer)

    return check
