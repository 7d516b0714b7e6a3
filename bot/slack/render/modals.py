"""Modals: an answer with what it needs, what people do beside answering, a plain message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.domain.forms import forms
from bot.domain.lifecycle.response_rules import MAX_REASON, wants_phrase, wants_reason
from bot.domain.lifecycle.revisions import MAX_COMMENT
from bot.domain.model.request import APPROVE, REJECT, SKIP
from bot.domain.model.spec import Kind
from bot.domain.policies.payload_views import NO_VIEWS
from bot.slack.render import form_inputs, request_blocks
from bot.slack.render.buttons import (
    ASK,
    DELEGATE,
    EDIT,
    ESCALATE,
    MAX_CHOICE_BUTTONS,
    cut_labels,
    label_room,
    labels_are_long,
    may_edit,
)
from bot.slack.render.request_blocks import Room
from bot.slack.render.text import (
    Block,
    clip,
    context,
    inline,
    listed,
    paragraph,
    plain_text,
    rich_text,
    run,
    section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.model.request import Request
    from bot.domain.policies.payload_views import Views

ANSWER, ACT = "assent.answer", "assent.act"
REASON, PHRASE, CHOICE, TO, QUESTION = "reason", "phrase", "decision", "to", "text"
"""Block ids of the inputs, which are also the last part of the JSON pointers of their faults."""

EXCERPT = Room(title=500, message=1500, details=1500, rows=20, payload=1500, reason=500)
WHOLE = Room(title=3000, message=6000, details=7500, rows=300, payload=7000, reason=3000)
"""Slack takes views up to 250 KB, in which a character may take six bytes."""
MAX_NEWS = 10
"""Sentences about what has changed meanwhile, the newest."""
MAX_VIEW, MAX_BLOCKS = 250_000, 100
"""Bytes of a view, and blocks."""
_ELSEWHERE = "This form is more than Slack can show. Answer by the link in your mail, or on the command line."

_TITLES = {APPROVE: "Approve", REJECT: "Reject", SKIP: "Skip", EDIT: "Approve with changes"}
_FORM_TITLES = {Kind.INPUT: "Fill in", Kind.FEEDBACK: "Give feedback"}


def needs_modal(request: Request, decision: str) -> bool:
    """Whether a click on `decision` asks for more before it counts; a rejection always may say why."""
    spec = request.spec
    if decision in {c.id for c in spec.choices} and cut_labels(request):
        return True
    if decision in {REJECT, EDIT} or wants_reason(spec, decision) or wants_phrase(spec, decision):
        return True
    if decision == SKIP:
        return False
    return spec.kind in _FORM_TITLES or bool(forms.value_faults(request, {}))


def answer_modal(
    request: Request,
    decision: str,
    *,
    changed: Sequence[str] = (),
    reason: str | None = None,
    part: int = 0,
    views: Views = NO_VIEWS,
) -> Block:
    """The form for one decision (or `edit`: a yes with changes), with inputs for all that it needs.

    `changed`: what has happened since an earlier try, in sentences; `reason`: what was typed then. A yes comes after
    all that is asked: where that is too long for one view, `part` says which this is, and the last has the form.
    """
    blocks = [*_news(changed)]
    if decision in {REJECT, SKIP}:
        shown = request_blocks.question(request, EXCERPT, views)
        blocks += shown.blocks
        if shown.missing:
            blocks.append(context(f"… not shown in full: {listed(shown.missing)}; see Details on the card."))
    else:
        asked = request_blocks.part(request, WHOLE, part, views)
        blocks += asked.blocks
        if not asked.last:
            about = {"decision": decision, "trail": len(request.trail), "part": part}
            return form("Review", blocks, ANSWER, about_request(request) | about) | {
                "submit": plain_text("Next part", 24)
            }
    choice = next((c for c in request.spec.choices if c.id == decision), None)
    if choice:
        blocks.append(rich_text(paragraph(*run("You choose: "), *run(clip(choice.label, 500), bold=True))))
    if decision == EDIT and request.spec.kind is Kind.CHOICE:
        blocks += choice_labels(request) if cut_labels(request) and not labels_are_long(request) else []
        blocks.append(_choice(request))
    if decision not in {REJECT, SKIP}:
        blocks += form_inputs.inputs(request)
    blocks.append(reason_input(optional=not wants_reason(request.spec, decision), initial=reason))
    if wants_phrase(request.spec, decision):
        blocks.append(_phrase(request.spec.verification_phrase or ""))
    title = _TITLES.get(decision, "Choose")
    if decision == APPROVE:
        title = _FORM_TITLES.get(request.spec.kind, title)
    elif decision == EDIT and request.spec.kind is Kind.CHOICE:
        title = "Choose with changes" if may_edit(request) else title
    about = {"decision": decision, "trail": len(request.trail)}
    view = form(title, blocks, ANSWER, about_request(request) | about)
    fits = len(blocks) <= MAX_BLOCKS and len(json.dumps(view)) <= MAX_VIEW
    return view if fits else message_modal("Too much for Slack", _ELSEWHERE)


def _news(changed: Sequence[str]) -> Iterator[Block]:
    """What is not as it was when the form was opened first."""
    if changed:
        yield section("⚠ *This has changed since you opened it.* Look at it again, then answer.")
        yield from (section(inline(sentence, 500)) for sentence in changed[-MAX_NEWS:])


def act_modal(request: Request, act: str) -> Block:
    """The form to `escalate`, to `delegate`, or to `ask` the requester something."""
    title = rich_text(paragraph(*run(clip(request.spec.title, 500), bold=True)))
    about = about_request(request) | {"act": act, "level": request.level}
    if act == ASK:
        question = {
            "type": "plain_text_input",
            "action_id": QUESTION,
            "multiline": True,
            "max_length": MAX_COMMENT,
        }
        hint = {"hint": plain_text("Whoever asked is told; the request stays open.", 150)}
        return form("Ask", [title, _input(QUESTION, "Question", question) | hint], ACT, about)
    if act == DELEGATE:
        person = {"type": "users_select", "action_id": TO, "placeholder": plain_text("A person", 150)}
        inputs = [_input(TO, "Hand on to", person), reason_input(optional=True)]
        return form("Delegate", [title, *inputs], ACT, about)
    level = request.next_level
    blocks = [
        title,
        context(f"Asked next: *{inline(level.name if level else 'nobody', 100)}*"),
        reason_input(optional=True),
    ]
    return form("Escalate", blocks, ACT, about)


ACTS = frozenset({ESCALATE, DELEGATE, ASK})
"""What `act_modal` is for."""


def message_modal(title: str, text: str) -> Block:
    """Tell somebody something; `title` has room for 24 characters."""
    return modal(title, [rich_text(paragraph(*run(clip(text, 6000))))]) | {"close": plain_text("Close", 24)}


def modal(title: str, blocks: list[Block]) -> Block:
    """A view with nothing to submit."""
    return {"type": "modal", "title": plain_text(title, 24), "blocks": blocks}


def about_request(request: Request) -> dict[str, Any]:
    """What a form's metadata says of the request that it shows."""
    return {"request": request.id, "revision": request.revision, "step": request.step}


def form(title: str, blocks: list[Block], callback_id: str, about: dict[str, Any]) -> Block:
    """A form whose button says, like its title, what it does."""
    return modal(title, blocks) | {
        "callback_id": callback_id,
        "private_metadata": json.dumps(about),
        "submit": plain_text(title, 24),
        "close": plain_text("Cancel", 24),
    }


def _choice(request: Request) -> Block:
    choices, room, cut = request.spec.choices, label_room(request), cut_labels(request)
    labels = [f"{number}. {c.label}" if cut else c.label for number, c in enumerate(choices, 1)]
    options = [
        {"text": plain_text(label, room), "value": c.id} for label, c in zip(labels, choices, strict=True)
    ]
    kind = "radio_buttons" if len(choices) <= MAX_CHOICE_BUTTONS else "static_select"
    return _input(CHOICE, "Choice", {"type": kind, "action_id": CHOICE, "options": options})


def choice_labels(request: Request) -> Iterator[Block]:
    """What can be chosen, in full; numbered as the options are that have no room for it."""
    if request.spec.choices:
        items = [paragraph(*run(choice.label)) for choice in request.spec.choices]
        numbered = {"type": "rich_text_list", "style": "ordered", "elements": items}
        yield rich_text(paragraph(*run("Choices", bold=True)), numbered)


def reason_input(*, optional: bool, initial: str | None = None) -> Block:
    """The field for a reason."""
    element = {
        "type": "plain_text_input",
        "action_id": REASON,
        "multiline": True,
        "max_length": MAX_REASON,
    }
    element |= {"initial_value": initial} if initial else {}
    return _input(REASON, "Reason", element) | {"optional": optional}


def _phrase(phrase: str) -> Block:
    return _input(PHRASE, f"Type exactly: {phrase}", {"type": "plain_text_input", "action_id": PHRASE})


def _input(block_id: str, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": block_id, "label": plain_text(label, 2000), "element": element}
