"""What may be answered, and everything that is wrong with an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.domain.errors import Invalid
from bot.domain.lifecycle.response_rules import (
    MAX_REASON,
    ResponseInput,
    check,
    decisions,
    phrase_fault,
    state_after,
    wants_phrase,
    wants_reason,
)
from bot.domain.model.request import Request, RespondentState, Surface
from bot.domain.model.request import Response as Recorded
from bot.domain.model.spec import Choice, Kind, Level, ReasonRule, Spec
from tests.support.asking import NOW, asked

EU, US = Choice(id="eu", label="Europe"), Choice(id="us", label="America")


def spec(**fields: Any) -> Spec:
    return asked(**fields).spec


def having(spec: Spec) -> Request:
    return replace(asked(), spec=spec)


def faults(spec: Spec, *, operator: bool = False, **answer: Any) -> dict[str, str]:
    """Pointer → what is wrong there; empty where the answer is fine."""
    try:
        check(having(spec), ResponseInput(**{"decision": "approve"} | answer), operator=operator)
    except Invalid as error:
        return {fault.pointer: fault.detail for fault in error.faults}
    return {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("approve", "reject")),
        ({"allow_skip": True}, ("approve", "reject", "skip")),
        ({"kind": Kind.CHOICE, "choices": (EU, US)}, ("eu", "us", "reject")),
        ({"kind": Kind.CHOICE, "choices": (EU, US), "allow_skip": True}, ("eu", "us", "reject", "skip")),
    ],
)
def test_the_decisions_in_the_order_surfaces_show_them(
    fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert decisions(spec(**fields)) == expected


@pytest.mark.parametrize(
    ("decision", "state"),
    [("approve", "approved"), ("eu", "approved"), ("reject", "rejected"), ("skip", "skipped")],
)
def test_where_an_answer_leaves_its_respondent(decision: str, state: str) -> None:
    assert state_after(decision) is RespondentState(state)


class TestDecisions:
    @pytest.mark.parametrize("decision", ["maybe", "APPROVE", "", "eu", "approve "])
    def test_an_unknown_one_is_refused_with_those_that_there_are(self, decision: str) -> None:
        assert faults(spec(), decision=decision)["/decision"].endswith("choose one of: approve, reject")

    def test_a_choice_cannot_merely_be_approved(self) -> None:
        choice = spec(kind=Kind.CHOICE, choices=(EU, US))
        assert faults(choice, decision="approve")["/decision"].endswith("choose one of: eu, us, reject")
        assert faults(choice, decision="eu") == {}

    def test_skip_only_where_it_is_allowed_or_by_an_operator(self) -> None:
        refused = "this request does not allow skipping; choose one of: approve, reject"
        assert faults(spec(), decision="skip") == {"/decision": refused}
        assert faults(spec(allow_skip=True), decision="skip") == {}
        assert faults(spec(), decision="skip", operator=True) == {}


class TestReasons:
    @pytest.mark.parametrize(
        ("rule", "wanted_for"),
        [
            (ReasonRule.OPTIONAL, set()),
            (ReasonRule.ON_REJECT, {"reject"}),
            (ReasonRule.REQUIRED, {"approve", "reject", "skip"}),
        ],
    )
    @pytest.mark.parametrize("reason", [None, "", "  \n\t "])
    def test_each_rule_wants_words(self, rule: ReasonRule, wanted_for: set[str], reason: str | None) -> None:
        for decision in ("approve", "reject", "skip"):
            asks = spec(reason=rule, allow_skip=True)
            missing = faults(asks, decision=decision, reason=reason)
            assert ("/reason" in missing) is wants_reason(asks, decision) is (decision in wanted_for)
            assert faults(asks, decision=decision, reason="because") == {}

    def test_it_may_be_as_long_as_every_surface_can_take(self) -> None:
        assert faults(spec(), reason="x" * MAX_REASON) == {}
        assert set(faults(spec(), reason="x" * (MAX_REASON + 1))) == {"/reason"}

    def test_white_space_around_it_is_not_part_of_it(self) -> None:
        assert ResponseInput(decision="reject", reason=" too dear\n").reason == "too dear"
        assert ResponseInput(decision="reject", reason=" ").reason is None


class TestVerification:
    PHRASE = "Delete production"
    VERIFY = spec(level=Level.VERIFY, verification_phrase=PHRASE, allow_skip=True)

    def test_the_phrase_is_typed_exactly(self) -> None:
        assert faults(self.VERIFY, phrase=self.PHRASE) == {}
        for phrase in (
            None,
            "",
            " ",
            "delete production",
            "Deleteproduction",
            "Delete\u200bproduction",
            "Delete",
        ):
            wrong = {"/phrase": "does not match; type it exactly as the request shows it"}
            assert faults(self.VERIFY, phrase=phrase) == wrong

    @pytest.mark.parametrize(
        ("wanted", "typed"),
        [
            ("löschen", "lo\u0308schen"),
            ("lo\u0308schen", "löschen"),
            ("Delete production", " Delete\u00a0 \t production\u202f\n"),
            ("Delete\u00a0production", "Delete production"),
            ("ROTATE", "\u2068ROTATE\u2069"),
            ("削除 する", "削除\u3000する"),
        ],
    )
    def test_what_reads_the_same_is_the_same(self, wanted: str, typed: str) -> None:
        verify = spec(level=Level.VERIFY, verification_phrase=wanted)
        assert faults(verify, phrase=typed) == {}

    @pytest.mark.parametrize("wanted", [None, "", " ", "\u2068\u2069"])
    def test_where_none_could_be_typed_nothing_is_approved(self, wanted: str | None) -> None:
        verify = spec(level=Level.VERIFY, verification_phrase=wanted)
        for typed in (None, "", " ", "\u2068\u2069"):
            assert set(faults(verify, phrase=typed)) == {"/phrase"}

    @pytest.mark.parametrize(
        ("wanted", "fault"),
        [
            ("Delete  it\u00a0now", None),
            ("löschen 🔥", None),
            ("\u2066\u2069", "nothing in it"),
            ("a\u200bb", "U+200B"),
            ("a\x07b", "U+0007"),
            ("x" * 201, "longer than 200"),
        ],
    )
    def test_a_phrase_that_nobody_could_type_is_no_phrase(self, wanted: str, fault: str | None) -> None:
        found = phrase_fault(wanted)
        assert found is None if fault is None else fault in (found or "")

    def test_only_for_what_lets_the_action_happen(self) -> None:
        assert [d for d in decisions(self.VERIFY) if wants_phrase(self.VERIFY, d)] == ["approve"]
        assert faults(self.VERIFY, decision="reject") == faults(self.VERIFY, decision="skip") == {}

    def test_an_operator_types_it_too_and_may_refuse_without(self) -> None:
        assert set(faults(self.VERIFY, operator=True)) == {"/phrase"}
        assert faults(self.VERIFY, operator=True, phrase=self.PHRASE) == {}
        assert faults(self.VERIFY, operator=True, decision="reject") == {}


def test_values_need_something_to_fill_in() -> None:
    assert set(faults(spec(), values={"amount": 1})) == {"/values"}
    assert faults(spec(), values={}) == {}
    form = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    assert faults(spec(form=form), values={"amount": 1}) == {}


def test_every_fault_is_reported_at_once() -> None:
    asks = spec(level=Level.VERIFY, verification_phrase="yes", reason=ReasonRule.REQUIRED)
    assert set(faults(asks, decision="perhaps", values={"a": 1})) == {
        "/decision",
        "/reason",
        "/values",
        "/phrase",
    }


@pytest.mark.parametrize(
    ("answer", "repeats"),
    [
        (ResponseInput(decision="approve", reason="ok"), True),
        (ResponseInput(decision="approve", reason=" ok "), True),
        (ResponseInput(decision="approve", reason="ok", phrase="typed again"), True),
        (ResponseInput(decision="reject", reason="ok"), False),
        (ResponseInput(decision="approve"), False),
        (ResponseInput(decision="approve", reason="ok", values={"amount": 1}), False),
    ],
)
def test_what_says_the_same_again(answer: ResponseInput, *, repeats: bool) -> None:
    given = Recorded(respondent="rsp_ana", decision="approve", reason="ok", surface=Surface.EMAIL, at=NOW)
    assert answer.repeats(given) is repeats
