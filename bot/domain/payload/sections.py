"""Any JSON value as sections: what stands on lines first, then each nested value under a heading of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bot.domain.payload.changes import change_of, is_diff, parsed_diff
from bot.domain.payload.parts import Block, Diff, Items, Part, Row, Section, Table
from bot.domain.payload.words import (
    CODE_WORDS,
    DIFF_WORDS,
    escaped,
    label_of,
    last_word,
    one_line,
    scalar,
    visible,
)

Json = Any

MAX_LINE = 200
"""Characters of a value that still stands on one line."""
MAX_COLUMNS = 6
MAX_CELL = 80
MAX_DEPTH = 12
"""Levels of headings; what lies deeper is shown as JSON under the last."""


def leaf_count(value: Json) -> int:
    """How many leaves a JSON value has; an empty object or list is one."""
    return sum(1 for _ in _flattened(value, ""))


class Context(NamedTuple):
    """The labels that a form gives to top-level members, and the pointers of what is shown elsewhere."""

    titles: Mapping[str, str]
    taken: frozenset[str]


def sections_of(
    value: Json, heading: tuple[str, ...], pointer: str, context: Context, depth: int
) -> Iterator[Section]:
    """What stands on lines first, then each nested value under its own heading."""
    if pointer in context.taken:
        return
    members = _members(value)
    part = whole("", None, value, 0) if not pointer and not context.taken else None
    if part or not members:
        yield Section(heading, (part or _part("", None, value),))
        return
    flat: list[Part] = []
    nested: list[tuple[str, str, Json]] = []
    labels = _labels([key for key, _ in members], context.titles if depth == 0 else {})
    change = change_of(value, pointer, context.taken)
    if change:
        flat.append(change.part)
    for key, member in members:
        place = f"{pointer}/{escaped(key)}"
        if place in context.taken or (change and key in change.keys):
            continue
        label, shown_key = labels[key]
        touched = any(t.startswith(f"{place}/") for t in context.taken)
        part = None if touched else whole(label, shown_key, member, depth)
        if part is None:
            nested.append((label, place, member))
        else:
            flat.append(part)
    if flat:
        yield Section(heading, tuple(flat))
    for label, place, member in nested:
        yield from sections_of(member, (*heading, label), place, context, depth + 1)


def _labels(keys: Sequence[str], titles: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    """Each member's label; those that would read alike have their names beside them."""
    labels = {key: label_of(key, titles) for key in keys}
    often = Counter(label.casefold() for label, _ in labels.values())
    return {
        key: (label, one_line(key) if often[label.casefold()] > 1 else shown)
        for key, (label, shown) in labels.items()
    }


def _members(value: Json) -> list[tuple[str, Json]] | None:
    """The members of an object or list that has any, by their names or numbers from 1."""
    if isinstance(value, Mapping) and value:
        return list(value.items())
    if isinstance(value, list) and value:
        return [(str(number), item) for number, item in enumerate(value, 1)]
    return None


def whole(label: str, key: str | None, value: Json, depth: int) -> Part | None:
    """The one part that shows a member whole; None where it needs a heading of its own."""
    if _members(value) is None:
        return _part(label, key, value)
    if depth >= MAX_DEPTH:
        return _as_json(label, key, value)
    if isinstance(value, list):
        return _items(label, key, value) or table(label, key, value)
    return None


def _part(label: str, key: str | None, value: Json) -> Part:
    """A leaf by its own look: a diff, code, a text of several lines, or a row."""
    if not isinstance(value, str):
        return Row(label=label, key=key, text=scalar(value, label))
    word = last_word(label)
    if word in DIFF_WORDS and is_diff(value):
        return Diff(label=label, key=key, lines=tuple(parsed_diff(value)))
    if word in CODE_WORDS and value.strip():
        return Block(label=label, key=key, text=visible(value), code=True)
    if "\n" in value.strip("\n") or len(value) > MAX_LINE:
        return Block(label=label, key=key, text=visible(value))
    return Row(label=label, key=key, text=scalar(value, label))


def _items(label: str, key: str | None, values: list[Json]) -> Items | None:
    """A list of values that each fit on a line; None where it is another list."""
    if any(_members(value) is not None or (isinstance(value, str) and not short(value)) for value in values):
        return None
    return Items(label=label, key=key, items=tuple(scalar(value, "") for value in values))


def table(label: str, key: str | None, values: list[Json]) -> Table | None:
    """Objects of scalars with few members in all; None where it is another list."""
    if not values or not all(isinstance(value, Mapping) and value for value in values):
        return None
    columns = list(dict.fromkeys(name for value in values for name in value))
    cells = [cell for value in values for cell in value.values()]
    if len(columns) > MAX_COLUMNS or not all(_fits_cell(cell) for cell in cells):
        return None
    rows = tuple(
        tuple(scalar(value[name], name) if name in value else "" for name in columns) for value in values
    )
    labels = tuple(label_of(name, {})[0] for name in columns)
    return Table(label=label, key=key, columns=labels, rows=rows, leaves=len(cells))


def _fits_cell(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CELL and "\n" not in value
    return _members(value) is None


def short(value: str) -> bool:
    return len(value) <= MAX_LINE and "\n" not in value.strip("\n")


def _as_json(label: str, key: str | None, value: Json) -> Table:
    """What lies too deep for headings: each leaf with its path, so that none is lost."""
    rows = tuple(_flattened(value, ""))
    return Table(label=label, key=key, columns=("Path", "Value"), rows=rows, leaves=len(rows))


def _flattened(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    """Every leaf with its JSON pointer, without recursion: depth is the requester's to choose."""
    stack = [(pointer, value)]
    while stack:
        place, item = stack.pop()
        members = _members(item)
        if members is None:
            yield one_line(place), scalar(item, "")
        else:
            stack += [(f"{place}/{escaped(name)}", member) for name, member in reversed(members)]
