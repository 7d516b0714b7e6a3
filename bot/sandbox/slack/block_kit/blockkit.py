"""Slack's Block Kit rules as tables: https://docs.slack.dev/reference/block-kit.

`block_faults` and `view_faults` answer with Slack's own wording of each fault; an empty list means valid.
Left out on purpose: blocks and elements that need files, calls, workflows or an options-load URL.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from bot.sandbox.slack.block_kit.shapes import (
    Rule,
    Shape,
    anything,
    boolean,
    by_type,
    fault,
    many,
    numeral,
    one_of,
    string,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Rules = dict[str, Rule]
Surface = Literal["message", "modal", "home"]
MOST_BLOCKS: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MOST_TEXT = 13_000
"""Characters of text in all blocks of a message; undocumented by Slack, measured."""
MOST_MARKDOWN = 12_000
"""Characters in all `markdown` blocks of a message."""
MOST_VIEW_BYTES = 250_000


# Text and other composition objects.


def _plain(most: int) -> Rule:
    return by_type({"plain_text": Shape({"text": string(most, 1)}, {"emoji": boolean})})


def _text(most: int) -> Rule:
    plain = Shape({"text": string(most, 1)}, {"emoji": boolean})
    return by_type({"plain_text": plain, "mrkdwn": Shape({"text": string(most, 1)}, {"verbatim": boolean})})


_CONFIRM = Shape(
    {"title": _plain(100), "text": _text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": one_of("primary", "danger")},
)


def _option(text: Rule) -> Rule:
    return Shape({"text": text, "value": string(75, 1)}, {"description": _text(75), "url": string(3000, 1)})


_OPTION = _option(_plain(75))
_RICH_OPTION = _option(_text(75))
_OPTION_GROUP = Shape({"label": _plain(75), "options": many(_OPTION, 100)})


def _has_options(value: dict[str, Any], pointer: str) -> Iterator[str]:
    if ("options" in value) == ("option_groups" in value):
        yield fault("must provide exactly one of: options, option_groups", pointer)


def _initial_is_an_option(value: dict[str, Any], pointer: str) -> Iterator[str]:
    groups = [value, *_objects(value.get("option_groups"))]
    options = [option for group in groups for option in _objects(group.get("options"))]
    chosen = [value[key] for key in ("initial_option",) if key in value]
    chosen += _objects(value.get("initial_options"))
    if any(option not in options for option in chosen):
        yield fault("initial option must match an option exactly", pointer)


# Elements.

_COMMON: Rules = {"action_id": string(255, 1), "confirm": _CONFIRM, "focus_on_load": boolean}
_ASKED: Rules = {**_COMMON, "placeholder": _plain(150)}
_TYPED: Rules = {
    "action_id": string(255, 1),
    "placeholder": _plain(150),
    "focus_on_load": boolean,
    "dispatch_action_config": anything,
}


def _select(*, several: bool) -> Shape:
    initial: Rules = {"initial_options": many(_OPTION, 100)} if several else {"initial_option": _OPTION}
    more: Rules = {"max_selected_items": whole_number(1, 100)} if several else {}
    return Shape(
        {},
        _ASKED | initial | more | {"options": many(_OPTION, 100), "option_groups": many(_OPTION_GROUP, 100)},
        (_has_options, _initial_is_an_option),
    )


def _lengths_agree(value: dict[str, Any], pointer: str) -> Iterator[str]:
    most, initial = value.get("max_length"), value.get("initial_value")
    if isinstance(most, int) and isinstance(initial, str) and len(initial) > most:
        yield fault(f"must be less than {most + 1} characters", f"{pointer}/initial_value")


_BUTTON = Shape(
    {"text": _plain(75)},
    {
        "action_id": string(255, 1),
        "confirm": _CONFIRM,
        "value": string(2000),
        "url": string(3000, 1),
        "style": one_of("primary", "danger"),
        "accessibility_label": string(75, 1),
    },
)
_IMAGE = Shape({"image_url": string(3000, 1), "alt_text": string(2000, 1)})
_CHOICES: Rules = {
    "static_select": _select(several=False),
    "multi_static_select": _select(several=True),
    "users_select": Shape({}, _ASKED | {"initial_user": string(255, 1)}),
    "multi_users_select": Shape(
        {},
        _ASKED | {"initial_users": many(string(255, 1), 100), "max_selected_items": whole_number(1, 100)},
    ),
    "checkboxes": Shape(
        {"options": many(_RICH_OPTION, 10)},
        _COMMON | {"initial_options": many(_RICH_OPTION, 10)},
        (_initial_is_an_option,),
    ),
    "radio_buttons": Shape(
        {"options": many(_RICH_OPTION, 10)},
        _COMMON | {"initial_option": _RICH_OPTION},
        (_initial_is_an_option,),
    ),
    "datepicker": Shape({}, _ASKED | {"initial_date": string(10, 10)}),
    "timepicker": Shape({}, _ASKED | {"initial_time": string(5, 5), "timezone": string(255, 1)}),
    "datetimepicker": Shape({}, _COMMON | {"initial_date_time": whole_number(1_000_000_000, 9_999_999_999)}),
}
_ACTIONS: Rules = {
    "button": _BUTTON,
    "overflow": Shape({"options": many(_OPTION, 5)}, {"action_id": string(255, 1), "confirm": _CONFIRM}),
    **_CHOICES,
}
_INPUTS: Rules = {
    "plain_text_input": Shape(
        {},
        _TYPED
        | {
            "initial_value": string(3000),
            "multiline": boolean,
            "min_length": whole_number(0, 3000),
            "max_length": whole_number(1, 3000),
        },
        (_lengths_agree,),
    ),
    "number_input": Shape(
        {"is_decimal_allowed": boolean},
        _TYPED | {"initial_value": numeral, "min_value": numeral, "max_value": numeral},
    ),
    "email_text_input": Shape({}, _TYPED | {"initial_value": string(3000)}),
    "url_text_input": Shape({}, _TYPED | {"initial_value": string(3000)}),
    **_CHOICES,
}


# Rich text.

_STYLE = Shape({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean))
_STYLED: Rules = {"style": _STYLE}
_INLINE = by_type(
    {
        "text": Shape({"text": string(3000, 1)}, _STYLED),
        "link": Shape({"url": string(3000, 1)}, _STYLED | {"text": string(3000, 1), "unsafe": boolean}),
        "emoji": Shape(
            {"name": string(255, 1)}, {"unicode": string(255), "skin_tone": whole_number(1, 6)} | _STYLED
        ),
        "user": Shape({"user_id": string(255, 1)}, _STYLED),
        "channel": Shape({"channel_id": string(255, 1)}, _STYLED),
        "usergroup": Shape({"usergroup_id": string(255, 1)}, _STYLED),
        "broadcast": Shape({"range": one_of("here", "channel", "everyone")}, _STYLED),
        "date": Shape(
            {"timestamp": whole_number(0, 9_999_999_999), "format": string(255, 1)},
            _STYLED | {"url": string(3000, 1), "fallback": string(3000, 1)},
        ),
    }
)
_INLINES = many(_INLINE, 10_000, 0)
_BORDER: Rules = {"border": whole_number(0, 1)}
_RICH_SECTION = Shape({"elements": _INLINES})
_RICH_TEXT: Rules = {
    "rich_text_section": _RICH_SECTION,
    "rich_text_preformatted": Shape({"elements": _INLINES}, _BORDER),
    "rich_text_quote": Shape({"elements": _INLINES}, _BORDER),
    "rich_text_list": Shape(
        {
            "style": one_of("bullet", "ordered"),
            "elements": many(by_type({"rich_text_section": _RICH_SECTION}), 1000),
        },
        _BORDER | {"indent": whole_number(0, 8), "offset": whole_number(0, 10_000)},
    ),
}


# Blocks.


def _has_text(value: dict[str, Any], pointer: str) -> Iterator[str]:
    if "text" not in value and "fields" not in value:
        yield fault("missing required field: text", pointer)


_ID: Rules = {"block_id": string(255, 1)}
_RICH_TEXT_BLOCK = Shape({"elements": many(by_type(_RICH_TEXT), 1000, 0)}, _ID)
_CELL = by_type({"raw_text": Shape({"text": string(3000, 1)}), "rich_text": _RICH_TEXT_BLOCK})
_EVERYWHERE: Rules = {
    "header": Shape({"text": _plain(150)}, _ID),
    "section": Shape(
        {},
        _ID
        | {
            "text": _text(3000),
            "fields": many(_text(2000), 10),
            "accessory": by_type({**_ACTIONS, "image": _IMAGE}),
            "expand": boolean,
        },
        (_has_text,),
    ),
    "context": Shape(
        {
            "elements": many(
                by_type(
                    {
                        "plain_text": _plain(3000),
                        "mrkdwn": _text(3000),
                        "image": _IMAGE,
                    }
                ),
                10,
            )
        },
        _ID,
    ),
    "actions": Shape({"elements": many(by_type(_ACTIONS), 25)}, _ID),
    "divider": Shape({}, _ID),
    "image": Shape(
        {"image_url": string(3000, 1), "alt_text": string(2000, 1)}, _ID | {"title": _plain(2000)}
    ),
    "rich_text": _RICH_TEXT_BLOCK,
    "input": Shape(
        {"label": _plain(2000), "element": by_type(_INPUTS)},
        _ID | {"hint": _plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
}
_ONLY_IN_MESSAGES: Rules = {
    "markdown": Shape({"text": string(MOST_MARKDOWN, 1)}, _ID),
    "table": Shape({"rows": many(many(_CELL, 20), 100)}, _ID | {"column_settings": many(anything, 20, 0)}),
}


def block_faults(blocks: Any, surface: Surface = "message", pointer: str = "/blocks") -> list[str]:
    """What Slack finds wrong with a list of blocks, in its words."""
    kinds = _EVERYWHERE | (_ONLY_IN_MESSAGES if surface == "message" else {})
    faults = list(many(by_type(kinds), MOST_BLOCKS[surface], 0)(blocks, pointer))
    if faults:
        return faults
    return [*_clashing_ids(blocks, pointer), *_message_wide(blocks, pointer)]


def view_faults(view: Any) -> list[str]:
    """What Slack finds wrong with a modal or a Home tab, in its words."""
    common: Rules = {
        "private_metadata": string(3000),
        "callback_id": string(255),
        "external_id": string(255),
    }
    modal: Rules = {"submit": _plain(24), "close": _plain(24)} | dict.fromkeys(
        ("clear_on_close", "notify_on_close", "submit_disabled"), boolean
    )
    blocks: Rules = {"blocks": anything}
    shape = by_type(
        {
            "modal": Shape({"title": _plain(24)} | blocks, common | modal, (_submit_for_inputs,)),
            "home": Shape(blocks, common),
        }
    )
    faults = list(shape(view, "/view"))
    if isinstance(view, dict) and "blocks" in view:
        surface: Surface = "home" if view.get("type") == "home" else "modal"
        faults += block_faults(view["blocks"], surface, "/view/blocks")
    return faults


def text_length(blocks: list[dict[str, Any]]) -> int:
    """Characters of text in all blocks together, which Slack bounds by about `MOST_TEXT`."""
    return sum(len(text) for text in texts(blocks))


def texts(value: Any) -> Iterator[str]:
    """Every piece of text in blocks, in reading order."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "text" and isinstance(member, str):
                yield member
            else:
                yield from texts(member)


def elements_of(block: dict[str, Any]) -> list[dict[str, Any]]:
    """The interactive elements of one block: of an `actions`, a section's accessory, an input's element."""
    if block["type"] == "actions":
        return _objects(block.get("elements"))
    found = [block[name] for name in ("accessory", "element") if name in block]
    return [element for element in found if element.get("type") != "image"]


def _clashing_ids(blocks: list[dict[str, Any]], pointer: str) -> Iterator[str]:
    for block_id in _repeated(block["block_id"] for block in blocks if "block_id" in block):
        yield fault(f"`block_id` {block_id!r} already exists for another block", pointer)
    for index, block in enumerate(blocks):
        ids = (element["action_id"] for element in elements_of(block) if "action_id" in element)
        for action_id in _repeated(ids):
            yield fault(f"`action_id` {action_id!r} already exists for another element", f"{pointer}/{index}")


def _message_wide(blocks: list[dict[str, Any]], pointer: str) -> Iterator[str]:
    if sum(block["type"] == "table" for block in blocks) > 1:
        yield fault("only one table allowed", pointer)
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MOST_MARKDOWN:
        yield fault(f"markdown must be less than {MOST_MARKDOWN + 1} characters in all", pointer)


def _submit_for_inputs(view: dict[str, Any], pointer: str) -> Iterator[str]:
    inputs = any(block.get("type") == "input" for block in _objects(view.get("blocks")))
    if inputs and "submit" not in view:
        yield fault("missing required field: submit", pointer)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _repeated(values: Iterator[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
