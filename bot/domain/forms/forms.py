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

from bot.domain.errors import Fault
from bot.domain.forms.form_schema import kind_of, options_of, plain_schema
from bot.domain.model.digest import canonical_faults, escape_pointer
from bot.domain.model.spec import Kind, Spec

if TYPE_CHECKING:
    from bot.domain.model.request import Json, Request

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
    of a JSON value and its label; `value` is the current one, or None; `assumed` where the payload has none yet and
    this is the form's default.
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
    assumed: bool = False

    def keeps(self, value: Json) -> bool:
        """Whether `value` leaves the payload as it is."""
        return same(value, None if self.assumed else self.value)


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
    return [(name, old.get(name), new.get(name)) for name in names if not same(old.get(name), new.get(name))]


def same(one: Json, other: Json) -> bool:
    """JSON equality: `true` is not 1, however deep."""
    match one, other:
        case bool(), _:
            return one is other
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case _:
            return not isinstance(other, bool) and one == other


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
    faults = canonical_faults(dict(values), "/values")
    for name, value in values.items():
        if name not in known:
            faults.append(
                Fault(_pointer(name), f"is no field of this form; its fields are {', '.join(known)}")
            )
        elif known[name].read_only and not known[name].keeps(value):
            faults.append(Fault(_pointer(name), "may only be read, not changed"))
    broken = {_name(fault) for fault in faults}
    sound = {name: value for name, value in values.items() if escape_pointer(name) not in broken}
    return faults + [fault for fault in _checked(form, known, sound) if _name(fault) not in broken]


def read_only_faults(form: Mapping[str, Any], current: Json) -> list[Fault]:
    """Where a payload is not what the form says of a field that nobody may change, so that nobody could say yes.

    And where it is more than the form can be held against.
    """
    from bot.domain.forms.form_checks import work_faults  # noqa: PLC0415 - see `_checked`

    if isinstance(current, dict) and (
        heavy := work_faults(form, {n: v for n, v in current.items() if n in form["properties"]})
    ):
        return [Fault(f.pointer.replace("/values", "/payload", 1), f.detail) for f in heavy]
    known = {field.name: field for field in fields_of(form, current)}
    fixed = [_pointer(field.name) for field in known.values() if field.read_only]
    return [
        Fault(
            fault.pointer.replace("/values", "/payload", 1),
            f"{fault.detail}, as the form says; it is `readOnly`, so nobody who approves could mend it",
        )
        for fault in _checked(form, known, {})
        if any(f"{fault.pointer}/".startswith(f"{pointer}/") for pointer in fixed)
    ]


def _checked(form: Mapping[str, Any], known: Mapping[str, Field], values: Mapping[str, Json]) -> list[Fault]:
    """What the form finds wrong with its fields once `values` are over their own."""
    # Most requests have no form, and the command line shows fields without what checks them.
    from bot.domain.forms.form_checks import check, empty_fields  # noqa: PLC0415 - as said above

    filled = merged({n: f.value for n, f in known.items() if f.value is not None and not f.assumed}, values)
    required = [name for name in form.get("required", ()) if name in form["properties"]]
    empty = empty_fields(form, [name for name in required if name not in filled])
    # Only the form's own fields are looked at: the payload may hold more than the form shows.
    own = {**form, "required": required, "additionalProperties": True}
    return check(own, {**filled, **dict.fromkeys(empty)})


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
        if not field.keeps(value):
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
    for read in (0, 1):
        for option in field.options:
            if text == str(option[read]):
                return option[0]
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


def _field(form: Mapping[str, Any], name: str, current: Mapping[str, Json]) -> Field:
    schema = plain_schema(form, form["properties"][name])
    kind = kind_of(schema) or "text"
    return Field(
        name=name,
        title=str(schema.get("title") or name.replace("_", " ").capitalize()),
        kind=kind,
        description=str(schema.get("description") or ""),
        required=name in form.get("required", ()),
        read_only=bool(schema.get("readOnly")),
        long=kind == "text" and schema.get("maxLength", MAX_TEXT) > LONG_TEXT,
        options=options_of(schema),
        value=current.get(name, schema.get("default")),
        assumed=name not in current and "default" in schema,
    )


def _name(fault: Fault) -> str:
    """The field that a fault is about, as its pointer writes it."""
    return fault.pointer.removeprefix("/values/").partition("/")[0]


def _pointer(*path: str) -> str:
    return "/values" + "".join(f"/{escape_pointer(part)}" for part in path)
