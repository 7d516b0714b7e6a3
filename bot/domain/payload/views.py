"""A payload's sections, with the fields first that an operator's view orders and formats; the rest follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from bot.domain.payload.changes import change_of, parsed_diff
from bot.domain.payload.parts import Block, Diff, Part, Row, Section
from bot.domain.payload.sections import Context, sections_of, short, table, whole
from bot.domain.payload.words import label_of, one_line, scalar, visible

Json = Any
Format = Literal["text", "money", "date", "code", "diff", "table", "link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewField:
    """One field of a view: `path` is a JSON pointer into the payload, `currency` a code or a pointer to it."""

    path: str
    label: str | None = None
    format: Format | None = None
    currency: str | None = None
    exponent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the payloads of one tool are shown: these fields first, in this order."""

    name: str
    when: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[ViewField, ...] = ()


def payload_view(
    payload: Json, *, titles: Mapping[str, str] | None = None, view: View | None = None
) -> tuple[Section, ...]:
    """The sections of `payload`.

    `titles` are the labels of top-level members that a form gives, by member. Nothing is left out: `leaf_count` of the
    sections is that of the payload.
    """
    first, taken = _chosen(payload, view) if view else ((), frozenset())
    sections = [*sections_of(payload, (), "", Context(titles or {}, taken), 0)]
    return _merged([Section((), first), *sections] if first else sections)


def _merged(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Neighbours under the same heading as one."""
    result: list[Section] = []
    for section in sections:
        if result and result[-1].heading == section.heading:
            result[-1] = Section(section.heading, result[-1].parts + section.parts)
        else:
            result.append(section)
    return tuple(result)


def _chosen(payload: Json, view: View) -> tuple[tuple[Part, ...], frozenset[str]]:
    """The parts of a view's fields, and the pointers that they show."""
    parts: list[Part] = []
    taken: set[str] = set()
    for wanted in view.fields:
        found = _at(payload, wanted.path)
        if found is None or any(_overlap(found.place, place) for place in taken):
            continue
        part, beside = _formatted(wanted, found.value, payload)
        if part is None:
            continue
        taken.add(found.place)
        if isinstance(part, Row) and beside and not any(_overlap(beside, place) for place in taken):
            part = replace(part, leaves=2)
            taken.add(beside)
        parts.append(part)
    return tuple(parts), frozenset(taken)


def _overlap(one: str, other: str) -> bool:
    """Whether one place lies within the other, so that only one of them may be shown."""
    return f"{one}/".startswith(f"{other}/") or other.startswith(f"{one}/")


class _Found(NamedTuple):
    """A value, and its place as sections count it: list items from 1, as people do."""

    value: Json
    place: str


def _at(value: Json, pointer: str) -> _Found | None:
    """What stands at a JSON pointer (RFC 6901), which counts list items from 0."""
    place = ""
    for name in pointer.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value, place = value[key], f"{place}/{name}"
        elif isinstance(value, list) and INDEX.fullmatch(key) and int(key) < len(value):
            value, place = value[int(key)], f"{place}/{int(key) + 1}"
        else:
            return None
    return _Found(value, place)


INDEX = re.compile("0|[1-9][0-9]{0,6}")


def _formatted(wanted: ViewField, value: Json, payload: Json) -> tuple[Part | None, str | None]:
    """The part of one field, and the place of what stands beside it; None where it is shown better under a heading."""
    key = wanted.path.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    label, shown_key = (wanted.label, one_line(key)) if wanted.label else label_of(key, {})
    formats: Mapping[str, Callable[[], tuple[Part | None, str | None]]] = {
        "money": lambda: _money(wanted, label, shown_key, value, payload),
        "date": lambda: (_date(label, shown_key, value), None),
        "code": lambda: (_text_as(label, shown_key, value, code=True), None),
        "diff": lambda: (_diff_of(label, shown_key, value), None),
        "table": lambda: (table(label, shown_key, value) if isinstance(value, list) else None, None),
        "link": lambda: (_link(label, shown_key, value), None),
        "text": lambda: (_text_as(label, shown_key, value, code=False), None),
    }
    part, beside = formats[wanted.format]() if wanted.format else (None, None)
    return part or whole(label, shown_key, value, 0), beside


def _money(
    wanted: ViewField, label: str, key: str | None, value: Json, payload: Json
) -> tuple[Part | None, str | None]:
    amount = _decimal(value)
    if amount is None:
        return None, None
    currency, beside = wanted.currency or "", None
    if currency.startswith("/"):
        found = _at(payload, currency)
        named = found and isinstance(found.value, str) and found.value.strip()
        currency, beside = (one_line(found.value), found.place) if found and named else ("", None)
    amount = amount.scaleb(-wanted.exponent)
    text = f"{amount:,f} {currency}".strip()
    return Row(label=label, key=key, text=text), beside


def _decimal(value: Json) -> Decimal | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or not AMOUNT.fullmatch(str(value))
    ):
        return None
    return Decimal(str(value))


AMOUNT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,12})?")
"""An amount as plain digits; any other number is shown as it stands."""


def _date(label: str, key: str | None, value: Json) -> Part | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    if len(value) <= 10:
        return Row(label=label, key=key, text=f"{at:%a} {at.day} {at:%b %Y}")
    where = f" ({at:%Z})" if at.tzinfo else ""
    return Row(label=label, key=key, text=f"{at:%a} {at.day} {at:%b %Y, %H:%M}{where}")


def _text_as(label: str, key: str | None, value: Json, *, code: bool) -> Part | None:
    if not isinstance(value, str) or not value:
        return None
    if code or not short(value):
        return Block(label=label, key=key, text=visible(value), code=code)
    return Row(label=label, key=key, text=scalar(value, label))


def _diff_of(label: str, key: str | None, value: Json) -> Part | None:
    if isinstance(value, str):
        return Diff(label=label, key=key, lines=tuple(parsed_diff(value)))
    change = change_of(value, "", frozenset())
    if change and isinstance(value, Mapping) and set(value) == set(change.keys):
        return replace(change.part, label=label, key=key)
    return None


def _link(label: str, key: str | None, value: Json) -> Part | None:
    if not isinstance(value, str) or not HTTPS.fullmatch(value):
        return None
    return Row(label=label, key=key, text=value, href=value)


HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?([/?#][!-~]*)?")
"""An address in ASCII with a plain host, so that it reads as where it leads."""
