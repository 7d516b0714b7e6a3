"""Every call to Slack, over slack_sdk: errors of our own, and nothing sent twice by itself."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.api.errors import (
    SlackDown,
    SlackError,
    Terminal,
    Throttled,
    TokenInvalid,
    Unreadable,
    from_answer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    from bot.slack.render.cards import Message
    from bot.slack.render.text import Block

log = logging.getLogger(__name__)

SLACK_API = "https://slack.com/api/"
TIMEOUT_SECONDS = 10.0
PAGE = 1000
"""Most members Slack lists at once."""
HISTORY = frozenset({"conversations.history", "conversations.replies"})
HISTORY_PAGE = 100
HISTORY_PAGES = 10
"""How much of a conversation is read to find one message of a moment ago."""
MARKED = "assent_message"
"""The type of the metadata on our messages; every app of the workspace may read it, so it holds an id and no more."""

Json = dict[str, Any]


class Gateway:
    """One workspace's Slack. Every method raises `SlackError`.

    A method that Slack throttles raises `Throttled`, without another call, until its time has come.
    """

    def __init__(self, token: str, base_url: str = SLACK_API, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._client = AsyncWebClient(token, base_url=base_url, retry_handlers=[])
        self._client.proxy = None  # the session reads the environment, NO_PROXY included
        self._paused: dict[str, float] = {}
        self.refused: str | None = None
        """Why Slack refused the bot token when it was last asked; None where it did not."""

    async def close(self) -> None:
        """Close the connections."""
        if self._client.session:
            await self._client.session.close()

    # Telling

    async def post(
        self, channel: str, message: Message, *, thread: str | None = None, mark: str | None = None
    ) -> Json:
        """Post to a channel, or to a user by id; where it stands: `{"channel", "ts"}`.

        `thread` is the ts of the message that it goes under; by `mark`, which nobody sees, `marked` finds it again.
        """
        answer = await self._call(
            "chat.postMessage",
            self._client.chat_postMessage,
            channel=channel,
            text=message.text,
            blocks=message.blocks,
            thread_ts=thread,
            metadata={"event_type": MARKED, "event_payload": {"id": mark}} if mark else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        return {"channel": answer["channel"], "ts": answer["ts"]}

    async def update(self, channel: str, ts: str, message: Message) -> None:
        """Change a message that we posted."""
        await self._call(
            "chat.update",
            self._client.chat_update,
            channel=channel,
            ts=ts,
            text=message.text,
            blocks=message.blocks,
            parse="none",
        )

    async def delete(self, channel: str, ts: str) -> None:
        """Take away a message that we posted."""
        await self._call("chat.delete", self._client.chat_delete, channel=channel, ts=ts)

    async def ephemeral(self, channel: str, user: str, message: Message) -> None:
        """Show something to one person, in a channel that both they and we are in."""
        await self._call(
            "chat.postEphemeral",
            self._client.chat_postEphemeral,
            channel=channel,
            user=user,
            text=message.text,
            blocks=message.blocks,
        )

    async def respond(self, response_url: str, message: Message, *, replace: bool = False) -> None:
        """Answer an interaction, to its person only; works five times within half an hour."""
        body = {
            "response_type": "ephemeral",
            "replace_original": replace,
            "text": message.text,
            "blocks": message.blocks,
        }
        try:
            async with self._session().post(response_url, json=body) as answer:
                if answer.status != 200:
                    code = "expired_url" if answer.status == 404 else str(answer.status)
                    raise from_answer(answer.status, code, answer.headers.get("Retry-After"))
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from None

    async def open_dm(self, user: str) -> str:
        """The id of the direct messages with somebody."""
        answer = await self._call("conversations.open", self._client.conversations_open, users=user)
        return str(answer["channel"]["id"])

    async def open_view(self, trigger_id: str, view: Block) -> Json:
        """Open a modal, within the 3 s that a trigger lives; the view as Slack keeps it: `id`, `hash`, …."""
        answer = await self._call("views.open", self._client.views_open, trigger_id=trigger_id, view=view)
        opened: Json = answer["view"]
        return opened

    async def publish_home(self, user: str, view: Block) -> None:
        """Set somebody's Home tab."""
        await self._call("views.publish", self._client.views_publish, user_id=user, view=view)

    # Asking

    async def identity(self) -> Json:
        """Which workspace and bot the token belongs to (`auth.test`)."""
        return await self._call("auth.test", self._client.auth_test)

    async def user(self, user: str) -> Json:
        """One user object, by id."""
        return await self._member("users.info", self._client.users_info, user=user)

    async def user_by_email(self, email: str) -> Json:
        """One user object, by address."""
        return await self._member("users.lookupByEmail", self._client.users_lookupByEmail, email=email)

    async def group_members(self, group: str) -> tuple[str, ...]:
        """The ids of the people in a user group."""
        answer = await self._call(
            "usergroups.users.list", self._client.usergroups_users_list, usergroup=group
        )
        return tuple(answer["users"])

    async def channel(self, channel: str) -> Json:
        """One conversation object."""
        answer = await self._call("conversations.info", self._client.conversations_info, channel=channel)
        found: Json = answer["channel"]
        return found

    async def channel_members(self, channel: str) -> AsyncIterator[frozenset[str]]:
        """The ids of a channel's members, page by page."""
        cursor: str | None = None
        while cursor != "":
            page = await self._call(
                "conversations.members",
                self._client.conversations_members,
                channel=channel,
                limit=PAGE,
                cursor=cursor,
            )
            yield frozenset(page["members"])
            cursor = page.get("response_metadata", {}).get("next_cursor", "")

    async def marked(
        self, channel: str, mark: str, *, since: datetime, thread: str | None = None
    ) -> list[str]:
        """The ts of every message with this `mark` that stands there, oldest first.

        Further back than `since` none is looked for, but the newest are whatever the clocks say.

        Raises `Unreadable` where the app may not read this conversation, or too much was written there since.
        """
        found: list[str] = []
        cursor: str | None = None
        for _ in range(HISTORY_PAGES):
            page = await self._history(channel, thread, cursor=cursor)
            found += [str(m["ts"]) for m in page["messages"] if _mark(m) == mark]
            cursor = page.get("response_metadata", {}).get("next_cursor")
            if not page.get("has_more") or not cursor or (not thread and _reaches(page, since)):
                return sorted(found)
        if found:
            return sorted(found)
        raise Unreadable("too much was written there since")

    async def _history(self, channel: str, thread: str | None, **arguments: Any) -> Json:
        arguments |= {"channel": channel, "limit": HISTORY_PAGE, "include_all_metadata": True}
        try:
            if thread:
                replies = self._client.conversations_replies
                return await self._call("conversations.replies", replies, ts=thread, **arguments)
            return await self._call("conversations.history", self._client.conversations_history, **arguments)
        except Terminal as error:
            raise Unreadable(str(error)) from None

    async def _member(
        self, name: str, ask: Callable[..., Awaitable[AsyncSlackResponse]], **arguments: str
    ) -> Json:
        found: Json = (await self._call(name, ask, **arguments))["user"]
        return found

    # Calling

    async def _call(
        self, name: str, call: Callable[..., Awaitable[AsyncSlackResponse]], **arguments: Any
    ) -> Json:
        pause = self._paused.get(name, 0.0) - time.monotonic()
        if pause > 0:
            raise Throttled(pause)
        self._session()
        try:
            answer = await call(**arguments)
        except SlackApiError as error:
            raise self._noted(name, _translated(error)) from None
        except (SlackClientError, aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from None
        self.refused = None
        return answer.data if isinstance(answer.data, dict) else {}

    def _session(self) -> aiohttp.ClientSession:
        if self._client.session is None or self._client.session.closed:
            timeout = aiohttp.ClientTimeout(total=self._timeout)
            self._client.session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        return self._client.session

    def _noted(self, name: str, error: SlackError) -> SlackError:
        """The operator hears of what only they can mend; a throttled method is left alone by everybody."""
        match error:
            case Throttled():
                self._paused[name] = time.monotonic() + error.after
            case TokenInvalid():
                if self.refused is None:
                    log.error("%s", error)
                self.refused = str(error)
            case Terminal(
                code="invalid_blocks" | "invalid_arguments" | "msg_blocks_too_long" | "missing_scope"
            ) if name not in HISTORY:  # that scope is not asked for everywhere
                log.error("%s: %s", name, error)
        return error


def _translated(error: SlackApiError) -> SlackError:
    """slack_sdk hands over its own response, or aiohttp's where the body was no JSON."""
    response = error.response
    if isinstance(response, aiohttp.ClientResponse):
        return from_answer(response.status, "", response.headers.get("Retry-After"))
    data = response.data if isinstance(response.data, dict) else {}
    code, needed = str(data.get("error", "")), data.get("needed")
    return from_answer(response.status_code, code, response.headers.get("Retry-After"), needed)


def _mark(message: Json) -> str | None:
    """The mark that `Gateway.post` left on a message."""
    metadata = message.get("metadata") or {}
    return metadata.get("event_payload", {}).get("id") if metadata.get("event_type") == MARKED else None


def _reaches(page: Json, since: datetime) -> bool:
    """Whether a page of history, newest first, goes back to before `since`."""
    return bool(page["messages"]) and float(page["messages"][-1]["ts"]) < since.timestamp()


def _unreachable(error: Exception) -> SlackDown:
    """A call that got no answer; it was never sent only where there was no connection."""
    unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return SlackDown("no answer", ambiguous=not unsent)
