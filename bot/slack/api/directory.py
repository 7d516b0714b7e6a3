"""Who is who in Slack, asked at the moment it matters."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bot.domain.model.identity import same_mailbox
from bot.domain.model.zones import of_profile
from bot.domain.people.audience import Person
from bot.ports.directory import NOT_A_PERSON, DirectoryUnavailableError, UnknownTargetError
from bot.slack.api.errors import Later, SlackDown, SlackError, Terminal, Throttled, TokenInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.ports.system import Clock
    from bot.slack.api.client import Gateway, Json

KEEP = timedelta(minutes=5)
"""How long an answer may stand in for Slack's."""
MAX_KEPT = 10_000

T = TypeVar("T")
Key = tuple[str, str]
"""What is asked, and of whom."""


class SlackDirectory:
    """Looks people, groups and channels up (`ports.Directory`).

    `team_id` is the bot token's workspace, asked of Slack where it is not given. People of other organisations
    are external, unless `allow_external`; the workspaces of one Enterprise Grid are one organisation.
    """

    def __init__(
        self, gateway: Gateway, clock: Clock, *, allow_external: bool, team_id: str | None = None
    ) -> None:
        self._gateway = gateway
        self._answers = _Answers(clock)
        self._allow_external = allow_external
        self._team_id = team_id
        self._enterprise_id: str | None = None
        self._home_known = False

    async def user(self, user_id: str) -> Person:
        """A user as they were in the last five minutes. `email` is set only where Slack says it is confirmed."""
        return await self._answers.get(("user", user_id), lambda: self._person(user_id))

    async def user_now(self, user_id: str, team: str | None = None) -> Person:
        """A user as they are now, who acted from the workspace `team`.

        Whoever acts from a workspace that is not one of theirs (or, where Slack names none, not ours) is external.
        """
        person = await self._answers.get(("user", user_id), lambda: self._person(user_id), fresh=True)
        if team is None or self._allow_external or team in (person.teams or {self._team_id}):
            return person
        if self._enterprise_id and self._enterprise_id in person.teams:
            return person
        return replace(person, external=True)

    async def user_by_email(self, email: str) -> Person:
        """The user whose confirmed address this is."""
        return await self._answers.get(("email", email.lower()), lambda: self._owner(email.lower()))

    async def group_members(self, group_id: str) -> tuple[str, ...]:
        """The user ids in a user group."""
        return await self._answers.get(("group", group_id), lambda: self._gateway.group_members(group_id))

    async def check_channel(self, channel_id: str) -> None:
        """Return where the channel can be posted to."""
        await self._answers.get(("channel", channel_id), lambda: self._open_channel(channel_id))

    async def is_member(self, target_id: str, user_id: str) -> bool:
        """Whether a user is in a channel or a user group now; not where Slack no longer shows it to us."""
        ask = self._group if target_id.startswith("S") else self._channel_members
        try:
            members = await self._answers.get(("members", target_id), lambda: ask(target_id), fresh=True)
        except UnknownTargetError:
            return False
        return user_id in members

    async def _person(self, user_id: str) -> Person:
        return await self._described(await self._gateway.user(user_id))

    async def _owner(self, email: str) -> Person:
        person = await self._described(await self._gateway.user_by_email(email))
        if not person.email or not same_mailbox(person.email, email):
            raise UnknownTargetError("Slack does not confirm that this address is theirs")
        return person

    async def _described(self, found: Json) -> Person:
        if found.get("is_bot") or found["id"] == "USLACKBOT":
            raise UnknownTargetError(NOT_A_PERSON)
        profile = found.get("profile", {})
        confirmed = profile.get("email") if found.get("is_email_confirmed") else None
        return Person(
            name=profile.get("real_name") or found.get("real_name") or found.get("name"),
            email=confirmed.lower() if confirmed else None,
            slack_user_id=found["id"],
            deactivated=bool(found.get("deleted")),
            external=not self._allow_external and await self._is_external(found),
            teams=_teams(found),
            time_zone=of_profile(found.get("tz"), found.get("tz_offset")),
        )

    async def _is_external(self, found: Json) -> bool:
        """Whether a user is of another organisation. All workspaces of an Enterprise Grid are one organisation.

        Slack calls whoever is in another workspace of the same Grid a stranger too, so that comes second.
        """
        await self._find_home()
        teams = _teams(found)
        if self._enterprise_id and self._enterprise_id in teams:
            return False
        return bool(found.get("is_stranger")) or bool(teams and self._team_id not in teams)

    async def _find_home(self) -> None:
        """Which workspace and, on Enterprise Grid, which organisation the token belongs to."""
        if self._home_known:
            return
        identity = await self._gateway.identity()
        self._team_id = self._team_id or identity.get("team_id")
        self._enterprise_id = identity.get("enterprise_id")
        self._home_known = True

    async def _open_channel(self, channel_id: str) -> None:
        if (await self._gateway.channel(channel_id)).get("is_archived"):
            raise Terminal("is_archived")

    async def _group(self, group_id: str) -> frozenset[str]:
        return frozenset(await self._gateway.group_members(group_id))

    async def _channel_members(self, channel_id: str) -> frozenset[str]:
        members: set[str] = set()
        async for page in self._gateway.channel_members(channel_id):
            members |= page
        return frozenset(members)


def _teams(found: Json) -> frozenset[str]:
    """The workspaces somebody is in, and on Enterprise Grid the organisation (`E…`)."""
    grid = found.get("enterprise_user") or {}
    teams = (found.get("team_id"), grid.get("enterprise_id"), *grid.get("teams", ()))
    return frozenset(team for team in teams if team)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    value: T
    at: datetime


class _Answers:
    """What Slack answered lately. The same question, asked by many at once, goes out once.

    Remembered answers serve whoever is asked; whether an answer counts is decided by fresh ones only, and where
    there are none, by nobody.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: dict[Key, _Answer[Any]] = {}
        self._asking: dict[Key, asyncio.Task[Any]] = {}

    async def get(self, key: Key, ask: Callable[[], Awaitable[T]], *, fresh: bool = False) -> T:
        """Slack's answer: one of this moment if `fresh`, else one of the last five minutes will do.

        Raises `UnknownTargetError`, `DirectoryUnavailableError`.
        """
        kept = self._recent.get(key)
        if kept and not fresh and self._clock.now() - kept.at < KEEP:
            recent: T = kept.value
            return recent
        asking: asyncio.Task[T] = self._asking.get(key) or self._ask(key, ask)
        try:
            return await asyncio.shield(asking)
        except (Throttled, SlackDown, Later, TokenInvalid) as error:
            raise DirectoryUnavailableError(str(error)) from None
        except SlackError as error:
            raise UnknownTargetError(str(error)) from None

    def _ask(self, key: Key, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Ask on behalf of all who want to know: that one of them gives up does not end it for the others."""

        async def asking() -> T:
            try:
                value = await ask()
                if len(self._recent) >= MAX_KEPT:
                    self._recent.clear()
                self._recent[key] = _Answer(value, self._clock.now())
                return value
            finally:
                del self._asking[key]

        task = asyncio.create_task(asking())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._asking[key] = task
        return task
