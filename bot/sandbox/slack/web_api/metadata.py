"""What an app keeps on its messages, unseen by people: https://docs.slack.dev/messaging/message-metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.sandbox.slack.web_api.method import decoded
from bot.sandbox.slack.workspace import SlackError

if TYPE_CHECKING:
    from bot.sandbox.slack.workspace import Json

MOST_METADATA = 8000
"""Characters of a message's metadata as JSON."""


def metadata(arguments: Json) -> Json | None:
    """The argument `metadata`, checked; None where there is none, `{}` where it is to be taken away."""
    given = decoded(arguments.get("metadata"), "invalid_metadata_format")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise SlackError("invalid_metadata_format")
    if given and not _sound(given):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(given)) > MOST_METADATA:
        raise SlackError("metadata_too_large")
    return given


def _sound(given: Json) -> bool:
    name, payload = given.get("event_type"), given.get("event_payload")
    if not isinstance(name, str) or not name.replace("_", "").isalnum() or not isinstance(payload, dict):
        return False
    return given.keys() == {"event_type", "event_payload"} and all(map(_value, payload.values()))


def _value(value: Any) -> bool:
    """A plain value, an object of those, or a list of such objects."""
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, list):
        return all(isinstance(item, dict) and _value(item) for item in value)
    return _plain(value)


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
