"""The offline client answers like the API, as a test has chosen."""

from __future__ import annotations

import pytest

from bot.client import ApiError, Request, Unverified
from bot.client.testing import Chosen, OfflineAsyncClient, OfflineClient, approve, choose, edit, reject

ASK = {"title": "Refund", "audience": ["email:ana@example.com"], "payload": {"amount": 1250}}


def test_one_outcome_holds_for_all_and_a_list_for_one_after_the_other() -> None:
    always, listed = OfflineClient(approve("go")), OfflineClient([approve(), reject("no")])
    assert [always.wait(always.submit(**ASK).id).reason for _ in range(3)] == ["go"] * 3
    assert [listed.wait(listed.submit(**ASK).id).status for _ in range(2)] == ["approved", "rejected"]
    with pytest.raises(AssertionError, match="the test has chosen no outcome for 'Refund'"):
        listed.submit(**ASK)


def test_a_rule_sees_the_request() -> None:
    def rule(request: Request) -> Chosen:
        return edit(amount=1000) if request.payload["amount"] > 1000 else approve()

    client = OfflineClient(rule)
    outcome = client.wait(client.submit(**ASK).id)
    assert (bool(outcome), outcome.edited, outcome.payload) == (True, True, {"amount": 1000})
    assert client.offline.asked == client.list() == [outcome.request]


def test_what_the_api_would_refuse_is_refused() -> None:
    client = OfflineClient(approve())
    with pytest.raises(ApiError, match="/titel: is not a field of this call"):
        client.submit(**ASK, titel="Refund")
    with pytest.raises(ApiError, match="not_found"):
        client.get("req_9")
    request = client.submit(**ASK, idempotency_key="refund-1")
    assert client.submit(**ASK, idempotency_key="refund-1") == request
    with pytest.raises(ApiError, match="idempotency_conflict"):
        client.submit(**{**ASK, "payload": None}, idempotency_key="refund-1")
    with pytest.raises(ApiError, match="already_resolved"):
        client.reject(request.id)


async def test_choices_notifications_and_events_in_asyncio() -> None:
    async with OfflineAsyncClient([choose("eu"), reject()]) as client:
        request = await client.submit(**ASK, kind="choice", choices=[{"id": "eu", "label": "Europe"}])
        assert (await client.wait(request.id)).choice == "eu"
        await client.submit(**ASK)
        await client.notify("Deployed", audience=ASK["audience"])
        assert client.offline.told == [{"message": "Deployed", "audience": ASK["audience"]}]
        assert (await client.pending(), await client.deliveries(request.id)) == ([], [])
        happened = [(event.type, event.status) async for event in client.events()]
        assert happened == [
            ("request.created", "pending"),
            ("request.resolved", "approved"),
            ("request.created", "pending"),
            ("request.resolved", "rejected"),
        ]
        assert [event.id async for event in client.events(request.id)] == [1, 2]
        assert [row["type"] for row in await client.audit(request.id)] == [
            "request.created",
            "request.resolved",
        ]


def test_a_receipt_proves_what_was_approved_and_nothing_else() -> None:
    client, stranger = OfflineClient([edit(amount=900), reject()]), OfflineClient(approve())
    request, refused = client.submit(**ASK), client.submit(**ASK)
    receipt = client.receipt(request.id)
    claims = client.verify(receipt, {"amount": 900})
    assert (claims["sub"], claims["status"]) == (request.id, "approved")
    head, _, signature = receipt.split(".")
    _, forged, _ = client.receipt(refused.id).split(".")
    foreign = stranger.receipt(stranger.submit(**ASK).id)
    for bad, payload, why in [
        (receipt, {"amount": 1250}, "the payload is not the one that was approved"),
        (receipt, {"amount": object()}, "no canonical JSON"),
        (client.receipt(refused.id), {"amount": 1250}, "ended as 'rejected', not approved"),
        (f"{head}.{forged}.{signature}", {"amount": 1250}, "no key that the server publishes has signed"),
        (foreign, {"amount": 1250}, "no key that the server publishes has signed"),
        ("approved", {"amount": 900}, "this is no receipt"),
    ]:
        with pytest.raises(Unverified, match=why):
            client.verify(bad, payload)


def test_a_key_that_the_server_withdrew_is_not_trusted_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("bot.client.transport.operations.time.monotonic", lambda: now[0])
    client, other = OfflineClient(approve()), OfflineClient(approve())
    receipt = client.receipt(client.submit(**ASK).id)
    client.verify(receipt, ASK["payload"])
    client.offline._key = other.offline._key
    client.verify(receipt, ASK["payload"])
    now[0] += 301
    with pytest.raises(Unverified):
        client.verify(receipt, ASK["payload"])
    client.verify(client.receipt(client.submit(**ASK).id), ASK["payload"])
