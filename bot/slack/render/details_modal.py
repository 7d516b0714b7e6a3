"""The Details modal: everything known of a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.domain.messages import phrases
from bot.domain.messages.notifications import Notice
from bot.domain.policies.payload_views import NO_VIEWS
from bot.rendering import plain
from bot.slack.render import history, request_blocks
from bot.slack.render.buttons import labels_are_long
from bot.slack.render.modals import about_request, choice_labels, modal
from bot.slack.render.request_blocks import Room
from bot.slack.render.text import (
    Block,
    clip,
    context,
    date,
    inline,
    line,
    listed,
    paragraph,
    plain_text,
    quote,
    rich_text,
    run,
    section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bot.domain.model.request import Request, Response
    from bot.domain.policies.payload_views import Views
    from bot.ports.store import DeliveryState

FULL = Room(title=3000, message=6000, details=7500, rows=300, payload=7000, reason=3000)
"""Slack takes views up to 250 KB, in which a character may take six bytes."""
READ = "assent.read"
"""Callback id of a view that is followed by a part of what is asked."""
MAX_EXACT = 4000
"""Characters of the payload in JSON."""
MAX_LISTED = 20
"""Most responses, people, deliveries, comments, changes and choices that are listed, and sentences of the trail."""
_LIST_ROOM = 150


def details_modal(
    request: Request,
    now: datetime,
    deliveries: Sequence[DeliveryState] = (),
    views: Views = NO_VIEWS,
) -> Block:
    """Everything about a request, and a plain statement of what even a modal cannot hold."""
    shown = request_blocks.question(request, FULL, views)
    blocks = [*shown.blocks]
    long_labels = labels_are_long(request)
    missing_parts = [*shown.missing, *(["the choices"] if long_labels else [])]
    if missing_parts:
        missing = f"⚠ *Not shown in full*: {listed(missing_parts)}."
        blocks.append(section(f"{missing} *Read all* shows all of it, part by part."))
    blocks += [{"type": "divider"}, *_standing(request, now), *_story(request)]
    blocks += (
        _listing("Choices", [c.label for c in request.spec.choices])
        if long_labels
        else choice_labels(request)
    )
    for response in request.responses[:MAX_LISTED]:
        blocks += _response(request, response)
    blocks += _beyond("responses", len(request.responses))
    blocks += _listing("Could not be told", [f"{u.target}: {u.reason}" for u in request.unreached])
    blocks += _listing("Messages", [_delivery(d) for d in deliveries if d.notice != Notice.CALLBACK])
    blocks += _listing("Labels", [f"{key}: {value}" for key, value in request.spec.labels.items()])
    blocks += request_blocks.exact(request, MAX_EXACT)
    more = _leads_on(request, "Read all", 0) if missing_parts else {}
    return modal("Details", blocks) | {"close": plain_text("Close", 24)} | more


def reading_modal(request: Request, part: int, views: Views = NO_VIEWS, *, changed: bool = False) -> Block:
    """The part `part` of what is asked, for whoever may see it and whatever they may do; the last leads nowhere.

    `changed`: it was revised since the part before was read.
    """
    asked = request_blocks.part(request, FULL, part, views)
    news = [section("⚠ *This has changed since you opened it.* Here it begins again.")] if changed else []
    more = {} if asked.last else _leads_on(request, "Next part", part + 1)
    return modal("Details", [*news, *asked.blocks]) | {"close": plain_text("Close", 24)} | more


def _leads_on(request: Request, label: str, part: int) -> Block:
    """What makes a view one that is followed by the part `part`."""
    about = json.dumps(about_request(request) | {"part": part})
    return {"callback_id": READ, "private_metadata": about, "submit": plain_text(label, 24)}


def _standing(request: Request, now: datetime) -> Iterator[Block]:
    if request.status.final:
        yield from request_blocks.result(request, FULL.reason)
    yield from history.held(request)
    lines = [*history.standing(request), request_blocks.asked_by(request), request_blocks.progress(request)]
    yield from map(context, lines)
    if ends := request_blocks.deadline(request, now):
        yield context(ends)
    yield context(f"`{request.id}`")


def _story(request: Request) -> Iterator[Block]:
    """All that happened, as far as there is room; what is left out is the oldest."""
    yield from history.changes(request, MAX_LISTED, _LIST_ROOM // 2)
    yield from _beyond("changes", len(request.edits))
    yield from history.comments(request.comments[-MAX_LISTED:], 2 * _LIST_ROOM)
    yield from _beyond("comments", len(request.comments))
    newest = request.trail[-MAX_LISTED:]
    for begin in range(0, len(newest), 5):
        yield from history.trail(newest[begin : begin + 5], 2 * _LIST_ROOM)
    yield from _beyond("sentences of the trail", len(request.trail))


def _response(request: Request, response: Response) -> Iterator[Block]:
    who, what = phrases.names(request, [response.respondent]), phrases.answered(response, request)
    yield context(f"*{inline(who, 100)}* {inline(what, 150)} {date(response.at)} ({response.surface})")
    if response.reason and plain(response.reason).strip():
        yield quote(clip(plain(response.reason).strip(), 500))


def _delivery(delivery: DeliveryState) -> str:
    trouble = f" ({delivery.error})" if delivery.error else ""
    return f"{delivery.notice} by {delivery.surface} to {delivery.address}: {delivery.state}{trouble}"


def _listing(heading: str, rows: Sequence[str]) -> Iterator[Block]:
    if rows:
        items = [paragraph(*run(line(row, _LIST_ROOM))) for row in rows[:MAX_LISTED]]
        bullets = {"type": "rich_text_list", "style": "bullet", "elements": items}
        yield rich_text(paragraph(*run(heading, bold=True)), bullets)
        yield from _beyond(heading.lower(), len(rows))


def _beyond(what: str, number: int) -> Iterator[Block]:
    if number > MAX_LISTED:
        yield context(f"… and {number - MAX_LISTED} more {what}.")
