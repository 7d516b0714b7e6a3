"""The card of a request, drawn from its state alone, and the message of a notification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain import notices
from bot.domain.answers import decisions
from bot.domain.request import APPROVE, REJECT, SKIP
from bot.slack import details
from bot.slack.details import Room
from bot.slack.markdown import markdown
from bot.slack.text import Block, clip, context, inline, listed, plain_text, weight

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.request import Request

CARD = Room(title=300, message=2400, details=1600, rows=30, payload=2000, reason=500)
"""About 9,000 characters in all: Slack refuses a message of some 13,000 (`msg_blocks_too_long`, measured)."""
NOTIFICATION_ROOM = 8000
MAX_CHOICE_BUTTONS = 5
MAX_LABEL = 75
OPTIONS_ROOM = 1500
"""Characters for the labels of a select, all together."""

DETAILS = "assent.details"
_FIXED = {APPROVE: ("Approve", "primary"), REJECT: ("Reject", "danger"), SKIP: ("Skip", None)}


@dataclass(frozen=True, slots=True)
class Message:
    """What `chat.postMessage` takes: `text` for notifications and screen readers, `blocks` for the eye."""

    text: str
    blocks: list[Block]


def card(request: Request, now: datetime) -> Message:
    """The card as it has to look at `now`: open with its buttons, or final without."""
    shown = details.question(request, CARD)
    blocks = [*shown.blocks]
    if request.status.final:
        blocks[1:1] = details.result(request, CARD.reason)
    blocks += [context(text) for text in (details.asked_by(request), details.progress(request)) if text]
    if ends := details.deadline(request, now):
        blocks.append(context(ends))
    if shown.missing:
        where = f"`assent show {request.id}`" if request.status.final else "Details"
        blocks.append(context(f"… not shown in full: {listed(shown.missing)}; see {where}."))
    if is_open(request, now):
        blocks.append(actions(request, more=bool(shown.missing) or _has_more(request)))
    return Message(_fallback(request), blocks)


def notification(message: str) -> Message:
    """A message without a question, in the sender's Markdown."""
    block = markdown(clip(message, NOTIFICATION_ROOM))
    blocks = [block] if block else []
    if weight(message) > NOTIFICATION_ROOM:
        blocks.append(context("… the rest of this message is too long for Slack."))
    return Message(inline(message, 1000), blocks)


def is_open(request: Request, now: datetime) -> bool:
    """Whether a click can still decide something."""
    return not request.status.final and (request.due_at is None or now < request.due_at)


def actions(request: Request, *, more: bool) -> Block:
    """The buttons of an open request; `more` adds Details. A new version is a new block id, as Slack asks."""
    value = f"{request.id}:{request.revision}"
    elements = [_button(f"assent.{d}", *_FIXED[d], value) for d in decisions(request.spec) if d in _FIXED]
    elements = [*_choices(request, value), *elements]
    if more:
        elements.append(_button(DETAILS, "Details", None, value))
    return {"type": "actions", "block_id": f"assent:{request.id}:{request.version}", "elements": elements}


def _choices(request: Request, value: str) -> list[Block]:
    choices = request.spec.choices
    if len(choices) <= MAX_CHOICE_BUTTONS:
        return [_button(f"assent.choose.{c.id}", c.label, c.style, value) for c in choices]
    room = _label_room(request)
    return [
        {
            "type": "static_select",
            "action_id": "assent.choose",
            "placeholder": plain_text("Choose…", MAX_LABEL),
            "options": [{"text": plain_text(c.label, room), "value": c.id} for c in choices],
        }
    ]


def _button(action_id: str, label: str, style: str | None, value: str) -> Block:
    button = {"type": "button", "action_id": action_id, "text": plain_text(label, MAX_LABEL), "value": value}
    return button | ({"style": style} if style else {})


def _has_more(request: Request) -> bool:
    """Whether Details would show something that a card never does."""
    cut_labels = any(weight(c.label) > _label_room(request) for c in request.spec.choices)
    return bool(request.responses or request.unreached or request.spec.labels or cut_labels)


def _label_room(request: Request) -> int:
    number = len(request.spec.choices)
    return MAX_LABEL if number <= MAX_CHOICE_BUTTONS else min(MAX_LABEL, max(10, OPTIONS_ROOM // number))


def _fallback(request: Request) -> str:
    """One line for a notification: what is asked, and where it stands."""
    return f"{inline(request.spec.title, 300)}: {inline(notices.outcome(request), 300)}"
