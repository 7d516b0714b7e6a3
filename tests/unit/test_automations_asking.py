"""What handlers and automations ask becomes the fields of a request."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.workflows import Email, Interrupt, Slack


def test_a_line_is_the_title_and_more_is_the_message() -> None:
    asked = Interrupt.approval(
        "Delete u-1?",
        destination=[Slack(channel_id="C1"), Email("a@b.c")],
        timeout=timedelta(days=2),
        quorum=2,
    )
    assert asked.question("delete-user") == {
        "title": "Delete u-1?",
        "destination": [{"type": "slack", "channelId": "C1"}, {"type": "email", "email": "a@b.c"}],
        "timeout_seconds": 172800.0,
        "quorum": 2,
    }
    long = Interrupt.approval("One.\nTwo.", destination={"type": "email", "email": "a@b.c"}, timeout=60)
    assert long.question("delete-user") == {
        "title": "Approve delete-user",
        "message": "One.\nTwo.",
        "destination": {"type": "email", "email": "a@b.c"},
        "timeout_seconds": 60,
    }
    assert Interrupt.approval().question("delete-user") == {"title": "Approve delete-user"}


def test_a_slack_destination_is_one_place() -> None:
    assert Slack(email="a@b.c").json() == {"type": "slack", "email": "a@b.c"}
    with pytest.raises(ValueError, match="exactly one"):
        Slack(channel_id="C1", user_id="U1")
    with pytest.raises(ValueError, match="printable ASCII"):
        Interrupt.approval(key="café")
