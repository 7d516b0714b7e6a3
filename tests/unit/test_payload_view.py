"""A payload as labelled parts: every leaf is shown or counted, and nothing hides or reads as something else."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.payload.changes import text_diff
from bot.domain.payload.fit import Room, fit
from bot.domain.payload.parts import Block, Diff, DiffLine, Items, Row, Section, Table, shown_leaves
from bot.domain.payload.sections import leaf_count
from bot.domain.payload.views import View, ViewField, payload_view

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
KEYS = st.text(max_size=8) | st.sampled_from(["a/b", "old", "new", "command", "diff", "id", "amount", "1"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def rows(payload: Any, **more: Any) -> dict[str, str]:
    """The rows at the top, by label."""
    [section] = payload_view(payload, **more)
    return {part.label: part.text for part in section.parts if isinstance(part, Row)}


@given(JSON)
def test_every_leaf_is_shown_exactly_once(payload: Any) -> None:
    assert shown_leaves(payload_view(payload)) == leaf_count(payload)


PATHS = ["/a~1b", "/old", "/old/new", "/command", "/id", "/1", "/1/2", "", "/amount", "/amount/id"]
FORMATS = ["text", "money", "date", "code", "diff", "table", "link", None]


@given(JSON, st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(FORMATS))))
def test_a_view_hides_nothing(payload: Any, paths: list[tuple[str, Any]]) -> None:
    view = View(
        name="x", fields=tuple(ViewField(path=path, format=look, currency="/id") for path, look in paths)
    )
    assert shown_leaves(payload_view(payload, view=view)) == leaf_count(payload)


@given(JSON, st.integers(0, 6), st.integers(0, 60), st.integers(1, 20), st.integers(0, 3))
def test_what_does_not_fit_is_counted(
    payload: Any, parts: int, characters: int, longest: int, table: int
) -> None:
    sections = payload_view(payload)
    fitted = fit(sections, Room(parts=parts, characters=characters, longest=longest, rows=table))
    assert 0 <= fitted.missing <= leaf_count(payload)
    assert fitted.complete == (fitted.sections == sections)


@given(JSON)
def test_no_text_hides_a_character_or_turns_the_direction(payload: Any) -> None:
    for section in payload_view(payload):
        for part in section.parts:
            texts = [part.label, part.key or "", *section.heading]
            match part:
                case Row() | Block():
                    texts.append(part.text)
                case Items():
                    texts += part.items
                case Table():
                    texts += [*part.columns, *(cell for row in part.rows for cell in row)]
                case Diff():
                    texts += [line.text for line in part.lines]
            for character in "".join(texts):
                hidden = unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}
                assert not hidden or character in "\n\t\u200c\u200d"


def test_words_for_members_and_values() -> None:
    assert rows(
        {
            "execution_date": "2026-12-03",
            "dryRun": False,
            "IBAN": "DE89",
            "customer_id": 123456,
            "note": None,
            "amount": 4821000,
        }
    ) == {
        "Execution date": "2026-12-03",
        "Dry run": "no",
        "IBAN": "DE89",
        "Customer ID": "123456",
        "Note": "–",
        "Amount": "4,821,000",
    }


def test_texts_never_read_as_other_values() -> None:
    assert rows({"a": "yes", "b": True, "c": "", "d": [], "e": {}, "f": "–", "g": " rm "}) == {
        "A": "“yes”",
        "B": "yes",
        "C": "(empty text)",
        "D": "(empty list)",
        "E": "(empty)",
        "F": "“–”",
        "G": "“ rm ”",
    }


def test_members_that_would_read_alike_show_their_names() -> None:
    [section] = payload_view({"dry_run": True, "dryRun": False})
    assert [(part.label, part.key) for part in section.parts] == [
        ("Dry run", "dry_run"),
        ("Dry run", "dryRun"),
    ]


def test_nested_values_stand_under_headings_after_what_stands_on_lines() -> None:
    sections = payload_view({"a": {"x": {"y": 1}, "z": 2}, "b": 3})
    assert [(section.heading, [part.label for part in section.parts]) for section in sections] == [
        ((), ["B"]),
        (("A",), ["Z"]),
        (("A", "X"), ["Y"]),
    ]


def test_like_objects_are_a_table() -> None:
    [section] = payload_view({"lines": [{"sku": "PAL-80", "qty": 120}, {"sku": "PAL-120", "vat": None}]})
    assert section.parts == (
        Table(
            label="Lines",
            columns=("SKU", "Qty", "VAT"),
            rows=(("PAL-80", "120", ""), ("PAL-120", "", "–")),
            leaves=4,
        ),
    )


def test_lists_of_short_values_are_items_and_a_list_may_be_all() -> None:
    assert payload_view(["a", 1, None]) == (Section((), (Items(label="", items=("a", "1", "–")),)),)


def test_commands_are_code_and_long_texts_keep_their_lines() -> None:
    [section] = payload_view({"command": "rm -rf /", "body": "Dear A,\n\nhello"})
    assert section.parts == (
        Block(label="Command", text="rm -rf /", code=True),
        Block(label="Body", text="Dear A,\n\nhello"),
    )


def test_an_edit_of_a_file_is_a_diff() -> None:
    [section] = payload_view(
        {"file_path": "a.py", "old_string": "x = 1\ny = 2", "new_string": "x = 1\ny = 3"}
    )
    assert section.parts == (
        Diff(
            label="Change",
            lines=(DiffLine(" ", "x = 1"), DiffLine("-", "y = 2"), DiffLine("+", "y = 3")),
            leaves=2,
        ),
        Row(label="File path", text="a.py"),
    )


def test_a_unified_diff_is_a_diff() -> None:
    [section] = payload_view({"diff": "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y"})
    [part] = section.parts
    assert isinstance(part, Diff)
    assert part.lines[-2:] == (DiffLine("-", "x"), DiffLine("+", "y"))


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_a_diff_has_both_texts(old: list[str], new: list[str]) -> None:
    lines = text_diff("\n".join(old), "\n".join(new))
    assert "\n".join(line.text for line in lines if line.sign != "+") == "\n".join(old)
    assert "\n".join(line.text for line in lines if line.sign != "-") == "\n".join(new)


def test_titles_of_a_form_label_its_fields() -> None:
    [section] = payload_view({"discount": 10}, titles={"discount": "Discount in %"})
    assert section.parts == (Row(label="Discount in %", key="discount", text="10"),)


def test_a_view_orders_and_formats() -> None:
    view = View(
        name="payment",
        fields=(
            ViewField(
                path="/amount/value", label="Amount", format="money", currency="/amount/currency", exponent=2
            ),
            ViewField(path="/due", format="date"),
            ViewField(path="/docs/0", label="Invoice", format="link"),
            ViewField(path="/nowhere"),
        ),
    )
    payload = {
        "due": "2026-12-03",
        "amount": {"value": 4821000, "currency": "EUR", "net": True},
        "docs": ["https://example.com/x", "b"],
    }
    sections = payload_view(payload, view=view)
    assert sections[0].parts == (
        Row(label="Amount", key="value", text="48,210.00 EUR", leaves=2),
        Row(label="Due", text="Thu 3 Dec 2026"),
        Row(label="Invoice", key="0", text="https://example.com/x", href="https://example.com/x"),
    )
    assert [(section.heading, section.parts) for section in sections[1:]] == [
        (("Amount",), (Row(label="Net", text="yes"),)),
        (("Docs",), (Row(label="2", text="b"),)),
    ]


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "https://exаmple.com", "http://x.example", "https://a@b.c/"]
)
def test_only_plain_https_addresses_are_links(value: str) -> None:
    view = View(name="x", fields=(ViewField(path="/u", format="link"),))
    [section] = payload_view({"u": value}, view=view)
    assert [part for part in section.parts if isinstance(part, Row) and part.href] == []


def test_a_long_value_says_how_much_is_missing() -> None:
    fitted = fit(payload_view({"body": "x" * 500}), Room(parts=9, characters=100, longest=50, rows=9))
    [section] = fitted.sections
    assert section.parts == (Block(label="Body", text="x" * 50 + " … (450 more characters)"),)
    assert fitted.missing == 1


def test_no_name_and_no_value_on_a_line_breaks_it() -> None:
    payload = {"a\nTo": 1, "amount": "5\nTo: Ana" + "\n" * 2, "x": [{"k\nTo": "v"}], "b\r\nTo": 2}
    titles = {"amount": "Sum\nTo: Eve", "b\r\nTo": "B"}
    views = [
        payload_view(payload, titles=titles),
        payload_view(payload, view=View(name="x", fields=CURRENCY)),
    ]
    for section in [section for view in views for section in view]:
        for part in section.parts:
            columns = part.columns if isinstance(part, Table) else ()
            texts = [part.label, part.key or "", *columns, part.text if isinstance(part, Row) else ""]
            assert "\n" not in "".join([*texts, *section.heading])


CURRENCY = (ViewField(path="/b\r\nTo", label="B", format="money", currency="/amount"),)
