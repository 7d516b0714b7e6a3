"""What stands in the fields of a message or a view, and what Slack's own client checks in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.sandbox.slack.block_kit.blockkit import elements_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.sandbox.slack.workspace import Json

VALUE_MEMBERS = {
    "plain_text_input": "value",
    "number_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "static_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}
"""Under which member Slack sends what stands in an element of each type."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"https?://\S+")


def options_of(element: Json) -> list[Json]:
    groups = element.get("option_groups", [])
    return [*element.get("options", []), *(option for group in groups for option in group["options"])]


def find_element(blocks: list[Json], wanted: str, value: str = "") -> tuple[Json, Json]:
    """The block and element with this label, button text or action_id, and with `value` in a button's value.

    Raises LookupError naming what is there.
    """
    names: list[str] = []
    for block, element in _elements(blocks):
        label = element.get("text") or block.get("label") or element.get("placeholder") or {}
        mine = [label.get("text", ""), element["action_id"]]
        if wanted in mine and value in element.get("value", ""):
            return block, element
        names += filter(None, mine)
    raise LookupError(
        f"there is no {wanted!r} here, only: {', '.join(names) or 'nothing to click or fill in'}"
    )


def element_by_id(blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json]:
    """The block and element with these ids. Raises LookupError when they are not there any more."""
    for block, element in _elements(blocks):
        if (block["block_id"], element["action_id"]) == (block_id, action_id):
            return block, element
    raise LookupError("that button or field is not there any more")


def chosen(element: Json, value: Any) -> Json:
    """How Slack writes `value` in this element; options are given by their label or their value."""
    member = VALUE_MEMBERS[element["type"]]
    if member == "selected_option" and value is not None:
        return {member: _option(element, value)}
    if member == "selected_options":
        return {member: [_option(element, one) for one in value or []]}
    if member == "value":
        return {member: None if value in (None, "") else str(value)}
    return {member: value}


def state_values(blocks: list[Json], filled: Mapping[str, Any] | None = None) -> Json:
    """`view.state.values`: what stands in each field, given what somebody filled in by label or action_id."""
    values: Json = {}
    for block, element in _stateful(blocks):
        member = VALUE_MEMBERS[element["type"]]
        initial = element.get("initial_" + member.removeprefix("selected_"))
        empty: list[Json] | None = [] if member in ("selected_options", "selected_users") else None
        entry = {"type": element["type"], member: empty if initial is None else initial}
        values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    for name, value in (filled or {}).items():
        block, element = find_element(blocks, name)
        values[block["block_id"]][element["action_id"]] |= chosen(element, value)
    return values


def filled_by_id(blocks: list[Json], filled: Mapping[str, Mapping[str, Any]]) -> Json:
    """As `state_values`, for what somebody filled in as `{block_id: {action_id: value}}`."""
    values = state_values(blocks)
    for block, element in _stateful(blocks):
        fields = filled.get(block["block_id"], {})
        if element["action_id"] in fields:
            answer = chosen(element, fields[element["action_id"]])
            values[block["block_id"]][element["action_id"]] |= answer
    return values


def client_faults(blocks: list[Json], values: Json) -> dict[str, str]:
    """What Slack's client says under the fields before it sends anything: `{block_id: message}`."""
    faults: dict[str, str] = {}
    for block in blocks:
        if block["type"] == "input":
            element = block["element"]
            entry = values[block["block_id"]][element["action_id"]]
            value = entry[VALUE_MEMBERS[element["type"]]]
            empty = value in (None, "", [])
            fault = None if empty else _fault(element, value)
            if empty and not block.get("optional"):
                fault = "Please complete this required field."
            if fault:
                faults[block["block_id"]] = fault
    return faults


def _fault(element: Json, value: Any) -> str | None:
    kind = element["type"]
    if kind == "email_text_input" and not _EMAIL.fullmatch(value):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not _URL.fullmatch(value):
        return "Please enter a valid URL."
    if kind == "number_input":
        return _number_fault(element, value)
    if kind == "plain_text_input":
        if len(value) > element.get("max_length", 3000):
            return f"Please enter at most {element.get('max_length', 3000)} characters."
        if len(value) < element.get("min_length", 0):
            return f"Please enter at least {element['min_length']} characters."
    return None


def _number_fault(element: Json, value: str) -> str | None:
    pattern = r"-?\d+(\.\d+)?" if element["is_decimal_allowed"] else r"-?\d+"
    if not re.fullmatch(pattern, value):
        return "Please enter a number." if element["is_decimal_allowed"] else "Please enter a whole number."
    if "min_value" in element and float(value) < float(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if "max_value" in element and float(value) > float(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return None


def _option(element: Json, wanted: Any) -> Json:
    """The option as Slack sends it back: its text and its value."""
    for option in options_of(element):
        if wanted in (option["value"], option["text"]["text"]):
            return {"text": option["text"], "value": option["value"]}
    labels = ", ".join(option["text"]["text"] for option in options_of(element))
    raise LookupError(f"there is no option {wanted!r}, only: {labels}")


def _elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    return ((block, element) for block in blocks for element in elements_of(block))


def _stateful(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    without_state = ("button", "overflow")
    return ((block, item) for block, item in _elements(blocks) if item["type"] not in without_state)
