"""The documentation's table of who may do what is the one that the tests try on the running server."""

from __future__ import annotations

from tests.support.authority import DOCUMENT, documented


def test_the_document_shows_the_table() -> None:
    told = "write it anew with: python -m tests.support.authority"
    assert DOCUMENT.read_text(encoding="utf-8") == documented(), told
