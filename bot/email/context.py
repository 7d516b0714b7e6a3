"""What the templates know of a request: short enough for a mail, and saying where it is shortened.

The limits keep the HTML below 102 KB, beyond which Gmail cuts a mail off, and everything that matters on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot.domain import notices
from bot.domain.quorum import judge
from bot.domain.request import Kind, Level, RespondentState
from bot.rendering import cut, markdown_text, plain, pretty_json, zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.request import Request, Respondent

_TITLE, _SUBJECT, _LINE = 300, 120, 500
_MESSAGE, _PAYLOAD, _REASON = 8_000, 4_000, 2_000
_ROWS, _NAMES = 40, 8
_SCREEN = 800

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


def request_context(request: Request, respondent: Respondent, link: str) -> dict[str, Any]:
    """The names in every template about a request; texts from users are cleaned, but not yet escaped."""
    spec = request.spec
    title = _line(spec.title, _TITLE)
    response = request.response_of(respondent.id)
    return {
        "request_id": request.id,
        "link": link,
        "zone": respondent.time_zone,
        "tag": "FYI" if spec.level is Level.INFO else _TAGS[spec.kind],
        "title": title,
        "subject_title": cut(title, _SUBJECT),
        "by": _short_deadline(request, respondent),
        "requester": _requester(request),
        "asks": _ASKS[spec.kind],
        "message": _excerpt(plain(spec.message), _MESSAGE),
        "source_url": spec.source_url,
        "details": [(_line(key, _LINE), _line(value, _LINE)) for key, value in _first_rows(spec.details)],
        "details_total": len(spec.details),
        "payload": None if spec.payload is None else _excerpt(pretty_json(spec.payload), _PAYLOAD),
        "digest": spec.payload_digest,
        "deadline": request.timeout_at,
        "without_answer": notices.without_answer(request),
        "progress": judge(request).text,
        "waiting": _waiting(request, respondent),
        "final": request.status.final,
        "outcome": _line(notices.outcome(request), _LINE),
        "reason": cut(plain(request.outcome.reason or ""), _REASON) if request.outcome else "",
        "recorded": _line(notices.recorded(request, response), _LINE) if response else None,
        "own_reason": cut(plain(response.reason or ""), _REASON) if response else "",
    }


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
    """Who asks, by name where the audience knows them."""
    requester = request.spec.requester
    if requester is None:
        return None
    known = request.respondent(requester)
    name = known.label if known else requester.removeprefix("email:").replace("slack:", "Slack user ", 1)
    return _line(name, _TITLE)


def _short_deadline(request: Request, respondent: Respondent) -> str | None:
    """`Fri 17:00`, or the date where that could be another week. The same in every mail of a thread."""
    if request.timeout_at is None or request.spec.level is Level.INFO:
        return None
    at = request.timeout_at.astimezone(zone(respondent.time_zone))
    asked = request.created_at.astimezone(at.tzinfo)
    if at - asked < timedelta(days=6):
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b %H:%M}" if at.year == asked.year else f"{at.day} {at:%b %Y %H:%M}"


def _waiting(request: Request, respondent: Respondent) -> str:
    """`you, Ana and 3 others`; nothing once the request is final."""
    if request.status.final:
        return ""
    awaited = [r for r in request.seated if r.state in {RespondentState.WAITING, RespondentState.UNREACHABLE}]
    names = ["you"] if any(r.id == respondent.id for r in awaited) else []
    return _listed([*names, *(_line(r.label, _LINE) for r in awaited if r.id != respondent.id)])


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = every if len(every) <= _NAMES + 1 else [*every[:_NAMES], f"{len(every) - _NAMES} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
