"""The inbox: in the Home tab and as the answer to `/approvals`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.lifecycle.response_rules import wants_phrase, wants_reason
from bot.domain.model.request import APPROVE
from bot.domain.model.spec import Kind
from bot.domain.policies import payload_views
from bot.domain.policies.payload_views import NO_VIEWS
from bot.rendering import markdown_text
from bot.slack.render import history, payload_blocks, request_blocks
from bot.slack.render.buttons import actions, button, cut_labels, seen
from bot.slack.render.cards import is_open
from bot.slack.render.modals import needs_modal
from bot.slack.render.text import (
    Block,
    clip,
    context,
    flat,
    header,
    line,
    paragraph,
    plain_text,
    rich_text,
    run,
    section,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bot.domain.model.request import Request
    from bot.domain.policies.payload_views import Views

MAX_HOME = 20
"""Requests on the Home tab."""


MAX_EXCERPT = 1000
"""Characters of a message that are looked at for its excerpt."""


MAX_MESSAGE, MAX_DETAILS, MAX_PAYLOAD = 300, 400, 500
"""Characters of each in an entry."""
MAX_ROWS = 8
"""Rows of a table in it."""
SELECT = "assent.select"
APPROVE_SELECTED, REJECT_SELECTED = "assent.approve_selected", "assent.reject_selected"
"""Action ids: the box of one request, and what is done with all that are ticked."""


@dataclass(frozen=True, slots=True)
class Room:
    """Blocks and characters for entries, within Slack's 50 blocks a message or 100 and 250 KB a Home tab."""

    blocks: int
    text: int


IN_MESSAGE = Room(47, 8000)
IN_HOME = Room(97, 20_000)


def home(requests: Sequence[Request], more: int, now: datetime, views: Views = NO_VIEWS) -> Block:
    """The Home tab of somebody for whom `requests` wait, and `more` that are not among them.

    Where several could be answered together there are boxes to tick; the others say why they have none.
    """
    shown = requests[:MAX_HOME]
    several = sum(alone(request, views) is None for request in shown) > 1
    beyond = more + len(requests[MAX_HOME:])
    blocks = _list("Waiting for you", shown, IN_HOME, now, beyond, boxes=several, views=views)
    if several:
        blocks.insert(1, _together())
    if not requests:
        blocks.append(section("Nothing waits for you. New requests appear here and under Messages."))
    return {"type": "home", "blocks": blocks}


def alone(request: Request, views: Views = NO_VIEWS) -> str | None:
    """Why a request cannot be answered together with others, as in “it wants …”; None where it can."""
    if wants_phrase(request.spec, APPROVE):
        return "wants a phrase typed"
    if request.spec.kind is Kind.CHOICE:
        return "wants a choice"
    if request.spec.kind is not Kind.APPROVAL:
        return "has a form to fill in"
    if wants_reason(request.spec, APPROVE):
        return "wants a reason of its own"
    if needs_modal(request, APPROVE):
        return "has a form to fill in"
    return "is too long to be shown here, so Review… comes first" if is_short(request, views) else None


def _together() -> Block:
    elements = [
        button(APPROVE_SELECTED, "Approve selected", None, "selected"),
        button(REJECT_SELECTED, "Reject selected…", None, "selected"),
    ]
    return {"type": "actions", "block_id": "assent:selected", "elements": elements}


def _box(request: Request) -> Block:
    option = {"text": plain_text("Select", 75), "value": seen(request)}
    return {"type": "checkboxes", "action_id": SELECT, "options": [option]}


def inbox_blocks(
    requests: Sequence[Request],
    heading: str,
    now: datetime,
    *,
    more: bool = False,
    views: Views = NO_VIEWS,
) -> list[Block]:
    """As many of `requests` as one message holds, each with its buttons, under `heading`.

    `more`: there are others beyond them.
    """
    blocks = _list(heading, requests, IN_MESSAGE, now, views=views)
    if more:
        blocks.append(context(f"These are the newest {len(requests)}; there are more."))
    return blocks if requests else [*blocks, context("Nothing here.")]


def _list(
    heading: str,
    requests: Sequence[Request],
    room: Room,
    now: datetime,
    more: int = 0,
    *,
    boxes: bool = False,
    views: Views,
) -> list[Block]:
    blocks = [header(heading)]
    filled = 0
    for number, request in enumerate(requests):
        entry = _entry(request, now, boxes=boxes, views=views)
        filled += sum(weight(text) for text in _texts(entry))
        if len(blocks) + len(entry) > room.blocks or filled > room.text:
            more += len(requests) - number
            break
        blocks += entry
    return [*blocks, context(f"… and {more} more.")] if more else blocks


def _entry(request: Request, now: datetime, *, boxes: bool, views: Views) -> list[Block]:
    """One request in short; Details has the rest."""
    spec = request.spec
    parts = [paragraph(*run(line(spec.title, 150), bold=True))]
    if message := flat(markdown_text(spec.message[:MAX_EXCERPT])):
        parts.append(paragraph(*run(clip(message, MAX_MESSAGE))))
    if told := _details(request):
        parts.append(paragraph(*run(clip(told, MAX_DETAILS))))
    if sections := views.sections(request):
        parts += payload_blocks.fitted(sections, MAX_PAYLOAD, MAX_ROWS, payload_views.heading(spec))[0]
    lines = [request_blocks.headline(request)] if request.status.final else []
    lines += [*history.standing(request), request_blocks.asked_by(request), request_blocks.progress(request)]
    lines += filter(None, [request_blocks.deadline(request, now)])
    box = None
    if boxes and (why := alone(request, views)):
        lines.append(f"To be answered by itself: it {why}.")
    elif boxes:
        box = _box(request)
    buttons = (
        [actions(request, more=True, first=box, review=is_short(request, views))]
        if is_open(request, now)
        else []
    )
    return [rich_text(*parts), context("\n".join(lines)), *buttons, {"type": "divider"}]


def _details(request: Request) -> str:
    return flat("; ".join(f"{key}: {value}" for key, value in request.spec.details.items()))


def is_short(request: Request, views: Views = NO_VIEWS) -> bool:
    """Whether an entry leaves something out of what is asked, so that nothing there says yes with one click."""
    spec = request.spec
    lengths = [
        (weight(flat(spec.title)), 150),
        (len(spec.message), MAX_EXCERPT),
        (weight(flat(markdown_text(spec.message[:MAX_EXCERPT]))), MAX_MESSAGE),
        (sum(len(key) + len(value) + 4 for key, value in spec.details.items()), MAX_DETAILS),
    ]
    if cut_labels(request) or any(there > room for there, room in lengths):
        return True
    return payload_blocks.short(views.sections(request), MAX_PAYLOAD, MAX_ROWS)


def _texts(value: object) -> Iterator[str]:
    """Every text in blocks."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from [member] if name == "text" and isinstance(member, str) else _texts(member)
