"""The documents that people read, and the code in them: the README, the pages of `docs/`, and those beside them."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from textwrap import dedent
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.command import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = (*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md")))
DOCUMENTS = {path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
_FENCE = re.compile(r" *```(\w*)$")
_HEADING = re.compile(r"(#+) (.+)")


class Line(NamedTuple):
    """A line of a document, the headings it stands below, and the language of its code block (None outside of one)."""

    text: str
    headings: tuple[str, ...]
    language: str | None
    block: int


def lines(text: str) -> Iterator[Line]:
    """The lines of a document; `#` inside a code block is no heading."""
    headings: list[tuple[int, str]] = []
    language: str | None = None
    block = 0
    for line in text.splitlines():
        if fence := _FENCE.fullmatch(line):
            language = fence[1] if language is None else None
            block += 1
            continue
        if language is None and (heading := _HEADING.fullmatch(line)):
            level = len(heading[1])
            headings = [*(above for above in headings if above[0] < level), (level, heading[2])]
        yield Line(line, tuple(title for _, title in headings), language, block)


@cache
def hook() -> Any:
    """The module that makes the reference pages, as MkDocs loads it: by its path."""
    spec = importlib.util.spec_from_file_location("reference", CHECKOUT / "docs" / "hooks" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(language: str, section: str = "") -> list[str]:
    """The code of one language in every document, or below the one heading `section` (of whatever level)."""
    assert not section or len(documents_with(section)) == 1, section
    return [code for text in DOCUMENTS.values() for code in _code(text, language, section)]


def documents_with(section: str) -> list[str]:
    """The documents that have a heading."""
    return [
        name
        for name, text in DOCUMENTS.items()
        if any(line.headings[-1:] == (section,) for line in lines(text))
    ]


def prose(text: str) -> str:
    """A document without its code blocks."""
    return "\n".join(line.text for line in lines(text) if line.language is None)


def anchors(text: str) -> set[str]:
    """What can follow the `#` of a link to a document."""
    titles = [
        line.text.lstrip("#").strip()
        for line in lines(text)
        if line.text.startswith("#") and line.language is None
    ]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def _code(text: str, language: str, section: str) -> Iterator[str]:
    found: dict[int, list[str]] = {}
    for line in lines(text):
        if line.language == language and (not section or section in line.headings):
            found.setdefault(line.block, []).append(line.text)
    return (dedent("\n".join(code)) + "\n" for code in found.values())
