"""What is asked, as blocks: the same parts in a card, a modal and an inbox, each with the room it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from bot.domain.forms import forms
from bot.domain.messages import phrases
from bot.domain.model.digest import payload_digest
from bot.domain.model.request import Status
from bot.domain.model.spec import Level
from bot.domain.payload.pages import pages
from bot.domain.people import quorum
from bot.domain.policies import payload_views
from bot.domain.policies.payload_views import NO_VIEWS
from bot.rendering import plain, pretty_json
from bot.slack.render import payload_blocks
from bot.slack.render.buttons import labels_are_long
from bot.slack.render.markdown import markdown
from bot.slack.render.text import (
    MAX_HEADER,
    NOTHING,
    Block,
    clip,
    context,
    date,
    escape,
    flat,
    header,
    inline,
    listed,
    localised,
    paragraph,
    pieces,
    preformatted,
    quote,
    rich_text,
    run,
    section,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bot.domain.model.request import Json, Request, Response
    from bot.domain.policies.payload_views import Views

MAX_PAYLOAD = 10_000
"""Characters of a payload that are kept at hand."""
MAX_LINK = 500
"""A longer link stands on a card as its host only."""

_MARKS = {
    Status.APPROVED: "✓",
    Status.REJECTED: "✗",
    Status.SKIPPED: "↷",
    Status.EXPIRED: "◔",
    Status.CANCELLED: "⊘",
}
"""Characters that every font has and Slack does not turn into pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Characters for each part of a question, and the number of details."""

    title: int
    message: int
    details: int
    rows: int
    payload: int
    reason: int


@dataclass(frozen=True, slots=True)
class Question:
    """The blocks that show a question, and in words what there was no room for."""

    blocks: list[Block]
    missing: tuple[str, ...]


def question(request: Request, room: Room, views: Views = NO_VIEWS) -> Question:
    """Title, message, details and payload, as far as `room` goes."""
    missing: list[str] = []
    blocks = [
        *_title(request.spec.title, room, missing),
        *_message(request.spec.message, room, missing),
        *_details(request.spec.details, room, missing),
        *_payload(request, room, missing, views),
    ]
    return Question(blocks, tuple(missing))


PART = 8_000
"""Characters of one part of what is too long for one view."""
PARTS = 300
"""Values in it."""


class Part(NamedTuple):
    """One view of what is asked, and whether it is the last."""

    blocks: list[Block]
    last: bool


def part(request: Request, room: Room, index: int, views: Views = NO_VIEWS) -> Part:
    """What is asked, all of it, in as many views as that takes: the view `index`, or the last where there are fewer."""
    shown = question(request, room, views)
    long_labels = labels_are_long(request)
    if not shown.missing and not long_labels:
        return Part(shown.blocks, last=True)
    spec = request.spec
    said = [plain(spec.title)] if weight(flat(spec.title)) > MAX_HEADER else []
    said += [plain(spec.message), *(f"{plain(key)}: {plain(value)}" for key, value in spec.details.items())]
    cut = [("Question", [preformatted(piece)]) for piece in pieces("\n".join(filter(None, said)), PART)]
    name = payload_views.heading(spec)
    cut += [
        (name, [*payload_blocks.elements(page, "")]) for page in pages(views.sections(request), PART, PARTS)
    ]
    if long_labels:
        numbered = [f"{number}. {plain(choice.label)}" for number, choice in enumerate(spec.choices, 1)]
        cut += [("Choices", [preformatted(piece)]) for piece in pieces("\n".join(numbered), PART)]
    index = min(index, len(cut) - 1)
    name, elements = cut[index]
    blocks = [
        header(spec.title),
        context(f"Part {index + 1} of {len(cut)} · {name}"),
        rich_text(*elements),
    ]
    return Part(blocks, last=index + 1 == len(cut))


def _title(title: str, room: Room, missing: list[str]) -> Iterator[Block]:
    whole = flat(title)
    yield header(title)
    if weight(whole) > MAX_HEADER:
        yield rich_text(paragraph(*run(clip(whole, room.title), bold=True)))
    if weight(whole) > max(MAX_HEADER, room.title):
        missing.append("the title")


def _message(message: str, room: Room, missing: list[str]) -> Iterator[Block]:
    if block := markdown(clip(message, room.message)):
        yield block
    if weight(message) > room.message:
        missing.append("the message")


def _details(details: dict[str, str], room: Room, missing: list[str]) -> Iterator[Block]:
    elements: list[Block] = []
    left, complete = room.details, 0
    for key, value in islice(details.items(), room.rows):
        name, words = flat(key) or NOTHING, plain(value).strip() or NOTHING
        if left < weight(name):
            break
        lead = "\n" if elements else ""
        left -= weight(name)
        elements += [*run(f"{lead}{name}: ", bold=True), *run(clip(words, left))]
        left -= weight(words)
        complete += left >= 0
    if elements:
        yield rich_text(paragraph(*elements))
    if complete < len(details):
        missing.append(f"{len(details) - complete} of {len(details)} details")


def _payload(request: Request, room: Room, missing: list[str], views: Views) -> Iterator[Block]:
    """What would be done if it were approved now: the payload with every change so far."""
    sections = views.sections(request)
    if not sections:
        return
    name = payload_views.heading(request.spec)
    blocks, lost = payload_blocks.fitted(sections, room.payload, room.rows, name)
    yield rich_text(*blocks)
    if lost:
        missing.append(f"{lost} under “{name}”")


def exact(request: Request, characters: int) -> Iterator[Block]:
    """The payload as it stands in JSON, as much of it as fits, and its fingerprint."""
    if request.spec.payload is None and not request.values:
        return
    whole = payload_text(request)
    yield rich_text(
        paragraph(*run("The same as data", bold=True)), preformatted(clip(whole.text, characters))
    )
    yield context(f"Fingerprint {whole.digest} · {whole.length:,} characters")


@dataclass(frozen=True, slots=True)
class PayloadText:
    """The beginning of a payload in readable JSON, more than is ever shown, the length of it all, and its digest."""

    text: str
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Payload:
    digest: str
    value: Json = field(compare=False)


def payload_text(request: Request) -> PayloadText:
    """The payload as machines read it."""
    if not request.values:
        return _readable(_Payload(request.spec.payload_digest, request.spec.payload))
    changed = forms.payload(request)
    return _readable(_Payload(payload_digest(changed), changed))


@lru_cache(maxsize=32)
def _readable(payload: _Payload) -> PayloadText:
    """Indenting half a megabyte takes 0.1 s, and every opening of Details shows the same."""
    text = pretty_json(payload.value)
    return PayloadText(text[:MAX_PAYLOAD], len(text), payload.digest)


# Where it stands


def headline(request: Request) -> str:
    """Who decided a final request, what, and when, in mrkdwn."""
    if request.spec.level is Level.INFO:
        return "*For your information*"
    decided_at = request.resolved_at or request.created_at
    return f"*{_MARKS[request.status]} {localised(phrases.outcome(request), decided_at, 300)}*"


def result(request: Request, room: int) -> Iterator[Block]:
    """The outcome of a final request: who, what, when, and why."""
    yield section(headline(request))
    if reasons := plain(phrases.reasons(request)).strip():
        yield quote(clip(reasons, room))


def asked_by(request: Request) -> str:
    """Who asks, since when, and where from, in mrkdwn."""
    requester = phrases.requester(request)
    asker = f" by {inline(requester, 100)}" if requester else ""
    parts = [f"Asked{asker} {date(request.created_at)}"]
    if url := request.spec.source_url:
        parts.append(_link(url))
    return " · ".join(parts)


def _link(url: str) -> str:
    """A link that shows the host it leads to; as text where it is too long for a card."""
    target = escape(plain(url).translate({ord("|"): "%7C", ord("<"): "%3C", ord(">"): "%3E"}))
    try:
        host = inline(urlsplit(url).hostname or url, 100)
    except ValueError:  # a bracket that does not close
        return inline(url, 100)
    return f"<{target}|{host}>" if weight(target) <= MAX_LINK else host


def progress(request: Request) -> str:
    """The quorum in words, who answered, and who is waited for, in mrkdwn."""
    parts = [inline(quorum.judge(request).text, 500)]
    if request.responses:
        parts.append(listed([_answer(request, response) for response in request.responses]))
    if not request.status.final and not request.held:
        awaited = [inline(name, 80) for name in phrases.waiting_for(request)]
        awaited += [f"anyone in <#{channel.removeprefix('slack:')}>" for channel in request.channels]
        parts += [f"waiting for {listed(awaited)}"] if awaited else []
    return " · ".join(parts)


def _answer(request: Request, response: Response) -> str:
    name = phrases.names(request, [response.respondent])
    return f"{inline(name, 80)} {inline(phrases.answered(response, request), 150)}"


def deadline(request: Request, now: datetime) -> str | None:
    """When it ends by itself and what happens then, or that it does not, in mrkdwn; None where it has ended."""
    if request.status.final or request.held:
        return None
    if request.deadline is None:
        return phrases.NO_DEADLINE
    if request.deadline <= now:
        return "The deadline has passed; the outcome follows."
    return f"Deadline {date(request.deadline)}. {phrases.without_answer(request)}"
