"""What waits for somebody, as a message and on their Home tab."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from bot.domain.errors import AssentError
from bot.domain.people.audience import refuse_outsiders
from bot.slack.api.errors import SlackError
from bot.slack.render import home
from bot.slack.render.cards import Message

if TYPE_CHECKING:
    from bot.approvals import Approvals
    from bot.domain.model.request import Request
    from bot.domain.people.audience import Person
    from bot.ports.system import Clock
    from bot.slack.api.client import Gateway

log = structlog.get_logger(__name__)


class Inbox:
    """Shows people what waits for them, and keeps open Home tabs current."""

    def __init__(self, approvals: Approvals, gateway: Gateway, clock: Clock) -> None:
        self._approvals = approvals
        self._gateway = gateway
        self._clock = clock
        self._opened: set[str] = set()

    async def insider(self, user_id: str) -> Person:
        """Who a user is; raises `NotInAudience` for people who may not act here, `Unavailable`."""
        person = await self._approvals.person(user_id)
        refuse_outsiders(person)
        return person

    async def message(self, user_id: str, heading: str = "Waiting for you") -> Message:
        """What waits for this person, with its buttons."""
        return await self.listing(await self._waiting(user_id), heading)

    async def listing(self, requests: tuple[Request, ...], heading: str, *, more: bool = False) -> Message:
        """Some requests under a heading; `more`: there are others beyond these, the newest."""
        draw = partial(
            home.inbox_blocks,
            requests,
            heading,
            self._clock.now(),
            more=more,
            views=self._approvals.views,
        )
        blocks = await asyncio.to_thread(draw)
        return Message(f"{heading}: {len(requests)}", blocks)

    async def everything(self, user_id: str, limit: int) -> Message:
        """What waits for somebody and this person may see."""
        page = await self._approvals.visible(await self.insider(user_id), limit)
        return await self.listing(page.items, "Waiting for somebody", more=page.next_cursor is not None)

    async def open_home(self, user_id: str) -> None:
        """Draw the Home tab of somebody who looks at it. Where that fails it stays as it was."""
        self._opened.add(user_id)
        try:
            waiting = await self._waiting(user_id)
            view = await asyncio.to_thread(home.home, waiting, 0, self._clock.now(), self._approvals.views)
            await self._gateway.publish_home(user_id, view)
        except (AssentError, SlackError) as error:
            log.info("a Home tab was not drawn", action="slack.home", user=user_id, error=str(error))

    async def refresh_home(self, user_id: str) -> None:
        """Draw it again after they did something, where they have looked at it."""
        if user_id in self._opened:
            await self.open_home(user_id)

    async def personal(self, user_id: str) -> tuple[Request, ...]:
        """What waits for this person and not just for anyone in a channel."""
        person = await self.insider(user_id)
        waiting = await self._approvals.inbox(person)
        return tuple(r for r in waiting if any(seat.keys & person.keys for seat in r.seated))

    async def _waiting(self, user_id: str) -> tuple[Request, ...]:
        return await self._approvals.inbox(await self.insider(user_id))
