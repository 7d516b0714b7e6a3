"""What is wrong with a posted form, field by field."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from bot.domain.errors import Fault, Invalid
from bot.domain.model.digest import payload_digest
from bot.domain.model.spec import Level, ReasonRule, Spec, Step
from bot.web.pages.form import Form as AnyForm
from tests.support.asking import asked

Form = partial(AnyForm, revision="1")
VERIFIED = Spec(
    title="Delete it",
    payload_digest=payload_digest(None),
    level=Level.VERIFY,
    verification_phrase="delete prod",
    reason=ReasonRule.REQUIRED,
    steps=(Step(audience=("email:ana@example.com",)),),
)


def faults(form: AnyForm) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        form.check(replace(asked(), spec=VERIFIED))
    return [f.pointer for f in invalid.value.faults]


def test_every_fault_is_named_in_the_order_of_the_page() -> None:
    assert faults(Form(decision="approve")) == ["/reason", "/phrase"]


def test_the_phrase_is_not_asked_for_before_a_decision_needs_it() -> None:
    assert faults(Form()) == ["/decision", "/reason"]
    Form(decision="reject", reason="No").check(replace(asked(), spec=VERIFIED))


def test_the_phrase_must_match_to_the_letter() -> None:
    assert faults(Form(decision="approve", reason="Yes", phrase="Delete prod")) == ["/phrase"]
    Form(decision="approve", reason="Yes", phrase="delete\u00a0prod ").check(replace(asked(), spec=VERIFIED))


def test_what_does_not_say_which_version_was_answered_is_refused_for_every_decision() -> None:
    for decision in ("approve", "reject"):
        whole = AnyForm(decision=decision, reason="Yes", phrase="delete prod")
        assert faults(whole) == ["/revision"]


def test_a_reason_of_blanks_is_no_reason() -> None:
    assert faults(Form(decision="reject", reason=" \n\t ")) == ["/reason"]


def test_a_field_shows_one_fault_and_unreadable_text_comes_first() -> None:
    form = Form(decision="reject", faults=(Fault("/reason", "cannot be read"),))
    with pytest.raises(Invalid, match="cannot be read") as invalid:
        form.check(replace(asked(), spec=VERIFIED))
    assert len(invalid.value.faults) == 1
