"""What people do in Slack: click, fill in, submit, close, type commands, open the Home tab."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.sandbox.slack import payloads
from bot.sandbox.slack.delivery import Ack, Delivery
from bot.sandbox.slack.inputs import VALUE_MEMBERS, chosen, client_faults, find_element, state_values
from bot.sandbox.slack.web_api.method import content
from bot.sandbox.slack.web_api.views import checked_view, push_view
from bot.sandbox.slack.workspace import Channel, Json, Message, SlackError, User, View
from bot.sandbox.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.sandbox.slack.web_api.server import WebApi
    from bot.sandbox.waiting import Watcher

NO_RESPONSE = "This app did not respond. Try again."
TROUBLE = "We had some trouble connecting. Try again?"


@dataclass
class Interaction:
    """One thing somebody did. `shown` is what Slack itself tells them when the app failed, else None."""

    user: User
    ack: Ack
    trigger_id: str
    _since: str
    _people: People
    shown: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """Faults under the fields of a submitted form, by label."""

    @property
    def response_action(self) -> str | None:
        """How the app answered a submission: `errors`, `update`, `push`, `clear`, or None."""
        return self.ack.body.get("response_action") if isinstance(self.ack.body, dict) else None

    async def view(self, timeout: float = WAIT_SECONDS) -> View:
        """The modal that opens because of it."""

        def opened() -> View | None:
            stack = self._people.workspace.stack(self.user.id)
            return next((view for view in stack if view.trigger_id == self.trigger_id), None)

        view = await self._people.watcher.until(opened, timeout, f"a modal for {self.user.name}")
        if view is None:
            raise AssertionError  # until() gives true values only
        return view

    async def ephemeral(self, timeout: float = WAIT_SECONDS) -> Message:
        """The next message that only this person sees."""

        def mine(message: Message) -> bool:
            return message.visible_to == self.user.id and message.ts > self._since

        what = f"a message that only {self.user.name} sees"
        return await self._people.watcher.next_message(mine, timeout, what)


class People:
    """`send` brings something to the app and comes back with its acknowledgement."""

    def __init__(
        self,
        api: WebApi,
        watcher: Watcher,
        send: Callable[[Delivery], Awaitable[Ack]],
        public_url: Callable[[], str],
    ) -> None:
        self.workspace = api.backend.workspace
        self.watcher = watcher
        self._api = api
        self._tickets = api.backend.tickets
        self._send = send
        self._public_url = public_url

    async def click(
        self,
        user: User,
        on: Message | View,
        action: str,
        *,
        value: str = "",
        choose: Any = None,
        filled: Mapping[str, Any] | None = None,
    ) -> Interaction:
        """Press the button (or use the select, with `choose`) that has this text or action_id.

        `value` picks among buttons of one text by a part of their value; `filled` is what stands in fields.
        """
        block, element = find_element(on.blocks, action, value)
        values = state_values(on.blocks, filled)
        return await self.use(user, on, block, element, choice=choose, values=values)

    async def use(
        self, user: User, on: Message | View, block: Json, element: Json, *, choice: Any, values: Json
    ) -> Interaction:
        """Send `block_actions` for one element; `values` is what stands in all the fields."""
        entry: Json = {
            "type": element["type"],
            "action_id": element["action_id"],
            "block_id": block["block_id"],
        }
        if element["type"] == "button":
            entry |= {name: element[name] for name in ("text", "value", "style", "url") if name in element}
        elif element["type"] in VALUE_MEMBERS:
            answer = chosen(element, choice)
            entry |= answer
            if element["type"] != "overflow":
                values[block["block_id"]][element["action_id"]] |= answer
        return await self._act(user, on, entry, values)

    async def _act(self, user: User, on: Message | View, entry: Json, values: Json) -> Interaction:
        interaction = self._begin(user)
        entry = {**entry, "action_ts": interaction._since}  # noqa: SLF001  made here
        if isinstance(on, Message):
            payload = payloads.click_on_message(
                self.workspace,
                user,
                on,
                action=entry,
                values=values,
                trigger_id=interaction.trigger_id,
                response_url=self._response_url(user.id, on.channel, on),
            )
        else:
            payload = payloads.click_on_view(
                self.workspace, user, on, action=entry, values=values, trigger_id=interaction.trigger_id
            )
        return await self._deliver(interaction, Delivery("interactive", payload), NO_RESPONSE)

    async def submit(
        self, view: View, filled: Mapping[str, Any] | None = None, *, user: User | None = None
    ) -> Interaction:
        """Fill in a modal, by label or action_id, and submit it."""
        submitter = user or self.workspace.users[view.user]
        return await self.submit_values(view, state_values(view.blocks, filled), submitter)

    async def submit_values(self, view: View, values: Json, user: User) -> Interaction:
        """Submit a modal with these `state.values`, and do what the app answers.

        Slack's client checks the fields first; what it finds never reaches the app.
        """
        interaction = self._begin(user)
        view.errors = client_faults(view.blocks, values)
        if not view.errors:
            payload = payloads.view_submission(
                self.workspace, user, view, values=values, trigger_id=interaction.trigger_id
            )
            await self._deliver(interaction, Delivery("interactive", payload), TROUBLE)
            if interaction.ack.ok:
                self._after_submission(view, interaction)
        labels = {
            block["block_id"]: block["label"]["text"] for block in view.blocks if block["type"] == "input"
        }
        interaction.errors = {labels.get(block_id, block_id): text for block_id, text in view.errors.items()}
        self.watcher.changed()
        return interaction

    async def close_view(self, view: View) -> None:
        """Close a modal with its Cancel button; the app hears of it if it asked to."""
        user = self.workspace.users[view.user]
        self._take_down(view)
        self.watcher.changed()
        if view.body.get("notify_on_close"):
            payload = payloads.view_closed(self.workspace, user, view, is_cleared=False)
            await self._send(Delivery("interactive", payload))

    async def command(
        self, user: User, command: str, text: str = "", *, channel: Channel | None = None
    ) -> Interaction:
        """Type a slash command, in a channel or in the direct messages with the app."""
        where = channel or self.workspace.direct(user.id)
        interaction = self._begin(user)
        payload = payloads.slash_command(
            self.workspace,
            user,
            where,
            command=command,
            text=self._escaped(text),
            trigger_id=interaction.trigger_id,
            response_url=self._response_url(user.id, where.id),
        )
        failure = f"{command} failed with the error “dispatch_failed”."
        await self._deliver(interaction, Delivery("slash_commands", payload), failure)
        if interaction.ack.ok and interaction.ack.body:
            self._answer_command(user, where, interaction.ack.body)
        return interaction

    async def open_home(self, user: User) -> Ack:
        """Look at the app's Home tab."""
        return await self.event(payloads.home_opened(self.workspace, user))

    async def event(self, event: Json) -> Ack:
        """Send an event; one not acknowledged is sent up to three times more, without Slack's pauses."""
        payload = payloads.event_callback(self.workspace, event)
        for retry in range(4):
            ack = await self._send(Delivery("events_api", payload, retry))
            if ack.ok:
                break
        return ack

    async def say(
        self, user: User, channel: Channel, text: str, *, thread: str | None = None
    ) -> Interaction | None:
        """Type something into a conversation: a slash command, or a message, under the one with the ts `thread`.

        The app hears of messages in its own conversation, as `message.im` has it.
        """
        if text.startswith("/") and thread is None:
            command, _, rest = text.partition(" ")
            return await self.command(user, command, rest.strip(), channel=channel)
        message = Message(channel.id, self.workspace.new_ts(), user.id, self._escaped(text), thread_ts=thread)
        self.workspace.add_message(message)
        self.watcher.changed()
        if channel.kind == "im" and "im:history" in self.workspace.scopes:
            await self.event(payloads.message_said(self.workspace, message))
        return None

    def _begin(self, user: User) -> Interaction:
        trigger_id = self._tickets.issue_trigger(user.id)
        return Interaction(user, Ack(None), trigger_id, self.workspace.new_ts(), self)

    def _response_url(self, user_id: str, channel_id: str, message: Message | None = None) -> str:
        secret = self._tickets.issue_response_url(user_id, channel_id, message)
        return f"{self._public_url()}/response/{self.workspace.team_id}/{secret}"

    async def _deliver(self, interaction: Interaction, delivery: Delivery, failure: str) -> Interaction:
        copies = [self._send(delivery) for _ in range(self._api.faults.take_deliveries())]
        acks = await asyncio.gather(*copies)
        interaction.ack = acks[0]
        interaction.shown = None if interaction.ack.ok else failure
        self.watcher.changed()
        return interaction

    def _after_submission(self, view: View, interaction: Interaction) -> None:
        try:
            self._obey(view, interaction.ack.body)
        except SlackError as error:
            self._api.refuse("view_submission", error)
            interaction.shown = TROUBLE

    def _obey(self, view: View, answer: Json | str | None) -> None:
        """Do what the app answered to a submission; nothing closes the modal."""
        if not answer:
            return self._take_down(view)
        if not isinstance(answer, dict):
            raise _bad_answer("must be empty or a JSON object")
        match answer.get("response_action"):
            case "errors":
                view.errors = _errors(view, answer.get("errors"))
            case "update":
                self.workspace.change_view(view, checked_view(answer.get("view"), "modal"))
            case "push":
                push_view(self.workspace, view.user, checked_view(answer.get("view"), "modal"))
            case "clear":
                self.workspace.close_modals(view.user)
            case action:
                raise _bad_answer(f"unknown response_action: {action}")
        return None

    def _take_down(self, view: View) -> None:
        stack = self.workspace.stack(view.user)
        if view in stack:
            self.workspace.close_modals(view.user, down_to=stack.index(view))

    def _answer_command(self, user: User, channel: Channel, answer: Json | str) -> None:
        body = {"text": answer} if isinstance(answer, str) else answer
        try:
            text, blocks = content(body)
        except SlackError as error:
            self._api.refuse("slash_command", error)
        else:
            self._tickets.say(user.id, channel.id, body, text, blocks or [])
            self.watcher.changed()

    def _escaped(self, text: str) -> str:
        """What Slack sends for typed text: `&<>` escaped, `@ana` and `#ops` with their ids."""
        people = {f"@{user.handle}": f"<@{user.id}|{user.handle}>" for user in self.workspace.users.values()}
        rooms = {f"#{room.name}": f"<#{room.id}|{room.name}>" for room in self.workspace.channels.values()}
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        known = people | rooms
        return re.sub(r"(?<!\S)[@#][\w.\-]*\w", lambda match: known.get(match[0], match[0]), escaped)


def _errors(view: View, errors: object) -> dict[str, str]:
    """The faults an app finds in a form, each at an input of it."""
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise _bad_answer("errors must be an object with at least one member")
    if unknown := errors.keys() - inputs:
        raise _bad_answer(f"errors for blocks that are no inputs: {', '.join(sorted(unknown))}")
    return errors


def _bad_answer(message: str) -> SlackError:
    return SlackError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}"]})
