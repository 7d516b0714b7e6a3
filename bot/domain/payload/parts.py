"""What a payload is shown as: rows, blocks of text or code, diffs, tables and lists, under headings.

Every text is a value of its own: a renderer isolates it, so that none changes how another reads. `kind` is for
templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A value on one line. `key` is its JSON member where the label does not say it; `href` an https address.

    `leaves` is how many values it shows: an amount of money may have its currency beside it.
    """

    kind: ClassVar = "row"
    label: str
    key: str | None = None
    text: str
    href: str | None = None
    leaves: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A text with its line breaks; `code`: in a fixed width."""

    kind: ClassVar = "block"
    label: str
    key: str | None = None
    text: str
    code: bool = False


class DiffLine(NamedTuple):
    """One line of a change: `sign` is `+`, `-` or a blank."""

    sign: Literal["+", "-", " "]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """A change of a text, line by line; `leaves` is how many values it shows."""

    kind: ClassVar = "diff"
    label: str
    key: str | None = None
    lines: tuple[DiffLine, ...]
    leaves: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Like objects, a row each; `leaves` is how many values it shows."""

    kind: ClassVar = "table"
    label: str
    key: str | None = None
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    leaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list of short values."""

    kind: ClassVar = "list"
    label: str
    key: str | None = None
    items: tuple[str, ...]


Part = Row | Block | Diff | Table | Items


@dataclass(frozen=True, slots=True)
class Section:
    """The parts under one heading; `heading` is the path of labels to it, empty at the top."""

    heading: tuple[str, ...]
    parts: tuple[Part, ...]


def leaves(part: Part) -> int:
    """How many leaves of the payload a part shows."""
    match part:
        case Row() | Diff() | Table():
            return part.leaves
        case Items():
            return len(part.items)
    return 1


def shown_leaves(sections: Sequence[Section]) -> int:
    """How many leaves stand in these sections."""
    return sum(leaves(part) for section in sections for part in section.parts)
