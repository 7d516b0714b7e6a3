"""Texts that do not turn what stands beside them: in a terminal, a text mail, a chat.

HTML has `<bdi>` for this; elsewhere the characters U+2068 and U+2069 do the same (Unicode's bidirectional algorithm).
"""

from __future__ import annotations

from unicodedata import bidirectional

FIRST_STRONG, POP = "\u2068", "\u2069"
TURNING = frozenset({"R", "AL", "AN"})
"""Classes of characters that are written from the right, or make digits be."""


def isolated(text: str) -> str:
    """`text`, each line of it isolated where it has anything that is written from the right.

    Isolates end with their line: one that is open at its end would take in what follows.
    """
    if text.isascii():
        return text
    return "\n".join(f"{FIRST_STRONG}{line}{POP}" if _turns(line) else line for line in text.split("\n"))


def _turns(line: str) -> bool:
    return any(bidirectional(character) in TURNING for character in line)
