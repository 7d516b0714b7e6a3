"""A change of a text, line by line: from an old and a new text, or from a unified diff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from bot.domain.payload.parts import Diff, DiffLine
from bot.domain.payload.words import visible

Json = Any
COMPARED = 250_000
"""Pairs of lines that are compared to align a change; beyond that the old text stands before the new one."""

CHANGES = (
    ("old_string", "new_string"),
    ("old_str", "new_str"),
    ("old_text", "new_text"),
    ("old", "new"),
    ("before", "after"),
    ("from_text", "to_text"),
)
"""Members that hold a text before and after, as the tools of agents name them."""

SHORT = 40
"""Characters up to which two texts of one line under `old` and `new` are plain values."""


class Change(NamedTuple):
    part: Diff
    keys: tuple[str, str]


def change_of(value: Json, pointer: str, taken: frozenset[str]) -> Change | None:
    """The change that an object of an old and a new text describes, unless one of them is shown already."""
    if not isinstance(value, Mapping):
        return None
    for old, new in CHANGES:
        before, after = value.get(old), value.get(new)
        if not (isinstance(before, str) and isinstance(after, str)):
            continue
        named = old.startswith("old_")
        long = any("\n" in text or len(text) > SHORT for text in (before, after))
        if (named or long) and taken.isdisjoint({f"{pointer}/{old}", f"{pointer}/{new}"}):
            return Change(Diff(label="Change", lines=text_diff(before, after), leaves=2), (old, new))
    return None


def text_diff(old: str, new: str) -> tuple[DiffLine, ...]:
    """Every line of both texts, once where they agree."""
    before, after = visible(old).split("\n"), visible(new).split("\n")
    start = _agreeing(before, after)
    end = _agreeing(before[start:][::-1], after[start:][::-1])
    middle = _aligned(before[start : len(before) - end], after[start : len(after) - end])
    same = [DiffLine(" ", line) for line in before[:start]]
    tail = [DiffLine(" ", line) for line in before[len(before) - end :]]
    return (*same, *middle, *tail)


def _agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _aligned(before: Sequence[str], after: Sequence[str]) -> list[DiffLine]:
    """What differs, aligned where that is cheap: comparing takes the product of the lengths."""
    if len(before) * len(after) > COMPARED:
        return [*(DiffLine("-", line) for line in before), *(DiffLine("+", line) for line in after)]
    lines: list[DiffLine] = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [DiffLine(" ", line) for line in before[i:j]]
        else:
            lines += [DiffLine("-", line) for line in before[i:j]]
            lines += [DiffLine("+", line) for line in after[k:m]]
    return lines


def is_diff(text: str) -> bool:
    return any(line.startswith(("@@ ", "+++ ", "--- ")) for line in text.split("\n"))


def parsed_diff(text: str) -> Iterator[DiffLine]:
    """A unified diff as it stands, headers included."""
    for line in visible(text).rstrip("\n").split("\n"):
        if line[:1] in {"+", "-"} and not line.startswith(("+++", "---")):
            yield DiffLine("+" if line[0] == "+" else "-", line[1:])
        else:
            yield DiffLine(" ", line.removeprefix(" "))
