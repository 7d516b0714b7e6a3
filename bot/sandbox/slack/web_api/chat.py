"""chat.*: https://docs.slack.dev/reference/methods?family=chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.slack.payloads import message_json
from bot.sandbox.slack.web_api.metadata import metadata
from bot.sandbox.slack.web_api.method import MOST_UPDATE_TEXT, Backend, channel_for, content, method
from bot.sandbox.slack.workspace import Message, SlackError

if TYPE_CHECKING:
    from bot.sandbox.slack.workspace import Channel, Json, Workspace

_WRITE = ("chat:write",)


@method("chat.postMessage", scopes=_WRITE, required=("channel",))
def post_message(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    text, blocks = content(arguments)
    kept = metadata(arguments)
    channel = _destination(workspace, str(arguments["channel"]))
    message = Message(channel.id, workspace.new_ts(), workspace.bot.id, text, blocks or [])
    message.thread_ts = arguments.get("thread_ts")
    message.parse = arguments.get("parse") or "none"
    message.metadata = kept
    workspace.add_message(message)
    return {"channel": channel.id, "ts": message.ts, "message": message_json(workspace, message)}


@method("chat.update", scopes=_WRITE, required=("channel", "ts"), per_minute=50)
def update(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    text, blocks = content(arguments, most_text=MOST_UPDATE_TEXT)
    kept = metadata(arguments)
    message = _own_message(workspace, arguments, "cant_update_message")
    if workspace.channels[message.channel].archived:
        raise SlackError("is_inactive")
    message.text = text
    if blocks is not None:
        message.blocks = workspace.with_ids(blocks)
    message.parse = arguments.get("parse") or "client"
    if kept is not None:
        message.metadata = kept or None
    message.edited = True
    shown = message_json(workspace, message)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown}


@method("chat.delete", scopes=_WRITE, required=("channel", "ts"), per_minute=50)
def delete(backend: Backend, arguments: Json) -> Json:
    message = _own_message(backend.workspace, arguments, "cant_delete_message")
    message.deleted = True
    return {"channel": message.channel, "ts": message.ts}


@method("chat.postEphemeral", scopes=_WRITE, required=("channel", "user"), per_minute=100)
def post_ephemeral(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    text, blocks = content(arguments, most_text=MOST_UPDATE_TEXT)
    channel = channel_for(workspace, arguments["channel"])
    if channel.archived:
        raise SlackError("is_archived")
    if workspace.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    if arguments["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    message = Message(channel.id, workspace.new_ts(), workspace.bot.id, text, blocks or [])
    message.visible_to = str(arguments["user"])
    workspace.add_message(message)
    return {"message_ts": message.ts}


@method("chat.getPermalink", required=("channel", "message_ts"))
def permalink(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    channel = channel_for(workspace, arguments["channel"])
    message = workspace.find_message(channel.id, str(arguments["message_ts"]))
    if message is None:
        raise SlackError("message_not_found")
    tail = message.ts.replace(".", "")
    url = f"https://{workspace.domain}.slack.com/archives/{channel.id}/p{tail}"
    return {"channel": channel.id, "permalink": url}


def _destination(workspace: Workspace, wanted: str) -> Channel:
    """Where a message to `wanted` goes: a conversation's id or name, or a user's id."""
    named = (channel for channel in workspace.channels.values() if channel.name == wanted.removeprefix("#"))
    public = next((channel for channel in named if channel.kind != "im"), None)
    if user := workspace.users.get(wanted):
        channel = direct_with(workspace, user.id)
    else:
        channel = channel_for(workspace, public.id if public else wanted)
    if channel.archived:
        raise SlackError("is_archived")
    outside = workspace.bot.id not in channel.members
    if outside and "chat:write.public" not in workspace.scopes:
        raise SlackError("not_in_channel")
    if channel.kind == "im":
        direct_with(workspace, next(iter(channel.members - {workspace.bot.id})))
    return channel


def direct_with(workspace: Workspace, user_id: str) -> Channel:
    """The direct messages with somebody, if the app may write to them."""
    user = workspace.users.get(user_id)
    if user is None:
        raise SlackError("user_not_found")
    if user.is_bot:
        raise SlackError("cannot_dm_bot")
    if user.deleted:
        raise SlackError("user_disabled")
    return workspace.direct(user_id)


def _own_message(workspace: Workspace, arguments: Json, not_own: str) -> Message:
    channel = channel_for(workspace, arguments["channel"])
    message = workspace.find_message(channel.id, str(arguments["ts"]))
    if message is None:
        raise SlackError("message_not_found")
    if message.user != workspace.bot.id:
        raise SlackError(not_own)
    return message
