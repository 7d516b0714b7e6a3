"""auth.*, apps.*, oauth.*, team.*, users.*, usergroups.* and conversations.*: who is here, and where."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from bot.sandbox.slack.payloads import channel_json, group_json, message_json, user_json
from bot.sandbox.slack.web_api.chat import direct_with
from bot.sandbox.slack.web_api.method import Backend, channel_for, flag, method, need_scope
from bot.sandbox.slack.workspace import SlackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sandbox.slack.workspace import Channel, Json, Message, Workspace


@method("auth.test")
def auth_test(backend: Backend, _arguments: Json) -> Json:
    workspace = backend.workspace
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.name,
        "user": workspace.bot.handle,
        "team_id": workspace.team_id,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
        **({"enterprise_id": workspace.enterprise_id} if workspace.enterprise_id else {}),
    }


@method("apps.connections.open", per_minute=50, kind="app")
def connections_open(backend: Backend, _arguments: Json) -> Json:
    return {"url": backend.open_socket()}


@method("oauth.v2.access", kind="none")
def oauth_access(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    if arguments.get("client_id") != backend.client_id:
        raise SlackError("invalid_client_id")
    if arguments.get("client_secret") != backend.client_secret:
        raise SlackError("bad_client_secret")
    installer = backend.install_codes.pop(str(arguments.get("code")), None)
    if installer is None:
        raise SlackError("invalid_code")
    token = f"xoxb-{workspace.new_secret()}"
    backend.tokens[token] = "bot"
    return {
        "access_token": token,
        "token_type": "bot",
        "scope": ",".join(sorted(workspace.scopes)),
        "bot_user_id": workspace.bot.id,
        "app_id": workspace.app_id,
        "team": {"name": workspace.name, "id": workspace.team_id},
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": installer},
    }


@method("team.info")
def team_info(backend: Backend, _arguments: Json) -> Json:
    workspace = backend.workspace
    return {"team": {"id": workspace.team_id, "name": workspace.name, "domain": workspace.domain}}


@method("users.info", scopes=("users:read",), required=("user",), per_minute=100)
def users_info(backend: Backend, arguments: Json) -> Json:
    user = backend.workspace.users.get(arguments["user"])
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user_json(backend.workspace, user)}


@method("users.lookupByEmail", scopes=("users:read.email",), required=("email",), per_minute=50)
def users_lookup(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    wanted = str(arguments["email"]).lower()
    for user in workspace.users.values():
        colleague = user.team_id == workspace.team_id and not user.deleted
        if colleague and user.email and user.email.lower() == wanted:
            return {"user": user_json(workspace, user)}
    raise SlackError("users_not_found")


@method("users.list", scopes=("users:read",), per_minute=20)
def users_list(backend: Backend, arguments: Json) -> Json:
    members, metadata = _page(list(backend.workspace.users.values()), arguments)
    return {"members": [user_json(backend.workspace, user) for user in members], **metadata}


@method("usergroups.list", scopes=("usergroups:read",), per_minute=20)
def usergroups_list(backend: Backend, arguments: Json) -> Json:
    shown = [
        group_json(backend.workspace, group, include_users=flag(arguments.get("include_users")))
        for group in backend.workspace.groups.values()
        if not group.disabled or flag(arguments.get("include_disabled"))
    ]
    return {"usergroups": shown}


@method("usergroups.users.list", scopes=("usergroups:read",), required=("usergroup",), per_minute=20)
def usergroups_users(backend: Backend, arguments: Json) -> Json:
    group = backend.workspace.groups.get(arguments["usergroup"])
    if group is None or (group.disabled and not flag(arguments.get("include_disabled"))):
        raise SlackError("no_such_subteam")
    return {"users": list(group.members)}


@method("conversations.open", scopes=("im:write",), per_minute=50)
def conversations_open(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    wanted = [user_id for user_id in str(arguments.get("users") or "").split(",") if user_id]
    if arguments.get("channel"):
        channel, already = channel_for(workspace, arguments["channel"]), True
    elif len(wanted) == 1:
        already = workspace.existing_direct(wanted[0]) is not None
        channel = direct_with(workspace, wanted[0])
    else:
        raise SlackError("too_many_users" if wanted else "users_list_not_supplied")
    full = flag(arguments.get("return_im"))
    answer: Json = {"channel": channel_json(workspace, channel) if full else {"id": channel.id}}
    return answer | ({"no_op": True, "already_open": True} if already else {})


@method("conversations.info", required=("channel",), per_minute=50)
def conversations_info(backend: Backend, arguments: Json) -> Json:
    channel = _readable(backend.workspace, arguments["channel"], "read")
    shown = channel_json(backend.workspace, channel)
    if flag(arguments.get("include_num_members")):
        shown["num_members"] = len(channel.members)
    return {"channel": shown}


@method("conversations.members", required=("channel",), per_minute=100)
def conversations_members(backend: Backend, arguments: Json) -> Json:
    channel = _readable(backend.workspace, arguments["channel"], "read")
    members, metadata = _page(sorted(channel.members), arguments)
    return {"members": members, **metadata}


@method("conversations.history", required=("channel",), per_minute=50)
def conversations_history(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    channel = _history_of(backend, arguments)
    return _window(backend, [m for m in workspace.history(channel.id) if not _is_reply(m)][::-1], arguments)


@method("conversations.replies", required=("channel", "ts"), per_minute=50)
def conversations_replies(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    channel, ts = _history_of(backend, arguments), str(arguments["ts"])
    if workspace.find_message(channel.id, ts) is None:
        raise SlackError("thread_not_found")
    thread = [m for m in workspace.history(channel.id) if ts in (m.ts, m.thread_ts)]
    return _window(backend, thread, arguments)


def _history_of(backend: Backend, arguments: Json) -> Channel:
    channel = _readable(backend.workspace, arguments["channel"], "history")
    if backend.workspace.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _is_reply(message: Message) -> bool:
    return message.thread_ts not in (None, message.ts)


def _window(backend: Backend, messages: list[Message], arguments: Json) -> Json:
    """One page of the messages between `oldest` and `latest`; metadata only where it is asked for."""
    latest, oldest = str(arguments.get("latest") or "9"), str(arguments.get("oldest") or "0")
    ends = (oldest, latest) if flag(arguments.get("inclusive")) else ()
    found = [m for m in messages if oldest < m.ts < latest or m.ts in ends]
    page, more = _page(found, arguments, most=backend.most_history)
    with_metadata = flag(arguments.get("include_all_metadata"))
    shown = [_told(backend.workspace, message, with_metadata=with_metadata) for message in page]
    has_more = bool(more["response_metadata"]["next_cursor"])
    return {"messages": shown, "has_more": has_more, **(more if has_more else {})}


def _told(workspace: Workspace, message: Message, *, with_metadata: bool) -> Json:
    metadata = {"metadata": message.metadata} if with_metadata and message.metadata else {}
    return message_json(workspace, message) | metadata


def _readable(workspace: Workspace, channel_id: object, verb: str) -> Channel:
    channel = channel_for(workspace, channel_id)
    family = {"channel": "channels", "private": "groups", "im": "im"}[channel.kind]
    need_scope(workspace, f"{family}:{verb}")
    return channel


def _limit(arguments: Json) -> int:
    limit = str(arguments.get("limit") or 100)
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise SlackError("invalid_limit")
    return int(limit)


def _page(values: Sequence[Any], arguments: Json, most: int = 1000) -> tuple[list[Any], Json]:
    """One page of a list, of at most `most`, and `response_metadata` with the cursor of the next one."""
    limit = min(_limit(arguments), most)
    try:
        start = int(base64.b64decode(arguments.get("cursor") or "MA==", validate=True))
    except (ValueError, binascii.Error):
        raise SlackError("invalid_cursor") from None
    more = start + limit < len(values)
    cursor = base64.b64encode(str(start + limit).encode()).decode() if more else ""
    return list(values[start : start + limit]), {"response_metadata": {"next_cursor": cursor}}
