"""Foreign words in Slack: literal, harmless, and cut where people would cut them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.slack.block_kit.blockkit import block_faults, texts
from bot.slack.render.markdown import markdown
from bot.slack.render.text import clip, date, escape, inline, listed, localised, pieces, plain_text, weight

ANYTHING = st.text(st.characters(codec="utf-8"), max_size=300)
AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def test_mrkdwn_is_escaped_exactly_once() -> None:
    assert escape("<@U1> & &lt;!channel>") == "&lt;@U1&gt; &amp; &amp;lt;!channel&gt;"


def test_one_line_keeps_neither_line_breaks_nor_turned_directions() -> None:
    assert plain_text("pay\u202e 001\r\n\tnow\x00", 75)["text"] == "pay 001 now"


def test_a_text_of_nothing_visible_is_still_a_text() -> None:
    assert plain_text("\u202e \n", 75)["text"] == "(blank)"
    assert inline("\u200f", 75) == "(blank)"


def test_a_cut_never_splits_what_people_see_as_one_character() -> None:
    family = "👨‍👩‍👧"
    assert clip(family * 3, 17) == family * 2 + "…"


@given(ANYTHING, st.integers(1, 60))
def test_a_cut_fits_shows_itself_and_keeps_whole_graphemes(text: str, limit: int) -> None:
    cut = clip(text, limit)
    assert weight(cut) <= limit
    if cut != text:
        assert cut.endswith("…")
        assert text.startswith(cut[:-1])
        kept = regex.findall(r"\X", cut[:-1])
        assert kept == regex.findall(r"\X", text)[: len(kept)]


@given(ANYTHING, st.integers(4, 40))
def test_pieces_are_the_whole_text_in_parts_that_fit(text: str, size: int) -> None:
    parts = list(pieces(text, size))
    assert "".join(parts) == text
    assert all(0 < weight(part) <= size for part in parts)


@given(ANYTHING, st.integers(1, 60))
def test_foreign_words_in_mrkdwn_fit_once_escaped_and_hold_no_live_syntax(text: str, limit: int) -> None:
    shown = inline(text, max(limit, 7))
    assert weight(shown) <= max(limit, 7)
    assert not regex.search("[<>\n]", shown)


def test_names_are_listed_as_people_would() -> None:
    assert [listed(list(names)) for names in ("", "a", "ab", "abc", "abcdefgh")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c, d, e and 3 more",
    ]


def test_an_instant_shows_each_viewers_own_time_zone() -> None:
    token = "<!date^1795248000^{date_short_pretty} {time}|2026-11-21 08:00 UTC>"
    assert date(AT) == token
    assert (
        localised("Approved by <Ana> at 2026-11-21 08:00 UTC", AT, 99) == f"Approved by &lt;Ana&gt; · {token}"
    )


def words(source: str) -> str:
    block = markdown(source)
    return "".join(texts(block)) if block else ""


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<!channel> @here <@U1>", "<!channel> @here <@U1>"),
        ("[click](https://evil.example/ü)", "click (https://evil.example/ü)"),
        ("<https://a.example>", "https://a.example"),
        ("![pixel](https://track.example/x.png)", "!pixel (https://track.example/x.png)"),
        ("[a]: https://evil.example\n[a]", "[a]: https://evil.example\n[a]"),
        ("pay &#8238;001 &lt;b&gt;", "pay 001 <b>"),
        ("<script>x</script>", "<script>x</script>"),
        ("one\ntwo\n\nthree", "one\ntwo\n\nthree"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
    ],
)
def test_markdown_shows_every_word_and_nothing_hidden(source: str, shown: str) -> None:
    assert words(source) == shown


def test_markdown_keeps_its_styles_lists_and_code() -> None:
    block = markdown(
        "# Plan\n\n**now** *soon* ~~never~~ `rm`\n\n3. one\n   - two\n4. three\n\n> said\n\n```\nx <y>\n```"
    )
    assert block
    section, first, nested, second, quote, code = block["elements"]
    styles = {e["text"]: e["style"] for e in section["elements"] if "style" in e}
    assert styles == {
        "Plan": {"bold": True},
        "now": {"bold": True},
        "soon": {"italic": True},
        "never": {"strike": True},
        "rm": {"code": True},
    }
    assert [(x["style"], x["indent"], x.get("offset")) for x in (first, nested, second)] == [
        ("ordered", 0, 2),
        ("bullet", 1, None),
        ("ordered", 0, 3),
    ]
    assert (quote["type"], code["type"]) == ("rich_text_quote", "rich_text_preformatted")
    assert code["elements"] == [{"type": "text", "text": "x <y>"}]


@given(st.one_of(ANYTHING, st.text("*_`~[]()<>!#->.1\n &;ab", max_size=200)))
def test_any_markdown_is_a_block_that_slack_takes(source: str) -> None:
    block = markdown(source)
    assert block_faults([block] if block else []) == []
