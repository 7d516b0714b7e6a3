"""Rules that decide without asking anybody."""

from __future__ import annotations

import pytest

from bot.domain.policy import rule
from bot.domain.request import Level
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
