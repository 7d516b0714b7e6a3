"""The card of a request, drawn from its state alone, and the messages that say something without asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.forms import forms
from bot.domain.messages import phrases
from bot.domain.policies.payload_views import NO_VIEWS
from bot.slack.render import history, request_blocks
from bot.slack.render.buttons import actions, cut_labels
from bot.slack.render.card_copies import ANYBODY
from bot.slack.render.markdown import markdown
from bot.slack.render.request_blocks import Room
from bot.slack.render.text import (
    Block,
    clip,
    context,
    inline,
    listed,
    paragraph,
    rich_text,
    run,
    section,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bot.domain.model.request import Request
    from bot.domain.policies.payload_views import Views
    from bot.slack.render.card_copies import Copy

CARD = Room(title=300, message=2400, details=1600, rows=30, payload=2000, reason=500)
"""About 9,000 characters in all: Slack refuses a message of some 13,000 (`msg_blocks_too_long`, measured)."""
EVENTFUL = Room(title=300, message=1200, details=1000, rows=15, payload=1500, reason=500)
"""What is left of it where a story has to be told as well."""
NEWEST = 3
"""Changes, comments and sentences of the trail on a card; Details has all."""
STORY_ROOM = 160
"""Characters of each."""
NOTIFICATION_ROOM = 8000
MOST_FIELDS = 80
"""Of a form in a modal, which holds 100 blocks: the question is shown there as well."""


@dataclass(frozen=True, slots=True)
class Message:
    """What `chat.postMessage` takes: `text` for notifications and screen readers, `blocks` for the eye."""

    text: str
    blocks: list[Block]


def card(request: Request, now: datetime, copy: Copy = ANYBODY, views: Views = NO_VIEWS) -> Message:
    """The card as it has to look at `now` to whoever sees this copy: with its buttons, or without."""
    shown = request_blocks.question(request, EVENTFUL if _eventful(request) else CARD, views)
    blocks = [*shown.blocks, *_story(request)]
    blocks[1:1] = (
        request_blocks.result(request, CARD.reason) if request.status.final else history.held(request)
    )
    lines = [*history.standing(request), request_blocks.asked_by(request), request_blocks.progress(request)]
    if ends := request_blocks.deadline(request, now):
        lines.append(ends)
    if not request.status.final and len(fields := forms.fields(request)) > MOST_FIELDS:
        lines.append(
            f"Its form has {len(fields)} fields, more than Slack can show: answer by the link in your mail."
        )
    blocks += map(context, lines)
    if shown.missing:
        where = f"Details of `/approvals show {request.id}`" if request.status.final else "Details"
        blocks.append(context(f"… not shown in full: {listed(shown.missing)}; see {where}."))
    if is_open(request, now):
        if closed := copy.closed(request):
            blocks.append(section(f"*{inline(closed, 300)}*"))
        else:
            more = bool(shown.missing) or _has_more(request)
            review = bool(shown.missing) or cut_labels(request)
            blocks.append(actions(request, more=more, owner=copy.owner(request), review=review))
    return Message(_fallback(request), blocks)


def is_cut(request: Request, views: Views = NO_VIEWS) -> bool:
    """Whether its card cannot show all of what is asked, so that nothing there says yes with one click."""
    shown = request_blocks.question(request, EVENTFUL if _eventful(request) else CARD, views)
    return bool(shown.missing) or cut_labels(request)


def _eventful(request: Request) -> bool:
    return bool(request.trail or request.comments or request.edits)


def _story(request: Request) -> Iterator[Block]:
    yield from history.changes(request, NEWEST, STORY_ROOM // 3)
    yield from history.comments(request.comments[-NEWEST:], STORY_ROOM)
    yield from history.trail(request.trail[-NEWEST:], STORY_ROOM)


def notification(message: str) -> Message:
    """A message without a question, in the sender's Markdown."""
    block = markdown(clip(message, NOTIFICATION_ROOM))
    blocks = [block] if block else []
    if weight(message) > NOTIFICATION_ROOM:
        blocks.append(context("… the rest of this message is too long for Slack."))
    return Message(inline(message, 1000), blocks)


def reminder(request: Request, now: datetime, copy: Copy, *, has_card: bool) -> Message:
    """What still waits and until when; its card has the buttons, which this could not keep current.

    `has_card`: it stands where this is read.
    """
    title = inline(request.spec.title, 300)
    whose = "your answer" if copy.respondent else "an answer"
    lines = [request_blocks.progress(request), *filter(None, [request_blocks.deadline(request, now)])]
    if not has_card:
        where = "`/approvals` lists it."
    else:
        where = "Its card is above, and `/approvals` lists it." if copy.respondent else ""
    blocks = [section(f"Still waiting for {whose}: *{title}*"), *map(context, filter(None, [*lines, where]))]
    return Message(f"Still waiting for {whose}: {title}", blocks)


def news(request: Request, text: str, copy: Copy) -> Message:
    """One sentence about a request that somebody follows; the requester is told how to reply."""
    blocks = [
        rich_text(paragraph(*run(clip(request.spec.title, 300), bold=True))),
        rich_text(paragraph(*run(clip(text, 3000)))),
    ]
    if copy.respondent is None:
        reply = f"Reply in this message's thread, or with `/approvals reply {request.id} TEXT`."
        blocks.append(context(reply))
    return Message(f"{inline(request.spec.title, 300)}: {inline(text, 1000)}", blocks)


def is_open(request: Request, now: datetime) -> bool:
    """Whether a click can still decide something."""
    ends = request.held.until if request.held else request.deadline
    return not request.status.final and (ends is None or now < ends)


def _has_more(request: Request) -> bool:
    """Whether Details would show something that a card never does, or not all of."""
    if request.spec.payload is not None or request.values:  # Details has it as data, and its fingerprint
        return True
    parts = (request.responses, request.unreached, request.spec.labels, request.trail, request.comments)
    return any(parts) or cut_labels(request)


def _fallback(request: Request) -> str:
    """One line for a notification: what is asked, and where it stands."""
    return f"{inline(request.spec.title, 300)}: {inline(phrases.outcome(request), 300)}"
