"""What a surface has room for, and how many leaves are missing.

Lengths are in UTF-16 units, as Slack counts them; labels and headings take room as values do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import regex

from bot.domain.payload.parts import Block, Diff, DiffLine, Items, Part, Row, Section, Table, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a surface can show: `parts` in all, `characters` of all texts and of one (`longest`), `rows` of a table."""

    parts: int
    characters: int
    longest: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What there was room for; `missing` counts the leaves that are not, or not wholly, shown."""

    sections: tuple[Section, ...]
    missing: int

    @property
    def complete(self) -> bool:
        """Whether every leaf is shown whole."""
        return not self.missing

    @property
    def lost(self) -> str:
        """What is missing, in words: `12 more values`."""
        return f"{self.missing:,} more {'value' if self.missing == 1 else 'values'}"


def fit(sections: Sequence[Section], room: Room) -> Fitted:
    """As many parts, from the first on, as there is room for, and the beginning of what is too long."""
    kept: list[Section] = []
    missing, parts, left = 0, room.parts, room.characters
    for section in sections:
        mine: list[Part] = []
        left -= heading_size(section)
        for part in section.parts:
            there = min(room.longest, left - named_size(part))
            shown, lost = _shortened(part, there, room.rows) if parts > 0 and there > 0 else (None, 0)
            if shown is None:
                missing += leaves(part)
                left = 0  # what follows would read as if nothing were left out before it
                continue
            missing += lost
            parts -= 1
            left -= named_size(shown) + size(shown)
            mine.append(shown)
        if mine:
            kept.append(Section(section.heading, tuple(mine)))
    return Fitted(sections=tuple(kept), missing=missing)


def units(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "replace")) // 2


def heading_size(section: Section) -> int:
    """How much room a heading takes."""
    return sum(units(label) + 3 for label in section.heading)


def named_size(part: Part) -> int:
    """How much room the names in a part take."""
    names = units(part.label) + units(part.key or "")
    return names + sum(units(column) + 1 for column in part.columns) if isinstance(part, Table) else names


def size(part: Part) -> int:
    """How much room the values of a part take."""
    match part:
        case Row() | Block():
            return units(part.text)
        case Diff():
            return sum(units(line.text) + 3 for line in part.lines)
        case Table():
            return sum(map(row_size, part.rows))
    return sum(units(item) + 3 for item in part.items)


def row_size(row: Sequence[str]) -> int:
    """How much room one row of a table takes."""
    return sum(units(cell) + 1 for cell in row)


def _shortened(part: Part, characters: int, rows: int) -> tuple[Part | None, int]:
    """The beginning of a part, and how many of its leaves are not shown whole; None where nothing of it is left."""
    match part:
        case Row() | Block() if units(part.text) > characters:
            return replace(part, text=_cut(part.text, characters)), leaves(part)
        case Diff() if size(part) > characters:
            lines = tuple(_first(part.lines, characters))
            return (replace(part, lines=lines) if lines else None), part.leaves
        case Table():
            keep = _count(map(row_size, part.rows), characters, rows)
            return _of_table(part, keep)
        case Items():
            keep = _count((units(item) + 3 for item in part.items), characters, rows)
            return (replace(part, items=part.items[:keep]) if keep else None), len(part.items) - keep
    return part, 0


def _of_table(part: Table, keep: int) -> tuple[Table | None, int]:
    """The first rows; `leaves` of a table counts cells, and an empty cell is none."""
    if keep == len(part.rows):
        return part, 0
    lost = sum(bool(cell) for row in part.rows[keep:] for cell in row)
    return (replace(part, rows=part.rows[:keep], leaves=part.leaves - lost) if keep else None), lost


def _first(lines: Sequence[DiffLine], characters: int) -> Iterator[DiffLine]:
    for line in lines:
        characters -= units(line.text) + 3
        if characters < 0:
            return
        yield line


def _count(sizes: Iterable[int], characters: int, most: int) -> int:
    """How many of the first texts fit."""
    count = 0
    for taken in sizes:
        characters -= taken
        if characters < 0 or count >= most:
            break
        count += 1
    return count


def _cut(text: str, characters: int) -> str:
    """The beginning of a text, and how much more there is."""
    head = beginning(text, characters)
    return f"{head.rstrip()} … ({len(text) - len(head):,} more characters)"


GRAPHEME = 200
"""Characters before a break that are looked at for the end of a grapheme."""


def beginning(text: str, most: int) -> str:
    """At most `most` units of `text`, broken between graphemes where one ends near."""
    if units(text) <= most:
        return text
    head = text[: most + 1]
    fits = len(head.encode("utf-16-le", "replace")[: 2 * most].decode("utf-16-le", "ignore"))
    near = max(fits - GRAPHEME, 0)
    ends = [near + found.end() for found in regex.finditer(r"\X", head[near : fits + 1])]
    return head[: max([end for end in ends if end <= fits], default=fits)]
