"""What tests ask of cards in the workspace."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Channel, Message

DECIDED_WITHIN = 45.0
"""Seconds a card may take to change: beyond the lease of a process that died with it in hand."""


def is_final(card: Message) -> bool:
    """Whether nothing can be answered there any more."""
    return not card.buttons


async def decided(slack: SlackSandbox, card: Message) -> str:
    """Everything on the card once it is final. Raises TimeoutError."""
    await slack.wait_for(partial(is_final, card), timeout=DECIDED_WITHIN)
    return card.words


def copied(slack: SlackSandbox, card: Message, channel: Channel) -> Message:
    """The same card where others see it too."""
    return slack.workspace.add_message(replace(card, channel=channel.id, ts=slack.workspace.new_ts()))
