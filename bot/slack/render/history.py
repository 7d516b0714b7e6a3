"""What has happened to a request beside its answers: steps, hand-overs, changes, questions, the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot import rendering
from bot.domain.model.request import RespondentState
from bot.domain.people import naming
from bot.slack.render.text import (
    Block,
    clip,
    context,
    date,
    flat,
    inline,
    line,
    paragraph,
    rich_text,
    run,
    section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.model.request import Comment, HistoryEntry, Request
    from bot.rendering import Difference

MAX_STEPS = 8
"""Steps that are named."""
MAX_HANDS = 3
"""Hand-overs that are named; the trail has all."""


def held(request: Request) -> Iterator[Block]:
    """A decision that can still be taken back."""
    if request.held and (decision := rendering.held(request)):
        until = date(request.held.until)
        yield section(f"*{inline(decision, 150)}; final {until}, until then Undo takes an answer back*")


def standing(request: Request) -> Iterator[str]:
    """The step, who handed it on to whom, and the ladder of escalation, each as a line of mrkdwn."""
    ladder = request.spec.escalation
    if title := rendering.step_title(request):
        yield _steps(request, title)
    hands = [
        " for ".join(inline(name, 80) for name in naming.labels(request, (r, giver)))
        for r in request.seated
        if r.delegate_of and (giver := request.respondent(r.delegate_of))
        if r.state is not RespondentState.DELEGATED
    ]
    if hands:
        yield f"Handed on: {', '.join(hands[:MAX_HANDS])}{', …' if len(hands) > MAX_HANDS else ''}"
    parts = [f"Escalated to *{inline(ladder[request.level - 1].name, 60)}*"] if request.level else []
    if request.next_level and not request.status.final:
        when = f" {date(request.escalate_at)}" if request.escalate_at else ""
        parts.append(f"{'next' if parts else 'Escalates to'} {inline(request.next_level.name, 60)}{when}")
    if parts:
        yield " · ".join(parts)


def _steps(request: Request, title: str) -> str:
    """`*Step 2 of 3: Finance* (✓ Security → Finance → Board)`."""
    steps = request.spec.steps
    if not any(step.name for step in steps):
        return f"*{title}*"
    shown = [
        f"{'✓ ' if at < request.step else ''}{inline(step.name or f'Step {at + 1}', 40)}"
        for at, step in enumerate(steps[:MAX_STEPS])
    ]
    more = ["…"] if len(steps) > MAX_STEPS else []
    return f"*{inline(title, 120)}* ({' → '.join([*shown, *more])})"


def changes(request: Request, newest: int, room: int) -> Iterator[Block]:
    """What was changed before it was decided: field, old value, new value, by whom."""
    edits = rendering.differences(request, request.edits[-newest:])
    if edits:
        items = [paragraph(*_change(edit, room)) for edit in edits]
        yield rich_text(paragraph(*run("Changed", bold=True)), _bullets(items))


def _change(edit: Difference, room: int) -> Iterator[Block]:
    yield from run(f"{line(edit.title, 40)}: ", bold=True)
    yield from run(line(edit.old, room), strike=True)
    yield from run(" → ")
    yield from run(line(edit.new, room))
    yield from run(f" · {line(edit.by, 40)}")


def comments(said: Sequence[Comment], room: int) -> Iterator[Block]:
    """Questions back, and what was replied."""
    if said:
        items = [
            paragraph(
                *run(f"{line(c.by, 40)} {'asked' if c.respondent else 'replied'}: ", bold=True),
                *run(clip(flat(c.text), room)),
            )
            for c in said
        ]
        yield rich_text(paragraph(*run("Questions", bold=True)), _bullets(items))


def trail(entries: Sequence[HistoryEntry], room: int) -> Iterator[Block]:
    """What happened, one sentence a line."""
    if entries:
        yield context("\n".join(f"{date(entry.at)}  {inline(entry.text, room)}" for entry in entries))


def _bullets(items: list[Block]) -> Block:
    return {"type": "rich_text_list", "style": "bullet", "elements": items}
