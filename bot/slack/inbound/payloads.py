"""What Slack sends, as far as it is used (clicks, forms, commands, the Home tab), and what it is answered.

https://docs.slack.dev/reference/interaction-payloads. What does not fit raises pydantic's `ValidationError`.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from bot.domain.errors import Malformed
from bot.domain.model.events import SeenVersion
from bot.domain.model.request import Surface
from bot.domain.people.audience import Actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ACTION_PREFIX = "assent."
_ENTITY = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPosition:
    """Where a person can be answered: in the channel where they are, by a response URL, or directly."""

    user_id: str
    channel_id: str | None = None
    response_url: str | None = None


class Interaction(BaseModel):
    """Anything a person did in Slack."""

    @property
    def place(self) -> CardPosition:
        """Where to answer the person."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What Slack is answered at once, and what happens after that."""

    body: dict[str, Any] | None = None
    then: Callable[[], Awaitable[None]] | None = None


class User(BaseModel):
    """Who acted."""

    id: str = Field(min_length=1)
    team_id: str | None = None
    name: str | None = None
    username: str | None = None

    @property
    def label(self) -> str | None:
        """What Slack calls them."""
        return self.name or self.username

    @property
    def actor(self) -> Actor:
        """Who acts, as far as Slack's signature proves it."""
        keys = frozenset({f"slack:{self.id}"})
        return Actor(keys=keys, surface=Surface.SLACK, name=self.label, team=self.team_id)


class Container(BaseModel):
    """Where the clicked button stands: in a message, or in a view such as the Home tab."""

    type: str = ""
    channel_id: str | None = None
    message_ts: str | None = None
    is_ephemeral: bool = False


class Option(BaseModel):
    """What was picked in a select, a menu, or among boxes."""

    value: str


class Input(BaseModel):
    """What stands in one field."""

    value: str | None = None
    selected_option: Option | None = None
    selected_options: list[Option] | None = None
    selected_date: str | None = None
    selected_user: str | None = None

    @property
    def entered(self) -> str | list[str]:
        """What was typed or picked; an empty text where nothing was."""
        if self.selected_options is not None:
            return [option.value for option in self.selected_options]
        picked = self.selected_option.value if self.selected_option else None
        return self.value or picked or self.selected_date or self.selected_user or ""


class State(BaseModel):
    """What stands in every field: by block id, then by action id."""

    values: dict[str, dict[str, Input]] = {}


class View(BaseModel):
    """A modal as it was submitted, or the Home tab as it was clicked."""

    callback_id: str = ""
    private_metadata: str = ""
    state: State = State()

    @property
    def entered(self) -> dict[str, str | list[str]]:
        """What stands in each field, by block id."""
        return {
            block: next(iter(fields.values())).entered
            for block, fields in self.state.values.items()
            if fields
        }

    def typed(self, block_id: str) -> str | None:
        """What was typed into the input of this block; None where nothing was."""
        entered = self.entered.get(block_id)
        return entered if isinstance(entered, str) and entered else None

    def about(self) -> dict[str, Any]:
        """What the modal was opened for, `request` (an id) and `seen` at least; raises `Malformed`."""
        try:
            data: dict[str, Any] = json.loads(self.private_metadata)
            seen = SeenVersion(int(data["revision"]), int(data["step"]))
            return data | {"request": str(data["request"]), "seen": seen}
        except (ValueError, TypeError, KeyError):
            raise Malformed("This form belongs to no request; open it again from the card.") from None


class Action(BaseModel):
    """One pressed button (`value`), or one pick in a select."""

    action_id: str
    block_id: str = ""
    value: str | None = None
    selected_option: Option | None = None

    def answer(self) -> tuple[str, SeenVersion, str]:
        """The request id, what was seen of it, and what is wanted; raises `Malformed`."""
        if self.selected_option:  # what a button says of the request, the block says for a select or a menu
            _, _, about = self.block_id.removeprefix("assent:").partition(":")
            return *seen_request(about), self.selected_option.value
        return *seen_request(self.value or ""), self.action_id.removeprefix(ACTION_PREFIX).removeprefix(
            "choose."
        )


class Click(Interaction):
    """A `block_actions` payload."""

    user: User
    actions: list[Action] = Field(min_length=1)
    container: Container = Container()
    view: View = View()
    trigger_id: str = ""
    response_url: str | None = None

    @property
    def place(self) -> CardPosition:
        """See `Interaction.place`."""
        return CardPosition(
            user_id=self.user.id, channel_id=self.container.channel_id, response_url=self.response_url
        )


class Submission(Interaction):
    """A `view_submission` payload."""

    user: User
    view: View
    trigger_id: str = ""

    @property
    def place(self) -> CardPosition:
        """See `Interaction.place`."""
        return CardPosition(user_id=self.user.id)


class Command(Interaction):
    """A slash command."""

    user_id: str = Field(min_length=1)
    user_name: str | None = None
    channel_id: str | None = None
    text: str = ""
    response_url: str | None = None

    @property
    def user(self) -> User:
        """Who typed it."""
        return User(id=self.user_id, name=self.user_name)

    @property
    def place(self) -> CardPosition:
        """See `Interaction.place`."""
        return CardPosition(user_id=self.user_id, channel_id=self.channel_id, response_url=self.response_url)


class DirectMessage(Interaction):
    """A `message` event of the direct messages with us; `thread_ts` names the message it was said under."""

    user: str = ""
    bot_id: str | None = None
    subtype: str | None = None
    channel: str = ""
    text: str = ""
    ts: str = ""
    thread_ts: str | None = None

    @property
    def place(self) -> CardPosition:
        """See `Interaction.place`."""
        return CardPosition(user_id=self.user)


class HomeOpened(Interaction):
    """An `app_home_opened` event."""

    user: str = Field(min_length=1)
    tab: str = "home"

    @property
    def place(self) -> CardPosition:
        """See `Interaction.place`."""
        return CardPosition(user_id=self.user)


def seen_request(value: str) -> tuple[str, SeenVersion]:
    """`req_…:REVISION:STEP`, as what is shown of a request carries it; raises `Malformed`."""
    request_id, *numbers = value.split(":")
    if not request_id or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise Malformed("This button belongs to no request; look for the newest card of it.")
    return request_id, SeenVersion(*map(int, numbers))


def mentioned(text: str) -> tuple[str, str] | None:
    """The selector of the first person named in a command, `<@U1|ana>` or an address, and what follows."""
    if found := re.search(r"<@([UW]\w+)[^>]*>", text):
        return f"slack:{found[1]}", plain(text[found.end() :]).strip()
    words = plain(text).split()
    at = next((index for index, word in enumerate(words) if "@" in word[1:]), None)
    return None if at is None else (words[at], " ".join(words[at + 1 :]))


def plain(text: str) -> str:
    """What a person typed, as they saw it: with `should_escape` Slack writes `<@U1|ana>` and `&amp;`."""
    return html.unescape(_ENTITY.sub(_as_typed, text))


def _as_typed(match: re.Match[str]) -> str:
    sign, target, label = match.groups()
    return f"{'@' if sign == '!' else sign}{label or target}"
