"""The JSON that Slack sends: objects in Web API answers, and payloads of clicks, forms, commands and events.

Shapes after https://docs.slack.dev/reference/interaction-payloads and the samples of Slack's own SDKs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.sandbox.slack.workspace import Channel, Group, Json, Message, User, View, Workspace


def user_json(workspace: Workspace, user: User) -> Json:
    profile: Json = {
        "real_name": user.name,
        "real_name_normalized": user.name,
        "display_name": user.handle,
        "display_name_normalized": user.handle,
        "team": user.team_id,
    }
    stranger = user.team_id != workspace.team_id
    grid = user.enterprise_id
    colleague = not stranger or (grid is not None and grid == workspace.enterprise_id)
    if user.email and colleague and "users:read.email" in workspace.scopes:
        profile["email"] = user.email
    shown: Json = {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.handle,
        "deleted": user.deleted,
        "profile": profile,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1_700_000_000,
    }
    if stranger:
        shown["is_stranger"] = True
    if grid:
        shown["enterprise_user"] = {
            "id": user.id,
            "enterprise_id": grid,
            "enterprise_name": f"{workspace.name} Grid",
            "is_admin": False,
            "is_owner": False,
            "teams": [user.team_id],
        }
    if not user.deleted:
        shown |= {
            "real_name": user.name,
            "tz": user.tz,
            "tz_label": user.tz,
            "tz_offset": user.tz_offset,
            "is_admin": False,
            "is_owner": False,
            "is_restricted": False,
            "is_ultra_restricted": False,
            "is_email_confirmed": user.confirmed,
        }
    return shown


def channel_json(workspace: Workspace, channel: Channel) -> Json:
    if channel.kind == "im":
        other = next(iter(channel.members - {workspace.bot.id}))
        return {
            "id": channel.id,
            "created": channel.created,
            "is_im": True,
            "is_org_shared": False,
            "is_archived": channel.archived,
            "is_user_deleted": workspace.users[other].deleted,
            "user": other,
            "is_open": True,
        }
    teams = sorted({workspace.users[member].team_id for member in channel.members} | {workspace.team_id})
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.kind == "private",
        "is_archived": channel.archived,
        "is_general": False,
        "is_ext_shared": len(teams) > 1,
        "is_shared": len(teams) > 1,
        "shared_team_ids": teams,
        "is_member": workspace.bot.id in channel.members,
        "created": channel.created,
        "context_team_id": workspace.team_id,
    }


def group_json(workspace: Workspace, group: Group, *, include_users: bool) -> Json:
    shown: Json = {
        "id": group.id,
        "team_id": workspace.team_id,
        "is_usergroup": True,
        "name": group.handle,
        "handle": group.handle,
        "is_external": False,
        "date_delete": int(group.disabled),
        "user_count": len(group.members),
    }
    return shown | ({"users": group.members} if include_users else {})


def message_json(workspace: Workspace, message: Message) -> Json:
    shown: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts}
    if message.user == workspace.bot.id:
        shown |= {
            "bot_id": workspace.bot_id,
            "app_id": workspace.app_id,
            "team": workspace.team_id,
            "bot_profile": {
                "id": workspace.bot_id,
                "app_id": workspace.app_id,
                "name": workspace.bot.name,
                "deleted": False,
                "team_id": workspace.team_id,
            },
        }
    if message.blocks:
        shown["blocks"] = message.blocks
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if message.edited:
        shown["edited"] = {"user": message.user, "ts": message.ts}
    return shown


def view_json(workspace: Workspace, view: View, values: Json | None = None) -> Json:
    """A view as Slack returns it; `values` are what stands in its fields: `{block_id: {action_id: …}}`."""
    body = view.body
    return {
        "id": view.id,
        "team_id": workspace.team_id,
        "type": body["type"],
        "blocks": view.blocks,
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "state": {"values": values or {}},
        "hash": view.hash,
        "title": body.get("title"),
        "clear_on_close": body.get("clear_on_close", False),
        "notify_on_close": body.get("notify_on_close", False),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "previous_view_id": view.previous,
        "root_view_id": view.root,
        "app_id": workspace.app_id,
        "external_id": body.get("external_id", ""),
        "app_installed_team_id": workspace.team_id,
        "bot_id": workspace.bot_id,
    }


def _interaction(workspace: Workspace, user: User, kind: str, trigger_id: str | None) -> Json:
    payload: Json = {
        "type": kind,
        "team": {"id": workspace.team_id, "domain": workspace.domain},
        "user": {"id": user.id, "username": user.handle, "name": user.handle, "team_id": user.team_id},
        "api_app_id": workspace.app_id,
        "token": "deprecated-verification-token",
        "enterprise": None,
        "is_enterprise_install": False,
    }
    return payload | ({"trigger_id": trigger_id} if trigger_id else {})


def click_on_message(
    workspace: Workspace,
    user: User,
    message: Message,
    *,
    action: Json,
    values: Json,
    trigger_id: str,
    response_url: str,
) -> Json:
    """`block_actions` from a message. An ephemeral one comes without its `message`."""
    ephemeral = message.visible_to is not None
    channel = workspace.channels[message.channel]
    payload = _interaction(workspace, user, "block_actions", trigger_id) | {
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
        },
        "channel": {
            "id": channel.id,
            "name": channel.name if channel.kind == "channel" else _hidden(channel),
        },
        "state": {"values": values},
        "response_url": response_url,
        "actions": [action],
    }
    return payload if ephemeral else payload | {"message": message_json(workspace, message)}


def click_on_view(
    workspace: Workspace, user: User, view: View, *, action: Json, values: Json, trigger_id: str
) -> Json:
    """`block_actions` from a modal or the Home tab."""
    return _interaction(workspace, user, "block_actions", trigger_id) | {
        "container": {"type": "view", "view_id": view.id},
        "view": view_json(workspace, view, values),
        "actions": [action],
    }


def view_submission(workspace: Workspace, user: User, view: View, *, values: Json, trigger_id: str) -> Json:
    return _interaction(workspace, user, "view_submission", trigger_id) | {
        "view": view_json(workspace, view, values),
        "response_urls": [],
    }


def view_closed(workspace: Workspace, user: User, view: View, *, is_cleared: bool) -> Json:
    return _interaction(workspace, user, "view_closed", None) | {
        "view": view_json(workspace, view),
        "is_cleared": is_cleared,
    }


def slash_command(
    workspace: Workspace,
    user: User,
    channel: Channel,
    *,
    command: str,
    text: str,
    trigger_id: str,
    response_url: str,
) -> dict[str, str]:
    """The form fields of a slash command."""
    return {
        "token": "deprecated-verification-token",
        "team_id": workspace.team_id,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": channel.name if channel.kind == "channel" else _hidden(channel),
        "user_id": user.id,
        "user_name": user.handle,
        "command": command,
        "text": text,
        "api_app_id": workspace.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def event_callback(workspace: Workspace, event: Json) -> Json:
    return {
        "token": "deprecated-verification-token",
        "team_id": workspace.team_id,
        "api_app_id": workspace.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": workspace.new_id("Ev"),
        "event_time": int(workspace.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team_id,
                "user_id": workspace.bot.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def message_said(workspace: Workspace, message: Message) -> Json:
    """The event `message` of direct messages, https://docs.slack.dev/reference/events/message.im."""
    return message_json(workspace, message) | {
        "channel": message.channel,
        "channel_type": "im",
        "event_ts": message.ts,
    }


def home_opened(workspace: Workspace, user: User) -> Json:
    """The event `app_home_opened`, with the view that is already there."""
    event: dict[str, Any] = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": workspace.direct(user.id).id,
        "tab": "home",
        "event_ts": workspace.new_ts(),
    }
    view = workspace.homes.get(user.id)
    return event | ({"view": view_json(workspace, view)} if view else {})


def _hidden(channel: Channel) -> str:
    """What Slack gives as the name of a conversation that is not public."""
    return {"im": "directmessage", "private": "privategroup"}[channel.kind]
