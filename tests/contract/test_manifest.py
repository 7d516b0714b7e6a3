"""The Slack manifest against Slack's own schema, and against what the listeners expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from bot.slack.manifest import manifest

SCHEMA = Path(__file__).parent / "data" / "slack-manifest.schema.2.0.0.json"
URL = "https://approvals.example.com/slack/events"


@pytest.mark.parametrize(
    "base_url", [None, "https://approvals.example.com", "https://approvals.example.com/"]
)
def test_slack_accepts_the_manifest(base_url: str | None) -> None:
    validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(manifest(base_url))] == []


def test_it_needs_no_url_as_shipped() -> None:
    app = manifest()
    assert app["settings"]["socket_mode_enabled"] is True
    assert "http" not in json.dumps(app)


def test_for_http_every_url_is_the_one_endpoint() -> None:
    app = manifest("https://approvals.example.com/")
    assert app["settings"]["socket_mode_enabled"] is False
    assert app["settings"]["event_subscriptions"]["request_url"] == URL
    assert app["settings"]["interactivity"]["request_url"] == URL
    assert [c["url"] for c in app["features"]["slash_commands"]] == [URL]


@pytest.fixture
def app() -> dict[str, Any]:
    return manifest()


def test_it_asks_for_the_scopes_the_bot_uses(app: dict[str, Any]) -> None:
    assert set(app["oauth_config"]["scopes"]["bot"]) == {
        "chat:write",
        "chat:write.public",
        "commands",
        "im:write",
        "im:history",
        "users:read",
        "users:read.email",
        "channels:read",
        "groups:read",
        "usergroups:read",
    }


def test_people_can_write_commands_with_names_and_get_direct_messages(app: dict[str, Any]) -> None:
    (command,) = app["features"]["slash_commands"]
    assert (command["command"], command["should_escape"]) == ("/approvals", True)
    assert app["features"]["app_home"]["messages_tab_enabled"] is True
    assert app["features"]["app_home"]["messages_tab_read_only_enabled"] is False
    assert app["features"]["app_home"]["home_tab_enabled"] is True


def test_it_subscribes_to_what_is_listened_to(app: dict[str, Any]) -> None:
    assert app["settings"]["event_subscriptions"]["bot_events"] == [
        "app_home_opened",
        "message.im",
        "app_uninstalled",
        "tokens_revoked",
        "channel_id_changed",
    ]
    assert app["settings"]["interactivity"]["is_enabled"] is True
