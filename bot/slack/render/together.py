"""Several requests that are answered together: a form that names each of them before anything is decided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.domain.forms import forms
from bot.domain.messages import phrases
from bot.domain.model.request import APPROVE
from bot.slack.render import modals
from bot.slack.render.buttons import seen
from bot.slack.render.text import Block, clip, context, flat, line, paragraph, rich_text, run, section, weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.domain.model.request import Json, Request

APPROVE_TOGETHER, REJECT_TOGETHER = "assent.approve_together", "assent.reject_together"
"""Callback ids of the two forms."""
MAX_TITLE, MAX_DIFFERENCE = 150, 1000
"""Characters of a title, as many as an entry that can be ticked has, and of what tells it from its like."""
MAX_VALUE = 80
"""Characters of one value in which requests of one title differ."""


def together_modal(decision: str, requests: Sequence[Request], left_out: Sequence[str] = ()) -> Block:
    """The form that answers these, and only these; `left_out` says in sentences what was ticked and is none of them."""
    verb = "Approve" if decision == APPROVE else "Reject"
    number = len(requests)
    blocks = [
        section(f"*{verb} {'this request' if number == 1 else f'these {number} requests'}?*"),
        _list(requests),
    ]
    if left_out:
        blocks.append(section("*Left out*"))
        blocks += [context(sentence) for sentence in left_out]
    if decision != APPROVE:
        blocks.append(modals.reason_input(optional=False))
    callback = APPROVE_TOGETHER if decision == APPROVE else REJECT_TOGETHER
    return modals.form(f"{verb} {number}", blocks, callback, {"selected": [seen(r) for r in requests]})


def selected(private_metadata: str) -> list[str]:
    """What stands in the form's metadata: each request, with the revision and step that it named."""
    return [str(about) for about in json.loads(private_metadata)["selected"]]


def _list(requests: Sequence[Request]) -> Block:
    differences = told_apart(requests)
    items = []
    for request in requests:
        words = [*run(line(request.spec.title, MAX_TITLE), bold=True)]
        if difference := differences.get(request.id):
            words += run(f" ({clip(difference, MAX_DIFFERENCE)})")
        items.append(paragraph(*words))
    return rich_text({"type": "rich_text_list", "style": "bullet", "elements": items})


def told_apart(requests: Sequence[Request]) -> Mapping[str, str]:
    """By id, in what each request differs from the others of its title; nothing of those whose title is their own."""
    by_title: dict[str, list[Request]] = {}
    for request in requests:
        by_title.setdefault(line(request.spec.title, MAX_TITLE).casefold(), []).append(request)
    return {
        request.id: difference
        for alike in by_title.values()
        if len(alike) > 1
        for request, difference in zip(alike, _differences(alike), strict=True)
    }


def _differences(alike: Sequence[Request]) -> Iterator[str]:
    facts = [dict(_facts(request)) for request in alike]
    names = [
        name for name in dict.fromkeys(n for f in facts for n in f) if len({f.get(name) for f in facts}) > 1
    ]
    for number, (request, known) in enumerate(zip(alike, facts, strict=True), 1):
        told = [
            f"{name}: {_excerpt(known.get(name, '–'), [f.get(name, '–') for f in facts])}" for name in names
        ]
        asked = f"{number} of {len(alike)} that are alike, asked {request.created_at:%Y-%m-%d %H:%M:%S} UTC"
        yield "; ".join(told) or asked


def _excerpt(value: str, values: Sequence[str]) -> str:
    """A value, short, from a little before the place where it parts from the most alike of these."""
    if all(weight(v) <= MAX_VALUE for v in values):
        return line(value, MAX_VALUE)
    begin = max(0, max(_shared(value, v) for v in values if v != value) - MAX_VALUE // 4)
    return ("…" if begin else "") + line(value[begin:], MAX_VALUE)


def _shared(one: str, other: str) -> int:
    """How many characters two texts share before they differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _facts(request: Request) -> Iterator[tuple[str, str]]:
    """What is asked, in named parts."""
    payload = forms.payload(request)
    yield from _leaves("", payload)
    yield from ((flat(key), flat(value)) for key, value in request.spec.details.items())
    yield "message", flat(request.spec.message)
    yield "asked by", flat(phrases.requester(request) or "–")


def _leaves(name: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), member)
    elif isinstance(value, list) and value:
        for number, member in enumerate(value, 1):
            yield from _leaves(f"{name} {number}".strip(), member)
    else:
        yield (
            flat(name) or "payload",
            flat(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)),
        )
