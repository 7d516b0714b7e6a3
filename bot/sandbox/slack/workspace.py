"""The state of one Slack workspace in memory: people, conversations, messages, views. No network.

Objects are live: set `ana.deleted = True` or `ops.archived = True` and the workspace behaves so from then on.
"""

from __future__ import annotations

import itertools
import random
import string
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bot.sandbox.slack.block_kit.blockkit import elements_of, texts
from bot.sandbox.slack.block_kit.mrkdwn import live_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]


class SlackError(Exception):
    """A refusal: Slack's error code, with the members that go with it in the answer."""

    def __init__(self, code: str, **members: Any) -> None:
        super().__init__(code)
        self.code = code
        self.members = members


BOT_SCOPES = frozenset(
    {
        "chat:write",
        "chat:write.public",
        "commands",
        "im:write",
        "im:history",
        "users:read",
        "users:read.email",
        "usergroups:read",
        "channels:read",
        "groups:read",
        "im:read",
    }
)
"""The scopes a new workspace grants; take some out of `Workspace.scopes` to see `missing_scope`."""


@dataclass
class User:
    id: str
    name: str
    email: str | None
    team_id: str
    confirmed: bool = True
    deleted: bool = False
    is_bot: bool = False
    tz: str = "Europe/Amsterdam"
    tz_offset: int = 3600
    enterprise_id: str | None = None
    """The organisation (`E…`) of an Enterprise Grid that their workspace belongs to."""

    @property
    def handle(self) -> str:
        return self.name.lower().replace(" ", ".")


@dataclass
class Channel:
    """A channel, or the direct messages between the app and one person (`kind` is `im`)."""

    id: str
    name: str
    members: set[str]
    kind: Literal["channel", "private", "im"] = "channel"
    archived: bool = False
    created: int = 0


@dataclass
class Group:
    """A user group, `slack:S…`."""

    id: str
    handle: str
    members: list[str]
    disabled: bool = False


@dataclass
class Message:
    """One message as Slack keeps it. `visible_to` is a user id for an ephemeral one, else None."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    visible_to: str | None = None
    edited: bool = False
    deleted: bool = False
    parse: str = "none"
    metadata: Json | None = None

    @property
    def words(self) -> str:
        """Everything a person reads on it, one piece a line."""
        return "\n".join(texts(self.blocks)) or self.text

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons, in order."""
        return button_labels(self.blocks)

    @property
    def live_parts(self) -> list[str]:
        """Whom it would ping and what it would link to, see `mrkdwn.live_parts`."""
        return live_parts(self.text, self.blocks, parse=self.parse)


@dataclass
class View:
    """A modal on somebody's screen, or somebody's Home tab."""

    id: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str | None = None
    trigger_id: str | None = None
    errors: Json = field(default_factory=dict)
    open: bool = True

    @property
    def blocks(self) -> list[Json]:
        blocks: list[Json] = self.body["blocks"]
        return blocks

    @property
    def title(self) -> str:
        return str(self.body.get("title", {}).get("text", ""))

    @property
    def words(self) -> str:
        """Everything a person reads on it, one piece a line."""
        return "\n".join([self.title, *texts(self.blocks)]).strip()

    @property
    def buttons(self) -> list[str]:
        return button_labels(self.blocks)

    @property
    def labels(self) -> list[str]:
        """The labels of its inputs, in order."""
        return [block["label"]["text"] for block in self.blocks if block["type"] == "input"]


def button_labels(blocks: list[Json]) -> list[str]:
    return [
        element["text"]["text"]
        for block in blocks
        for element in elements_of(block)
        if element["type"] == "button"
    ]


class Workspace:
    """All of it, with ids that look like Slack's. `clock` gives seconds since 1970."""

    def __init__(self, *, name: str = "Sandbox", clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._random = random.Random(0)  # noqa: S311  ids of a sandbox, the same in every run
        self._newest_ts = 0
        self._serial = itertools.count(1)
        self.name = name
        self.domain = name.lower()
        self.team_id = self.new_id("T")
        self.enterprise_id: str | None = None
        """Set it to `E…` before anybody is added, and the workspace is one of an Enterprise Grid."""
        self.app_id = self.new_id("A")
        self.bot_id = self.new_id("B")
        self.scopes = set(BOT_SCOPES)
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, Group] = {}
        self.messages: list[Message] = []
        self.modals: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.bot = self.add_user("Assent", email=None)
        self.bot.is_bot = True

    def new_id(self, prefix: str) -> str:
        alphabet = string.ascii_uppercase + string.digits
        return prefix + "0" + "".join(self._random.choices(alphabet, k=9))

    def new_ts(self) -> str:
        """A message's `ts`: seconds with microseconds, never the same twice."""
        self._newest_ts = max(int(self.clock() * 1e6), self._newest_ts + 1)
        return f"{self._newest_ts // 1_000_000}.{self._newest_ts % 1_000_000:06d}"

    def new_secret(self) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=24))

    def new_hash(self) -> str:
        return f"{int(self.clock())}.{next(self._serial):08x}"

    def add_user(
        self,
        name: str,
        *,
        email: str | None,
        confirmed: bool = True,
        deleted: bool = False,
        team_id: str | None = None,
        enterprise_id: str | None = None,
    ) -> User:
        """Add somebody, of another workspace (`team_id`) or organisation (`enterprise_id`) where that is said."""
        user = User(self.new_id("U"), name, email, team_id or self.team_id, confirmed, deleted)
        user.enterprise_id = enterprise_id or (None if team_id else self.enterprise_id)
        self.users[user.id] = user
        return user

    def add_channel(
        self, name: str, members: set[str], *, kind: Literal["channel", "private", "im"] = "channel"
    ) -> Channel:
        prefix = {"channel": "C", "private": "C", "im": "D"}[kind]
        channel = Channel(self.new_id(prefix), name, members, kind, created=int(self.clock()))
        self.channels[channel.id] = channel
        return channel

    def add_group(self, handle: str, members: list[str]) -> Group:
        group = Group(self.new_id("S"), handle, members)
        self.groups[group.id] = group
        return group

    def direct(self, user_id: str) -> Channel:
        """The direct messages between the app and somebody, opened when there are none yet."""
        existing = self.existing_direct(user_id)
        return existing or self.add_channel("directmessage", {user_id, self.bot.id}, kind="im")

    def existing_direct(self, user_id: str) -> Channel | None:
        ims = (channel for channel in self.channels.values() if channel.kind == "im")
        return next((channel for channel in ims if user_id in channel.members), None)

    def add_message(self, message: Message) -> Message:
        message.blocks = self.with_ids(message.blocks)
        self.messages.append(message)
        return message

    def history(self, channel_id: str) -> Iterator[Message]:
        """What everybody in a conversation sees, oldest first."""
        return (
            message
            for message in self.messages
            if message.channel == channel_id and not message.deleted and message.visible_to is None
        )

    def find_message(self, channel_id: str, ts: str) -> Message | None:
        return next((message for message in self.history(channel_id) if message.ts == ts), None)

    def with_ids(self, blocks: list[Json]) -> list[Json]:
        """The blocks, each block and element with an id: Slack makes up those that the app left out."""
        return [self._with_ids(block) for block in blocks]

    def _with_ids(self, block: Json) -> Json:
        block = {**block, "block_id": block.get("block_id") or self.new_secret()[:5]}
        for name in ("accessory", "element"):
            if name in block:
                block[name] = self._with_action_id(block[name])
        if block["type"] == "actions":
            block["elements"] = [self._with_action_id(element) for element in block["elements"]]
        return block

    def _with_action_id(self, element: Json) -> Json:
        if element["type"] == "image":
            return element
        return {**element, "action_id": element.get("action_id") or self.new_secret()[:5]}

    def new_view(self, user_id: str, body: Json, *, below: View | None = None) -> View:
        view_id = self.new_id("V")
        return View(
            view_id,
            user_id,
            {**body, "blocks": self.with_ids(body["blocks"])},
            self.new_hash(),
            root=below.root if below else view_id,
            previous=below.id if below else None,
        )

    def change_view(self, view: View, body: Json) -> None:
        view.body = {**body, "blocks": self.with_ids(body["blocks"])}
        view.hash = self.new_hash()
        view.errors = {}

    def stack(self, user_id: str) -> list[View]:
        """The modals on somebody's screen, the topmost last."""
        return self.modals.setdefault(user_id, [])

    def close_modals(self, user_id: str, *, down_to: int = 0) -> None:
        """Take modals off somebody's screen until `down_to` are left."""
        stack = self.stack(user_id)
        for view in stack[down_to:]:
            view.open = False
        del stack[down_to:]

    def find_view(self, view_id: str | None, external_id: str | None = None) -> View | None:
        views = itertools.chain(self.homes.values(), *self.modals.values())
        wanted = (view for view in views if view_id == view.id or _external_id(view) == external_id)
        return next(wanted, None)


def _external_id(view: View) -> str:
    """The app's own id of a view; a view without one matches nothing."""
    return view.body.get("external_id") or view.id
