"""Answering: who decides what, what is refused and why, and that there is one outcome."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Answer, Product

ANA, BEN, CY = "ana@example.com", "ben@example.com", "cy@example.com"
THREE = [f"email:{e}" for e in (ANA, BEN, CY)]


@pytest.fixture(params=["sqlite_url", "postgres_url"], ids=["sqlite", "postgresql"])
async def product(request: pytest.FixtureRequest) -> AsyncIterator[Product]:
    """Once on each kind of database: who decides what must not depend on it."""
    async with running(request.getfixturevalue(request.param)) as product:
        yield product


def refusal(answer: Answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status, answer.json["code"]


def pointers(answer: Answer) -> set[str]:
    assert refusal(answer) == (422, "invalid")
    return {e["pointer"] for e in answer.json["errors"]}


async def after(product: Product, answers: list[tuple[str, str]], **fields: Any) -> Any:
    """The request after these people's answers, each of which must be taken."""
    request = await product.submit(**({"audience": THREE} | fields))
    for email, decision in answers:
        answer = await product.answer(request, decision, email)
        assert answer.status == 200, answer.text
        request = answer.json
    return request


async def test_one_approval_decides(product: Product) -> None:
    request = await product.submit(payload={"amount": 1250})
    answer = await product.answer(request, "approve", ANA, reason="  Fine by me ")
    decided = answer.json
    ana = request["respondents"][0]["id"]
    assert decided["status"] == "approved"
    assert decided["version"] == 2
    assert decided["respondents"][0]["state"] == "approved"
    assert decided["responses"] == [
        {
            "respondent": ana,
            "decision": "approve",
            "reason": "Fine by me",
            "values": None,
            "surface": "api",
            "at": decided["resolved_at"],
        }
    ]
    expected = {
        "decision": "approved",
        "choice": None,
        "reason": "Fine by me",
        "values": {},
        "payload": {"amount": 1250},
        "edited": False,
        "resolved_by": "respondents",
        "respondents": [ana],
    }
    assert decided["outcome"].items() >= expected.items()
    assert await product.get(request) == decided


@pytest.mark.parametrize("who", ["rsp", "email:Ana@Example.com", "ana@example.com"])
async def test_a_respondent_is_named_in_any_of_their_ways(who: str, product: Product) -> None:
    request = await product.submit()
    respondent = request["respondents"][0]["id"] if who == "rsp" else who
    answer = await product.answer(request, "approve", respondent=respondent)
    assert answer.json["outcome"]["respondents"] == [request["respondents"][0]["id"]]


APPROVED, REJECTED, SKIPPED, PENDING = "approved", "rejected", "skipped", "pending"
YES, NO, PASS = "approve", "reject", "skip"
RULES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"quorum": 2}, PENDING, [YES]),
    ({"quorum": 2}, APPROVED, [YES, YES]),
    ({"quorum": 2}, REJECTED, [YES, NO]),
    ({"quorum": 2, "reject_quorum": 2}, PENDING, [YES, NO]),
    ({"quorum": 2, "reject_quorum": 2}, APPROVED, [YES, NO, YES]),
    ({"quorum": 2, "reject_quorum": 2}, REJECTED, [NO, YES, NO]),
    ({"quorum": 2, "reject_quorum": 3}, REJECTED, [NO, NO]),
    ({"quorum": 3, "reject_quorum": 2}, REJECTED, [NO]),
    ({"quorum": "all"}, PENDING, [YES, YES]),
    ({"quorum": "all"}, APPROVED, [YES, YES, YES]),
    ({"quorum": "all", "reject_quorum": 2}, REJECTED, [NO]),
    ({"quorum": "majority"}, PENDING, [YES]),
    ({"quorum": "majority"}, APPROVED, [YES, YES]),
    ({"quorum": "majority", "reject_quorum": 2}, REJECTED, [NO, NO]),
    ({"allow_skip": True}, PENDING, [PASS, PASS]),
    ({"allow_skip": True}, SKIPPED, [PASS, PASS, PASS]),
    ({"allow_skip": True, "quorum": 2}, SKIPPED, [PASS, PASS]),
    ({"allow_skip": True, "quorum": 2}, APPROVED, [PASS, YES, YES]),
    ({"allow_skip": True, "quorum": "all"}, APPROVED, [PASS, YES, YES]),
    ({"allow_skip": True, "quorum": "majority"}, APPROVED, [PASS, PASS, YES]),
    ({"allow_skip": True, "quorum": "all"}, SKIPPED, [PASS, PASS, PASS]),
    ({"allow_skip": True, "quorum": 2, "reject_quorum": 2}, REJECTED, [NO, PASS]),
]


@pytest.mark.parametrize(("rule", "status", "decisions"), RULES)
async def test_the_quorum_decides(
    rule: dict[str, Any], status: str, decisions: list[str], product: Product
) -> None:
    people = (ANA, BEN, CY)
    request = await after(product, list(zip(people, decisions, strict=False)), **rule)
    assert request["status"] == status
    assert (request["outcome"] or {}).get("decision") == (None if status == PENDING else status)


async def test_the_progress_is_told_in_words(product: Product) -> None:
    request = await after(product, [(ANA, "approve"), (BEN, "reject")], quorum=2, reject_quorum=2)
    assert request["quorum"] == {
        "required": 2,
        "approved": 1,
        "rejected": 1,
        "text": "1 of 2 approvals; 1 rejection of 2 that would end it",
    }


async def test_the_same_answer_again_changes_nothing(product: Product) -> None:
    request = await product.submit(audience=THREE, quorum=2)
    first = await product.answer(request, "approve", ANA, reason="Yes")
    assert (await product.answer(request, "approve", ANA, reason="Yes")).json == first.json
    decided = await product.answer(request, "approve", BEN)
    again = await product.answer(request, "approve", BEN)
    assert (again.status, again.json) == (200, decided.json)
    audit = await product.call("GET", f"/v1/requests/{request['id']}/audit")
    assert [e["type"] for e in audit.json["items"]].count("request.response") == 2


async def test_another_answer_of_the_same_person_is_refused(product: Product) -> None:
    request = await product.submit(audience=THREE, quorum=2)
    await product.answer(request, "approve", ANA)
    for other in ({"decision": "reject"}, {"decision": "approve", "reason": "Because"}):
        answer = await product.answer(request, email=ANA, **other)
        assert refusal(answer) == (409, "already_responded")
        assert "You already approved" in answer.json["detail"]
    assert (await product.get(request))["quorum"]["approved"] == 1


async def test_who_was_not_asked_is_refused(product: Product) -> None:
    request = await product.submit()
    for who in ("email:eve@example.com", "slack:U0123456789", "rsp_aaaaaaaaaaaaa"):
        answer = await product.answer(request, "approve", respondent=who)
        assert refusal(answer) == (403, "not_in_audience"), who
    for nobody in ("eve", "group:ops", "fax:1"):
        assert pointers(await product.answer(request, "approve", respondent=nobody)) == {"/respondent"}
    assert (await product.get(request)) == request


async def test_nobody_approves_their_own_request(product: Product) -> None:
    request = await product.submit(audience=THREE, requester="email:Ana@Example.com")
    answer = await product.answer(request, "approve", ANA)
    assert refusal(answer) == (403, "self_approval")
    assert (await product.answer(request, "reject", BEN)).json["status"] == "rejected"
    allowed = await product.submit(requester=f"email:{ANA}", allow_self_approval=True)
    assert (await product.answer(allowed, "approve", ANA)).json["status"] == "approved"


async def test_the_late_learn_who_decided(product: Product) -> None:
    request = await product.submit(audience=THREE)
    decided = await product.answer(request, "reject", ANA, reason="Too expensive")
    late = await product.answer(request, "approve", BEN)
    assert refusal(late) == (409, "already_resolved")
    assert late.json["request"] == decided.json
    for word in ("rejected", ANA, "Too expensive"):
        assert word in late.json["detail"]


async def test_fifty_answers_at_once_have_one_outcome(product: Product) -> None:
    people = [f"p{i}@example.com" for i in range(50)]
    request = await product.submit(audience=[f"email:{p}" for p in people])
    answers = await asyncio.gather(
        *(product.answer(request, ("approve", "reject")[i % 2], p) for i, p in enumerate(people))
    )
    (winner,) = [a.json for a in answers if a.status == 200]
    losers = [a for a in answers if a.status != 200]
    assert {refusal(a) for a in losers} == {(409, "already_resolved")}
    assert all(a.json["request"] == winner for a in losers)
    assert {a.json["detail"] for a in losers} == {losers[0].json["detail"]}
    assert winner["outcome"]["by"] in losers[0].json["detail"]
    assert await product.get(request) == winner
    assert len(winner["responses"]) == 1


async def test_twenty_of_the_same_answer_at_once_count_once(product: Product) -> None:
    request = await product.submit(audience=THREE, quorum=2)
    answers = await asyncio.gather(*(product.answer(request, "approve", ANA) for _ in range(20)))
    assert {a.status for a in answers} == {200}
    assert (await product.get(request))["quorum"]["approved"] == 1


@pytest.mark.parametrize(
    ("rule", "needing", "free"),
    [
        ("optional", [], ["approve", "reject", "skip"]),
        ("on_reject", ["reject"], ["approve", "skip"]),
        ("required", ["approve", "reject", "skip"], []),
    ],
)
async def test_a_reason_is_asked_for(
    rule: str, needing: list[str], free: list[str], product: Product
) -> None:
    for decision in needing:
        request = await product.submit(reason=rule, allow_skip=True)
        for reason in (None, "", "  \n"):
            assert pointers(await product.answer(request, decision, ANA, reason=reason)) == {"/reason"}
        assert (await product.answer(request, decision, ANA, reason="Why not")).status == 200
    for decision in free:
        request = await product.submit(reason=rule, allow_skip=True)
        assert (await product.answer(request, decision, ANA)).status == 200


async def test_an_answer_that_does_not_fit_is_refused_by_its_fields(product: Product) -> None:
    request = await product.submit()
    assert pointers(await product.answer(request, "skip", ANA)) == {"/decision"}
    assert pointers(await product.answer(request, "perhaps", ANA)) == {"/decision"}
    assert pointers(await product.answer(request, "", ANA)) == {"/decision"}
    assert pointers(await product.answer(request, "approve", ANA, reason="x" * 3001)) == {"/reason"}
    assert pointers(await product.answer(request, "approve", ANA, values={"amount": 1})) == {"/values"}
    assert pointers(await product.answer(request, "approve", ANA, verdict="yes")) == {"/verdict"}
    assert pointers(await product.answer(request, "approve", ANA, reason=7)) == {"/reason"}
    nothing = await product.call("POST", f"/v1/requests/{request['id']}/responses", json={})
    assert pointers(nothing) == {"/decision"}
    assert await product.get(request) == request


async def test_a_phrase_must_be_typed_exactly(product: Product) -> None:
    request = await product.submit(level="verify", verification_phrase="DELETE prod")
    for phrase in (None, "", "delete prod", "DELETEprod"):
        assert pointers(await product.answer(request, "approve", ANA, phrase=phrase)) == {"/phrase"}
    assert (await product.answer(request, "approve", ANA, phrase=" DELETE  prod ")).status == 200
    other = await product.submit(level="verify", verification_phrase="DELETE prod")
    assert (await product.answer(other, "reject", ANA)).json["status"] == "rejected"


async def test_a_choice_is_an_approval_that_says_which(product: Product) -> None:
    choices = [{"id": "blue", "label": "Blue"}, {"id": "green", "label": "Green", "style": "danger"}]
    request = await product.submit(kind="choice", choices=choices)
    assert [c["id"] for c in request["choices"]] == ["blue", "green"]
    assert pointers(await product.answer(request, "approve", ANA)) == {"/decision"}
    decided = (await product.answer(request, "green", ANA)).json
    assert (decided["status"], decided["outcome"]["choice"]) == ("approved", "green")
    assert decided["responses"][0]["decision"] == "green"


async def test_votes_for_different_choices_are_not_counted_together(product: Product) -> None:
    choices = [{"id": "blue", "label": "Blue"}, {"id": "green", "label": "Green"}]
    request = await product.submit(audience=THREE, kind="choice", choices=choices, quorum=2)
    for who, choice in zip(THREE, ("blue", "green"), strict=False):
        split = (await product.answer(request, choice, who.removeprefix("email:"))).json
    assert split["status"] == "pending"
    assert split["quorum"]["approved"] == 1
    assert split["quorum"]["text"] == "1 of 2 choices"


async def test_an_operator_decides_whatever_the_quorum(product: Product) -> None:
    for decision, status in (("approve", "approved"), ("reject", "rejected"), ("skip", "skipped")):
        request = await product.submit(audience=THREE, quorum="all")
        decided = (await product.answer(request, decision, reason="On call")).json
        assert decided["status"] == status
        assert decided["outcome"]["resolved_by"] == "operator"
        assert decided["outcome"]["reason"] == "On call"
        assert decided["outcome"]["respondents"] == []
    late = await product.answer(request, "approve")
    assert refusal(late) == (409, "already_resolved")
    assert "operator" in late.json["detail"]


async def test_a_request_is_cancelled(product: Product) -> None:
    request = await product.submit()
    path = f"/v1/requests/{request['id']}/cancel"
    cancelled = (await product.call("POST", path, json={"reason": "Not needed"})).json
    assert cancelled["status"] == "cancelled"
    assert cancelled["outcome"]["resolved_by"] == "requester"
    assert cancelled["outcome"]["reason"] == "Not needed"
    assert refusal(await product.call("POST", path, json={})) == (409, "already_resolved")
    assert refusal(await product.answer(request, "approve", ANA)) == (409, "already_resolved")
    other = await product.submit()
    assert (await product.call("POST", f"/v1/requests/{other['id']}/cancel")).json["status"] == "cancelled"


@pytest.fixture
async def timed(database_url: str) -> AsyncIterator[Product]:
    async with running(database_url, clock=ManualClock()) as product:
        yield product


@pytest.mark.parametrize(
    ("on_timeout", "status"),
    [("expire", "expired"), ("approve", "approved"), ("reject", "rejected"), ("skip", "skipped")],
)
async def test_the_deadline_does_what_was_said(on_timeout: str, status: str, timed: Product) -> None:
    request = await timed.submit(timeout_seconds=60, on_timeout=on_timeout)
    assert request["on_timeout"] == on_timeout
    waiting = asyncio.create_task(timed.get(request, wait=30))
    timed.advance(59.9)
    assert (await timed.get(request))["status"] == "pending"
    timed.advance(0.2)
    expired = await waiting
    assert expired["status"] == status
    assert expired["outcome"]["resolved_by"] == "timeout"
    assert expired["outcome"]["surface"] == "timeout"
    late = await timed.answer(request, "approve", ANA)
    assert refusal(late) == (409, "already_resolved")


async def test_an_answer_in_time_wins_over_the_deadline(timed: Product) -> None:
    request = await timed.submit(timeout_seconds=60)
    await timed.answer(request, "approve", ANA)
    timed.advance(3600)
    assert (await timed.get(request, wait=1))["status"] == "approved"


async def test_an_answer_after_the_deadline_is_late_even_before_the_timer_ran(timed: Product) -> None:
    request = await timed.submit(timeout_seconds=60)
    assert timed.clock
    timed.clock.at += timedelta(seconds=61)
    late = await timed.answer(request, "approve", ANA)
    assert refusal(late) == (409, "already_resolved")
    assert "expired" in late.json["detail"].lower()
    assert late.json["request"]["status"] == "expired"


async def test_without_a_deadline_it_waits(timed: Product) -> None:
    request = await timed.submit()
    timed.advance(10 * 365 * 24 * 3600)
    assert request["timeout_at"] is None
    assert (await timed.answer(request, "approve", ANA)).json["status"] == "approved"
