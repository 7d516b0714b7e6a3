"""The inbox: in the Home tab and as the answer to `/approvals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.rendering import plain, pretty_json
from bot.slack import details
from bot.slack.cards import actions, is_open
from bot.slack.text import (
    Block,
    clip,
    context,
    header,
    paragraph,
    preformatted,
    rich_text,
    run,
    section,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bot.domain.request import Request

MAX_HOME = 20
"""Requests on the Home tab, which holds 100 blocks."""
MAX_BLOCKS = 47
"""Blocks of entries in one message: Slack takes 50, and the heading and what is left out need theirs."""
MAX_TEXT = 8000
"""Characters of entries in one message."""


def home(requests: Sequence[Request], more: int, now: datetime) -> Block:
    """The Home tab of somebody for whom `requests` wait, and `more` that are not among them."""
    blocks = [header("Waiting for you")]
    for request in requests[:MAX_HOME]:
        blocks += [*_entry(request, now), {"type": "divider"}]
    if not requests:
        blocks.append(section("✨ Nothing waits for you. New requests appear here and in Messages."))
    blocks += _left_out(more + max(0, len(requests) - MAX_HOME))
    return {"type": "home", "blocks": blocks}


def inbox_blocks(requests: Sequence[Request], heading: str, now: datetime) -> list[Block]:
    """As many of `requests` as one message holds, each with its buttons, under `heading`."""
    blocks: list[Block] = []
    shown = 0
    for request in requests:
        entry = _entry(request, now)
        if len(blocks) + len(entry) > MAX_BLOCKS or _text([*blocks, *entry]) > MAX_TEXT:
            break
        blocks += entry
        shown += 1
    empty = [] if requests else [context("Nothing here.")]
    return [header(heading), *blocks, *empty, *_left_out(len(requests) - shown)]


def _entry(request: Request, now: datetime) -> list[Block]:
    """One request in short; Details has the rest."""
    spec = request.spec
    parts = [paragraph(*run(clip(_one_line(spec.title), 150), bold=True))]
    if message := _one_line(spec.message):
        parts.append(paragraph(*run(clip(message, 200))))
    if spec.payload is not None:
        parts.append(preformatted(clip(pretty_json(spec.payload), 200)))
    lines = [details.headline(request)] if request.status.final else []
    lines += [details.asked_by(request), details.progress(request)]
    lines += filter(None, [details.deadline(request, now)])
    blocks = [rich_text(*parts), context("\n".join(lines))]
    return [*blocks, actions(request, more=True)] if is_open(request, now) else blocks


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())


def _text(blocks: list[Block]) -> int:
    """Characters of all text objects together."""
    return sum(weight(text) for text in _texts(blocks))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from [member] if name == "text" and isinstance(member, str) else _texts(member)


def _left_out(number: int) -> list[Block]:
    return [context(f"… and {number} more.")] if number else []
