"""Values against a form: whether they are what it says, in sentences; the work is counted before it begins."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from bot.domain.errors import Fault
from bot.domain.forms.dialect import MAX_WEIGHTS, Size, Sizes, Unbounded, extent
from bot.domain.forms.patterns import PatternRefused
from bot.domain.model.digest import escape_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jsonschema_rs import Draft202012Validator, ValidationError

    from bot.domain.model.request import Json

MAX_WORK = 500_000
"""Schemas and options of a form times the values they are held against: about ten milliseconds."""
MAX_TOLD = 10_000
"""The same, where each thing that is wrong can be told; above it, only that something is."""
MAX_STEPS = 3_000_000
"""What the patterns weigh times the characters they are matched with: about forty milliseconds at worst."""
MAX_UNIQUE = 1000
"""Items of a list that must differ from one another."""
PATTERN_BYTES = 64 * 1024
"""Memory of one compiled pattern."""


def schema_fault(form: Mapping[str, Any]) -> Fault | None:
    """Why a form, which is written in the dialect, is no JSON Schema."""
    try:
        _validator(form)
    except jsonschema_rs.ValidationError as error:
        where = "".join(f"/{escape_pointer(str(part))}" for part in error.instance_path)
        if where.endswith("/pattern"):
            return Fault(
                f"/form{where}",
                "is no pattern that can be matched in bounded time; mend it, or write a plain one",
            )
        return Fault(f"/form{where}", f"is no valid JSON Schema: {error.message[:200]}")
    return None


def work_faults(form: Mapping[str, Any], values: Mapping[str, Json]) -> list[Fault]:
    """Which values are more than the form can be held against; pointers begin with `/values`."""
    return _safely(lambda: _Work(form, values).faults)


def check(form: Mapping[str, Any], values: Mapping[str, Json]) -> list[Fault]:
    """What a form finds wrong with its fields; pointers begin with `/values`."""
    return _safely(lambda: _checked(form, values))


def _checked(form: Mapping[str, Any], values: Mapping[str, Json]) -> list[Fault]:
    work = _Work(form, values)
    if work.faults:
        return work.faults
    validator = _validator(form)
    if validator.is_valid(values):
        return []
    if work.total <= MAX_TOLD:
        return [_fault(error) for error in validator.iter_errors(values)]
    return _each(form, values, work)


def _safely(find: Callable[[], list[Fault]]) -> list[Fault]:
    """Also for forms that were asked before there were rules for them."""
    try:
        return find()
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, Unbounded, PatternRefused):
        told = "cannot be checked: this form is older than the rules for forms"
        return [Fault("/values", f"{told}; the requester can cancel the request and ask again")]


def empty_fields(form: Mapping[str, Any], names: list[str]) -> list[str]:
    """Which of these fields may be left empty though they are required."""
    if not names:
        return []
    kept = {name: form["properties"][name] for name in names}
    validator = _validator({"properties": kept, "$defs": form.get("$defs", {})})
    return [name for name in names if validator.is_valid({name: None})]


class _Work:
    """How much there is to do for each field, and for what the form says of all fields together."""

    def __init__(self, form: Mapping[str, Any], values: Mapping[str, Json]) -> None:
        sizes, properties = Sizes(form), form["properties"]
        beside = {word: value for word, value in form.items() if word not in _ONCE}
        whole = sizes.of(beside)
        self.of: dict[str, int] = {}
        self.faults: list[Fault] = []
        self._steps = 0
        extents = {name: extent(value) for name, value in values.items()}
        for name, found in extents.items():
            size = sizes.of(properties[name]) + whole if name in properties else whole
            self.of[name] = size.units * found[0]
            self._add(name, size, found)
        self.total = sum(self.of.values())
        if self.total > MAX_WORK and not self.faults:
            self.faults = [_too_much(max(self.of, key=self.of.__getitem__))]

    def _add(self, name: str, size: Size, found: tuple[int, int, int]) -> None:
        self._steps += size.patterns * found[1]
        if size.unique and found[2] > MAX_UNIQUE:
            told = f"has more than {MAX_UNIQUE} items, too many to see whether all differ; leave `uniqueItems` out"
            self.faults.append(Fault(_pointer(name), told))
        elif self.of[name] > MAX_WORK or self._steps > MAX_STEPS or size.patterns > MAX_WEIGHTS:
            self.faults.append(_too_much(name))


_ONCE = frozenset({"properties", "$defs", "required"})
"""What a form says of its members; the rest is held against all of them."""


def _too_much(name: str) -> Fault:
    return Fault(
        _pointer(name), "is more than this form can be held against; send less, or make its schema simpler"
    )


def _each(form: Mapping[str, Any], values: Mapping[str, Json], work: _Work) -> list[Fault]:
    """The faults of values that are too many to tell all that is wrong with them."""
    faults = []
    for name, value in values.items():
        schema = {"properties": {name: form["properties"].get(name, True)}, "$defs": form.get("$defs", {})}
        validator = _validator(schema)
        if not validator.is_valid({name: value}):
            told = work.of[name] <= MAX_TOLD
            faults += (
                [_fault(error) for error in validator.iter_errors({name: value})]
                if told
                else [Fault(_pointer(name), "is not what the form says; it is too long to say where")]
            )
    missing = [Fault(_pointer(n), "is needed") for n in form.get("required", ()) if n not in values]
    return faults + missing or [Fault("/values", "are together not what the form says")]


def _validator(form: Mapping[str, Any]) -> Draft202012Validator:
    """A compiled validator; raises `jsonschema_rs.ValidationError`."""
    plain = {word: value for word, value in form.items() if word not in {"$schema", "$id"}}
    return jsonschema_rs.Draft202012Validator(
        plain,
        formats={"uri": _is_url, "email": _is_address},
        validate_formats=True,
        pattern_options=_pattern_options(),
        offline=True,
    )


@lru_cache(maxsize=1)
def _pattern_options() -> jsonschema_rs.RegexOptions:
    """The engine of linear time, with what a pattern may take of memory."""
    return jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES)


def _is_url(text: str) -> bool:
    return bool(_URL.fullmatch(text))


def _is_address(text: str) -> bool:
    return "@" in text


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
"""RFC 3986's scheme, and nothing that no URL holds."""


def _fault(error: ValidationError) -> Fault:
    path = list(map(str, error.instance_path))
    if isinstance(error.kind, _KIND.Required):
        path.append(error.kind.property)
    return Fault(_pointer(*path), _sentence(error))


_KIND = jsonschema_rs.ValidationErrorKind


def _sentence(error: ValidationError) -> str:
    kind: Any = error.kind
    if isinstance(kind, _KIND.Type):
        names = sorted(kind.types, key=list(_TYPES).index)
        return f"must be {' or '.join(_TYPES[name] for name in names)}"
    if isinstance(kind, _KIND.Enum):
        return f"must be one of: {', '.join(map(str, kind.options))}"
    words, attribute = _WORDS.get(str(kind.name), ("", ""))
    return (
        words.format(getattr(kind, attribute)) if words and hasattr(kind, attribute) else error.message[:200]
    )


_WORDS = {
    "minimum": ("must be at least {}", "limit"),
    "maximum": ("must be at most {}", "limit"),
    "exclusiveMinimum": ("must be more than {}", "limit"),
    "exclusiveMaximum": ("must be less than {}", "limit"),
    "minLength": ("must have at least {} characters", "limit"),
    "maxLength": ("must have at most {} characters", "limit"),
    "required": ("is needed", "property"),
    "pattern": ("must look like {}", "pattern"),
    "format": ("must be a valid {}", "format"),
    "multipleOf": ("must be a multiple of {}", "multiple_of"),
}
_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "array": "a list",
    "object": "an object",
    "null": "empty",
}


def _pointer(*path: str) -> str:
    return "/values" + "".join(f"/{escape_pointer(part)}" for part in path)
