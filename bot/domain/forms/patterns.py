"""Regular expressions of forms: what one costs, and why one is refused, told without running it.

They are matched by an engine of linear time. What is refused here would still keep a browser or another validator busy
that is given the same form, or would take that engine too much memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATTERN = 1000
"""Characters of one pattern."""
MAX_WEIGHT = 2000
"""Characters that one pattern may stand for once its counted repetitions are written out."""
MAX_GROUPS = 20
"""Groups in one another."""


class PatternRefused(ValueError):
    """Why a pattern is not taken, as the end of a sentence that begins with the pattern's place."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What part of a pattern costs, whether it repeats without end, and whether something in it does not repeat."""

    weight: int = 0
    endless: bool = False
    fixed: bool = False


def weight(pattern: str) -> int:
    """How many steps one character takes at most; raises `PatternRefused`."""
    if len(pattern) > MAX_PATTERN:
        raise PatternRefused(f"has more than {MAX_PATTERN} characters; check less by a pattern")
    part = _Reader(pattern).alternatives(0)
    if part.weight > MAX_WEIGHT:
        raise PatternRefused(
            f"stands for more than {MAX_WEIGHT} characters once its repetitions are written out; repeat less"
        )
    return part.weight


class _Reader:
    """Reads a pattern once, from left to right; what is no pattern is left for the engine to refuse."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self, depth: int) -> _Part:
        """Up to the end of the group, or of the pattern."""
        if depth > MAX_GROUPS:
            raise PatternRefused(f"has more than {MAX_GROUPS} groups in one another; write it flatter")
        branches = [self._sequence(depth)]
        while self._takes("|"):
            branches.append(self._sequence(depth))
        return _Part(
            sum(part.weight for part in branches),
            any(part.endless for part in branches),
            all(part.fixed for part in branches),
        )

    def _sequence(self, depth: int) -> _Part:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom(depth)))
        return _Part(
            sum(part.weight for part in parts),
            any(part.endless for part in parts),
            any(part.fixed for part in parts),
        )

    def _atom(self, depth: int) -> _Part:
        character = self._text[self._at]
        if character == "(":
            return self._group(depth)
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        self._at += 1
        return _Part(1) if character in "^$" else _Part(4 if character == "." else 1, fixed=True)

    def _group(self, depth: int) -> _Part:
        self._at += 1
        if looks := _LOOKS.match(self._text, self._at):
            raise PatternRefused(f"looks around, `({looks[0]}`, which has no bound; write a plain pattern")
        if named := _GROUP.match(self._text, self._at):
            self._at = named.end()
        part = self.alternatives(depth + 1)
        self._takes(")")
        return part

    def _class(self) -> _Part:
        found = _CLASS.match(self._text, self._at)
        self._at = found.end() if found else len(self._text)
        wide = found is None or found[0].startswith("[^") or _WIDE.search(found[0]) or not found[0].isascii()
        return _Part(8 if wide else 1, fixed=True)

    def _escape(self) -> _Part:
        found = _ESCAPE.match(self._text, self._at)
        if found is None:  # the pattern ends with it
            self._at = len(self._text)
            return _Part(1, fixed=True)
        self._at = found.end()
        if found[0][1] in "123456789k":
            raise PatternRefused(f"refers back, `{found[0]}`, which has no bound; write a plain pattern")
        if found[0][1] in "bB":
            return _Part(1)
        return _Part(8 if _WIDE.match(found[0]) else 1, fixed=True)

    def _repeated(self, part: _Part) -> _Part:
        """`part` as often as what follows it says."""
        while found := _TIMES.match(self._text, self._at):
            self._at = found.end()
            least, most = _times(found[0])
            if most is None and part.endless and not part.fixed:
                told = "repeats what may itself repeat without end, so that a text matches in countless ways"
                raise PatternRefused(f"{told}; repeat it once")
            part = _Part(
                part.weight * max(least, most or 1, 1) + 1,
                part.endless or most is None,
                part.fixed and least > 0 and most is not None,
            )
            if part.weight > MAX_WEIGHT:
                return part
        return part

    def _takes(self, character: str) -> bool:
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        return True


def _times(quantifier: str) -> tuple[int, int | None]:
    """How often at least and at most; None is without end."""
    match quantifier[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least, comma, most = quantifier.rstrip("?+")[1:-1].partition(",")
    return int(least), int(most) if most else None if comma else int(least)


_TIMES = re.compile(r"(?:[*+?]|\{[0-9]{1,6}(?:,[0-9]{0,6})?\})\??", re.ASCII)
_LOOKS = re.compile(r"\?(?:=|!|<=|<!)")
_GROUP = re.compile(r"\?(?::|P?<[A-Za-z_][A-Za-z0-9_]*>|[a-zA-Z-]{1,8}:)")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:[pP](?:\{[^}]*\}|.)|u\{[^}]*\}|k<[^>]*>|.)", re.DOTALL)
_WIDE = re.compile(r"\\[pPWDS]")
