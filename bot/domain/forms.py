"""The fields people fill in or change: a JSON Schema object, the payload it describes, and what is wrong with values.

A form is `{"type": "object", "properties": {NAME: schema, …}, "required": […]}`. A property is a field of a kind that
every surface can show: text (`format`: date, email, uri; long texts have `maxLength` over 300 or none), number,
integer, boolean, one of some options (`enum`, `oneOf` with `const` and `title`), or several (an array of an `enum`).
`readOnly` fields are shown and may not be changed. A nullable field (`type: [T, "null"]`, or `anyOf` with null) may be
left empty. Current values come from the payload; `None` takes a value away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.digest import check_canonical, escape_pointer
from bot.domain.errors import Fault, Invalid
from bot.domain.request import Json, Kind, Request, Spec

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

MAX_FIELDS = 50
"""A Slack modal holds 100 blocks; a form leaves room for the question itself."""
MAX_OPTIONS = 100
"""What a Slack select holds."""
MAX_TEXT = 3000
"""Characters; what a Slack text input holds."""
LONG_TEXT = 300
"""A text that may be longer gets several lines."""

FEEDBACK: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "score": {
            "title": "Score",
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "0 to 1; 1 is best",
        },
        "comment": {"title": "Comment", "type": "string"},
    },
    "required": ["score"],
}
"""The form of every `feedback` request."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field as surfaces show it.

    `kind` is `text`, `date`, `email`, `url`, `number`, `integer`, `boolean`, `option` or `options`; `options` are pairs
    of a JSON value and its label; `value` is the current one, or None.
    """

    name: str
    title: str
    kind: str
    description: str = ""
    required: bool = False
    read_only: bool = False
    long: bool = False
    options: tuple[tuple[Json, str], ...] = ()
    value: Json = None


def form_of(spec: Spec) -> Mapping[str, Any] | None:
    """The form of a request, if it has one."""
    return FEEDBACK if spec.kind is Kind.FEEDBACK else spec.form


def fields(request: Request) -> tuple[Field, ...]:
    """The fields of a request's form, with their values as they stand now."""
    form = form_of(request.spec)
    if form is None:
        return ()
    return fields_of(form, {} if request.spec.kind is Kind.FEEDBACK else payload(request))


def fields_of(form: Mapping[str, Any], current: Json) -> tuple[Field, ...]:
    """The fields of a form, with their values in `current`."""
    return tuple(
        _field(form, name, current if isinstance(current, dict) else {}) for name in form["properties"]
    )


def payload(request: Request) -> Json:
    """The payload with everybody's edits so far."""
    return merged(request.spec.payload, request.values)


def merged(original: Json, values: Mapping[str, Json]) -> Json:
    """`original` with `values` over it; None takes a member away."""
    if not values:
        return original
    base = original if isinstance(original, dict) else {}
    return {
        name: value for name, value in {**base, **values}.items() if value is not None or name not in values
    }


def differences(before: Json, after: Json) -> list[tuple[str, Json, Json]]:
    """The top-level members that differ: name, old value, new value."""
    old, new = ((value if isinstance(value, dict) else {"": value}) for value in (before, after))
    names = dict.fromkeys([*old, *new])
    return [(name, old.get(name), new.get(name)) for name in names if not _same(old.get(name), new.get(name))]


def _same(one: Json, other: Json) -> bool:
    """JSON equality: `true` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def value_faults(request: Request, values: Mapping[str, Json]) -> list[Fault]:
    """What is wrong with an answer that says yes with `values`, each with its pointer."""
    form = form_of(request.spec)
    if form is None:
        return (
            [Fault("/values", "this request has nothing to edit or fill in; leave the values out")]
            if values
            else []
        )
    known = {field.name: field for field in fields(request)}
    faults = []
    for name, value in values.items():
        if name not in known:
            faults.append(
                Fault(_pointer(name), f"is no field of this form; its fields are {', '.join(known)}")
            )
        elif known[name].read_only and not _same(value, known[name].value):
            faults.append(Fault(_pointer(name), "may only be read, not changed"))
    if faults:
        return faults
    try:
        check_canonical(dict(values), "/values")
    except Invalid as invalid:
        return list(invalid.faults)
    base = {name: field.value for name, field in known.items() if field.value is not None}
    return [_fault(error) for error in _validator(form).iter_errors(merged(base, values))]


Typed = Mapping[str, str | Sequence[str]]


def read(request: Request, typed: Typed) -> tuple[dict[str, Json], list[Fault]]:
    """Values for a request's form out of what was typed or picked; see `read_fields`."""
    return read_fields(fields(request), typed)


def read_fields(known: Sequence[Field], typed: Typed) -> tuple[dict[str, Json], list[Fault]]:
    """Values out of what was typed or picked, by field name, and what cannot be read.

    Only what differs from the current value is kept; a field that is not in `typed` keeps its value.
    """
    values: dict[str, Json] = {}
    faults = []
    for field in known:
        if field.read_only or field.name not in typed:
            continue
        try:
            value = _read(field, typed[field.name])
        except ValueError as error:
            faults.append(Fault(_pointer(field.name), str(error)))
            continue
        if not _same(value, field.value):
            values[field.name] = value
    return values, faults


def _read(field: Field, typed: str | Sequence[str]) -> Json:
    picked = [typed] if isinstance(typed, str) else list(typed)
    if field.kind == "options":
        return [_option(field, text) for text in picked if text] or None
    text = (picked[0] if picked else "").strip()
    if not text:
        return None
    match field.kind:
        case "option":
            return _option(field, text)
        case "boolean":
            return _boolean(text)
        case "integer" | "number":
            return _number(text, whole=field.kind == "integer")
        case _:
            return text


def _option(field: Field, text: str) -> Json:
    for value, label in field.options:
        if text in {str(value), label}:
            return value
    raise ValueError(f"must be one of: {', '.join(label for _, label in field.options)}")


def _boolean(text: str) -> bool:
    if text.lower() in {"true", "yes", "on", "1"}:
        return True
    if text.lower() in {"false", "no", "off", "0"}:
        return False
    raise ValueError("must be yes or no")


def _number(text: str, *, whole: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"must be a {'whole ' if whole else ''}number") from None
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN differs from itself
        raise ValueError("must be a number")
    if number.is_integer() and abs(number) < 2**63 and ("." not in text or whole):
        return int(number)
    if whole:
        raise ValueError("must be a whole number")
    return number


def form_faults(form: Mapping[str, Any], payload: Json) -> list[Fault]:
    """What is wrong with a form that a request brings, and with the payload it describes."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see `_validator`
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(form)
    except SchemaError as error:
        where = "".join(f"/{escape_pointer(str(part))}" for part in error.absolute_path)
        return [Fault(f"/form{where}", f"is no valid JSON Schema: {error.message[:200]}")]
    properties = form.get("properties")
    if form.get("type") != "object" or not isinstance(properties, dict) or not properties:
        return [Fault("/form", 'must be a JSON Schema of {"type": "object"} with `properties`')]
    if not (payload is None or isinstance(payload, dict)):
        return [Fault("/payload", "must be a JSON object, as the form describes its members")]
    faults = []
    if len(properties) > MAX_FIELDS:
        faults.append(Fault("/form/properties", f"are more than {MAX_FIELDS} fields; nobody can read that"))
    for name, schema in properties.items():
        pointer = f"/form/properties/{escape_pointer(name)}"
        if (refused := _unsupported(form, schema)) and not _plain(form, schema).get("readOnly"):
            faults.append(Fault(pointer, refused))
    return faults


def _unsupported(form: Mapping[str, Any], schema: Json) -> str | None:
    plain = _plain(form, schema)
    kind = _kind(plain)
    if kind is None:
        return (
            "cannot be shown as a field: it must be a string, number, integer, boolean, an `enum`, or an array of an "
            "`enum`; other values may be `readOnly`"
        )
    if kind in {"option", "options"} and len(_options(plain)) > MAX_OPTIONS:
        return f"has more than {MAX_OPTIONS} options; a Slack select holds no more"
    return None


def _field(form: Mapping[str, Any], name: str, current: Mapping[str, Json]) -> Field:
    schema = _plain(form, form["properties"][name])
    kind = _kind(schema) or "text"
    return Field(
        name=name,
        title=str(schema.get("title") or name.replace("_", " ").capitalize()),
        kind=kind,
        description=str(schema.get("description") or ""),
        required=name in form.get("required", ()),
        read_only=bool(schema.get("readOnly")),
        long=kind == "text" and schema.get("maxLength", MAX_TEXT) > LONG_TEXT,
        options=_options(schema),
        value=current.get(name, schema.get("default")),
    )


def _plain(form: Mapping[str, Any], schema: Json) -> Mapping[str, Any]:
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
        return {**_plain(form, branches[0]), **{k: v for k, v in plain.items() if k != "anyOf"}}
    return plain


def _kind(schema: Mapping[str, Any]) -> str | None:
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


def _options(schema: Mapping[str, Any]) -> tuple[tuple[Json, str], ...]:
    source = schema.get("items", {}) if schema.get("type") == "array" else schema
    if titled := _titled(source):
        return tuple((item["const"], str(item.get("title", item["const"]))) for item in titled)
    return tuple((value, str(value)) for value in source.get("enum", ()) if value is not None)


def _titled(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    items: Sequence[Mapping[str, Any]] = schema.get("oneOf", ())
    return items if all(isinstance(i, Mapping) and "const" in i for i in items) else ()


def _validator(form: Mapping[str, Any]) -> Draft202012Validator:
    """Only the form's own fields are looked at: the payload may hold more than the form shows."""
    # Most requests have no form, and the command line shows fields without the server's libraries.
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415

    return Draft202012Validator({**form, "additionalProperties": True}, format_checker=FormatChecker())


def _fault(error: ValidationError) -> Fault:
    path = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        wanted: Any = error.validator_value
        given: Any = error.instance
        missing: str = next((name for name in wanted if name not in given), "")
        return Fault(_pointer(*path, missing), "is needed")
    return Fault(_pointer(*path), _sentence(error))


def _sentence(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "type":
        names: list[str] = wanted if isinstance(wanted, list) else [wanted]
        return f"must be {' or '.join([_TYPES.get(name) or name for name in names])}"
    if error.validator == "enum":
        return f"must be one of: {', '.join(map(str, wanted))}"
    words = _WORDS.get(str(error.validator))
    return words.format(wanted) if words else error.message[:200]


_WORDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "pattern": "must look like {}",
    "format": "must be a valid {}",
}
_TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "yes or no",
    "array": "a list",
    "object": "an object",
    "null": "empty",
}


def _pointer(*path: str) -> str:
    return "/values" + "".join(f"/{escape_pointer(part)}" for part in path)
