"""The dialect of JSON Schema that forms are written in, and what a form costs to check: counted, never timed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Fault
from bot.domain.forms.patterns import PatternRefused, weight
from bot.domain.model.digest import escape_pointer

if TYPE_CHECKING:
    from bot.domain.model.request import Json

MAX_BYTES = 64 * 1024
"""Bytes of a form."""
MAX_SCHEMAS = 5000
"""Schemas in a form, each `$ref` counted as what it refers to."""
MAX_OPTIONS_IN_ALL = 25_000
"""Values of `enum` and names of `required` in a form, counted likewise."""
MAX_LEVELS = 64
"""Schemas in one another, counted likewise."""
MAX_WEIGHTS = 20_000
"""What all patterns of a form may weigh together; see `patterns.weight`."""

_ONE = frozenset({"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"})
_MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs"})
_LIMITS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength"})
_MORE_LIMITS = frozenset({"maxLength", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains"})
_MEMBERS = frozenset({"required", "dependentRequired", "minProperties", "maxProperties"})
_CHECKS = _LIMITS | _MORE_LIMITS | _MEMBERS | {"type", "enum", "const", "pattern", "format", "$ref"}
_NOTES = frozenset(
    {"title", "description", "default", "examples", "readOnly", "writeOnly", "deprecated", "$comment"}
)
_MEDIA = frozenset({"contentMediaType", "contentEncoding"})
_AT_ROOT = frozenset({"$schema", "$id", "$defs"})
KEYWORDS = _ONE | _MANY | _NAMED | _CHECKS | _NOTES | _MEDIA | _AT_ROOT
"""Everything that may stand in a form, beside names that begin with `x-`."""

_NO_REFERENCE = "write the reference as `$ref` to `#/$defs/NAME`"
_INSTEAD = {
    "$anchor": _NO_REFERENCE,
    "$dynamicAnchor": _NO_REFERENCE,
    "$dynamicRef": _NO_REFERENCE,
    "$recursiveAnchor": _NO_REFERENCE,
    "$recursiveRef": _NO_REFERENCE,
    "$id": "only the whole form may have one",
    "$schema": "only the whole form may have one",
    "$defs": "only the whole form may have them",
    "$vocabulary": "leave it out",
    "additionalItems": "use `items` after `prefixItems`",
    "contentSchema": "leave it out",
    "definitions": "use `$defs`",
    "dependencies": "use `dependentRequired`, or `if` and `then`",
    "dependentSchemas": "use `dependentRequired`, or `if` and `then`",
    "nullable": 'use {"type": [TYPE, "null"]}',
    "patternProperties": "name the members in `properties`, or use `propertyNames`",
    "unevaluatedItems": "use `items`",
    "unevaluatedProperties": "use `additionalProperties`",
}


@dataclass(frozen=True, slots=True)
class Size:
    """What a schema costs.

    The schemas and options in it, what its patterns weigh, its levels, and whether items of a list must differ.
    """

    schemas: int = 0
    options: int = 0
    patterns: int = 0
    levels: int = 0
    unique: bool = False

    def __add__(self, other: Size) -> Size:
        return Size(
            self.schemas + other.schemas,
            self.options + other.options,
            self.patterns + other.patterns,
            max(self.levels, other.levels),
            self.unique or other.unique,
        )

    @property
    def units(self) -> int:
        """How much there is to look at for one value."""
        return self.schemas + self.options


class Unbounded(ValueError):
    """A form refers nowhere, in a circle, or too deep: `args` are what is wrong and the reference."""


def dialect_faults(form: Mapping[str, Any]) -> list[Fault]:
    """Where a form, which is canonical JSON, is not written in the dialect, or costs more than it may."""
    size = len(json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_BYTES:
        return [Fault("/form", f"has {size} bytes; a form may have {MAX_BYTES}")]
    faults = list(_word_faults(form, "/form", root=True))
    if faults:
        return faults[:MAX_FAULTS]
    try:
        sizes = Sizes(form)
        total = sizes.of(form) + Size(patterns=sizes.patterns_defined())
    except Unbounded as error:
        return [Fault("/form", str(error))]
    return [
        Fault("/form", f"{told}; it may have {most}. Each `$ref` counts as what it refers to")
        for told, found, most in (
            ("has more schemas than can be checked at once", total.schemas, MAX_SCHEMAS),
            ("has more options than can be checked at once", total.options, MAX_OPTIONS_IN_ALL),
            ("has patterns that are too long together, repetitions written out", total.patterns, MAX_WEIGHTS),
        )
        if found > most
    ]


MAX_FAULTS = 20
"""How many words outside the dialect are named."""


def _word_faults(schema: Json, pointer: str, *, root: bool = False) -> Iterator[Fault]:
    """Keywords outside the dialect, patterns that are refused, and references that lead out of the form."""
    if not isinstance(schema, Mapping):
        return
    for word, value in schema.items():
        where = f"{pointer}/{escape_pointer(word)}"
        if word in _INSTEAD and not (root and word in _AT_ROOT):
            yield Fault(where, f"`{word}` is not checked in forms; {_INSTEAD[word]}")
        elif word not in KEYWORDS and not word.startswith("x-"):
            yield Fault(where, "is no word of forms; leave it out, or begin its name with `x-`")
        elif word == "$ref" and isinstance(value, str) and not OWN.fullmatch(value):
            yield Fault(where, f"refers to {value!r}; it may only refer to the form's own `#/$defs/NAME`")
        elif word == "pattern" and isinstance(value, str):
            yield from _pattern_faults(value, where)
        else:
            for name, part in _inner(word, value):
                yield from _word_faults(part, where + name)


OWN = re.compile(r"#/\$defs/[^/~%]+")
"""A reference to a definition whose name is written as it is, without what RFC 6901 and URLs escape."""


def _pattern_faults(pattern: str, where: str) -> Iterator[Fault]:
    try:
        weight(pattern)
    except PatternRefused as refused:
        yield Fault(where, str(refused))


def _inner(word: str, value: Json) -> Iterator[tuple[str, Json]]:
    """The schemas in a keyword's value, each with what leads to it."""
    if word in _ONE:
        yield "", value
    elif word in _MANY and isinstance(value, list):
        yield from ((f"/{index}", part) for index, part in enumerate(value))
    elif word in _NAMED and isinstance(value, Mapping):
        yield from ((f"/{escape_pointer(name)}", part) for name, part in value.items())


class Sizes:
    """What the schemas of one form cost; a definition is looked at once, however often it is referred to."""

    def __init__(self, form: Mapping[str, Any]) -> None:
        definitions = form.get("$defs")
        self._definitions = definitions if isinstance(definitions, Mapping) else {}
        self._known: dict[str, Size | None] = {}

    def of(self, schema: Json, level: int = 0) -> Size:
        """What `schema` costs; raises `Unbounded`."""
        if level > MAX_LEVELS:
            raise Unbounded(f"has more than {MAX_LEVELS} schemas in one another; write it flatter")
        if not isinstance(schema, Mapping):
            return Size(schemas=1)
        size, inner = Size(schemas=1), Size()
        for word, value in schema.items():
            size += _own(word, value)
            if word == "$ref":
                inner += self._referred(value, level)
            elif word != "$defs":
                for _, part in _inner(word, value):
                    inner += self.of(part, level + 1)
        if inner.levels >= MAX_LEVELS:
            raise Unbounded(f"has more than {MAX_LEVELS} schemas in one another; write it flatter")
        return size + inner + Size(levels=inner.levels + 1)

    def patterns_defined(self) -> int:
        """What the patterns of all definitions weigh, used or not, as all of them are read."""
        return sum(self._referred(f"#/$defs/{name}", 0).patterns for name in self._definitions)

    def _referred(self, reference: Json, level: int) -> Size:
        name = str(reference).removeprefix("#/$defs/")
        if name not in self._definitions or not OWN.fullmatch(str(reference)):
            raise Unbounded(f"refers to {reference!r}, which is not in the form's `$defs`; define it there")
        if name in self._known:
            known = self._known[name]
            if known is None:
                raise Unbounded(
                    f"refers to {reference!r}, which leads to itself; write out the levels that are needed"
                )
            return known
        self._known[name] = None
        self._known[name] = size = self.of(self._definitions[name], level + 1)
        return size


def _own(word: str, value: Json) -> Size:
    """What a keyword costs beside the schemas in it."""
    if word == "pattern":
        return Size(patterns=weight(str(value)))
    if word in {"enum", "const", "required", "dependentRequired"}:
        return Size(options=_extent(value))
    return Size(unique=word == "uniqueItems" and value is not False)


def _extent(value: Json) -> int:
    """How much there is to compare with: values, and a further one every 16 characters."""
    return extent(value, 16)[0]


def extent(value: Json, every: int = 64) -> tuple[int, int, int]:
    """How large a value is: what is in it, its characters, and its longest list.

    So many (`every`) characters count as one thing more in it.
    """
    count = characters = longest = 0
    pending = [value]
    while pending:
        item = pending.pop()
        count += 1
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, list):
            longest = max(longest, len(item))
            pending += item
        elif isinstance(item, Mapping):
            pending += item.values()
            characters += sum(map(len, item))
    return count + characters // every, characters, longest
