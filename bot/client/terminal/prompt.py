"""Asks the person at the terminal about a request."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from bot.client.models import Response
from bot.domain.payload.plain_text import as_text
from bot.domain.payload.views import payload_view

if TYPE_CHECKING:
    from bot.client.models import Request

HEADINGS = {"info": "Data"}
DECISIONS = {"a": "approve", "r": "reject", "s": "skip"}

_one_at_a_time = threading.Lock()


def present() -> bool:
    """Whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(request: Request) -> Response:
    """Show the request on standard error and read the decision and its reason; raises EOFError where nobody answers."""
    with _one_at_a_time:
        _say(f"\n{request.title}  ({request.id})")
        if request.message:
            _say(request.message)
        if request.payload is not None:
            _say(HEADINGS.get(request.level, "What will be done"))
            sys.stderr.write(as_text(payload_view(request.payload)) + "\n")  # nothing hidden is in it
        offered = "[a]pprove, [r]eject" + (", [s]kip" if request.allow_skip else "")
        while True:
            letter = _read(f"{offered}: ")[:1].lower()
            if letter in DECISIONS and (letter != "s" or request.allow_skip):
                reason = _read("Reason (may be empty): ") or None
                phrase = _read("Phrase: ") if (letter, request.level) == ("a", "verify") else None
                return Response(DECISIONS[letter], reason, phrase=phrase)


def _say(text: str) -> None:
    sys.stderr.write(plain(text) + "\n")


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError("the terminal was closed")
    return line.strip()


def plain(text: str) -> str:
    """Text without control characters: requesters write it, and terminals obey them."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
