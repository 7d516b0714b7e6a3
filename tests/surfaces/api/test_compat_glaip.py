"""GL AIP's routes, by the shapes that its client reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product import KEY

if TYPE_CHECKING:
    from tests.support.product import Answer, Json, Product

HEADERS = {"Authorization": "", "X-API-Key": KEY}


async def decide(product: Product, **body: Json) -> Answer:
    return await product.call("POST", "/agents/hitl/decision", json=body, headers=HEADERS)


async def test_what_waits_is_a_bare_list_of_tools_and_arguments(product: Product) -> None:
    tool = await product.submit(
        payload={"tool": "refund", "amount": 1250}, requester="support-agent", timeout_seconds=60
    )
    plain = await product.submit(title="Deploy v7", payload=["v7"])
    done = await product.submit(level="info")
    answer = await product.call("GET", "/agents/hitl/pending", headers=HEADERS)
    first, second = answer.json
    assert done["id"] not in answer.text
    assert (first["request_id"], first["tool"], first["arguments"]) == (
        plain["id"],
        "Deploy v7",
        {"payload": ["v7"]},
    )
    metadata = second.pop("hitl_metadata")
    assert second == {
        "request_id": tool["id"],
        "tool": "refund",
        "arguments": {"amount": 1250},
        "created_at": tool["created_at"],
        "agent_id": "support-agent",
    }
    assert metadata["timeout_at"] == tool["timeout_at"]
    assert metadata["timeout_seconds"] == 60


@pytest.mark.parametrize("decision", ["approved", "rejected", "skipped"])
async def test_the_first_decision_wins(decision: str, product: Product) -> None:
    request = await product.submit(quorum=1)
    first = await decide(
        product, request_id=request["id"], decision=decision, operator_input="As agreed", run_id="r-1"
    )
    assert (first.status, first.json["status"]) == (200, "ok")
    decided = await product.get(request)
    assert (decided["status"], decided["outcome"]["resolved_by"]) == (decision, "operator")
    assert decided["outcome"]["reason"] == "As agreed"
    late = await decide(product, request_id=request["id"], decision="approved")
    assert (late.status, late.json["code"]) == (409, "already_resolved")
    assert await product.get(request) == decided


async def test_what_cannot_be_decided_is_refused(product: Product) -> None:
    request = await product.submit()
    for body, expected in [
        ({"request_id": "req_unknown", "decision": "approved"}, (404, "not_found")),
        ({"request_id": request["id"], "decision": "maybe"}, (422, "invalid")),
        ({"request_id": "a b", "decision": "approved"}, (422, "invalid")),
        ({"decision": "approved"}, (422, "invalid")),
    ]:
        answer = await decide(product, **body)
        assert (answer.status, answer.json["code"]) == expected
    reading = {"Authorization": "", "X-API-Key": (await product.new_key("read"))["Authorization"][7:]}
    for method, path, status in [
        ("GET", "/agents/hitl/pending", 200),
        ("POST", "/agents/hitl/decision", 403),
    ]:
        assert (await product.call(method, path, headers=reading, json={})).status == status
        unknown = HEADERS | {"X-API-Key": "wrong"}
        assert (await product.call(method, path, headers=unknown)).status == 401
    assert (await product.get(request))["status"] == "pending"
