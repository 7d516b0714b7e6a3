"""All of a payload in as many views as it takes: each within a size, and every leaf on some of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bot.domain.payload.fit import beginning, heading_size, named_size, row_size, size, units
from bot.domain.payload.parts import Block, Diff, DiffLine, Items, Part, Row, Section, Table
from bot.domain.payload.plain_text import body, heading, name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Each = TypeVar("Each")


def pages(sections: Sequence[Section], most: int, parts: int) -> tuple[tuple[Section, ...], ...]:
    """The sections in views of at most `most` characters and `parts` parts."""
    views: list[tuple[Section, ...]] = []
    page: list[Section] = []
    left, count = most, parts
    for section in map(_short_heading, sections, [most] * len(sections)):
        for whole in section.parts:
            for part in _split(whole, most - heading_size(section)):
                needed = named_size(part) + size(part) + heading_size(section)
                if page and (needed > left or not count):
                    views.append(tuple(page))
                    page, left, count = [], most, parts
                _add(page, section.heading, part)
                left -= needed
                count -= 1
    return (*views, tuple(page)) if page else tuple(views)


def _add(page: list[Section], path: tuple[str, ...], part: Part) -> None:
    if page and page[-1].heading == path:
        page[-1] = Section(path, (*page[-1].parts, part))
    else:
        page.append(Section(path, (part,)))


def _short_heading(section: Section, most: int) -> Section:
    """A heading that would take a view for itself as the first text of its section."""
    if heading_size(section) <= most // 4:
        return section
    return Section((), (Block(label="", text=heading(section)), *section.parts))


def _split(part: Part, most: int) -> Iterator[Part]:
    """A part in pieces of at most `most`."""
    if named_size(part) > most // 2:
        yield from _texts(Block(label="", text=f"{name(part)}\n{body(part)}"), most)
        return
    room = most - named_size(part)
    if size(part) <= room:
        yield part
        return
    match part:
        case Row() | Block():
            yield from _texts(
                Block(
                    label=part.label, key=part.key, text=part.text, code=isinstance(part, Block) and part.code
                ),
                room,
            )
        case Diff():
            short = [
                DiffLine(line.sign, text) for line in part.lines for text in _pieces(line.text, room - 3)
            ]
            for lines in _groups(short, lambda line: units(line.text) + 3, room):
                yield replace(part, lines=lines)
        case Table():
            for rows in _groups(part.rows, row_size, room):
                yield replace(part, rows=rows, leaves=sum(bool(cell) for row in rows for cell in row))
        case Items():
            for items in _groups(part.items, lambda item: units(item) + 3, room):
                yield replace(part, items=items)


def _texts(block: Block, most: int) -> Iterator[Part]:
    for text in _pieces(block.text, most):
        yield replace(block, text=text)


def _pieces(text: str, most: int) -> Iterator[str]:
    while units(text) > most:
        head = beginning(text, most) or text[:1]
        yield head
        text = text[len(head) :]
    yield text


def _groups(values: Sequence[Each], measure: Callable[[Each], int], most: int) -> Iterator[tuple[Each, ...]]:
    """Neighbours together as far as they fit; what is too long for itself stands alone."""
    group: list[Each] = []
    left = most
    for value in values:
        taken = measure(value)
        if group and taken > left:
            yield tuple(group)
            group, left = [], most
        group.append(value)
        left -= taken
    if group:
        yield tuple(group)
