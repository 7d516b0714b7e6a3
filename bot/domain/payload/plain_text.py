"""Sections as lines of text: in a mail without HTML, in a terminal, and what a chat shows in a fixed width."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from unicodedata import combining, east_asian_width

from bot.domain.payload.isolates import isolated
from bot.domain.payload.parts import Block, Diff, Items, Part, Row, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ARROW = " › "
"""Between the labels of a heading."""
WIDEST = 76
"""Columns of a table; a wider one is written as a list of rows."""


class Line(NamedTuple):
    """One line, and how deep it is indented."""

    depth: int
    text: str


def as_text(sections: Sequence[Section], indent: str = "  ") -> str:
    """The sections as one text."""
    return "\n".join(f"{indent * line.depth}{line.text}".rstrip() for line in lines(sections))


def lines(sections: Sequence[Section]) -> Iterator[Line]:
    """Every line, with a blank one before each heading."""
    for number, section in enumerate(sections):
        if section.heading:
            yield from [Line(0, "")] if number else []
            yield Line(0, heading(section))
        for part in section.parts:
            for line in _lines(part):
                yield Line(line.depth + bool(section.heading), line.text)


def heading(section: Section) -> str:
    """`Arguments › Creditor`."""
    return ARROW.join(map(isolated, section.heading))


def name(part: Part) -> str:
    """A part's label, with its member's name where the label does not say it."""
    label = isolated(part.label)
    return f"{label} ({isolated(part.key)})" if part.key and part.key != part.label else label


def _lines(part: Part) -> Iterator[Line]:
    label = name(part)
    lead = f"{label}: " if label else ""
    if isinstance(part, Row):
        yield Line(0, f"{lead}{isolated(part.text)}")
        return
    if label:
        yield Line(0, f"{label}:")
    yield from (Line(1, line) for line in body(part).split("\n"))


def body(part: Part) -> str:
    """What stands under a part's label, as lines of text."""
    match part:
        case Row() | Block():
            return isolated(part.text)
        case Diff():
            return "\n".join(f"{line.sign} {isolated(line.text)}" for line in part.lines)
        case Table():
            return table_text(part.columns, part.rows)
        case Items():
            return "\n".join(f"• {isolated(item)}" for item in part.items)


def table_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in a fixed width; one that is too wide row by row, each value with its column's name."""
    widths = [max(map(_width, cells)) for cells in zip(columns, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) > WIDEST:
        return "\n".join(_in_words(number, columns, row) for number, row in enumerate(rows, 1))
    rule = ["─" * width for width in widths]
    return "\n".join(_aligned(row, widths) for row in (columns, rule, *rows))


def _in_words(number: int, columns: Sequence[str], row: Sequence[str]) -> str:
    cells = [f"{isolated(c)}: {isolated(cell)}" for c, cell in zip(columns, row, strict=True) if cell]
    return f"{number}. " + "\n   ".join(cells)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        isolated(cell) + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Columns that `text` takes in a fixed width."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in {"W", "F"} else 1 for c in text)
