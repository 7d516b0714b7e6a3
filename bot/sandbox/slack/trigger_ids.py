"""The short-lived permissions Slack hands out with an interaction: trigger ids and response URLs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox.slack.workspace import Json, Message, SlackError, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIGGER_SECONDS = 3
RESPONSE_URL_SECONDS = 30 * 60
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    user: str
    issued_at: float
    exchanged: bool = False


@dataclass
class ResponseUrl:
    """Where the answers to one interaction go. `message` is what was clicked, None after a command."""

    user: str
    channel: str
    message: Message | None
    issued_at: float
    uses: int = 0


class Tickets:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._triggers: dict[str, Trigger] = {}
        self._response_urls: dict[str, ResponseUrl] = {}

    def issue_trigger(self, user_id: str) -> str:
        serial = len(self._triggers) + 1
        trigger_id = f"{1000 + serial}.{len(self._workspace.users)}.{self._workspace.new_secret().lower()}"
        self._triggers[trigger_id] = Trigger(user_id, self._workspace.clock())
        return trigger_id

    def exchange(self, trigger_id: object) -> str:
        """The user a trigger id stands for. Each can be used once, within `TRIGGER_SECONDS`."""
        trigger = self._triggers.get(str(trigger_id))
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._workspace.clock() - trigger.issued_at > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.exchanged = True
        return trigger.user

    def issue_response_url(self, user_id: str, channel_id: str, message: Message | None = None) -> str:
        """The last part of a new response URL."""
        secret = self._workspace.new_secret()
        now = self._workspace.clock()
        self._response_urls[secret] = ResponseUrl(user_id, channel_id, message, now)
        return secret

    def respond(
        self, secret: str, answer: Mapping[str, object], text: str, blocks: list[Json] | None
    ) -> None:
        """Carry out what an app posts to a response URL: replace, delete, or say something new."""
        url = self._response_urls.get(secret)
        if url is None:
            raise SlackError("invalid_url")
        if self._workspace.clock() - url.issued_at > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        url.uses += 1
        if answer.get("delete_original") and url.message:
            url.message.deleted = True
        elif answer.get("replace_original") and url.message:
            url.message.text = text
            url.message.blocks = self._workspace.with_ids(blocks or [])
            url.message.edited = True
        else:
            self.say(url.user, url.channel, answer, text, blocks or [])

    def say(
        self, user_id: str, channel_id: str, answer: Mapping[str, object], text: str, blocks: list[Json]
    ) -> None:
        """A new message in answer to somebody, for their eyes only unless `response_type` is `in_channel`."""
        public = answer.get("response_type") == "in_channel"
        self._workspace.add_message(
            Message(
                channel_id,
                self._workspace.new_ts(),
                self._workspace.bot.id,
                text,
                blocks,
                visible_to=None if public else user_id,
            )
        )
