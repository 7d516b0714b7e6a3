"""What people are asked about a tool call, and what the model is given for their outcome."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bot.adapters.langgraph import _tool_call
from bot.adapters.openai_agents import _arguments
from bot.adapters.tool_calls import approved, key, question, refusal
from bot.client import Outcome, Rejected, Request
from tests.support.command import CHECKOUT

CALL = {"customer": "8841", "amount": 1250}
ALL = ["approve", "edit", "reject"]


def outcome(status: str = "approved", **members: Any) -> Outcome:
    """How a request about that call ended."""
    plain = {"decision": status, "choice": None, "reason": None, "values": None, "edited": False, "by": "Ana"}
    ended = {**plain, "payload": {"tool": "refund", **CALL}, **members}
    at = "2026-11-21T09:00:00.000Z"
    return Outcome.of(Request(title="Tool call: refund", status=status, outcome=ended, resolved_at=at))


EDITED = outcome(edited=True, values={"amount": 900}, payload={"tool": "refund", **CALL, "amount": 900})


def test_the_payload_binds_the_tool_and_its_arguments() -> None:
    assert question("refund", CALL, edit=False) == {
        "title": "Tool call: refund",
        "payload": {"tool": "refund", "customer": "8841", "amount": 1250},
    }


def test_people_may_edit_what_a_form_can_show_as_it_is() -> None:
    plain = {"customer": "8841", "amount": 1250, "rate": 0.5, "urgent": True}
    hidden = {"note": "", "file": "a\n", "long": "x" * 3001, "items": [1], "nothing": None}
    assert question("refund", {**plain, **hidden}, edit=True)["form"] == {
        "type": "object",
        "properties": {
            "customer": {"type": "string"},
            "amount": {"type": "integer"},
            "rate": {"type": "number"},
            "urgent": {"type": "boolean"},
        },
        "required": ["customer", "amount", "rate", "urgent"],
    }
    assert "form" not in question("refund", hidden, edit=True)


def test_an_argument_named_tool_hides_nothing() -> None:
    arguments = {"tool": "hammer", "tool_": 1}
    payload = question("buy", arguments, edit=False)["payload"]
    assert payload == {"tool__": "buy", "tool": "hammer", "tool_": 1}
    assert approved(outcome(payload=payload), arguments) == arguments


def test_the_model_learns_who_refused_and_why() -> None:
    assert refusal(outcome("rejected", reason="Ask for photos")) == (
        "Not run. Tool call: refund was rejected by Ana: Ask for photos"
    )
    assert refusal(outcome("expired")) == "Not run. Tool call: refund expired"


@pytest.mark.parametrize(
    ("given", "arguments"),
    [('{"amount": 1}', {"amount": 1}), ("", {}), ("ls -l", {"input": "ls -l"}), ("[1]", {"input": [1]})],
)
def test_a_tool_that_takes_free_text_has_an_input(given: str, arguments: dict[str, Any]) -> None:
    item: Any = SimpleNamespace(arguments=given)
    assert _arguments(item) == arguments


def test_a_key_fits_into_a_header() -> None:
    assert key("langgraph", "thread", "1") == "langgraph:thread:1"
    assert key("Gespräch", "1") != key("Gespräch", "2")
    assert key("Gespräch").isascii()
    assert len(key("x" * 300)) == 64


@pytest.mark.parametrize(
    ("allowed", "ended", "decision"),
    [
        (ALL, outcome(), {"type": "approve"}),
        (ALL, EDITED, {"type": "edit", "edited_action": {"name": "refund", "args": {**CALL, "amount": 900}}}),
        (["edit"], outcome(), {"type": "edit", "edited_action": {"name": "refund", "args": CALL}}),
        (ALL, outcome("expired"), {"type": "reject", "message": "Not run. Tool call: refund expired"}),
        (["respond", "reject"], outcome(values={"message": "Yes"}), {"type": "respond", "message": "Yes"}),
    ],
    ids=["approve", "edit", "approve as an edit", "reject", "respond"],
)
def test_an_outcome_is_a_decision_of_the_middleware(
    allowed: list[str], ended: Outcome, decision: dict[str, Any]
) -> None:
    assert _tool_call({"name": "refund", "args": CALL}, allowed).answer(ended) == decision


def test_a_rejection_that_the_middleware_does_not_allow_is_raised() -> None:
    with pytest.raises(Rejected):
        _tool_call({"name": "refund", "args": CALL}, ["approve"]).answer(outcome("rejected"))


@pytest.mark.parametrize(
    ("adapter", "missing", "extra"),
    [
        ("mcp", "uvicorn", "mcp"),
        ("langgraph", "langgraph.types", "langgraph"),
        ("openai_agents", "agents", "openai-agents"),
        ("pydantic_ai", "pydantic_ai", "pydantic-ai"),
    ],
)
def test_a_missing_extra_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, adapter: str, missing: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'assent\[{extra}\]'"):
        runpy.run_path(str(CHECKOUT / "bot" / "adapters" / f"{adapter}.py"))
