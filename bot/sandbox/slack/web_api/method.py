"""What a Web API method is: its name, who may call it, how often, and the function that does it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bot.sandbox.slack.block_kit.blockkit import MOST_TEXT, block_faults, text_length
from bot.sandbox.slack.workspace import Channel, Json, SlackError, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.slack.trigger_ids import Tickets

TokenKind = Literal["bot", "app", "none"]
MOST_UPDATE_TEXT = 4000
"""Characters of top-level `text` that chat.update and chat.postEphemeral take."""
MOST_POST_TEXT = 40_000
"""Characters of top-level `text` that chat.postMessage keeps; the rest is cut off."""


@dataclass
class Backend:
    """What the methods work on. `tokens` says of which kind each known token is."""

    workspace: Workspace
    tickets: Tickets
    open_socket: Callable[[], str]
    tokens: dict[str, TokenKind] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    client_id: str = "10000.20000"
    client_secret: str = "client-secret-of-the-sandbox"  # noqa: S105  a made-up one
    install_codes: dict[str, str] = field(default_factory=dict)
    most_history: int = 999
    """Messages on a page of history; 15 for an app that is sold outside of Slack's Marketplace."""


@dataclass(frozen=True)
class Method:
    """`scopes` are alternatives, `kind` is the token it takes, `per_minute` its tier where it has one."""

    run: Callable[[Backend, Json], Json]
    scopes: tuple[str, ...]
    required: tuple[str, ...]
    per_minute: int | None
    kind: TokenKind


METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    scopes: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
    per_minute: int | None = None,
    kind: TokenKind = "bot",
) -> Callable[[Callable[[Backend, Json], Json]], Callable[[Backend, Json], Json]]:
    """Register a function as the Web API method `name`."""

    def register(run: Callable[[Backend, Json], Json]) -> Callable[[Backend, Json], Json]:
        METHODS[name] = Method(run, scopes, required, per_minute, kind)
        return run

    return register


def flag(value: object) -> bool:
    """A boolean argument, however it travelled: JSON, form or query."""
    return value in (True, "true", "True", "1", 1)


def decoded(value: object, code: str) -> object:
    """An argument that may be JSON or JSON in a string; `code` is the error for neither."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SlackError(code) from None


def content(arguments: Json, *, most_text: int | None = None) -> tuple[str, list[Json] | None]:
    """The text and the blocks of a message, checked; blocks are None where none were sent."""
    text = arguments.get("text") or ""
    if not isinstance(text, str):
        raise SlackError(
            "invalid_arguments", response_metadata={"messages": ["[ERROR] text must be a string"]}
        )
    blocks = decoded(arguments.get("blocks"), "invalid_blocks_format")
    if blocks is not None:
        _check_blocks(blocks)
    if not text and not blocks:
        raise SlackError("no_text")
    if most_text is not None and len(text) > most_text:
        raise SlackError("msg_too_long")
    return text[:MOST_POST_TEXT], blocks if isinstance(blocks, list) else None


def _check_blocks(blocks: object) -> None:
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if faults := block_faults(blocks):
        raise SlackError("invalid_blocks", errors=faults, response_metadata={"messages": faults})
    if text_length(blocks) > MOST_TEXT:
        raise SlackError("msg_blocks_too_long")


def channel_for(workspace: Workspace, channel_id: object) -> Channel:
    """The conversation with this id, as far as the app may know of it."""
    channel = workspace.channels.get(str(channel_id))
    if channel is None or (channel.kind == "private" and workspace.bot.id not in channel.members):
        raise SlackError("channel_not_found")
    return channel


def need_scope(workspace: Workspace, *alternatives: str) -> None:
    if workspace.scopes.isdisjoint(alternatives):
        provided = ",".join(sorted(workspace.scopes))
        raise SlackError("missing_scope", needed=alternatives[0], provided=provided)
