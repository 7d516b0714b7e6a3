"""Who is who in Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bot.domain.people.audience import Person


class DirectoryUnavailableError(Exception):
    """The directory cannot be asked just now; try again later."""


NOT_A_PERSON = "that is an app, not a person"
"""Why a Slack user that is an app is asked nothing, as `UnknownTargetError` says it."""


class UnknownTargetError(Exception):
    """The directory answers that this user, group or channel cannot be reached, and why, in words."""


class Directory(Protocol):
    """Who is who in Slack. Raises `DirectoryUnavailableError` or `UnknownTargetError`."""

    async def user(self, user_id: str) -> Person:
        """A user by id, as of a few minutes ago at most. `email` is set only where Slack says it is confirmed."""

    async def user_now(self, user_id: str, team: str | None = None) -> Person:
        """A user as they are at this moment, who acts from the workspace `team`."""

    async def user_by_email(self, email: str) -> Person:
        """A user whose confirmed address this is."""

    async def group_members(self, group_id: str) -> tuple[str, ...]:
        """The user ids in a user group."""

    async def check_channel(self, channel_id: str) -> None:
        """Return where the channel can be posted to."""

    async def is_member(self, target_id: str, user_id: str) -> bool:
        """Whether a user is in a channel (`C…`, `G…`) or a user group (`S…`) at this moment."""
