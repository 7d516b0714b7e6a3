"""Modals: an answer with its reason or phrase, everything known of a request, a plain message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.domain import notices
from bot.domain.answers import MAX_REASON, wants_phrase, wants_reason
from bot.domain.request import APPROVE, REJECT, SKIP
from bot.rendering import plain
from bot.slack import details
from bot.slack.details import Room
from bot.slack.text import (
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

    from bot.domain.errors import Fault
    from bot.domain.request import Request, Response
    from bot.ports import DeliveryState

ANSWER = "assent.answer"
REASON, PHRASE = "reason", "phrase"

EXCERPT = Room(title=500, message=1500, details=1500, rows=20, payload=1500, reason=500)
FULL = Room(title=3000, message=6000, details=12_000, rows=300, payload=7000, reason=3000)
"""Slack takes views up to 250 KB, in which a character may take six bytes."""
MAX_LISTED = 20
"""Most responses, people, deliveries and choices that Details lists."""
_LIST_ROOM = 150

_TITLES = {APPROVE: "Approve", REJECT: "Reject", SKIP: "Skip"}


def needs_modal(request: Request, decision: str) -> bool:
    """Whether a click on `decision` asks for more before it counts; a rejection always may say why."""
    return decision == REJECT or wants_reason(request.spec, decision) or wants_phrase(request.spec, decision)


def answer_modal(request: Request, decision: str, *, faults: Sequence[Fault] = ()) -> Block:
    """The form for one decision, with its inputs `reason` and `phrase`; `faults`: those of an earlier try."""
    shown = details.question(request, EXCERPT)
    blocks = [*(section(f"⚠ {inline(fault.detail, 300)}") for fault in faults), *shown.blocks]
    if shown.missing:
        blocks.append(context(f"… not shown in full: {listed(shown.missing)}; see Details on the card."))
    choice = next((c for c in request.spec.choices if c.id == decision), None)
    if choice:
        blocks.append(rich_text(paragraph(*run("You choose: "), *run(clip(choice.label, 500), bold=True))))
    blocks.append(_reason(optional=not wants_reason(request.spec, decision)))
    if wants_phrase(request.spec, decision):
        blocks.append(_phrase(request.spec.verification_phrase or ""))
    metadata = {"request": request.id, "revision": request.revision, "decision": decision}
    return _modal(_TITLES.get(decision, "Choose"), blocks) | {
        "callback_id": ANSWER,
        "private_metadata": json.dumps(metadata),
        "submit": plain_text("Submit", 24),
        "close": plain_text("Cancel", 24),
    }


def _reason(*, optional: bool) -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": REASON,
        "multiline": True,
        "max_length": MAX_REASON,
    }
    return _input(REASON, "Reason", element) | {"optional": optional}


def _phrase(phrase: str) -> Block:
    return _input(PHRASE, f"Type exactly: {phrase}", {"type": "plain_text_input", "action_id": PHRASE})


def _input(block_id: str, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": block_id, "label": plain_text(label, 2000), "element": element}


def details_modal(request: Request, deliveries: Sequence[DeliveryState] = ()) -> Block:
    """Everything about a request, and a plain statement of what even a modal cannot hold."""
    shown = details.question(request, FULL)
    blocks = [*shown.blocks]
    if shown.missing:
        where = f"`assent show {request.id}` prints all of it"
        blocks.append(
            section(f"⚠ Too long for Slack, *not shown in full*: {listed(shown.missing)}. {where}.")
        )
    blocks += [{"type": "divider"}, *_standing(request)]
    blocks += _listing("Choices", [c.label for c in request.spec.choices])
    for response in request.responses[:MAX_LISTED]:
        blocks += _response(request, response)
    blocks += _beyond("responses", len(request.responses))
    blocks += _listing("Could not be told", [f"{u.target}: {u.reason}" for u in request.unreached])
    blocks += _listing("Messages", [_delivery(d) for d in deliveries])
    blocks += _listing("Labels", [f"{key}: {value}" for key, value in request.spec.labels.items()])
    return _modal("Details", blocks) | {"close": plain_text("Close", 24)}


def _standing(request: Request) -> Iterator[Block]:
    if request.status.final:
        yield from details.result(request, FULL.reason)
    yield context(details.asked_by(request))
    yield context(details.progress(request))
    if request.due_at:
        yield context(f"Deadline {date(request.due_at)}. {notices.without_answer(request)}")
    yield context(f"`{request.id}`")


def _response(request: Request, response: Response) -> Iterator[Block]:
    who, what = notices.names(request, [response.respondent]), notices.decided(response.decision, request)
    yield context(f"*{inline(who, 100)}* {inline(what, 100)} {date(response.at)} ({response.surface})")
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


def message_modal(title: str, text: str) -> Block:
    """Tell somebody something; `title` has room for 24 characters."""
    block = rich_text(paragraph(*run(clip(text, 3000))))
    return _modal(title, [block]) | {"close": plain_text("Close", 24)}


def _modal(title: str, blocks: list[Block]) -> Block:
    return {"type": "modal", "title": plain_text(title, 24), "blocks": blocks}
