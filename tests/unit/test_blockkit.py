"""The sandbox's Block Kit rules: each limit holds at its edge, and faults read as Slack's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models import blocks as sdk

from bot.sandbox.slack.block_kit.blockkit import block_faults, text_length, view_faults

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def plain(length: int) -> Json:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int) -> Json:
    return {"type": "mrkdwn", "text": "x" * length}


def button(**members: Any) -> Json:
    return {"type": "button", "text": plain(5), **members}


def option(text: int = 3, value: int = 3, **members: Any) -> Json:
    return {"text": plain(text), "value": "v" * value, **members}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def confirm(title: int = 5, text: int = 5, yes: int = 5) -> Json:
    return {"title": plain(title), "text": plain(text), "confirm": plain(yes), "deny": plain(2)}


def field(element: Json, label: int = 5, **members: Any) -> Json:
    return {"type": "input", "label": plain(label), "element": element, **members}


def modal(*blocks: Json, **members: Any) -> Json:
    return {"type": "modal", "title": plain(5), "submit": plain(5), "blocks": list(blocks), **members}


TEXT_INPUT = {"type": "plain_text_input"}
SECTION = {"type": "section", "text": mrkdwn(10)}
ROW = [{"type": "raw_text", "text": "cell"}]

LIMITS_OF_BLOCKS: dict[str, tuple[int, Callable[[int], Json]]] = {
    "header": (150, lambda n: {"type": "header", "text": plain(n)}),
    "section text": (3000, lambda n: {"type": "section", "text": mrkdwn(n)}),
    "section fields": (10, lambda n: {"type": "section", "fields": [mrkdwn(2)] * n}),
    "section field": (2000, lambda n: {"type": "section", "fields": [mrkdwn(n)]}),
    "context elements": (10, lambda n: {"type": "context", "elements": [mrkdwn(2)] * n}),
    "actions elements": (25, lambda n: actions(*[button()] * n)),
    "block_id": (255, lambda n: {"type": "divider", "block_id": "b" * n}),
    "action_id": (255, lambda n: actions(button(action_id="a" * n))),
    "button text": (75, lambda n: actions({"type": "button", "text": plain(n)})),
    "button value": (2000, lambda n: actions(button(value="v" * n))),
    "confirm title": (100, lambda n: actions(button(confirm=confirm(title=n)))),
    "confirm text": (300, lambda n: actions(button(confirm=confirm(text=n)))),
    "confirm button": (30, lambda n: actions(button(confirm=confirm(yes=n)))),
    "option text": (75, lambda n: actions({"type": "static_select", "options": [option(text=n)]})),
    "option value": (75, lambda n: actions({"type": "static_select", "options": [option(value=n)]})),
    "option description": (
        75,
        lambda n: actions({"type": "radio_buttons", "options": [option(description=plain(n))]}),
    ),
    "overflow options": (5, lambda n: actions({"type": "overflow", "options": [option()] * n})),
    "select options": (100, lambda n: actions({"type": "static_select", "options": [option()] * n})),
    "radio options": (10, lambda n: actions({"type": "radio_buttons", "options": [option()] * n})),
    "checkbox options": (10, lambda n: actions({"type": "checkboxes", "options": [option()] * n})),
    "input label": (2000, lambda n: field(TEXT_INPUT, label=n)),
    "input hint": (2000, lambda n: field(TEXT_INPUT, hint=plain(n))),
    "placeholder": (150, lambda n: field({**TEXT_INPUT, "placeholder": plain(n)})),
    "max_length": (3000, lambda n: field({**TEXT_INPUT, "max_length": n})),
    "table rows": (100, lambda n: {"type": "table", "rows": [ROW] * n}),
    "table cells": (20, lambda n: {"type": "table", "rows": [ROW * n]}),
    "markdown": (12_000, lambda n: {"type": "markdown", "text": "x" * n}),
}


@pytest.mark.parametrize("name", LIMITS_OF_BLOCKS)
def test_a_block_may_be_as_large_as_slack_allows_and_no_larger(name: str) -> None:
    most, make = LIMITS_OF_BLOCKS[name]

    assert block_faults([make(most)]) == []
    assert len(block_faults([make(most + 1)])) == 1


@pytest.mark.parametrize(
    ("most", "make"),
    [
        (150, lambda n: sdk.HeaderBlock(text=sdk.PlainTextObject(text="x" * n))),
        (3000, lambda n: sdk.SectionBlock(text=sdk.MarkdownTextObject(text="x" * n))),
        (10, lambda n: sdk.SectionBlock(fields=[sdk.MarkdownTextObject(text="x")] * n)),
        (10, lambda n: sdk.ContextBlock(elements=[sdk.MarkdownTextObject(text="x")] * n)),
        (
            25,
            lambda n: sdk.ActionsBlock(
                elements=[sdk.ButtonElement(text="x", action_id=f"{i}") for i in range(n)]
            ),
        ),
        (75, lambda n: sdk.ActionsBlock(elements=[sdk.ButtonElement(text="x" * n)])),
        (2000, lambda n: sdk.ActionsBlock(elements=[sdk.ButtonElement(text="x", value="x" * n)])),
        (255, lambda n: sdk.DividerBlock(block_id="x" * n)),
        (2000, lambda n: sdk.InputBlock(label="x" * n, element=sdk.PlainTextInputElement())),
    ],
)
def test_slacks_own_sdk_has_the_same_limits(most: int, make: Callable[[int], sdk.Block]) -> None:
    assert block_faults([make(most).to_dict()]) == []
    with pytest.raises(SlackObjectFormationError):
        make(most + 1).to_dict()


@pytest.mark.parametrize(("surface", "most"), [("message", 50), ("modal", 100), ("home", 100)])
def test_a_surface_holds_so_many_blocks(surface: Any, most: int) -> None:
    assert block_faults([SECTION] * most, surface) == []
    assert block_faults([SECTION] * (most + 1), surface) == [
        f"[ERROR] no more than {most} items allowed [json-pointer:/blocks]"
    ]


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (
            {"type": "section", "text": mrkdwn(0)},
            "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
        ),
        ({"type": "section"}, "missing required field: text [json-pointer:/blocks/0]"),
        ({"text": plain(1)}, "missing required field: type [json-pointer:/blocks/0]"),
        ({"type": "sektion"}, "unsupported type: sektion [json-pointer:/blocks/0/type]"),
        (actions({"type": "knob"}), "unsupported type: knob [json-pointer:/blocks/0/elements/0/type]"),
        (actions(), "no less than 1 items allowed [json-pointer:/blocks/0/elements]"),
        (
            {"type": "header", "text": mrkdwn(3)},
            "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
        ),
        ({**SECTION, "colour": "red"}, "invalid additional property: colour [json-pointer:/blocks/0]"),
        (
            actions(button(style="green")),
            "must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]",
        ),
        (
            actions(button(disabled=True)),
            "invalid additional property: disabled [json-pointer:/blocks/0/elements/0]",
        ),
        (
            actions(button(action_id="a"), button(action_id="a")),
            "`action_id` 'a' already exists for another element [json-pointer:/blocks/0]",
        ),
        (
            field({"type": "number_input"}),
            "missing required field: is_decimal_allowed [json-pointer:/blocks/0/element]",
        ),
        (
            field({"type": "number_input", "is_decimal_allowed": True, "min_value": 0}),
            "must provide a number as a string [json-pointer:/blocks/0/element/min_value]",
        ),
        (
            actions({"type": "static_select", "options": [option()], "initial_option": option(value=4)}),
            "initial option must match an option exactly [json-pointer:/blocks/0/elements/0]",
        ),
        (
            field({**TEXT_INPUT, "max_length": 3, "initial_value": "long"}),
            "must be less than 4 characters [json-pointer:/blocks/0/element/initial_value]",
        ),
        ("text", "must provide an object [json-pointer:/blocks/0]"),
    ],
)
def test_faults_are_worded_and_pointed_at_as_slack_does(block: Any, fault: str) -> None:
    assert block_faults([block]) == [f"[ERROR] {fault}"]


def test_block_ids_are_unique_in_a_message() -> None:
    twice = [{"type": "divider", "block_id": "line"}] * 2

    assert block_faults(twice) == [
        "[ERROR] `block_id` 'line' already exists for another block [json-pointer:/blocks]"
    ]


def test_the_same_action_may_stand_in_two_blocks() -> None:
    assert block_faults([actions(button(action_id="approve")), actions(button(action_id="approve"))]) == []


def test_one_table_a_message_and_so_much_markdown_in_all() -> None:
    table = {"type": "table", "rows": [ROW]}
    half = {"type": "markdown", "text": "x" * 6001}

    assert block_faults([table, table]) == ["[ERROR] only one table allowed [json-pointer:/blocks]"]
    assert len(block_faults([half, half])) == 1
    assert len(block_faults([table], "modal")) == 1


def test_rich_text_with_every_kind_of_part_is_valid() -> None:
    parts = [
        {"type": "text", "text": "bold", "style": {"bold": True}},
        {"type": "link", "url": "https://example.com", "text": "here"},
        {"type": "user", "user_id": "U1"},
        {"type": "date", "timestamp": 1_790_000_000, "format": "{date}", "fallback": "soon"},
    ]
    section = {"type": "rich_text_section", "elements": parts}
    elements = [
        section,
        {"type": "rich_text_list", "style": "bullet", "elements": [section]},
        {"type": "rich_text_preformatted", "elements": parts[:1]},
        {"type": "rich_text_quote", "elements": parts},
    ]

    assert block_faults([{"type": "rich_text", "elements": elements}]) == []
    empty = {"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}
    assert len(block_faults([{"type": "rich_text", "elements": [empty]}])) == 1


@pytest.mark.parametrize(
    ("member", "most", "value"),
    [
        ("title", 24, plain),
        ("submit", 24, plain),
        ("close", 24, plain),
        ("private_metadata", 3000, lambda n: "m" * n),
        ("callback_id", 255, lambda n: "c" * n),
    ],
)
def test_a_view_keeps_its_limits(member: str, most: int, value: Callable[[int], Any]) -> None:
    assert view_faults(modal(SECTION, **{member: value(most)})) == []
    (fault,) = view_faults(modal(SECTION, **{member: value(most + 1)}))
    assert f"[json-pointer:/view/{member}" in fault


def test_a_view_with_inputs_needs_a_submit_button() -> None:
    view = modal(field(TEXT_INPUT))
    assert view_faults(view) == []
    del view["submit"]

    assert view_faults(view) == ["[ERROR] missing required field: submit [json-pointer:/view]"]


def test_the_faults_of_a_view_point_into_it() -> None:
    assert view_faults(modal({"type": "header", "text": plain(151)})) == [
        "[ERROR] must be less than 151 characters [json-pointer:/view/blocks/0/text/text]"
    ]
    assert view_faults({"type": "window", "blocks": []}) == [
        "[ERROR] unsupported type: window [json-pointer:/view/type]"
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "elements", "element", "options", "fields", "blocks", "label", "block_id"]
            ),
            inner
            | st.sampled_from(["section", "actions", "input", "button", "static_select", "modal", "mrkdwn"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.thorough
@given(JSON)
def test_whatever_an_app_sends_gets_faults_and_not_an_exception(value: Any) -> None:
    assert all(fault.startswith("[ERROR] ") for fault in block_faults([value]) + view_faults(value))


def test_text_of_all_blocks_counts_together() -> None:
    listed = {"type": "rich_text_section", "elements": [{"type": "text", "text": "four"}]}

    assert (
        text_length([SECTION, actions(button()), {"type": "rich_text", "elements": [listed]}]) == 10 + 5 + 4
    )
