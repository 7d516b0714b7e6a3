"""Other people's words as Slack text objects: nothing in them pings, links, or turns the line around.

Lengths are in UTF-16 units, which is never less than what Slack counts, and a cut falls between graphemes.
Three kinds of text object take foreign words: `plain_text`, the elements of `rich_text`, and mrkdwn that is
escaped once and `verbatim` (without that Slack itself turns `@here` and `#general` into links).
https://docs.slack.dev/reference/block-kit/composition-objects/text-object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import regex

from bot.domain.messages.phrases import instant
from bot.rendering import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

Block = dict[str, Any]
"""A block, an element or a text object, as Slack's JSON has it."""

MAX_TEXT = 3000
"""Most characters in one text object (1 at the least)."""
MAX_HEADER = 150
"""Most characters in a header."""
MAX_READ = 5000
"""Characters of a line that are looked at."""
CUT = "…"
NOTHING = "(blank)"
"""Stands where a text object would be empty, which Slack refuses."""


def weight(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def clip(text: str, limit: int, measure: Callable[[str], int] = weight) -> str:
    """At most `limit` of `text` by `measure`, between graphemes, with `…` where something is missing."""
    if measure(text) <= limit:
        return text
    kept, room = [], limit - 1
    for grapheme in regex.findall(r"\X", text[:limit]):
        room -= measure(grapheme)
        if room < 0:
            break
        kept.append(grapheme)
    return "".join(kept).rstrip() + CUT


GRAPHEME = 200
"""Characters before a break that are looked at for the end of a grapheme; hardly one is longer."""


def pieces(text: str, size: int = MAX_TEXT) -> Iterator[str]:
    """`text` in parts of at most `size`, broken between graphemes where one fits."""
    start = 0
    while start < len(text):
        part = text[start : start + size + 1]
        end = len(part) if weight(part) <= size else _break(part, size)
        yield part[:end]
        start += end


def _break(part: str, size: int) -> int:
    """The last end of a grapheme within `size` UTF-16 units of what is longer, or all of them within a longer one."""
    fits = len(part.encode("utf-16-le", "replace")[: 2 * size].decode("utf-16-le", "ignore"))
    near = max(fits - GRAPHEME, 0)
    ends = [near + found.end() for found in regex.finditer(r"\X", part[near : fits + 1])]
    return max([end for end in ends if end <= fits], default=fits) or 1


def flat(text: str) -> str:
    """`text` on one line, as far as anything of Slack could show it."""
    return " ".join(plain(text[:MAX_READ]).split())


def line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit`."""
    return clip(flat(text), limit) or NOTHING


def escape(text: str) -> str:
    """`text` for mrkdwn. Slack knows these three characters and no other: `&`, `<`, `>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inline(text: str, limit: int) -> str:
    """Foreign `text` for use within mrkdwn: one line, escaped, at most `limit` once escaped."""
    return escape(clip(flat(text), limit, lambda part: weight(escape(part)))) or NOTHING


def listed(parts: Sequence[str], most: int = 6) -> str:
    """`Ana, Ben and 3 more`, of parts that are mrkdwn already."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def date(at: datetime) -> str:
    """An instant in mrkdwn, in each viewer's own time zone, with UTC for clients that cannot."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{instant(at)}>"


def localised(sentence: str, at: datetime, limit: int) -> str:
    """A sentence of `domain/notices` that ends with the instant `at`, for mrkdwn."""
    return inline(sentence, limit).replace(f" at {instant(at)}", f" · {date(at)}")


# Text objects


def plain_text(text: str, limit: int) -> Block:
    """One line of literal text; `:smile:` stays as written."""
    return {"type": "plain_text", "text": line(text, limit), "emoji": False}


def mrkdwn(text: str) -> Block:
    """Text in Slack's markup that we made: foreign parts have gone through `inline`."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


# Blocks


def header(text: str) -> Block:
    """A heading."""
    return {"type": "header", "text": plain_text(text, MAX_HEADER)}


def section(text: str) -> Block:
    """A paragraph of our own mrkdwn."""
    return {"type": "section", "text": mrkdwn(text)}


def context(text: str) -> Block:
    """A small grey line of our own mrkdwn."""
    return {"type": "context", "elements": [mrkdwn(text)]}


def rich_text(*elements: Block) -> Block:
    """A block of literal text with styles."""
    return {"type": "rich_text", "elements": list(elements)}


def run(text: str, **style: bool) -> Iterator[Block]:
    """Literal text as elements of `rich_text`, none where nothing of it is visible."""
    for part in pieces(plain(text)):
        yield {"type": "text", "text": part, **({"style": style} if style else {})}


def paragraph(*elements: Block) -> Block:
    """A `rich_text` paragraph."""
    return {"type": "rich_text_section", "elements": list(elements)}


def preformatted(text: str) -> Block:
    """Literal text in a fixed-width box, part of a `rich_text` block."""
    return {"type": "rich_text_preformatted", "elements": list(run(text))}


def quote(text: str) -> Block:
    """Somebody's words behind a bar, as a block."""
    return rich_text({"type": "rich_text_quote", "elements": list(run(text))})
