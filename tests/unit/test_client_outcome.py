"""An outcome is true only when approved, and every other one is an exception that says who and why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.client import Cancelled, Expired, NotApproved, Outcome, Rejected, Request


def outcome(status: str, **members: object) -> Outcome:
    ended: dict[str, object] = {
        "decision": status,
        "choice": None,
        "reason": None,
        "values": {},
        "payload": {"amount": 1250},
        "edited": False,
        "by": "Ana and Ben",
        **members,
    }
    return Outcome.of(
        Request(
            id="req_1", status=status, title="Refund", resolved_at="2026-11-21T08:00:00.000Z", outcome=ended
        )
    )


def test_only_approved_is_true() -> None:
    assert outcome("approved")
    for status in ("rejected", "skipped", "expired", "cancelled", "pending", "something new"):
        assert not outcome(status)


def test_an_approved_outcome_passes_through() -> None:
    approved = outcome("approved", edited=True, payload={"amount": 900})
    assert approved.raise_for_rejection() is approved
    assert (approved.payload, approved.edited, approved.by) == ({"amount": 900}, True, "Ana and Ben")
    assert approved.at == datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        ("rejected", Rejected, "Refund was rejected by Ana and Ben: too much"),
        ("skipped", Rejected, "Refund was skipped by Ana and Ben: too much"),
        ("expired", Expired, "Refund expired: too much"),
        ("cancelled", Cancelled, "Refund was cancelled by Ana and Ben: too much"),
    ],
)
def test_every_other_outcome_is_an_exception(status: str, error: type[NotApproved], sentence: str) -> None:
    with pytest.raises(error, match=f"^{sentence}$") as caught:
        outcome(status, reason="too much").raise_for_rejection()
    assert caught.value.outcome.status == status


def test_a_status_this_client_does_not_know_is_no_approval() -> None:
    with pytest.raises(NotApproved):
        outcome("something new").raise_for_rejection()


def test_a_request_reads_as_json_and_by_attribute() -> None:
    request = Request(id="req_1", title="Refund")
    assert request == {"id": "req_1", "title": "Refund"}
    assert request.title == request["title"]
    with pytest.raises(AttributeError, match="colour"):
        _ = request.colour
