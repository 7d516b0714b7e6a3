"""Form fields as Slack inputs, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.forms import forms
from bot.sandbox.slack.block_kit.blockkit import texts, view_faults
from bot.sandbox.slack.inputs import state_values
from bot.slack.inbound.payloads import View
from bot.slack.render import cards, form_inputs, modals
from tests.support.slack_requests import NASTY, NOW, asked

if TYPE_CHECKING:
    from bot.domain.model.request import Request
    from bot.slack.render.text import Block


def form(payload: dict[str, Any], required: tuple[str, ...] = (), **properties: dict[str, Any]) -> Request:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return asked(payload=payload, form=schema)


def element(request: Request) -> Block:
    [block] = form_inputs.inputs(request)
    found: Block = block["element"]
    return found


def submitted(request: Request, **typed: Any) -> dict[str, Any]:
    """The values that come of a form as it opens, with this typed into it by title."""
    view = modals.answer_modal(request, "edit")
    state = state_values(_with_ids(view["blocks"]), typed)
    entered = View.model_validate({"state": {"values": state}}).entered
    values, faults = forms.read(request, form_inputs.typed(request, entered))
    assert faults == []
    return values


def _with_ids(blocks: list[Block]) -> list[Block]:
    return [{"block_id": str(number), **block} for number, block in enumerate(blocks)]


@pytest.mark.parametrize(
    ("schema", "required", "kind"),
    [
        ({"type": "string"}, True, "plain_text_input"),
        ({"type": "string", "format": "email"}, True, "email_text_input"),
        ({"type": "string", "format": "uri"}, True, "url_text_input"),
        ({"type": "string", "format": "date"}, True, "datepicker"),
        ({"type": "integer"}, True, "number_input"),
        ({"type": "boolean"}, True, "radio_buttons"),
        ({"type": "boolean"}, False, "static_select"),
        ({"enum": ["a", "b"]}, True, "radio_buttons"),
        ({"enum": [*"abcdefgh"]}, True, "static_select"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, False, "checkboxes"),
        ({"type": "array", "items": {"enum": [*"abcdefgh"]}}, False, "multi_static_select"),
    ],
)
def test_each_kind_has_its_element(schema: dict[str, Any], kind: str, *, required: bool) -> None:
    request = form({}, ("x",) if required else (), x=schema)
    assert element(request)["type"] == kind
    assert view_faults(modals.answer_modal(request, "edit")) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "  two\nlines "),
        ({"type": "number"}, 1e-7),
        ({"type": "integer"}, 9007199254740991),
        ({"type": "string", "format": "date"}, "2026-12-24"),
        ({"type": "boolean"}, False),
        ({"enum": [1, "1", None, 2.5]}, 2.5),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["b"]),
        ({"type": "string"}, "x" * 4000),
        ({"type": "string", "readOnly": True}, "8841"),
    ],
)
def test_what_nobody_touches_stays_as_it_is(schema: dict[str, Any], value: object) -> None:
    request = form({"x": value}, ("x",), x=schema)
    assert submitted(request) == {}
    assert view_faults(modals.answer_modal(request, "edit")) == []


def test_what_is_typed_becomes_values() -> None:
    titled = {"oneOf": [{"const": 5, "title": "A week"}, {"const": 30, "title": "A month"}], "title": "For"}
    request = form(
        {"n": 1, "t": "old"}, (), n={"type": "number", "title": "N"}, t={"type": "string"}, f=titled
    )
    assert submitted(request, N="2.5", T="", For="A month") == {"n": 2.5, "t": None, "f": 30}


@pytest.mark.thorough
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_nasty_forms_are_views_that_slack_takes(text: str) -> None:
    text = text or "?"
    schema = {"type": "string", "title": text, "description": text}
    options = {"enum": [f"{text}{n}" for n in range(9)], "title": text}
    properties = {f"{text}{n}": schema if n % 2 else options for n in range(50)}
    request = form({f"{text}1": text}, (), **properties)
    assert view_faults(modals.answer_modal(request, "edit", changed=[text] * 20)) == []


def test_a_form_that_is_too_much_for_slack_says_where_else_to_answer() -> None:
    options = {"enum": [f"{'€' * 70}{n}" for n in range(100)]}
    request = form({}, (), **{f"x{n}": options for n in range(50)})
    view = modals.answer_modal(request, "edit")
    assert "by the link in your mail" in str(view)
    assert view_faults(view) == []


def test_a_form_that_slack_cannot_show_is_answered_elsewhere_and_the_card_says_so() -> None:
    many = {f"field{n}": {"type": "string"} for n in range(200)}
    few = dict(list(many.items())[:10])
    for properties, fits in ((many, False), (few, True)):
        request = form({}, **properties)
        view = modals.answer_modal(request, "edit")
        assert view_faults(view) == []
        assert ("input" in {block["type"] for block in view["blocks"]}) is fits
        said = "\n".join(texts(cards.card(request, NOW).blocks))
        assert ("200 fields, more than Slack can show" in said) is not fits
