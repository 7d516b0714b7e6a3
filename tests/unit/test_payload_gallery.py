"""Payloads of real tools on every surface: each value is there or counted, and each card is one that Slack takes."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk.models.views import View as SdkView

from bot.cli import display
from bot.domain.model.digest import payload_digest
from bot.domain.payload.fit import fit
from bot.domain.payload.isolates import FIRST_STRONG, POP
from bot.domain.payload.pages import pages
from bot.domain.payload.parts import shown_leaves
from bot.domain.payload.plain_text import as_text
from bot.domain.payload.sections import leaf_count
from bot.domain.payload.words import scalar, visible
from bot.domain.policies.payload_views import NO_VIEWS
from bot.rendering import templates
from bot.sandbox.slack.block_kit.blockkit import block_faults, text_length, texts, view_faults
from bot.slack.render import cards, details_modal, home, modals, payload_blocks
from bot.web.pages.payload import payload_view
from tests.support.mails import NOW, ask, body, compose
from tests.support.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = pytest.mark.parametrize("name", PAYLOADS)


def leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict() if value:
            for member in value.values():
                yield from leaves(member)
        case list() if value:
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def said(text: str) -> str:
    """Words alone: what stands between them differs from surface to surface."""
    return "".join(text.translate({ord(FIRST_STRONG): None, ord(POP): None}).split())


def absent(payload: Any, shown: str) -> list[Any]:
    """The leaves whose text is not among what is shown, line by line."""
    return [leaf for leaf in leaves(payload) if not all(line in shown for line in lines(leaf))]


def lines(leaf: Any) -> list[str]:
    if not isinstance(leaf, str) or not leaf.strip():
        return [readable(scalar(leaf, ""))]
    marks = str.maketrans({"-": None, "+": None, ",": None})
    return [said(visible(line)).translate(marks) for line in leaf.strip().split("\n")]


def readable(shown: str) -> str:
    """Without the signs of a diff and the commas of numbers."""
    return said(shown).translate(str.maketrans({"-": None, "+": None, ",": None}))


class Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def html_words(html: str) -> str:
    parser = Words()
    parser.feed(html)
    return readable("".join(parser.words))


def gaps(payload: Any, shown: str) -> list[Any]:
    """What is absent, without numbers: their text may stand in another's."""
    return [leaf for leaf in absent(payload, shown) if isinstance(leaf, str)]


@NAMES
def test_a_card_is_valid_and_says_yes_with_one_click_only_where_all_of_it_is_shown(name: str) -> None:
    payload = PAYLOADS[name]
    request = ask(payload=payload)
    card = cards.card(request, NOW)
    assert block_faults(card.blocks) == []
    assert text_length(card.blocks) <= 9000
    fitted = fit(NO_VIEWS.sections(request), payload_blocks.room(cards.CARD.payload, cards.CARD.rows))
    shown = readable("\n".join(texts(card.blocks)))
    assert len(gaps(payload, shown)) <= fitted.missing
    buttons = [
        e["text"]["text"] for b in card.blocks if b["type"] == "actions" for e in b["elements"] if "text" in e
    ]
    assert ("Approve" in buttons) == fitted.complete
    assert ("Review…" in buttons) != fitted.complete
    assert fitted.complete or readable(fitted.lost) in shown


@NAMES
def test_home_is_valid_and_ticks_nothing_that_it_cuts(name: str) -> None:
    request = ask(payload=PAYLOADS[name])
    view = home.home([request, replace(ask(), id="req_02")], 0, NOW)
    assert view_faults(view) == []
    shown = readable("\n".join(texts(view["blocks"])))
    assert home.is_short(request) or not gaps(PAYLOADS[name], shown)


@NAMES
def test_review_shows_every_value_page_by_page(name: str) -> None:
    request = ask(payload=PAYLOADS[name])
    shown = []
    for part in count():
        view = modals.answer_modal(request, "approve", part=part)
        assert view_faults(view) == []
        assert len(json.dumps(view)) < modals.MAX_VIEW
        SdkView(**view).validate_json()
        shown += texts(view["blocks"][2 if "Part" in str(view["blocks"][1]) else 0 :])
        if view["title"]["text"] != "Review":
            break
    assert gaps(PAYLOADS[name], readable("".join(shown)).replace("Text:", "")) == []
    details = details_modal.details_modal(request, NOW)
    assert view_faults(details) == []
    assert request.spec.payload_digest in str(details)


@NAMES
def test_pages_of_sections_lose_nothing(name: str) -> None:
    sections = NO_VIEWS.sections(ask(payload=PAYLOADS[name]))
    views = pages(sections, 900, 20)
    shown = readable("".join(as_text(view) for view in views)).replace("Text:", "")
    assert gaps(PAYLOADS[name], shown) == []
    assert all(len(as_text(view)) < 3000 for view in views)


@NAMES
def test_a_page_shows_every_value(name: str) -> None:
    request = ask(payload=PAYLOADS[name])
    view = payload_view(request, NO_VIEWS)
    assert shown_leaves(view.sections) + view.count == leaf_count(PAYLOADS[name])
    template = templates().from_string('{% from "web/payload.html" import payload %}{{ payload(view) }}')
    html = str(template.render(view=view))
    assert gaps(PAYLOADS[name], html_words(html)) == []
    assert "\u202e" not in html


@NAMES
def test_a_mail_shows_every_value_or_says_how_many_are_not(name: str) -> None:
    mail = compose(ask(payload=PAYLOADS[name]))
    text, html = readable(body(mail)), html_words(body(mail, "html"))
    missing = gaps(PAYLOADS[name], text)
    assert gaps(PAYLOADS[name], html) == missing
    assert bool(missing) <= ("morevalue" in text and "morevalue" in html)
    assert len(body(mail, "html").encode()) < 102_000


@NAMES
def test_a_terminal_shows_every_value(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    display.print_sections(NO_VIEWS.sections(ask(payload=PAYLOADS[name])))
    assert gaps(PAYLOADS[name], readable(capsys.readouterr().out)) == []


def test_text_that_is_written_from_the_right_is_isolated_wherever_html_does_not() -> None:
    request = ask(payload=PAYLOADS["hebrew"])
    for shown in ("\n".join(texts(cards.card(request, NOW).blocks)), body(compose(request))):
        assert f"{FIRST_STRONG}סכום{POP}" in shown
        assert f"{FIRST_STRONG}1234 בנק 77{POP}" in shown
        assert all(line.count(FIRST_STRONG) == line.count(POP) for line in shown.split("\n"))


def test_the_largest_payloads_do_not_hold_anybody_up() -> None:
    large = {
        "text": {"t": "word " * 100_000},
        "rows": {"rows": [{"sku": f"A{n}", "qty": n} for n in range(9000)]},
        "diff": {"old_string": "a\n" * 50_000, "new_string": "b\n" * 50_000},
    }
    for payload in large.values():
        request = ask(payload=payload)
        NO_VIEWS.sections(request)  # made once, in a thread
        begun = perf_counter()
        cards.card(request, NOW)
        assert perf_counter() - begun < 1.0  # some 20 ms, on a machine with nothing else to do
        assert request.spec.payload_digest == payload_digest(payload)
