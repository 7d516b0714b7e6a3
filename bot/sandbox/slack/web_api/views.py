"""views.*: https://docs.slack.dev/reference/methods?family=views."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.sandbox.slack.block_kit.blockkit import MOST_VIEW_BYTES, view_faults
from bot.sandbox.slack.payloads import view_json
from bot.sandbox.slack.web_api.method import Backend, decoded, method
from bot.sandbox.slack.workspace import SlackError

if TYPE_CHECKING:
    from bot.sandbox.slack.workspace import Json, View, Workspace

MOST_STACKED = 3
"""Modals on one screen."""


@method("views.open", required=("view", "trigger_id"), per_minute=100)
def open_view(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    body = checked_view(arguments["view"], "modal")
    user_id = backend.tickets.exchange(arguments["trigger_id"])
    _external_id_is_free(workspace, body)
    workspace.close_modals(user_id)
    view = workspace.new_view(user_id, body)
    view.trigger_id = str(arguments["trigger_id"])
    workspace.stack(user_id).append(view)
    return {"view": view_json(workspace, view)}


@method("views.push", required=("view", "trigger_id"), per_minute=100)
def push(backend: Backend, arguments: Json) -> Json:
    body = checked_view(arguments["view"], "modal")
    user_id = backend.tickets.exchange(arguments["trigger_id"])
    _external_id_is_free(backend.workspace, body)
    view = push_view(backend.workspace, user_id, body)
    view.trigger_id = str(arguments["trigger_id"])
    return {"view": view_json(backend.workspace, view)}


@method("views.update", required=("view",), per_minute=100)
def update(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    body = checked_view(arguments["view"], "modal", "home")
    view = workspace.find_view(arguments.get("view_id"), arguments.get("external_id"))
    if view is None:
        raise SlackError("not_found")
    _same_hash(view, arguments)
    _external_id_is_free(workspace, body, besides=view)
    workspace.change_view(view, body)
    return {"view": view_json(workspace, view)}


@method("views.publish", required=("view", "user_id"), per_minute=100)
def publish(backend: Backend, arguments: Json) -> Json:
    workspace = backend.workspace
    body = checked_view(arguments["view"], "home")
    user = workspace.users.get(arguments["user_id"])
    if user is None or user.is_bot or user.deleted:
        raise SlackError("invalid_arguments", response_metadata={"messages": ["invalid `user_id`"]})
    view = workspace.homes.get(user.id)
    if view is None:
        view = workspace.homes[user.id] = workspace.new_view(user.id, body)
    else:
        _same_hash(view, arguments)
        workspace.change_view(view, body)
    return {"view": view_json(workspace, view)}


def push_view(workspace: Workspace, user_id: str, body: Json) -> View:
    """Put a modal on top of those that somebody has open."""
    stack = workspace.stack(user_id)
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= MOST_STACKED:
        raise SlackError("push_limit_reached")
    view = workspace.new_view(user_id, body, below=stack[-1])
    stack.append(view)
    return view


def checked_view(view: object, *kinds: str) -> Json:
    """A valid view of one of these kinds, from JSON or JSON in a string."""
    body = decoded(view, "invalid_arguments")
    faults = view_faults(body)
    if not isinstance(body, dict) or faults:
        raise SlackError("invalid_arguments", response_metadata={"messages": faults})
    if body["type"] not in kinds:
        fault = f"[ERROR] view must be of type {' or '.join(kinds)} [json-pointer:/view/type]"
        raise SlackError("invalid_arguments", response_metadata={"messages": [fault]})
    if len(json.dumps(body, ensure_ascii=False).encode()) > MOST_VIEW_BYTES:
        raise SlackError("view_too_large")
    return body


def _same_hash(view: View, arguments: Json) -> None:
    if arguments.get("hash") not in (None, "", view.hash):
        raise SlackError("hash_conflict")


def _external_id_is_free(workspace: Workspace, body: Json, *, besides: View | None = None) -> None:
    external_id = body.get("external_id")
    taken = external_id and workspace.find_view(None, external_id)
    if taken and taken is not besides:
        raise SlackError("duplicate_external_id")
