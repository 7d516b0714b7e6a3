"""What a form may be: a JSON Schema object whose properties every surface can show as fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Fault
from bot.domain.forms.dialect import MAX_LEVELS, dialect_faults
from bot.domain.model.digest import canonical_faults, escape_pointer

if TYPE_CHECKING:
    from bot.domain.model.request import Json

MAX_FIELDS = 200
"""Nobody can read more."""
MAX_OPTIONS = 100
"""What a Slack select holds."""


def form_faults(form: Mapping[str, Any], payload: Json) -> list[Fault]:
    """What is wrong with a form that a request brings, and with the payload it describes."""
    if faults := canonical_faults(form, "/form") or dialect_faults(form) or _schema_faults(form):
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
    """The first thing in a form that is no JSON Schema."""
    from bot.domain.forms.form_checks import schema_fault  # noqa: PLC0415 - see `forms._checked`

    fault = schema_fault(form)
    return [fault] if fault else []


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
    for _ in range(MAX_LEVELS):
        reference = plain.get("$ref", "")
        if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
            break
        target = form.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        plain = {
            **(target if isinstance(target, Mapping) else {}),
            **{k: v for k, v in plain.items() if k != "$ref"},
        }
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
