"""A request's form as Slack inputs, and what was typed into them as the form's fields read it."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.domain.forms import forms
from bot.domain.forms.forms import MAX_TEXT
from bot.domain.model.digest import escape_pointer
from bot.rendering import field_value
from bot.slack.render.text import Block, clip, line, paragraph, plain_text, rich_text, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.domain.forms.forms import Field
    from bot.domain.model.request import Request

VALUE = "value"
"""The action id of every field's element."""
FEW = 5
"""Options up to this many are all seen at once; more are a menu."""
MAX_LABEL, MAX_HINT, MAX_OPTION = 300, 500, 75
_TEXTS = {"text": "plain_text_input", "email": "email_text_input", "url": "url_text_input"}
_YES_NO = ((True, "Yes"), (False, "No"))


def inputs(request: Request) -> Iterator[Block]:
    """Every field with its title, description and current value; those that may only be read are text."""
    for number, field in enumerate(forms.fields(request)):
        yield _shown(field) if _only_shown(field) else _input(field, _block_id(request, number))


def blocks_of(request: Request) -> dict[str, str]:
    """Where the fault with each JSON pointer is shown: the block id of its field."""
    return {
        f"/values/{escape_pointer(field.name)}": _block_id(request, number)
        for number, field in enumerate(forms.fields(request))
        if not _only_shown(field)
    }


def typed(request: Request, entered: Mapping[str, str | Sequence[str]]) -> dict[str, str | Sequence[str]]:
    """What was entered, by field name, but for what stands as it stood; `entered` has it by block id."""
    values: dict[str, str | Sequence[str]] = {}
    for number, field in enumerate(forms.fields(request)):
        answer = entered.get(_block_id(request, number))
        if answer is None or (answer and answer == _text(field) and not field.assumed):
            continue
        names = {_option_id(at): str(value) for at, (value, _) in enumerate(_options(field))}
        values[field.name] = (
            names.get(answer, answer) if isinstance(answer, str) else [names.get(a, a) for a in answer]
        )
    return values


def _only_shown(field: Field) -> bool:
    """Whether it may not be changed, or does not fit into an input."""
    return field.read_only or len(_text(field)) > MAX_TEXT


def _text(field: Field) -> str:
    """The current value as an input for text or numbers has it; nothing where there is none, or options."""
    if field.kind in {"number", "integer"}:
        return _numeral(field.value) or ""
    return str(field.value) if field.kind in _TEXTS and field.value is not None else ""


def _block_id(request: Request, number: int) -> str:
    """Slack keeps what stands in a block it knows, and a value of an older revision must not come back that way."""
    return f"values:{request.revision}:{number}"


def _option_id(number: int) -> str:
    """Slack allows an option 75 characters, and a value may be any JSON."""
    return f"option-{number}"


def _options(field: Field) -> Sequence[tuple[Any, str]]:
    return _YES_NO if field.kind == "boolean" else field.options


def _shown(field: Field) -> Block:
    return rich_text(
        paragraph(
            *run(f"{line(field.title, 200)}: ", bold=True), *run(clip(field_value(field, field.value), 1000))
        )
    )


def _input(field: Field, block_id: str) -> Block:
    block = {
        "type": "input",
        "block_id": block_id,
        "label": plain_text(field.title, MAX_LABEL),
        "element": {"action_id": VALUE, **_element(field)},
        "optional": not field.required,
    }
    return block | ({"hint": plain_text(field.description, MAX_HINT)} if field.description else {})


def _element(field: Field) -> Block:
    match field.kind:
        case "boolean" | "option":
            return _single(field)
        case "options":
            return _several(field)
        case "date":
            return {"type": "datepicker", **({"initial_date": day} if (day := _day(field.value)) else {})}
    text = _text(field)
    initial = {"initial_value": text} if text else {}
    if field.kind in {"number", "integer"}:
        return {"type": "number_input", "is_decimal_allowed": field.kind == "number", **initial}
    lines = {"multiline": True} if field.long or "\n" in text else {}
    return {"type": _TEXTS[field.kind], **lines, **initial}


def _single(field: Field) -> Block:
    """Radio buttons cannot be emptied again, so what may be left empty is a menu."""
    options = _option_blocks(field)
    chosen = [o for o, (value, _) in zip(options, _options(field), strict=True) if value == field.value]
    kind = "radio_buttons" if field.required and len(options) <= FEW else "static_select"
    return {"type": kind, "options": options, **({"initial_option": chosen[0]} if chosen else {})}


def _several(field: Field) -> Block:
    options = _option_blocks(field)
    current = field.value if isinstance(field.value, list) else []
    chosen = [o for o, (value, _) in zip(options, field.options, strict=True) if value in current]
    kind = "checkboxes" if len(options) <= FEW else "multi_static_select"
    return {"type": kind, "options": options, **({"initial_options": chosen} if chosen else {})}


def _option_blocks(field: Field) -> list[Block]:
    return [
        {"text": plain_text(label, MAX_OPTION), "value": _option_id(at)}
        for at, (_, label) in enumerate(_options(field))
    ]


def _numeral(value: object) -> str | None:
    """A number as Slack takes it: digits, no exponent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return f"{Decimal(repr(value)):f}"


def _day(value: object) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None
