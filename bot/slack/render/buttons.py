"""The buttons of an open request, and the ids by which their clicks are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.forms import forms
from bot.domain.lifecycle.response_rules import decisions
from bot.domain.model.request import APPROVE, REJECT, SKIP
from bot.domain.model.spec import Kind
from bot.slack.render.text import Block, plain_text, weight

if TYPE_CHECKING:
    from bot.domain.model.request import Request, Respondent

MAX_CHOICE_BUTTONS = 5
MAX_LABEL = 75
OPTIONS_ROOM = 1500
"""Characters for the labels of a select, all together."""

LABELS_ROOM = 6000
"""The same in a view, which also shows what is asked."""

EDIT, ESCALATE, UNDO, ASK, DELEGATE = "edit", "escalate", "undo", "ask", "delegate"
"""What people may do beside answering: the decision part of an action id, or an option of the menu."""
DETAILS = "assent.details"
MENU = "assent.more"
REVIEW = "assent.review"
"""Shows all of a request before yes can be said to it."""

_FIXED = {APPROVE: ("Approve", "primary"), REJECT: ("Reject", "danger"), SKIP: ("Skip", None)}
_FORMS = {Kind.INPUT: "Fill in…", Kind.FEEDBACK: "Give feedback…"}


def actions(
    request: Request,
    *,
    more: bool,
    owner: Respondent | None = None,
    first: Block | None = None,
    review: bool = False,
) -> Block:
    """The buttons; `more` adds Details, `first` goes before them. A new version is a new block id, as Slack asks.

    `owner`: the one person who sees them. `review`: not all of what is asked stands above them, so that saying yes
    takes one more step.
    """
    value = seen(request)
    if review:
        return _block(
            request,
            [*([first] if first else []), *_reviewing(request, value), *_rest(request, owner, more=more)],
        )
    elements = [first] if first else []
    elements += _choices(request, value)
    elements += [
        button(f"assent.{d}", *_label(request, d), value) for d in decisions(request.spec) if d in _FIXED
    ]
    return _block(request, [*elements, *_rest(request, owner, more=more)])


def _block(request: Request, elements: list[Block]) -> Block:
    block_id = f"assent:{request.version}:{seen(request)}"
    return {"type": "actions", "block_id": block_id, "elements": elements}


def _reviewing(request: Request, value: str) -> list[Block]:
    yes = EDIT if request.spec.kind is Kind.CHOICE else APPROVE
    others = [d for d in decisions(request.spec) if d in {REJECT, SKIP}]
    buttons = [button(f"{REVIEW}.{yes}", "Review…", "primary", value)]
    return [*buttons, *(button(f"assent.{d}", *_label(request, d), value) for d in others)]


def _rest(request: Request, owner: Respondent | None, *, more: bool) -> list[Block]:
    value, elements = seen(request), []
    if may_edit(request):
        elements.append(button(f"assent.{EDIT}", "Edit…", None, value))
    if request.next_level:
        elements.append(button(f"assent.{ESCALATE}", "Escalate…", None, value))
    if owner and owner.state.answered:
        elements.append(button(f"assent.{UNDO}", "Undo", None, value))
    if more:
        elements.append(button(DETAILS, "Details", None, value))
    elements.append(_menu(request, owner))
    return elements


def seen(request: Request) -> str:
    """What an element says of the request as it is shown: `req_…:REVISION:STEP`."""
    return f"{request.id}:{request.revision}:{request.step}"


def may_edit(request: Request) -> bool:
    """Whether there is something to change before saying yes, beside the plain yes."""
    return request.spec.kind not in _FORMS and any(not f.read_only for f in forms.fields(request))


def label_room(request: Request) -> int:
    """Characters of a choice's label."""
    number = len(request.spec.choices)
    return MAX_LABEL if number <= MAX_CHOICE_BUTTONS else min(MAX_LABEL, max(10, OPTIONS_ROOM // number))


def cut_labels(request: Request) -> bool:
    """Whether some choice's label does not fit."""
    return any(weight(c.label) > label_room(request) for c in request.spec.choices)


def labels_are_long(request: Request) -> bool:
    """Whether the labels of its choices need parts of their own, since no view holds them beside what is asked."""
    return sum(weight(c.label) for c in request.spec.choices) > LABELS_ROOM


def _label(request: Request, decision: str) -> tuple[str, str | None]:
    label, style = _FIXED[decision]
    return (_FORMS.get(request.spec.kind, label) if decision == APPROVE else label), style


def _menu(request: Request, owner: Respondent | None) -> Block:
    """What is wanted less often."""
    entries = {ASK: "Ask…"}
    if not (owner and owner.state.answered):
        entries[DELEGATE] = "Delegate…"
    if request.responses and owner is None:
        entries[UNDO] = "Undo my answer"
    options = [{"text": plain_text(label, MAX_LABEL), "value": what} for what, label in entries.items()]
    return {"type": "overflow", "action_id": MENU, "options": options}


def _choices(request: Request, value: str) -> list[Block]:
    choices = request.spec.choices
    if len(choices) <= MAX_CHOICE_BUTTONS:
        return [button(f"assent.choose.{c.id}", c.label, c.style, value) for c in choices]
    room = label_room(request)
    return [
        {
            "type": "static_select",
            "action_id": "assent.choose",
            "placeholder": plain_text("Choose…", MAX_LABEL),
            "options": [{"text": plain_text(c.label, room), "value": c.id} for c in choices],
        }
    ]


def button(action_id: str, label: str, style: str | None, value: str) -> Block:
    """One button."""
    made = {"type": "button", "action_id": action_id, "text": plain_text(label, MAX_LABEL), "value": value}
    return made | ({"style": style} if style else {})
