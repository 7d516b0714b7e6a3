"""What the templates know of a request: short enough for a mail, and saying where it is shortened.

The limits keep the HTML below 102 KB, beyond which Gmail cuts a mail off, and everything that matters on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.domain.forms import forms
from bot.domain.messages import phrases
from bot.domain.model.digest import payload_digest
from bot.domain.model.spec import Kind, Level
from bot.domain.payload.fit import Room, fit
from bot.domain.payload.plain_text import as_text
from bot.domain.people import naming
from bot.domain.people.audience import awaited
from bot.domain.people.quorum import judge
from bot.domain.policies.payload_views import NO_VIEWS, Views, heading
from bot.rendering import (
    cut,
    differences,
    field_value,
    held,
    history,
    markdown_text,
    plain,
    step_title,
    zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.model.request import Edit, Json, Request, Respondent, Response

_TITLE, _SUBJECT, _LINE, _VALUE, _SENTENCE = 300, 120, 500, 120, 300
_MESSAGE, _REASON, _NEWS = 8_000, 2_000, 4_000
_PAYLOAD = Room(parts=60, characters=4_000, longest=2_000, rows=20)
_ROWS, _FIELDS, _NAMES, _LAST = 40, 20, 8, 5
_SCREEN = 800

_ENCODED = {ord(c): f"%{ord(c):02X}" for c in '<>"'}
"""What must not stand in a link as it is: not every mail program reads quotes as a browser does."""
_TAGS = {Kind.APPROVAL: "Approve?", Kind.CHOICE: "Choose", Kind.INPUT: "Fill in", Kind.FEEDBACK: "Feedback?"}
_ASKS = {
    Kind.APPROVAL: "asks for your approval",
    Kind.CHOICE: "asks you to choose",
    Kind.INPUT: "asks you to fill in a form",
    Kind.FEEDBACK: "asks for your feedback",
}


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text, and how many characters the whole of it has."""

    text: str
    total: int

    @property
    def shortened(self) -> bool:
        """Whether there is more."""
        return len(self.text) < self.total

    @property
    def long(self) -> bool:
        """Whether it would push the button off the first screen."""
        return len(self.text) > _SCREEN


def request_context(
    request: Request,
    respondent: Respondent | None,
    link: str | None,
    news: str = "",
    views: Views = NO_VIEWS,
) -> dict[str, Any]:
    """The names in every template about a request; texts from users are cleaned, but not yet escaped.

    `news` is what happened, in a sentence. Without a respondent the mail goes to the requester, who has no link.
    """
    spec = request.spec
    title = _line(spec.title, _TITLE)
    response = request.response_of(respondent.id) if respondent else None
    return {
        "request_id": request.id,
        "link": link,
        "zone": respondent.time_zone if respondent else None,
        "tag": "FYI" if spec.level is Level.INFO else _TAGS[spec.kind],
        "title": title,
        "subject_title": cut(title, _SUBJECT),
        "by": _short_deadline(request, respondent),
        "requester": _requester(request),
        "asks": _ASKS[spec.kind],
        "news": cut(plain(news), _NEWS),
        "message": _excerpt(plain(spec.message), _MESSAGE),
        "source_url": spec.source_url and spec.source_url.translate(_ENCODED),
        "details": [(_line(key, _LINE), _line(value, _LINE)) for key, value in _first_rows(spec.details)],
        "details_total": len(spec.details),
        **_done(request, views),
        "deadline": request.deadline,
        "without_answer": phrases.without_answer(request),
        "no_deadline": "" if request.deadline or request.status.final else phrases.NO_DEADLINE,
        "step": _line(step_title(request) or "", _LINE),
        "progress": judge(request).text,
        "waiting": _waiting(request, respondent),
        "held": held(request),
        "held_until": request.held.until if request.held else None,
        "fields": _values(request, {f.name: f.value for f in forms.fields(request)}),
        "changes": _changes(request, request.edits[-_LAST:]),
        "trail": [(line.at, _line(line.text, _SENTENCE)) for line in history(request)[-_LAST:]],
        "comments": [(_line(c.by, _VALUE), _line(c.text, _SENTENCE)) for c in request.comments[-_LAST:]],
        "course_shortened": max(len(request.edits), len(request.comments), len(history(request))) > _LAST
        or len(forms.fields(request)) > _FIELDS,
        "final": request.status.final,
        "outcome": _line(phrases.outcome(request), _LINE),
        "reason": cut(plain(phrases.reasons(request)), _REASON),
        **_own(request, response),
    }


def _done(request: Request, views: Views) -> dict[str, Any]:
    """What will be done, as far as a mail has room: its sections, the same as text, and how much is missing."""
    fitted = fit(views.sections(request), _PAYLOAD)
    digest = payload_digest(forms.payload(request)) if request.values else request.spec.payload_digest
    return {
        "payload_heading": heading(request.spec),
        "payload": fitted.sections,
        "payload_text": as_text(fitted.sections),
        "digest": digest,
        "payload_missing": "" if fitted.complete else fitted.lost,
    }


def _own(request: Request, response: Response | None) -> dict[str, Any]:
    """The reader's answer: the sentence, its reason, the values that came with it, and what those changed."""
    if response is None:
        return {"recorded": None, "own_reason": "", "own_values": [], "own_changes": []}
    edits = [e for e in request.edits if e.at == response.at and e.field in (response.values or {})]
    values = {n: v for n, v in (response.values or {}).items() if n not in {e.field for e in edits if e.old}}
    return {
        "recorded": _line(phrases.recorded(request, response), _LINE),
        "own_reason": cut(plain(response.reason or ""), _REASON),
        "own_values": _values(request, values),
        "own_changes": _changes(request, [e for e in edits if e.field not in values]),
    }


def _values(request: Request, values: Mapping[str, Json]) -> list[tuple[str, str]]:
    """The titles of a form's fields, and these values of theirs."""
    rows = [(f.title, field_value(f, values[f.name])) for f in forms.fields(request) if f.name in values]
    return [(_line(title, _VALUE), _line(value, _VALUE)) for title, value in rows[:_FIELDS]]


def _changes(request: Request, edits: Iterable[Edit]) -> list[tuple[str, str, str, str]]:
    """What was changed: the field's title, old and new value, and by whom."""
    return [
        (_line(d.title, _VALUE), _line(d.old, _VALUE), _line(d.new, _VALUE), _line(d.by, _VALUE))
        for d in differences(request, tuple(edits))
    ]


def notification_context(message: str) -> dict[str, Any]:
    """The names in the template of a message without a question."""
    text = plain(message).strip()
    first_line = markdown_text(text[:_MESSAGE]).partition("\n")[0]
    return {"subject_title": _line(first_line, _SUBJECT), "message": _excerpt(text, _MESSAGE)}


def _line(text: str, length: int) -> str:
    return cut(" ".join(plain(text).split()), length)


def _excerpt(text: str, length: int) -> Excerpt:
    """Cut at the end of a line where there is one near."""
    if len(text) <= length:
        return Excerpt(text, len(text))
    head = cut(text, length).removesuffix("…")
    newline = head.rfind("\n", length // 2)
    return Excerpt(head[:newline] if newline > 0 else head, len(text))


def _first_rows(details: dict[str, str]) -> list[tuple[str, str]]:
    return list(details.items())[:_ROWS]


def _requester(request: Request) -> str | None:
    name = phrases.requester(request)
    return None if name is None else _line(name, _TITLE)


def _short_deadline(request: Request, respondent: Respondent | None) -> str | None:
    """`Fri 17:00`, or the date where that could be another week.

    It is the same in every mail of a thread, since some mail programs end a thread where the subject changes: with
    steps that have deadlines of their own the subject names none.
    """
    stepwise = any(step.timeout_seconds for step in request.spec.steps)
    if request.timeout_at is None or stepwise or request.spec.level is Level.INFO:
        return None
    at = request.timeout_at.astimezone(zone(respondent.time_zone if respondent else None))
    asked = request.created_at.astimezone(at.tzinfo)
    if at - asked < timedelta(days=6):
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b %H:%M}" if at.year == asked.year else f"{at.day} {at:%b %Y %H:%M}"


def _waiting(request: Request, respondent: Respondent | None) -> str:
    """`you, Ana and 3 others`; nothing once the request is final."""
    if request.status.final:
        return ""
    waiting = awaited(request)
    others = [_line(n, _LINE) for n in naming.labels(request, [r for r in waiting if r != respondent])]
    return _listed([*(["you"] if respondent in waiting else []), *others])


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = every if len(every) <= _NAMES + 1 else [*every[:_NAMES], f"{len(every) - _NAMES} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
