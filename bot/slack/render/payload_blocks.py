"""What will be done, as elements of `rich_text`: rows, code, changes, tables, each value an element of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.payload.fit import Room, fit
from bot.domain.payload.isolates import isolated
from bot.domain.payload.parts import Items, Part, Row, Section
from bot.domain.payload.plain_text import body
from bot.domain.payload.plain_text import heading as path
from bot.slack.render.text import NOTHING, Block, paragraph, pieces, weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_URL = 500
"""A longer link is text."""
PARTS_A_ROW = 2
"""Parts of a payload for each row of details that there is room for."""


def room(characters: int, rows: int) -> Room:
    """The room for a payload beside so many details."""
    return Room(parts=PARTS_A_ROW * rows, characters=characters, longest=characters, rows=rows)


def elements(sections: Sequence[Section], title: str) -> Iterator[Block]:
    """Paragraphs and boxes under `title`; what stands on lines of its own is one paragraph."""
    lines: list[Block] = [*_text(title, bold=True)] if title else []
    for section in sections:
        if section.heading:
            lines += [*_text(f"{_break(lines)}{path(section)}", italic=True)]
        for part in section.parts:
            lead = "\n" if lines else ""
            if isinstance(part, Row):
                lines += [*_label(part, lead), *_value(part)]
                continue
            yield from _paragraph([*lines, *_label(part, lead)])
            lines = []
            yield _body(part)
    yield from _paragraph(lines)


def fitted(
    sections: Sequence[Section], characters: int, rows: int, title: str
) -> tuple[list[Block], str | None]:
    """As much as there is room for, and what is missing, in words."""
    shown = fit(sections, room(characters, rows))
    blocks = [*elements(shown.sections, title)]
    if shown.complete:
        return blocks, None
    return [*blocks, paragraph(*_text(f"… {shown.lost}", italic=True))], shown.lost


def short(sections: Sequence[Section], characters: int, rows: int) -> bool:
    """Whether there is no room for all of it."""
    return not fit(sections, room(characters, rows)).complete


def _break(lines: Sequence[Block]) -> str:
    return "\n\n" if lines else ""


def _label(part: Part, lead: str) -> Iterator[Block]:
    if not part.label and not part.key:
        yield from _text(lead) if lead else ()
        return
    beside = part.key if part.key and part.key != part.label else None
    yield from _text(f"{lead}{isolated(part.label) or NOTHING}{'' if beside else ': '}", bold=True)
    if beside:
        yield from _text(" ")
        yield from _text(isolated(beside), code=True)
        yield from _text(": ", bold=True)


def _value(part: Row) -> Iterator[Block]:
    if part.href and weight(part.href) <= MAX_URL and part.text == part.href:
        yield {"type": "link", "url": part.href, "text": part.text}
    else:
        yield from _text(isolated(part.text))


def _body(part: Part) -> Block:
    """What stands under a label: a list, or a box that keeps line breaks and blanks."""
    if isinstance(part, Items):
        items = [paragraph(*_text(isolated(item))) for item in part.items]
        return {"type": "rich_text_list", "style": "bullet", "elements": items}
    return {"type": "rich_text_preformatted", "elements": [*_text(body(part))]}


def _paragraph(parts: Sequence[Block]) -> Iterator[Block]:
    if parts:
        yield paragraph(*parts)


def _text(text: str, **style: bool) -> Iterator[Block]:
    """Literal text; what cannot be seen in it shows as its escape already."""
    for piece in pieces(text):
        yield {"type": "text", "text": piece, **({"style": style} if style else {})}
