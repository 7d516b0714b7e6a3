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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ACTION_PREFIX = "assent."
_ENTITY = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a person can be answered: in the channel where they are, by a response URL, or directly."""

    user_id: str
    channel_id: str | None = None
    response_url: str | None = None


class Interaction(BaseModel):
    """Anything a person did in Slack."""

    @property
    def place(self) -> Place:
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


class Container(BaseModel):
    """Where the clicked button stands: in a message, or in a view such as the Home tab."""

    type: str = ""
    channel_id: str | None = None
    message_ts: str | None = None
    is_ephemeral: bool = False


class Option(BaseModel):
    """What was picked in a select."""

    value: str


class Action(BaseModel):
    """One pressed button (`value`), or one pick in a select."""

    action_id: str
    block_id: str = ""
    value: str | None = None
    selected_option: Option | None = None

    def answer(self) -> tuple[str, int | None, str]:
        """The request id, the revision seen (a select does not say) and the decision; raises `Malformed`."""
        decision = self.action_id.removeprefix(ACTION_PREFIX).removeprefix("choose.")
        if self.selected_option:
            request_id, _ = _split(self.block_id.removeprefix("assent:"))
            return request_id, None, self.selected_option.value
        return *_split(self.value or ""), decision


class Click(Interaction):
    """A `block_actions` payload."""

    user: User
    actions: list[Action] = Field(min_length=1)
    container: Container = Container()
    trigger_id: str = ""
    response_url: str | None = None

    @property
    def place(self) -> Place:
        """See `Interaction.place`."""
        return Place(
            user_id=self.user.id, channel_id=self.container.channel_id, response_url=self.response_url
        )


class Input(BaseModel):
    """What stands in one field."""

    value: str | None = None


class State(BaseModel):
    """What stands in every field: by block id, then by action id."""

    values: dict[str, dict[str, Input]] = {}


class View(BaseModel):
    """A modal as it was submitted."""

    private_metadata: str = ""
    state: State = State()

    def typed(self, block_id: str) -> str | None:
        """What was typed into the input of this block; None where nothing was."""
        fields = self.state.values.get(block_id, {}).values()
        return next((field.value for field in fields if field.value), None)

    def asked(self) -> tuple[str, int, str]:
        """The request id, the revision and the decision the modal was opened for; raises `Malformed`."""
        try:
            data = json.loads(self.private_metadata)
            return str(data["request"]), int(data["revision"]), str(data["decision"])
        except (ValueError, TypeError, KeyError):
            raise Malformed("This form belongs to no request; open it again from the card.") from None


class Submission(Interaction):
    """A `view_submission` payload."""

    user: User
    view: View

    @property
    def place(self) -> Place:
        """See `Interaction.place`."""
        return Place(user_id=self.user.id)


class Command(Interaction):
    """A slash command."""

    user_id: str = Field(min_length=1)
    user_name: str | None = None
    channel_id: str | None = None
    text: str = ""
    response_url: str | None = None

    @property
    def place(self) -> Place:
        """See `Interaction.place`."""
        return Place(user_id=self.user_id, channel_id=self.channel_id, response_url=self.response_url)


class HomeOpened(Interaction):
    """An `app_home_opened` event."""

    user: str = Field(min_length=1)
    tab: str = "home"

    @property
    def place(self) -> Place:
        """See `Interaction.place`."""
        return Place(user_id=self.user)


def _split(value: str) -> tuple[str, int]:
    """`req_…:NUMBER`, as buttons and their blocks carry it."""
    request_id, _, number = value.rpartition(":")
    if not request_id or not number.isdecimal():
        raise Malformed("This button belongs to no request; look for the newest card of it.")
    return request_id, int(number)


def plain(text: str) -> str:
    """What a person typed, as they saw it: with `should_escape` Slack writes `<@U1|ana>` and `&amp;`."""
    return html.unescape(_ENTITY.sub(_as_typed, text))


def _as_typed(match: re.Match[str]) -> str:
    sign, target, label = match.groups()
    return f"{'@' if sign == '!' else sign}{label or target}"
