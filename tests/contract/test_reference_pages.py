"""The pages that say what the code does, against the code: events, log actions, metrics, and what is generated."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import WebhookVerificationError

from bot.delivery.callbacks import _headers
from bot.delivery.signing import secret_from
from tests.support.command import CHECKOUT
from tests.support.documents import DOCUMENTS, hook
from tests.support.person import run_snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = re.compile(r"^\| `([a-z_.]+)` \|(?: ([^|]*) \|)?", re.MULTILINE)
NAME = re.compile(r"`([a-z_]+)`")


@cache
def sources() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((CHECKOUT / "bot").rglob("*.py"))]


def calls(name: str) -> Iterator[ast.Call]:
    for tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield node


def rows(page: str) -> list[tuple[str, str]]:
    return ROW.findall(DOCUMENTS[page])


def test_every_audit_event_is_documented_with_its_data() -> None:
    listed = rows("docs/reference/events.md")
    documented = {(kind, frozenset(NAME.findall(data))) for kind, data in listed if "." in kind}
    made = set()
    for call in calls("AuditEntry"):
        given = {word.arg: word.value for word in call.keywords}
        data = given["data"]
        assert isinstance(data, ast.Dict)
        if None not in data.keys:  # one that adds to another's data
            made.add((ast.literal_eval(given["type"]), frozenset(map(ast.literal_eval, data.keys))))
    assert made == documented


RESULTS = ("sent", "retry", "failed", "lost", "superseded")


def test_every_action_of_the_log_is_explained() -> None:
    explained = [kind for kind, _ in rows("docs/operate/troubleshooting.md") if "." in kind]
    logged = {f"delivery.{result}" for result in RESULTS}
    for level in ("debug", "info", "warning", "error", "exception"):
        for call in calls(level):
            logged |= {
                word.value.value
                for word in call.keywords
                if word.arg == "action" and isinstance(word.value, ast.Constant)
            }
    assert sorted(explained) == sorted(logged)


def test_every_metric_is_explained() -> None:
    text = (CHECKOUT / "bot/web/server/metrics.py").read_text(encoding="utf-8")
    made = set(re.findall(r'"(assent_[a-z_]+)"', text))
    names = re.findall(r"`(assent_[a-z_]+)", DOCUMENTS["docs/operate/deploy.md"])
    explained = {re.sub("(_total|_info)$", "", name) for name in names}
    assert made
    assert made == explained


PLACEHOLDER = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)
PLACES = [(name, place) for name, text in DOCUMENTS.items() for place in PLACEHOLDER.findall(text)]


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_what_is_generated_has_something_to_say(name: str, place: str) -> None:
    made = hook().on_page_markdown(f"{{{{ {place} }}}}")
    assert made.count("`") >= 4
    assert place not in made


def test_everything_that_can_be_generated_is_shown() -> None:
    assert sorted(place for _, place in PLACES) == sorted(hook().GENERATED)


class Page:
    """As much of MkDocs' page as the hook reads."""

    file = type("File", (), {"src_uri": "index.md"})


@pytest.mark.parametrize(
    "loading",
    [
        '<script src="https://cdn.example.com/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.com/css">',
        "<img alt='' src='http://example.com/pixel.png'>",
    ],
)
def test_a_page_that_loads_from_elsewhere_is_refused(loading: str) -> None:
    with pytest.raises(ValueError, match=r"index.md would load .*example.com"):
        hook().on_post_page(f"<html>{loading}</html>", page=Page)


def test_a_page_may_link_elsewhere() -> None:
    page = '<a href="https://example.com">more</a><script src="assets/x.js"></script>'
    assert hook().on_post_page(page, page=Page) == page


def test_the_receiver_of_a_callback_verifies_it() -> None:
    secret, other = secret_from("5f" * 32), secret_from("a0" * 32)
    decided = run_snippet("Verify it")["decided"]
    headers = _headers("dlv_1", b'{"type": "request.resolved"}', datetime.now(UTC), [secret])
    assert decided(b'{"type": "request.resolved"}', headers, secret) == {"type": "request.resolved"}
    for body, key in [(b'{"type": "request.opened"}', secret), (b'{"type": "request.resolved"}', other)]:
        with pytest.raises(WebhookVerificationError):
            decided(body, headers, key)
