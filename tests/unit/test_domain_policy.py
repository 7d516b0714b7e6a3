"""Rules that decide without asking anybody."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.model.request import Status
from bot.domain.model.spec import Kind, Level
from bot.domain.policies.policy import Policy, Ruling, Then, policy_fault, rule, speaks_of
from tests.support.asking import NOW, asked, somebody


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


NEVER = Policy(name="never", then=Then.REJECT, when={"title": "Refund*"}, reason="We do not refund.")


def test_the_first_policy_that_matches_rules_and_says_so() -> None:
    ruling = ruled(SMALL, Policy(name="ask", then=Then.ASK, when={"labels.env": "dev"}))
    assert ruling
    assert (ruling.decision, ruling.by) == (Status.APPROVED, "policy small refunds")
    assert "small refunds" in ruling.reason


@pytest.mark.parametrize("policies", [(SMALL, NEVER), (NEVER, SMALL)])
@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("auto_approve", [False, True])
def test_one_that_rejects_wins_wherever_it_stands_and_whatever_would_approve(
    policies: tuple[Policy, ...], level: Level, *, auto_approve: bool
) -> None:
    spec = asked(somebody("ana"), level=level, labels={"env": "dev"}, payload={"amount": 80}).spec
    ruling = rule(spec, auto_approve=auto_approve, policies=policies)
    assert ruling
    assert (ruling.decision, ruling.reason) == (Status.REJECTED, "We do not refund.")


ODD = [
    "1250", True, [1250], {"value": 1250}, float("nan"), {"a": float("nan")}, "٣", "1e3", -0.0 * float("nan"),
]  # fmt: skip


@pytest.mark.parametrize("amount", ODD)
@pytest.mark.parametrize("level", [Level.CONFIRM, Level.INFO])
@pytest.mark.parametrize("auto_approve", [False, True])
def test_where_a_policy_that_rejects_cannot_tell_people_decide(
    amount: Any, level: Level, *, auto_approve: bool
) -> None:
    large = Policy(name="large", then=Then.REJECT, when={"payload.amount": {"min": 1000}})
    always = Policy(name="all", then=Then.APPROVE, when={"title": "*"})
    spec = asked(somebody("ana"), level=level, payload={"amount": amount}).spec
    for policies in ((always, large), (large, always)):
        assert rule(spec, auto_approve=auto_approve, policies=policies) is None


@pytest.mark.parametrize(
    ("path", "wanted", "value"),
    [
        ("payload.tool", "drop*", ["drop_database"]),
        ("payload.tool", "drop*", 5),
        ("payload.tool", ["drop", "kill"], {"name": "drop"}),
        ("payload.force", True, "true"),
        ("payload.count", 3, "3"),
        pytest.param("payload.count", {"max": 10}, 10**400, id="a number beyond all bounds"),
    ],
)
def test_a_value_of_another_sort_approves_nothing(path: str, wanted: Any, value: Any) -> None:
    name = path.removeprefix("payload.")
    spec = asked(somebody("ana"), payload={name: value}).spec
    always = Policy(name="all", then=Then.APPROVE, when={"title": "*"})
    for then in Then:
        odd = Policy(name="odd", then=then, when={path: wanted})
        assert speaks_of(odd, spec) is None
        assert rule(spec, auto_approve=False, policies=(odd, always)) is None


def test_a_policy_that_raises_approves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr("bot.domain.policies.policy.fnmatchcase", broken)
    assert ruled(SMALL, Policy(name="x", then=Then.APPROVE, when={"payload.amount": 80})) is None


def test_what_surely_does_not_match_is_no_doubt() -> None:
    both = {"requester": "agent:*", "payload.amount": {"min": 1}}
    spec = asked(somebody("ana"), requester="bob", payload={"amount": "x"}).spec
    assert speaks_of(Policy(name="x", then=Then.REJECT, when=both), spec) is False


def test_the_key_that_asks_can_be_told_apart() -> None:
    mine = Policy(name="ci", then=Then.APPROVE, when={"key": "ci-*"})
    assert ruled(mine, submitted_by_name="ci-deploy")
    assert not ruled(mine, submitted_by_name="agent", requester="ci-deploy")
    assert not ruled(mine, submitted_by_name=None)


def test_names_with_dots_hide_nothing_from_a_policy_that_rejects() -> None:
    reject = Policy(name="no", then=Then.REJECT, when={"payload.a.b": "bad"})
    approve = Policy(name="yes", then=Then.APPROVE, when={"payload.a.b": "good"})
    both = {"payload": {"a.b": "good", "a": {"b": "bad"}}}
    assert speaks_of(reject, asked(somebody("ana"), **both).spec)
    assert not speaks_of(approve, asked(somebody("ana"), **both).spec)
    dotted = asked(somebody("ana"), labels={"app.kubernetes.io/name": "x"}).spec
    assert speaks_of(Policy(name="k", then=Then.ASK, when={"labels.app.kubernetes.io/name": "x"}), dotted)
    listed = asked(somebody("ana"), payload={"steps": [{"tool": "drop"}]}).spec
    assert speaks_of(Policy(name="l", then=Then.REJECT, when={"payload.steps.0.tool": "drop"}), listed)


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"amount": 101}},
        {"payload": {"amount": "80"}},
        {"payload": {"amount": True}},
        {"payload": {}},
        {"payload": {"amount": float("nan")}},
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
        (Policy(name="x", then=Then.REJECT, when={"payload.amount": {"max": float("nan")}}), "`min`, `max`"),
        (
            Policy(name="x", then=Then.REJECT, when={"payload.amount": {"min": 2, "max": 1}}),
            "above its `max`",
        ),
        (Policy(name="x", then=Then.REJECT, when={"labels": "prod"}), "whole table"),
        (Policy(name="x", then=Then.REJECT, when={"title.x": "prod"}), "has no members"),
        (Policy(name="x", then=Then.REJECT, when={"labels.env": []}), "empty list"),
        (Policy(name="x", then=Then.REJECT, when={"payload.at": NOW}), "must be a text, a number"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(policy: Policy, fault: str) -> None:
    assert fault in (policy_fault(policy) or "")
    assert policy_fault(SMALL) is None
