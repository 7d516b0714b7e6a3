"""The form that answers several at once names each, and says in what those of one title differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.model.request import APPROVE, REJECT, Request
from bot.sandbox.slack.block_kit.blockkit import view_faults
from bot.slack.render.together import MAX_VALUE, selected, together_modal, told_apart
from tests.support.slack_requests import NASTY, asked


def numbered(*requests: Request) -> list[Request]:
    return [replace(request, id=f"req_{number}") for number, request in enumerate(requests)]


def test_titles_of_their_own_need_nothing_more() -> None:
    assert told_apart(numbered(asked(title="One"), asked(title="Two"))) == {}


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"payload": {"amount": 1}}, {"payload": {"amount": 2}}, ("amount: 1", "amount: 2")),
        ({"payload": {"a": {"b": [1, 2]}}}, {"payload": {"a": {"b": [1, 3]}}}, ("a.b 2: 2", "a.b 2: 3")),
        ({"details": {"Order": "7"}}, {"details": {"Order": "8"}}, ("Order: 7", "Order: 8")),
        ({"message": "Now"}, {"message": "Then"}, ("message: Now", "message: Then")),
        ({"requester": "Bo"}, {"requester": "Cy"}, ("asked by: Bo", "asked by: Cy")),
        ({"payload": {"x": 1, "y": 5}}, {"payload": {"y": 5}}, ("x: 1", "x: –")),
        ({"title": "Pay", "payload": {"a": 1}}, {"title": "PAY ", "payload": {"a": 2}}, ("a: 1", "a: 2")),
    ],
)
def test_equal_titles_are_told_apart(
    one: dict[str, object], other: dict[str, object], said: tuple[str, str]
) -> None:
    requests = numbered(asked(**one), asked(**other))
    assert tuple(told_apart(requests).values()) == said


def test_what_differs_late_is_shown_from_there() -> None:
    payloads = [{"path": "/srv/" + "deep/" * 60 + name} for name in ("one", "two", "three")]
    told = list(told_apart(numbered(*(asked(payload=p) for p in payloads))).values())
    assert [text.rpartition("/")[2] for text in told] == ["one", "two", "three"]
    assert all(len(text) <= MAX_VALUE + len("path: …") for text in told)


def test_what_differs_in_nothing_is_counted() -> None:
    told = list(told_apart(numbered(asked(), asked())).values())
    assert [text.partition(",")[0] for text in told] == ["1 of 2 that are alike", "2 of 2 that are alike"]


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_twenty_of_anything_fit(decision: str, text: str) -> None:
    requests = numbered(*(asked(title=text or "?", payload={"n": n, "t": f"{text}{n}"}) for n in range(20)))
    view = together_modal(decision, requests, [f"“{n}”: Already rejected." for n in range(3)])
    assert view_faults(view) == []
    assert len(view["private_metadata"]) <= 3000
    assert [about.partition(":")[0] for about in selected(view["private_metadata"])] == [
        r.id for r in requests
    ]
