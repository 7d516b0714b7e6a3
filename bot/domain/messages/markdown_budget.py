"""How much Markdown is read as Markdown; text with more marks than people write is shown as it was written.

A reader of Markdown looks again at what it passed wherever a mark has no partner, and a table is as large as its header
times its rows, so that a few thousand characters can take it seconds, or nest deeper than what walks the result can go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST: tuple[tuple[str, int], ...] = (("[", 300), ("*_~", 1000), ("`<&\\", 1000), ("\n", 500))
"""How many of these characters a text may have."""

MAX_CELLS = 2000
"""Bars of the line with most, times the lines with any: what a table may have at most."""

MAX_DEPTH = 20
"""Styles, links, lists and quotes within each other."""

READ_DEPTH = MAX_DEPTH + 4
"""How deep a reader goes, which leaves out what is deeper: far enough to see that it is too deep."""


class Token(Protocol):
    """A mark that was read: it opens (1), closes (-1) or stands alone (0), and may have others within."""

    @property
    def nesting(self) -> int:
        """Which of the three."""

    @property
    def children(self) -> Sequence[Token] | None:
        """What is within."""


def is_too_much(text: str) -> bool:
    """Whether `text` has more marks than may be read as Markdown."""
    if any(sum(map(text.count, marks)) > most for marks, most in MOST):
        return True
    bars = [found for line in text.splitlines() if (found := line.count("|"))]
    return max(bars, default=0) * len(bars) > MAX_CELLS


def is_too_deep(tokens: Iterable[Token], outside: int = 0) -> bool:
    """Whether what was read is nested deeper than what walks it should go."""
    depth = outside
    for token in tokens:
        depth += token.nesting
        if depth > MAX_DEPTH or (token.children and is_too_deep(token.children, depth)):
            return True
    return False
