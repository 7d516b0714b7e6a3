"""`[[views]]`: what is wrong is named with its place, and what is right orders and formats a payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.payload.parts import Row, shown_leaves
from bot.domain.payload.sections import leaf_count
from bot.domain.policies.payload_views import Views
from bot.domain.policies.view_settings import views_of
from bot.settings import SettingsError, load
from tests.support.mails import ask

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"path": "/amount", "as": "money", "currency": "/currency", "exponent": 2, "label": "To pay"}


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ("x", "must be a list of tables"),
        (["x"], "view 1: must be a table"),
        ([{"fields": [GOOD]}, {"fields": []}], "view 2: fields must be a list"),
        (
            [{"name": "pay", "fields": [{"path": "amount"}]}],
            "view 1 (pay), field 1: path 'amount' is no JSON",
        ),
        ([{"fields": [GOOD, {"path": "/a~2b"}]}], "view 1, field 2: path '/a~2b' is no JSON pointer"),
        ([{"fields": [{"label": "x"}]}], "view 1, field 1: path is missing"),
        ([{"fields": [{"path": "/a", "as": "euro"}]}], "as 'euro' is unknown; there are text, money, date"),
        ([{"fields": [{"path": "/a", "lable": "x"}]}], "view 1, field 1: unknown lable; there are as,"),
        ([{"fields": [GOOD], "then": "ask"}], "view 1: unknown then; there are fields, name, when"),
        ([{"fields": [{"path": "/a", "currency": "EUR"}]}], 'currency belong to as = "money"'),
        ([{"fields": [{**GOOD, "exponent": True}]}], "exponent must be a whole number from 0 to 12"),
        ([{"fields": [{**GOOD, "currency": "/a~"}]}], "currency must be a code"),
        ([{"fields": [{"path": "/a", "label": " "}]}], "label must be a text"),
        ([{"fields": [GOOD], "when": "x"}], "view 1: when must be a table"),
        ([{"fields": [GOOD], "when": {"nobody": 1}}], "view 1: when: 'nobody' is nothing to look at"),
        ([{"name": 3, "fields": [GOOD]}], "view 1: name must be a text"),
    ],
)
def test_every_fault_is_said_with_its_place(views: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        views_of(views)
    assert said in str(raised.value)


def test_all_faults_are_said_at_once_and_name_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "assent.toml"
    file.write_text('[[views]]\nfields = [{ path = "a" }, { path = "/b", as = "x" }]\n')
    with pytest.raises(SettingsError) as raised:
        load({"ASSENT_CONFIG": str(file)})
    [fault] = raised.value.faults
    assert fault.startswith("ASSENT_CONFIG: views: view 1, field 1: path 'a'")
    assert "view 1, field 2: as 'x'" in fault


def test_the_first_view_that_fits_orders_and_formats_and_hides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "assent.toml"
    file.write_text(
        '[[views]]\nwhen = { "payload.tool" = "nothing*" }\nfields = [{ path = "/tool" }]\n'
        '[[views]]\nwhen = { "payload.tool" = ["pay*"], "labels.env" = "prod" }\n'
        'fields = [{ path = "/amount", label = "To pay", as = "money", currency = "/currency", exponent = 2 }]\n'
    )
    views = Views(load({"ASSENT_CONFIG": str(file)}).views)
    payload = {"tool": "pay.create", "currency": "EUR", "amount": 4821000, "to": "Nordwind"}
    [section] = views.sections(ask(payload=payload, labels={"env": "prod"}))
    assert section.parts[0] == Row(label="To pay", key="amount", text="48,210.00 EUR", leaves=2)
    assert shown_leaves((section,)) == leaf_count(payload)
    elsewhere = views.sections(ask(payload=payload, labels={"env": "dev"}))
    assert "48,210" not in str(elsewhere)


def test_after_the_operators_views_come_those_of_common_tools() -> None:
    payload = {
        "description": "Clean up",
        "tool": "bash",
        "arguments": {"timeout": 3, "command": "rm -rf build"},
    }
    first, second = Views().sections(ask(payload=payload))
    assert [part.label for part in first.parts] == ["Tool", "Command", "Description"]
    assert [part.label for part in second.parts] == ["Timeout"]
    own = views_of([{"when": {"payload.tool": "bash"}, "fields": [{"path": "/description"}]}])
    assert Views(own).sections(ask(payload=payload))[0].parts[0].label == "Description"
