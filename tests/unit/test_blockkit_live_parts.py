"""What a message would ping and link to in a real Slack, which is what a requester's text must never do."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.slack.block_kit.mrkdwn import live_parts


def section(text: str, **members: Any) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, **members}}]


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("<@U012|ana> and <#C1>", ["@U012", "#C1"]),
        ("<!channel> <!subteam^S1|@ops>", ["!channel", "!subteam^S1"]),
        ("<https://example.com|here>", ["https://example.com"]),
        ("<!date^1790000000^{date}|soon>", []),
        ("&lt;!channel&gt; &lt;@U012&gt;", []),
        ("@here, https://example.com", ["@here", "https://example.com"]),
        ("ana@example.com", []),
    ],
)
def test_live_parts_of_mrkdwn(text: str, live: list[str]) -> None:
    assert live_parts("", section(text)) == live


def test_verbatim_and_plain_text_do_not_link_by_themselves() -> None:
    text = "@here https://example.com"

    assert live_parts("", section(text, verbatim=True)) == []
    assert live_parts("", [{"type": "header", "text": {"type": "plain_text", "text": "<!here>"}}]) == []


def test_rich_text_pings_by_its_elements_only() -> None:
    parts = [{"type": "text", "text": "<!here> @channel"}, {"type": "user", "user_id": "U1"}]
    parts.append({"type": "broadcast", "range": "here"})
    block = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}

    assert live_parts("", [block]) == ["@U1", "!here"]


def test_the_top_level_text_links_by_itself_where_parse_is_not_none() -> None:
    assert live_parts("@here", [], parse="none") == []
    assert live_parts("@here", [], parse="client") == ["@here"]
    assert live_parts("<!here>", [], parse="none") == ["!here"]
