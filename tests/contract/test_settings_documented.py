"""The table of settings in the documents against the settings themselves."""

from __future__ import annotations

import re

import pytest

from bot.settings import Settings
from tests.support.documents import DOCUMENTS

ROW = re.compile(r"^\| `([A-Z_]+)` \| .+ \| (.+) \|$", re.MULTILINE)
FROM_THE_FILE = {"groups", "policies", "templates", "views", "working_hours"}
"""Settings that the TOML file of ASSENT_CONFIG has, and the environment has not."""

DOCUMENTED = dict(ROW.findall(DOCUMENTS["docs/reference/settings.md"]))
FIELDS = {name: field for name, field in Settings.model_fields.items() if name not in FROM_THE_FILE}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert sorted(DOCUMENTED) == sorted(name.upper() for name in FIELDS)


@pytest.mark.parametrize(
    "name", [name for name, field in FIELDS.items() if field.default not in (None, (), "")]
)
def test_its_default_is_the_real_one(name: str) -> None:
    default = FIELDS[name].default
    assert DOCUMENTED[name.upper()] == f"`{str(default).lower() if isinstance(default, bool) else default}`"


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.default is None])
def test_what_has_no_default_says_so(name: str) -> None:
    assert DOCUMENTED[name.upper()].startswith(
        ("none", "made on first start", "`assent.toml` if it is there")
    )
