"""The sandbox in the browser: what one person sees as JSON, what they do as posts, and a stream of changes.

Posts are JSON only, so that no page of another origin can make one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.slack.inputs import element_by_id, filled_by_id
from bot.sandbox.slack.payloads import message_json, view_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.sandbox.slack.users import People
    from bot.sandbox.slack.workspace import Channel, Json, Message, User, View

ASSETS = Path(__file__).parent / "assets"
SHOWN_MESSAGES = 200
"""Messages of a conversation that the page shows, the newest."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' https: data:; frame-ancestors 'self'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


class Browser:
    """The page and what it calls, on behalf of whoever the page says is looking."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._workspace = people.workspace
        self._closing = False

    def routes(self) -> list[web.RouteDef]:
        posts: dict[str, Callable[[Json, User], Awaitable[Json]]] = {
            "click": self._click,
            "submit": self._submit,
            "close": self._close,
            "say": self._say,
            "home": self._home,
        }
        return [
            web.get("/", _page),
            web.get("/assets/{name}", _asset),
            web.get("/seen", self._seen),
            web.get("/changes", self._changes),
            *(web.post(f"/do/{name}", self._post(act)) for name, act in posts.items()),
        ]

    def close(self) -> None:
        """End the streams of changes."""
        self._closing = True
        self._people.watcher.changed()

    async def _seen(self, request: web.Request) -> web.Response:
        people = [user for user in self._workspace.users.values() if not user.is_bot]
        me = self._workspace.users.get(request.query.get("user", "")) or next(iter(people), None)
        if me is None:
            return web.json_response({"me": None}, headers=_HEADERS)
        home = self._workspace.homes.get(me.id)
        seen = {
            "me": me.id,
            "app": {"id": self._workspace.bot.id, "name": self._workspace.bot.name},
            "workspace": self._workspace.name,
            "people": [self._person(user) for user in self._workspace.users.values()],
            "channels": [self._channel(channel, me) for channel in self._channels(me)],
            "modals": [self._view(view) for view in self._workspace.stack(me.id)],
            "home": self._view(home) if home else None,
        }
        return web.json_response(seen, headers=_HEADERS)

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
        watcher, sent = self._people.watcher, -1
        with contextlib.suppress(ConnectionResetError):  # the page was closed
            await stream.prepare(request)
            while not self._closing:
                if sent == watcher.version:
                    await watcher.change()
                sent = watcher.version
                await stream.write(f"data: {sent}\n\n".encode())
        return stream

    def _post(
        self, act: Callable[[Json, User], Awaitable[Json]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            if request.content_type != "application/json":
                raise web.HTTPUnsupportedMediaType
            try:
                body = await request.json()
                answer = await act(body, self._workspace.users[body["user"]])
            except (ValueError, LookupError, TypeError) as error:
                return web.json_response({"error": f"The sandbox cannot do that: {error}"}, status=400)
            return web.json_response(answer)

        return handle

    async def _click(self, body: Json, user: User) -> Json:
        on = self._clicked(body)
        block, element = element_by_id(on.blocks, body["block_id"], body["action_id"])
        values = filled_by_id(on.blocks, body["values"])
        done = await self._people.use(user, on, block, element, choice=body.get("choice"), values=values)
        return {"shown": done.shown}

    async def _submit(self, body: Json, user: User) -> Json:
        view = self._view_of(body["view"])
        values = filled_by_id(view.blocks, body["values"])
        return {"shown": (await self._people.submit_values(view, values, user)).shown}

    async def _close(self, body: Json, _user: User) -> Json:
        await self._people.close_view(self._view_of(body["view"]))
        return {}

    async def _say(self, body: Json, user: User) -> Json:
        channel = self._workspace.channels[body["channel"]]
        done = await self._people.say(user, channel, body["text"], thread=body.get("thread"))
        return {"shown": done.shown if done else None}

    async def _home(self, _body: Json, user: User) -> Json:
        await self._people.open_home(user)
        return {}

    def _clicked(self, body: Json) -> Message | View:
        if "view" in body:
            return self._view_of(body["view"])
        found = (m for m in self._workspace.messages if (m.channel, m.ts) == (body["channel"], body["ts"]))
        message = next(found, None)
        if message is None:
            raise LookupError("that message is gone")
        return message

    def _view_of(self, view_id: str) -> View:
        view = self._workspace.find_view(view_id)
        if view is None:
            raise LookupError("that view is closed")
        return view

    def _channels(self, me: User) -> list[Channel]:
        self._workspace.direct(me.id)
        return [channel for channel in self._workspace.channels.values() if me.id in channel.members]

    def _person(self, user: User) -> Json:
        """With `waiting`: messages with buttons in the direct messages between the app and them."""
        direct = self._workspace.existing_direct(user.id)
        messages = self._workspace.history(direct.id) if direct and not user.is_bot else ()
        return {
            "id": user.id,
            "name": user.name,
            "handle": user.handle,
            "tz": user.tz,
            "bot": user.is_bot,
            "waiting": sum(bool(message.buttons) for message in messages),
        }

    def _channel(self, channel: Channel, me: User) -> Json:
        mine = [
            message
            for message in self._workspace.messages
            if message.channel == channel.id and not message.deleted and message.visible_to in (None, me.id)
        ]
        return {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "archived": channel.archived,
            "messages": [
                message_json(self._workspace, message) | {"ephemeral": message.visible_to is not None}
                for message in mine[-SHOWN_MESSAGES:]
            ],
        }

    def _view(self, view: View) -> Json:
        return view_json(self._workspace, view) | {"errors": view.errors}


async def _page(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(ASSETS / "slack.html", headers=_HEADERS)


async def _asset(request: web.Request) -> web.FileResponse:
    name = request.match_info["name"]
    if name not in {path.name for path in ASSETS.glob("slack*")}:
        raise web.HTTPNotFound
    return web.FileResponse(ASSETS / name, headers=_HEADERS)
