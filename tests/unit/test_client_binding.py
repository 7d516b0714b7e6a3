"""What was approved is held against what was asked: a revision in between is no yes to it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.adapters import claude_hook
from bot.adapters.tool_calls import ask, question, refusal
from bot.client.binding import held_against
from bot.client.errors import Cancelled
from bot.client.testing import Chosen, OfflineAsyncClient, OfflineClient, approve, edit, reject

if TYPE_CHECKING:
    from bot.client import Request

ASK: dict[str, Any] = {"title": "Refund", "audience": ["ana@example.com"], "payload": {"amount": 1250}}


def revised(request: Request) -> Chosen:
    """People approve, but what was revised since."""
    request["payload"] = {**request.payload, "amount": 9}
    return approve()


@pytest.mark.parametrize("chosen", [approve(), edit(amount=900), reject("no")])
def test_an_outcome_about_what_was_asked_stays_as_it_is(chosen: Chosen) -> None:
    client = OfflineClient(chosen)
    outcome = client.wait(client.submit(**ASK).id)
    assert held_against(outcome, {"amount": 1250}) is outcome


@pytest.mark.parametrize("payload", [{"amount": 1251}, {"amount": 1250, "to": "x"}, None, {}])
def test_an_approval_of_something_else_is_none(payload: Any) -> None:
    client = OfflineClient(approve())
    outcome = held_against(client.wait(client.submit(**ASK).id), payload)
    assert not outcome
    assert "was revised after it was asked" in outcome.text
    with pytest.raises(Cancelled, match="revised"):
        outcome.raise_for_rejection()


def test_tool_calls_are_not_run_by_the_approval_of_others() -> None:
    asked = {**question("refund", {"amount": 1250}, edit=False), "audience": ["ana@example.com"]}

    async def outcomes() -> list[Any]:
        return await ask(OfflineAsyncClient(revised), [asked, asked])

    for outcome in asyncio.run(outcomes()):
        assert not outcome
        assert refusal(outcome).startswith("Not run. Tool call: refund was cancelled by Assent")


def test_the_hook_denies_a_call_that_was_revised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_DEFAULT_AUDIENCE", "ana@example.com")
    event = {"tool_name": "Refund", "tool_input": {"amount": 1250}, "tool_use_id": "toolu_1", "cwd": "/"}
    decisions = []
    for rule in (approve(), revised):
        said = claude_hook.decide(
            lambda rule=rule: OfflineClient(rule),  # type: ignore[misc]  # each in its turn
            json.dumps(event).encode(),
            wait=5,
            pending="deny",
        )
        decisions.append(said["hookSpecificOutput"]["permissionDecision"])
    assert decisions == ["allow", "deny"]
