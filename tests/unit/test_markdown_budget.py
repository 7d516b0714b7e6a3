"""Markdown that is made to take long, or to nest deep, is shown as it was written, in mails, pages and cards."""

from __future__ import annotations

import html
import re
import time

import pytest

from bot.domain.messages.markdown_budget import is_too_deep, is_too_much
from bot.rendering import markdown, markdown_text
from bot.sandbox.slack.block_kit.blockkit import block_faults, texts
from bot.slack.render.markdown import markdown as slack_markdown

LONG = 8000
"""Characters of a message that mails and pages show as Markdown."""

HOSTILE = {
    "open brackets": "[" * LONG,
    "open links": "[a](" * (LONG // 4),
    "links to nowhere": "[a](<b" * (LONG // 6),
    "open emphasis": "*a _b " * (LONG // 6),
    "runs of emphasis": "a**b" * (LONG // 4),
    "a wide table": "|a" * 1000 + "|\n" + "|-" * 1000 + "|\n" + "|\n" * 2000,
    "escaped brackets": "\\[a" * (LONG // 3),
    "pictures": "![[" * (LONG // 3),
    "references": "[a]: b\n" * (LONG // 7),
    "a line a mark": "- a\n" * (LONG // 4),
    "strikes": "~~a~~" * (LONG // 5),
    "backticks": "".join("`" * n + " " for n in range(1, 126)),
    "1 MiB of brackets": "[" * 2**20,
}
DEEP = {
    "strong": "**a " * 120 + " b**" * 120,
    "strong within strong": "*" * 400 + "a" + "*" * 400,
    "strikes": "~~a " * 120 + " b~~" * 120,
    "quotes": "> " * 30 + "drop the table a b",
    "lists": "- " * 30 + "drop the table a b",
    "styles in a list in quotes": "> - " * 6 + "**a *b " * 20 + " b* a**" * 20,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text_with_more_marks_than_people_write_is_not_read_as_markdown(name: str) -> None:
    text = HOSTILE[name]
    began = time.process_time()
    assert is_too_much(text)
    shown = html.unescape(str(markdown(text))), markdown_text(text)
    assert time.process_time() - began < 1  # a table of 8,000 characters took several seconds
    plain_shown = re.sub(r"<br>|</?p>", "", shown[0]).rstrip("\n")
    assert (plain_shown, shown[1]) == (text.rstrip("\n"), text)


@pytest.mark.parametrize("name", DEEP)
def test_styles_within_each_other_are_shown_as_they_were_written(name: str) -> None:
    """They ended in a RecursionError, so that the mail or the card never came, or were left out."""
    text = DEEP[name]
    assert markdown_text(text) == text
    assert html.unescape(str(markdown(text))) == f"<p>{text}</p>\n"
    block = slack_markdown(text)
    assert block is not None
    assert "".join(texts(block)) == text
    assert block_faults([block], "message") == []


def test_a_message_as_people_write_it_is_read() -> None:
    rows = "".join(f"| {n} | *refund* | [ticket](https://example.com/{n}) |\n" for n in range(60))
    lists = "".join(f"- `step_{n}` of **many**\n" for n in range(100))
    message = f"# Plan\n\n| n | what | where |\n|---|---|---|\n{rows}\n{lists}\n> > well ***done***\n"
    assert not is_too_much(message)
    assert str(markdown(message)).count("<tr>") == 61
    assert "step_99 of many" in markdown_text(message)


class Mark:
    """A mark that was read."""

    def __init__(self, nesting: int, *within: Mark) -> None:
        self.nesting, self.children = nesting, [*within] or None


def test_what_is_within_counts_with_what_it_is_in() -> None:
    ten = [Mark(1)] * 10 + [Mark(-1)] * 10
    assert not is_too_deep(ten * 3)
    assert not is_too_deep([*[Mark(1)] * 10, Mark(0, *ten)])
    assert is_too_deep([*[Mark(1)] * 11, Mark(0, *ten)])
