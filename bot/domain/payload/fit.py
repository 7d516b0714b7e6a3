"""What a surface has room for, and how many leaves are missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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


def fit(sections: Sequence[Section], room: Room) -> Fitted:
    """As many parts, from the first on, as there is room for, and the beginning of what is too long."""
    kept: list[Section] = []
    missing, parts, left = 0, room.parts, room.characters
    for section in sections:
        mine: list[Part] = []
        for part in section.parts:
            if parts <= 0 or left <= 0:
                missing += leaves(part)
                continue
            shown, lost = _shortened(part, min(room.longest, left), room.rows)
            missing += lost
            parts -= 1
            left -= _size(shown)
            mine.append(shown)
        if mine:
            kept.append(Section(section.heading, tuple(mine)))
    return Fitted(sections=tuple(kept), missing=missing)


def _size(part: Part) -> int:
    match part:
        case Row() | Block():
            return len(part.text)
        case Diff():
            return sum(len(line.text) + 1 for line in part.lines)
        case Table():
            return sum(len(cell) for row in part.rows for cell in row)
    return sum(map(len, part.items))


def _shortened(part: Part, characters: int, rows: int) -> tuple[Part, int]:
    """The beginning of a part, and how many of its leaves are not shown whole."""
    match part:
        case Row() | Block() if len(part.text) > characters:
            return replace(part, text=_cut(part.text, characters)), 1
        case Diff() if _size(part) > characters:
            return replace(part, lines=tuple(_first(part.lines, characters))), part.leaves
        case Table():
            keep = _count(("".join(row) for row in part.rows), characters, rows)
            lost = sum(bool(cell) for row in part.rows[keep:] for cell in row)
            return (replace(part, rows=part.rows[:keep]), lost) if keep < len(part.rows) else (part, 0)
        case Items():
            keep = _count(part.items, characters, rows)
            return replace(part, items=part.items[:keep]), len(part.items) - keep
    return part, 0


def _first(lines: Sequence[DiffLine], characters: int) -> Iterator[DiffLine]:
    for line in lines:
        characters -= len(line.text) + 1
        if characters < 0:
            return
        yield line


def _count(texts: Iterable[str], characters: int, most: int) -> int:
    """How many of the first texts fit."""
    count = 0
    for text in texts:
        characters -= len(text)
        if characters < 0 or count >= most:
            break
        count += 1
    return count


def _cut(text: str, characters: int) -> str:
    """The beginning of a text, and how much more there is."""
    return f"{text[:characters].rstrip()} … ({len(text) - characters:,} more characters)"
