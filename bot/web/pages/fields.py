"""The fields of a request's form as controls of a page, and the values that what was typed in them makes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import Fault
from bot.domain.forms import forms
from bot.domain.model.digest import escape_pointer
from bot.rendering import field_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.forms.forms import Field
    from bot.domain.model.request import Json, Request

Typed = tuple[str, ...]
"""What a browser sent under one name."""


@dataclass(frozen=True, slots=True)
class Control:
    """One field on the page. `kind` is `static` for what may only be read; `texts` are what stands in it."""

    field: Field
    id: str
    kind: str
    texts: Typed

    @property
    def name(self) -> str:
        """What a browser sends it under."""
        return f"values.{self.field.name}"

    @property
    def pointer(self) -> str:
        """Where a fault of it points."""
        return f"/values/{escape_pointer(self.field.name)}"

    @property
    def blank(self) -> str:
        """What an unchecked box says: no, unless nothing needs to be said."""
        return "false" if self.field.required or self.field.value is not None else ""

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Each option's value and label; a current value that is none of them stands first."""
        known = tuple((str(value), label) for value, label in self.field.options)
        strange = tuple((text, text) for text in self.texts if text not in dict(known) and text)
        return strange + known


def controls(request: Request, typed: Mapping[str, Typed]) -> list[Control]:
    """The form's fields with what was typed, or else with the values as they are now."""
    return [
        Control(field, f"field-{number}", kind, typed.get(field.name) or _shown(field, kind))
        for number, field in enumerate(forms.fields(request), 1)
        for kind in [_kind(field)]
    ]


def read_values(request: Request, typed: Mapping[str, Typed]) -> tuple[dict[str, Json], list[Fault]]:
    """The values that differ from what the page showed, and what cannot be read."""
    changed: dict[str, str | Sequence[str]] = {}
    faults = []
    for control in controls(request, {}):
        texts = typed.get(control.field.name)
        if texts is None:
            continue
        if control.kind == "checkbox":
            texts = texts[-1:]
        elif control.kind != "checkboxes" and len(set(texts)) > 1:
            faults.append(Fault(control.pointer, "was sent more than once, with different values"))
            continue
        if control.field.assumed or _plain(texts) != _plain(control.texts):
            changed[control.field.name] = texts
    values, unreadable = forms.read(request, changed)
    return values, faults + unreadable


def _plain(texts: Typed) -> list[str]:
    """Without what a browser changes by itself: the kind of line ends, boxes in another order, the empty marker."""
    return sorted(t for text in texts if (t := re.sub(r"\r\n?", "\n", text).strip()))


def _kind(field: Field) -> str:
    """A control that can show the current value; numbers are typed as text, where a slip stays to be mended."""
    value = field.value
    if field.read_only:
        return "static"
    match field.kind:
        case "boolean" if value is None or isinstance(value, bool):
            return "checkbox"
        case "options" if value is None or isinstance(value, list):
            return "checkboxes"
        case "date" if value is None or re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            return "date"
        case "option" | "number" | "integer" | "email" | "url":
            return field.kind
    return "textarea" if field.long or "\n" in str(value) else "text"


def _shown(field: Field, kind: str) -> Typed:
    value = field.value
    if kind == "static":
        return (field_value(field, value),)
    if value is None:
        return ()
    if kind == "checkbox":
        return ("true" if value else "false",)
    if kind == "checkboxes":
        return tuple(str(item) for item in value)
    if kind == "option":
        return (str(value),)
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),)
