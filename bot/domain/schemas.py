"""What a form may be: a JSON Schema object whose properties every surface can show as fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

from bot.domain.digest import canonical_faults, escape_pointer
from bot.domain.errors import Fault

if TYPE_CHECKING:
    from bot.domain.request import Json

MAX_FIELDS = 50
"""A Slack modal holds 100 blocks; a form leaves room for the question itself."""
MAX_OPTIONS = 100
"""What a Slack select holds."""


def form_faults(form: Mapping[str, Any], payload: Json) -> list[Fault]:
    """What is wrong with a form that a request brings, and with the payload it describes."""
    if faults := canonical_faults(form, "/form") or _schema_faults(form):
        return faults
    properties = form.get("properties")
    if form.get("type") != "object" or not isinstance(properties, dict) or not properties:
        return [Fault("/form", 'must be a JSON Schema of {"type": "object"} with `properties`')]
    if not (payload is None or isinstance(payload, dict)):
        return [Fault("/payload", "must be a JSON object, as the form describes its members")]
    if len(properties) > MAX_FIELDS:
        faults.append(Fault("/form/properties", f"are more than {MAX_FIELDS} fields; nobody can read that"))
    for name, schema in properties.items():
        pointer = f"/form/properties/{escape_pointer(name)}"
        if (refused := _unsupported(form, schema)) and not plain_schema(form, schema).get("readOnly"):
            faults.append(Fault(pointer, refused))
    for index, name in enumerate(form.get("required", ())):
        if name not in properties and name not in (payload or {}):
            detail = f"names {name!r}, which nobody could fill in; add it to `properties` or to the payload"
            faults.append(Fault(f"/form/required/{index}", f"{detail}, or leave it out"))
    return faults


def _schema_faults(form: Mapping[str, Any]) -> list[Fault]:
    """The first thing in a form that is no JSON Schema, or none that is checked against."""
    from jsonschema import Draft202012Validator, exceptions  # noqa: PLC0415 - see `forms._dialect`

    try:
        Draft202012Validator.check_schema(form)
    except exceptions.SchemaError as error:
        where = "".join(f"/{escape_pointer(str(part))}" for part in error.absolute_path)
        return [Fault(f"/form{where}", f"is no valid JSON Schema: {error.message[:200]}")]
    if astray := next(_astray({**form, "$id": None}, form.get("$defs")), None):
        return [
            Fault(
                "/form", f"refers to {astray!r}; it may only refer to its own `#/$defs/NAME`, which must end"
            )
        ]
    if unmatchable := next(_unmatchable(form), None):
        return [
            Fault("/form", f"has {unmatchable!r}, which may take for ever to check; write a plain `pattern`")
        ]
    return []


def _astray(part: Json, definitions: Json) -> Iterator[str]:
    """References that lead out of the form, nowhere, or only to another reference; an `$id` leads those in it out."""
    if isinstance(part, list):
        for item in part:
            yield from _astray(item, definitions)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name not in {"$ref", "$dynamicRef", "$id"} or not isinstance(value, str):
                yield from _astray(value, definitions)
                continue
            target = (
                definitions.get(value.removeprefix("#/$defs/")) if isinstance(definitions, dict) else None
            )
            if not _OWN.fullmatch(value) or not isinstance(target, dict) or _leads_on(target):
                yield value


_OWN = re.compile(r"#/\$defs/[^/~%]+")
"""A reference to a definition whose name is written as it is, without what RFC 6901 and URLs escape."""


def _unmatchable(part: Json) -> Iterator[str]:
    """Patterns with look-around or references back, and patterns for names."""
    if isinstance(part, list):
        for item in part:
            yield from _unmatchable(item)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "patternProperties":
                yield name
            elif name == "pattern" and isinstance(value, str):
                try:
                    _matcher(value)
                except SchemaError:
                    yield value
            else:
                yield from _unmatchable(value)


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`."""
    return bool(_matcher(pattern).isinstance_python(text))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator:
    """Rust's engine, which takes linear time whatever the pattern; raises `SchemaError` for what it does not know."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _leads_on(schema: Mapping[str, Any]) -> bool:
    """Whether a definition says about the same value what another one says, which may have no end."""
    inner = [schema.get(name) for name in ("not", "if", "then", "else")]
    inner += [branch for name in ("allOf", "anyOf", "oneOf") for branch in schema.get(name, ())]
    return "$ref" in schema or any(_leads_on(part) for part in inner if isinstance(part, Mapping))


def _unsupported(form: Mapping[str, Any], schema: Json) -> str | None:
    plain = plain_schema(form, schema)
    kind = kind_of(plain)
    if kind is None:
        return (
            "cannot be shown as a field: it must be a string, number, integer, boolean, an `enum`, or an array of an "
            "`enum`; other values may be `readOnly`"
        )
    if kind in {"option", "options"} and not options_of(plain):
        return "has no options, so nobody could choose one; list them, or leave the `enum` out"
    if kind in {"option", "options"} and len(options_of(plain)) > MAX_OPTIONS:
        return f"has more than {MAX_OPTIONS} options; a Slack select holds no more"
    return None


def plain_schema(form: Mapping[str, Any], schema: Json) -> Mapping[str, Any]:
    """A property's schema with its local `$ref` followed and its null alternative left out."""
    if not isinstance(schema, Mapping):
        return {}
    plain: Mapping[str, Any] = schema
    reference = plain.get("$ref", "")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = form.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        plain = {**target, **{k: v for k, v in plain.items() if k != "$ref"}}
    branches = [b for b in plain.get("anyOf", ()) if isinstance(b, Mapping) and b.get("type") != "null"]
    if len(branches) == 1:
        return {**plain_schema(form, branches[0]), **{k: v for k, v in plain.items() if k != "anyOf"}}
    return plain


def kind_of(schema: Mapping[str, Any]) -> str | None:
    """The kind of field (see `forms.Field`) that shows a plain property; None where none can."""
    types = schema.get("type")
    wanted = [t for t in types if t != "null"] if isinstance(types, list) else [types]
    if "enum" in schema or _titled(schema):
        return "option"
    match wanted:
        case ["array"]:
            items = schema.get("items", {})
            return "options" if isinstance(items, Mapping) and ("enum" in items or _titled(items)) else None
        case ["string"]:
            return {"date": "date", "email": "email", "uri": "url"}.get(schema.get("format", ""), "text")
        case [("number" | "integer" | "boolean") as kind]:
            return str(kind)
    return None


def options_of(schema: Mapping[str, Any]) -> tuple[tuple[Json, str], ...]:
    """The values a plain property may have, each with its label; none where any may be."""
    source = schema.get("items", schema)
    source = source if isinstance(source, Mapping) else {}
    if titled := _titled(source):
        return tuple((item["const"], str(item.get("title", item["const"]))) for item in titled)
    return tuple((value, str(value)) for value in source.get("enum", ()) if value is not None)


def _titled(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    items: Sequence[Mapping[str, Any]] = schema.get("oneOf", ())
    return items if all(isinstance(i, Mapping) and "const" in i for i in items) else ()
