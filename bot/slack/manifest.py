"""The Slack app's manifest, as shipped (Socket Mode) or for a public URL (HTTP)."""

from __future__ import annotations

from typing import Any

import yaml

from bot.resources import resource

EVENTS_PATH = "/slack/events"
"""The one path for events, interactivity and commands."""


def manifest(base_url: str | None = None) -> dict[str, Any]:
    """The manifest to create the Slack app from.

    With `base_url` (`https://approvals.example.com`) Slack calls that server, instead of using Socket Mode.
    """
    app: dict[str, Any] = yaml.safe_load(resource("manifest.yml").read_text(encoding="utf-8"))
    if base_url is None:
        return app
    url = base_url.rstrip("/") + EVENTS_PATH
    settings = app["settings"]
    settings["socket_mode_enabled"] = False
    settings["event_subscriptions"]["request_url"] = url
    settings["interactivity"]["request_url"] = url
    for command in app["features"]["slash_commands"]:
        command["url"] = url
    return app
