"""How a handler decides, and how long it tries to say so, without a server."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import ApiError, AsyncClient, Handler, Request, Response, Unreachable
from bot.client.handler import time_to_decide
from bot.client.transport.protocol import Call, HttpResponse, Lost

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
REFUSED = Lost(url="http://assent", reason="connection refused", sent=False)
ASKED = Request(
    id="req_1",
    title="Refund \x1b[2J",
    message="",
    payload={"amount": 1250},
    level="verify",
    allow_skip=False,
    timeout_at=None,
)


def status(code: int) -> HttpResponse:
    return HttpResponse(url="http://assent", status=code, content=b'{"detail": "it is refused"}')


class Scripted:
    """A server that gives these replies, and then 200."""

    def __init__(self, *replies: HttpResponse | Lost) -> None:
        self.replies = list(replies)
        self.calls: list[Call] = []

    async def make(self, call: Call) -> HttpResponse | Lost:
        self.calls.append(call)
        return self.replies.pop(0) if self.replies else status(200)

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(call.content or b"") for call in self.calls]


async def handled(handler: Handler, *replies: HttpResponse | Lost, **fields: Any) -> Scripted:
    """What a server with these replies is told about a request."""
    client, server = AsyncClient("http://assent"), Scripted(*replies)
    client._transport = server
    await handler.handle(client, Request({**ASKED, **fields}))
    return server


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    """A terminal at which somebody types."""

    def typed(text: str) -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return typed


async def approve(request: Request) -> Response:
    return Response("approve", "small enough", {"amount": 10})


async def test_a_callback_decides_with_reason_and_edits() -> None:
    [told] = (await handled(Handler(approve, respondent="email:bot@example.com"))).answers
    assert told == {
        "decision": "approve",
        "reason": "small enough",
        "values": {"amount": 10},
        "respondent": "email:bot@example.com",
    }


async def test_the_answer_is_to_the_revision_and_the_step_that_were_decided_on() -> None:
    [told] = (await handled(Handler(approve), revision=3, step={"index": 1})).answers
    assert (told["revision"], told["step"]) == (3, 1)


async def test_auto_approve_comes_first_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(request: Request) -> Response:
        raise AssertionError

    monkeypatch.setenv("ASSENT_AUTO_APPROVE", "TRUE")
    caplog.set_level(logging.INFO)
    for handler in (Handler(never), Handler(never, auto_approve=False, log_only=True)):
        [told] = (await handled(handler)).answers
        assert told == {"decision": "approve", "reason": "Approved automatically by a handler"}
    assert caplog.text.count("req_1 is approved automatically: 'Refund \\x1b[2J'") == 2
    [told] = (await handled(Handler(auto_approve=False))).answers
    assert told["decision"] == "reject"


async def test_the_terminal_comes_before_the_callback(terminal: Callable[[str], Terminal]) -> None:
    shown = terminal("s\na\nfine\nREFUND 1250\n")
    [told] = (await handled(Handler(approve, interactive=True))).answers
    assert told == {"decision": "approve", "reason": "fine", "phrase": "REFUND 1250"}
    assert "Refund \\u001b[2J  (req_1)" in shown.getvalue()
    assert "What will be done\nAmount: 1250\n" in shown.getvalue()


async def test_without_a_terminal_the_callback_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\n"))
    [told] = (await handled(Handler(approve, interactive=True))).answers
    assert told["reason"] == "small enough"


async def test_a_closed_terminal_rejects(terminal: Callable[[str], Terminal]) -> None:
    terminal("")
    [told] = (await handled(Handler(interactive=True))).answers
    assert told == {"decision": "reject", "reason": "The handler failed"}


@pytest.mark.parametrize(
    ("callback", "reason", "logged"),
    [
        (None, "The handler has nobody and nothing to ask", ""),
        (lambda request: 1 / 0, "The handler failed", "division by zero"),
        (lambda request: "approve", "The handler gave no valid answer", "returned a str; rejected"),
    ],
)
async def test_whatever_is_no_decision_rejects(
    callback: Callable[[Request], Any] | None, reason: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    [told] = (await handled(Handler(callback))).answers
    assert told == {"decision": "reject", "reason": reason}
    assert logged in caplog.text


async def test_a_callback_that_takes_too_long_rejects(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr("bot.client.handler.time_to_decide", lambda request, now: 0.01)
    try:
        [told] = (await handled(Handler(lambda request: never.wait()))).answers
    finally:
        never.set()
    assert told == {"decision": "reject", "reason": "The handler did not decide in time"}


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({"timeout_at": (NOW + timedelta(seconds=60)).isoformat(), "timeout_seconds": 900}, 48),
        ({"timeout_at": "2026-11-21T08:00:03Z"}, 5),
        ({"timeout_at": "2026-11-21T07:00:00Z"}, 5),
        ({"timeout_at": "soon", "timeout_seconds": 60}, 48),
        ({"timeout_at": None}, None),
    ],
)
def test_a_decision_may_take_four_fifths_of_the_time_left(
    members: dict[str, Any], seconds: float | None
) -> None:
    assert time_to_decide(Request(members), NOW) == seconds


async def test_the_answer_is_posted_again_after_one_two_and_three_seconds() -> None:
    server = await handled(Handler(approve), REFUSED, status(500), status(503))
    assert [call.delay for call in server.calls] == [0, 1, 2, 3]


@pytest.mark.parametrize("code", [404, 409])
async def test_somebody_else_was_faster(code: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = await handled(Handler(approve, on_unrecoverable_error=pytest.fail), status(code))
    assert len(server.calls) == 1
    assert "req_1: somebody else was faster" in caplog.text


async def test_an_answer_that_is_refused_becomes_a_rejection() -> None:
    server = await handled(Handler(approve, on_unrecoverable_error=pytest.fail), status(422))
    assert [told["decision"] for told in server.answers] == ["approve", "reject"]
    assert "The handler gave an answer that was refused: it is refused" in server.answers[1]["reason"]
    [told] = (await handled(Handler(lambda request: Response("approve", values={"when": NOW})))).answers
    assert (told["decision"], "cannot be sent as JSON" in told["reason"]) == ("reject", True)


async def test_a_handler_that_was_stopped_before_it_began_does_not_begin() -> None:
    handler = Handler()
    handler.stop()
    await asyncio.wait_for(asyncio.to_thread(handler.run), 20)


async def test_what_cannot_be_told_at_all_is_reported() -> None:
    lost: list[tuple[str, Exception]] = []
    handler = Handler(approve, on_unrecoverable_error=lambda *told: lost.append(told))
    assert len((await handled(handler, *[REFUSED] * 4)).calls) == 4
    await handled(handler, status(403), status(403))
    assert [(name, type(error)) for name, error in lost] == [("req_1", Unreachable), ("req_1", ApiError)]
