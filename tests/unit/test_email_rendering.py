from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from bot.rendering import cut, local_time, markdown, markdown_text, plain, pretty_json, templates, time_tag

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Madrid", "Fri 20 Nov 2026, 17:00 (UTC+01:00)"),
        ("Asia/Kolkata", "Fri 20 Nov 2026, 21:30 (UTC+05:30)"),
        ("America/St_Johns", "Fri 20 Nov 2026, 12:30 (UTC-03:30)"),
        (None, "Fri 20 Nov 2026, 16:00 (UTC)"),
        ("Mars/Olympus", "Fri 20 Nov 2026, 16:00 (UTC)"),
        ("../../etc/passwd", "Fri 20 Nov 2026, 16:00 (UTC)"),
    ],
)
def test_a_time_is_the_readers_with_its_offset(zone: str | None, text: str) -> None:
    assert local_time(AT, zone) == text
    assert time_tag(AT, zone) == f'<time datetime="2026-11-20T16:00:00Z">{text}</time>'


def test_markdown_keeps_what_reads_well() -> None:
    html = markdown("*Evidence* in [the ticket](https://x.test/?a=1&b=2).\nSecond line\n\n- one\n- two")
    assert "<em>Evidence</em>" in html
    assert 'href="https://x.test/?a=1&amp;b=2"' in html
    assert "<br />\nSecond line" in html
    assert "<li>two</li>" in html


@pytest.mark.parametrize(
    "nasty",
    [
        "<script>alert(1)</script>",
        '<img src="https://track.test/p.gif">',
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](//evil.test)",
        "[x](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "![x](https://track.test/p.gif)",
        '[x](https://x.test "a\\" onmouseover=\\"alert(1)")',
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_markdown_never_runs_or_loads_anything(nasty: str) -> None:
    html = markdown(nasty).lower()
    assert "<script" not in html
    assert "<img" not in html
    assert 'onmouseover="' not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    assert 'href="file' not in html
    assert 'href="//' not in html


def test_a_heading_of_a_message_stays_below_the_title() -> None:
    assert markdown("# Big").startswith("<h3>")


def test_markdown_as_text_spells_links_out_and_drops_the_marks() -> None:
    source = "**Order** [5531](https://x.test/5531)\n\n- a\n- b\n  1. c\n\n> quoted\n\n```\nrm -rf /\n```"
    assert markdown_text(source) == (
        "Order 5531 (https://x.test/5531)\n\n- a\n- b\n  1. c\n\n> quoted\n\n    rm -rf /"
    )


def test_plain_drops_what_hides_or_reverses_text_and_keeps_the_rest() -> None:
    assert plain("a\x00\x1b[31m\u202eb\r\nc\td\u2066\ud800") == "a[31mb\nc\td"
    assert plain("עברית 👨‍👩‍👧 é") == "עברית 👨‍👩‍👧 é"


@pytest.mark.thorough
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_pretty_json_is_the_same_value_and_shows_what_is_invisible(value: object) -> None:
    text = pretty_json(value)
    assert json.loads(text) == value
    assert not any(mark in text for mark in "\u202e\u2066\u200b\x7f\u2028\ufeff")


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("short", 10, "short"),
        ("a long title", 7, "a long…"),
        ("👨‍👩‍👧‍👦" * 4, 3, "👨‍👩‍👧‍👦👨‍👩‍👧‍👦…"),
        ("👨‍👩‍👧‍👦" * 3, 3, "👨‍👩‍👧‍👦" * 3),
    ],
)
def test_cut_counts_characters_as_people_do(text: str, length: int, expected: str) -> None:
    assert cut(text, length) == expected


def test_own_templates_win_and_a_missing_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hello.html").write_text("Hello {{ name }}")
    (tmp_path / "hello.txt").write_text("Hello {{ name }}")
    environment = templates(tmp_path)
    assert environment.get_template("hello.html").render(name="<b>") == "Hello &lt;b&gt;"
    assert environment.get_template("hello.txt").render(name="<b>") == "Hello <b>"
    with pytest.raises(UndefinedError):
        environment.get_template("hello.txt").render()
    with pytest.raises(TemplateNotFound):
        templates().get_template("hello.html")
