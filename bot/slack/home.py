"""The inbox: in the Home tab and as the answer to `/approvals`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.rendering import markdown_text
from bot.slack import details
from bot.slack.cards import actions, is_open
from bot.slack.text import (
    Block,
    clip,
    context,
    flat,
    header,
    line,
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
"""Requests on the Home tab."""


MAX_EXCERPT = 1000
"""Characters of a message that are looked at for its excerpt."""


@dataclass(frozen=True, slots=True)
class Room:
    """Blocks and characters for entries, within Slack's 50 blocks a message or 100 and 250 KB a Home tab."""

    blocks: int
    text: int


IN_MESSAGE = Room(47, 8000)
IN_HOME = Room(97, 20_000)


def home(requests: Sequence[Request], more: int, now: datetime) -> Block:
    """The Home tab of somebody for whom `requests` wait, and `more` that are not among them."""
    blocks = _list("Waiting for you", requests[:MAX_HOME], IN_HOME, now, more + len(requests[MAX_HOME:]))
    if not requests:
        blocks.append(section("Nothing waits for you. New requests appear here and under Messages."))
    return {"type": "home", "blocks": blocks}


def inbox_blocks(requests: Sequence[Request], heading: str, now: datetime) -> list[Block]:
    """As many of `requests` as one message holds, each with its buttons, under `heading`."""
    blocks = _list(heading, requests, IN_MESSAGE, now)
    return blocks if requests else [*blocks, context("Nothing here.")]


def _list(heading: str, requests: Sequence[Request], room: Room, now: datetime, more: int = 0) -> list[Block]:
    blocks = [header(heading)]
    filled = 0
    for number, request in enumerate(requests):
        entry = _entry(request, now)
        filled += sum(weight(text) for text in _texts(entry))
        if len(blocks) + len(entry) > room.blocks or filled > room.text:
            more += len(requests) - number
            break
        blocks += entry
    return [*blocks, context(f"… and {more} more.")] if more else blocks


def _entry(request: Request, now: datetime) -> list[Block]:
    """One request in short; Details has the rest."""
    spec = request.spec
    parts = [paragraph(*run(line(spec.title, 150), bold=True))]
    if message := flat(markdown_text(spec.message[:MAX_EXCERPT])):
        parts.append(paragraph(*run(clip(message, 200))))
    if spec.payload is not None:
        parts.append(preformatted(clip(details.payload_text(request).text, 200)))
    lines = [details.headline(request)] if request.status.final else []
    lines += [details.asked_by(request), details.progress(request)]
    lines += filter(None, [details.deadline(request, now)])
    buttons = [actions(request, more=True)] if is_open(request, now) else []
    return [rich_text(*parts), context("\n".join(lines)), *buttons, {"type": "divider"}]


def _texts(value: object) -> Iterator[str]:
    """Every text in blocks."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from [member] if name == "text" and isinstance(member, str) else _texts(member)
