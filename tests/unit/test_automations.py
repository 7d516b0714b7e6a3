"""Automations as far as their files tell: every fault at once, with its line; and what conditions may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.workflows.automation import expressions
from bot.workflows.automation.automation_schema import AutomationError
from bot.workflows.automation.automations import Automation

if TYPE_CHECKING:
    from pathlib import Path

SCOPE: dict[str, Any] = {
    "input": {"amount": 120, "region": "eu", "tags": ["a", "b"]},
    "gate": {"approved": True},
}


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("gate.approved and input.amount > 100", True),
        ("input['region'] in ['eu', 'uk'] and not gate.rejected", True),
        ("input.amount == -120 or input.tags[1] != 'b'", False),
        ("100 < input.amount <= 120", True),
        ("(gate.approved or false) and input.region == 'us'", False),
        ("nowhere.at.all == null", True),
        ("input.region.upper == null", True),
    ],
)
def test_conditions_compare_what_is_known(condition: str, value: bool) -> None:  # noqa: FBT001 - a table
    assert expressions.evaluate(expressions.parse(condition), SCOPE) is value


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('id')",
        "gate.approved; 1",
        "lambda: 1",
        "[x for x in input]",
        "1 + 1",
        "f'{input}'",
    ],
)
def test_conditions_run_nothing(condition: str) -> None:
    with pytest.raises(ValueError, match="not"):
        expressions.parse(condition)


def test_texts_take_values_whole_or_in_words() -> None:
    found = expressions.fill(
        {"a": "{{ input.tags }}", "b": ["{{input.amount}} in {{ input.region }}"]}, SCOPE
    )
    assert found == {"a": ["a", "b"], "b": ["120 in eu"]}
    with pytest.raises(LookupError, match=r"input\.name has no value"):
        expressions.fill("{{ input.name }}", SCOPE)


FAULTY = """\
automation: broken
elements:
  - id: approval
    kind: hitl
    spec: {title: "Refund {{ amount }}?", audience: [ana@example.com], quorom: 2}
  - id: decision
    kind: fork
    if: approval.approved
  - kind: python
    spec: {call: actions}
"""

UNCONNECTED = """\
automation: unconnected
elements:
  - id: decision
    kind: condition
    if: approval.approved and pay()
    then:
      - id: pay
        kind: python
        spec:
          call: actions.py:pay
          with: {sum: 1}
      - id: pay
        kind: python
        spec: {call: "actions.py:refund"}
  - {id: approval, kind: hitl, spec: {title: "{{ later.x }}?", title: "{{ decision.x }} {{ later.x }}?"}}
"""


def faults(text: str, folder: Path) -> list[str]:
    with pytest.raises(AutomationError) as raised:
        Automation(text, "test.yaml", folder).run_input({})
    return str(raised.value).splitlines()


def test_every_fault_of_the_document_is_told_with_its_line(tmp_path: Path) -> None:
    assert faults(FAULTY, tmp_path) == [
        "test.yaml: line 5: approval: `quorom` is not known here: check the spelling or leave it out",
        "test.yaml: line 6: decision: `kind` must be hitl, python, notify or condition",
        "test.yaml: line 9: `id` is needed",
        "test.yaml: line 10: `call` must be module:function, or file.py:function",
    ]
    assert faults("a: [", tmp_path)[0].startswith("test.yaml: line 1: this is not YAML: ")
    assert faults("", tmp_path) == [
        "test.yaml: input: the document should be a valid dictionary or instance of Document"
    ]


def test_every_loose_end_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "actions.py").write_text("def pay(amount):\n    return amount\n", encoding="utf-8")
    assert faults(UNCONNECTED, tmp_path) == [
        "test.yaml: line 5: decision: 'pay()' is not of the language: compare names and values with == != < <= > >= in",
        "test.yaml: line 9: pay: `with` does not fit actions.py:pay: missing a required argument: 'amount'",
        "test.yaml: line 12: pay: this id is taken: give it another",
        "test.yaml: line 14: pay: actions.py has no function refund",
        "test.yaml: line 15: 'title' stands here twice: leave one out",
        "test.yaml: line 15: approval: there is no 'later' before it, only decision, input, pay",
    ]


GATE = "automation: g\nelements:\n  - {id: gate, kind: hitl, spec: {title: 'Go?'%s}}\n"


@pytest.mark.parametrize(
    ("spec", "given", "message"),
    [
        ("", {}, "set spec.audience, or give `audience` in the input"),
        ("", {"audience": []}, "set spec.audience, or give `audience` in the input"),
        (', audience: "{{ input.who }}"', {}, "input.who has no value: give it in the input"),
        (', audience: "{{ input.who }}"', {"who": []}, "set spec.audience"),
    ],
)
def test_a_gate_without_an_audience_refuses_before_anything_runs(
    tmp_path: Path, spec: str, given: dict[str, Any], message: str
) -> None:
    automation = Automation(GATE % spec, "gate.yaml", tmp_path)
    with pytest.raises(AutomationError, match=r"gate.yaml: line 3: gate: HITL_NO_AUDIENCE: ") as raised:
        automation.run_input(given)
    assert message in str(raised.value)


def test_an_audience_comes_from_the_element_or_the_input(tmp_path: Path) -> None:
    given = Automation(GATE % "", "gate.yaml", tmp_path).run_input({"audience": "ana@example.com"})
    assert given["input"] == {"audience": "ana@example.com"}
    named = GATE % ', destination: {type: email, email: "a@b.c"}'
    assert Automation(named, "gate.yaml", tmp_path).run_input({})["input"] == {}
