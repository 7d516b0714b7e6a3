"""Rules that decide without asking anybody."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.policy import Policy, Ruling, Then, policy_fault, rule
from bot.domain.request import Status
from bot.domain.spec import Kind, Level
from tests.support.asking import asked, somebody


@pytest.mark.parametrize("level", [Level.CONFIRM, Level.VERIFY])
def test_people_decide(level: Level) -> None:
    assert rule(asked(somebody("ana"), level=level).spec, auto_approve=False) is None


def test_what_only_informs_is_approved_and_people_are_told() -> None:
    ruling = rule(asked(somebody("ana"), level=Level.INFO).spec, auto_approve=False)
    assert ruling
    assert ruling.tell
    assert "nobody had to decide" in ruling.reason


@pytest.mark.parametrize("level", list(Level))
def test_auto_approve_decides_all_tells_nobody_and_says_so(level: Level) -> None:
    ruling = rule(asked(somebody("ana"), level=level).spec, auto_approve=True)
    assert ruling
    assert not ruling.tell
    assert "ASSENT_AUTO_APPROVE" in ruling.reason


SMALL = Policy(
    name="small refunds",
    then=Then.APPROVE,
    when={"requester": "agent:*", "labels.env": ["dev", "test"], "payload.amount": {"max": 100}},
)


def ruled(*policies: Policy, **fields: Any) -> Ruling | None:
    asks = {"requester": "agent:refunds", "labels": {"env": "dev"}, "payload": {"amount": 80}} | fields
    return rule(asked(somebody("ana"), **asks).spec, auto_approve=False, policies=policies)


def test_the_first_policy_that_matches_rules_and_says_so() -> None:
    never = Policy(name="never", then=Then.REJECT, when={"title": "Refund*"}, reason="We do not refund.")
    ruling = ruled(SMALL, never)
    assert ruling
    assert (ruling.decision, ruling.by) == (Status.APPROVED, "policy small refunds")
    assert "small refunds" in ruling.reason
    other = ruled(never, SMALL)
    assert other
    assert (other.decision, other.reason) == (Status.REJECTED, "We do not refund.")


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"amount": 101}},
        {"payload": {"amount": "80"}},
        {"payload": {"amount": True}},
        {"payload": {}},
        {"payload": None},
        {"labels": {"env": "prod"}},
        {"labels": {}},
        {"requester": "email:bob@example.com"},
        {"requester": None},
        {"level": Level.VERIFY, "verification_phrase": "REFUND"},
        {"kind": Kind.INPUT, "form": {"type": "object"}},
    ],
)
def test_whatever_does_not_match_to_the_letter_is_for_people(fields: dict[str, Any]) -> None:
    assert ruled(SMALL, **fields) is None


def test_a_policy_may_say_that_people_decide() -> None:
    assert ruled(Policy(name="ask", then=Then.ASK, when={"labels.env": "dev"}), SMALL) is None


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        (Policy(name="x", then=Then.APPROVE), "would decide everything"),
        (Policy(name="x", then=Then.APPROVE, when={"amount": 1}), "'amount' is nothing to look at"),
        (Policy(name="x", then=Then.REJECT, when={"payload.amount": {"most": 1}}), "`min`, `max` or both"),
        (Policy(name="x", then=Then.REJECT, when={"payload.amount": {"max": "1"}}), "`min`, `max` or both"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(policy: Policy, fault: str) -> None:
    assert fault in (policy_fault(policy) or "")
    assert policy_fault(SMALL) is None
