"""Members' names as labels, and leaves as text in which nothing is hidden."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

Json = Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CODE_WORDS = _words(
    """command cmd commands script code sql query statement shell bash python source program
    expression manifest"""
)
DIFF_WORDS = frozenset({"diff", "patch", "change", "changes"})
ACRONYMS = _words(
    """api arn bic cc bcc cpu css csv db dns eta gb html http https iban id ids ip json jwt kb mb
    pdf pr sku sla sql ssh ssl tls ui uri url uuid vat vm vpn xml yaml"""
)
NUMBERS_AS_NAMES = _words(
    """id ids number no nr code zip postcode year account phone port pin order ticket"""
)
"""Where a number is a name, its digits are not grouped."""


def label_of(key: str, titles: Mapping[str, str]) -> tuple[str, str | None]:
    """`execution_date` → "Execution date"; under a form's title the member's name stands beside it."""
    if key in titles:
        return _row_text(titles[key]), one_line(key)
    if not LABEL.fullmatch(key):
        return _row_text(key), None
    words = [word for word in re.split(r"[_\-\s.]+|(?<=[a-z0-9])(?=[A-Z])", key) if word]
    spoken = [
        word.upper() if word.lower() in ACRONYMS else word if word.isupper() else word.lower()
        for word in words
    ]
    text = " ".join(spoken)
    return text[:1].upper() + text[1:], None


LABEL = re.compile(r"[A-Za-z][A-Za-z0-9]*([_\-. ][A-Za-z0-9]+)*")
"""A member's name that can be read as words; any other stands as it is."""


def last_word(label: str) -> str:
    return label.rpartition(" ")[2].lower()


def scalar(value: Json, label: str) -> str:
    """A leaf on one line, exact: a text with blanks around it stands in quotes."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case str():
            return _row_text(value)
        case int() | float():
            return _number(value, label)
        case []:
            return "(empty list)"
        case Mapping():
            return "(empty)"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _row_text(text: str) -> str:
    if not text:
        return "(empty text)"
    shown = one_line(text)
    words = shown in {"–", "yes", "no", "(empty)", "(empty list)", "(empty text)"}
    return f"“{shown}”" if words or text != text.strip() else shown


def one_line(text: str) -> str:
    """`text` with line breaks shown as escapes, too: what is on a line of its own is another value."""
    return visible(text.replace("\r\n", "\n").replace("\n", "\\n"))


def _number(value: float, label: str) -> str:
    text = str(value)
    whole, point, rest = text.partition(".")
    digits = whole.lstrip("-")
    if not digits.isdigit() or len(digits) < 5 or last_word(label.replace("_", " ")) in NUMBERS_AS_NAMES:
        return text
    return f"{int(whole):,}{point}{rest}"


def visible(text: str) -> str:
    """`text` with everything that cannot be seen, or that turns the direction of what follows, as its escape."""
    if text.isprintable():
        return text
    normal = text.replace("\r\n", "\n")
    if normal.replace("\n", "").replace("\t", "").isprintable():
        return normal
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in HIDDEN or c in JOINERS else _escape(c)
        for c in normal
    )


HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
JOINERS = frozenset("\u200d\u200c")
"""Scripts and emoji are written with them; they turn nothing."""


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
