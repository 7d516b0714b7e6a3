"""Who is who in Slack, and what happens when Slack will not say."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.domain.people.audience import Person
from bot.ports.directory import DirectoryUnavailableError, UnknownTargetError
from bot.sandbox.slack.sandbox import SlackSandbox
from bot.slack.api.client import Gateway
from bot.slack.api.directory import SlackDirectory
from tests.support.slack_requests import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from bot.sandbox.slack.workspace import User


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> object:
        return self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


@pytest.fixture
async def slack() -> AsyncIterator[SlackSandbox]:
    async with SlackSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def gateway(slack: SlackSandbox) -> AsyncIterator[Gateway]:
    gateway = Gateway(slack.bot_token, slack.api_url, timeout=2)
    yield gateway
    await gateway.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(gateway: Gateway, clock: Clock) -> SlackDirectory:
    return SlackDirectory(gateway, clock, allow_external=False)


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="Ana@Example.com")


async def refusal(question: Awaitable[object]) -> str:
    with pytest.raises(UnknownTargetError) as caught:
        await question
    return str(caught.value)


def calls(slack: SlackSandbox, method: str) -> int:
    return [call.method for call in slack.api.log].count(method)


# People


async def test_a_user_is_known_by_name_confirmed_address_and_time_zone(
    directory: SlackDirectory, ana: User
) -> None:
    assert await directory.user_now(ana.id) == Person(
        name="Ana",
        email="ana@example.com",
        slack_user_id=ana.id,
        time_zone="Europe/Amsterdam",
        teams=frozenset({ana.team_id}),
    )


async def test_an_unconfirmed_address_is_nobodys(slack: SlackSandbox, directory: SlackDirectory) -> None:
    eve = slack.add_user("Eve", email="ana@example.com", confirmed=False)
    assert (await directory.user_now(eve.id)).email is None
    why = await refusal(directory.user_by_email("ana@example.com"))
    assert why == "Slack does not confirm that this address is theirs"


async def test_a_user_is_found_by_address(directory: SlackDirectory, ana: User) -> None:
    assert (await directory.user_by_email("ANA@example.com")).slack_user_id == ana.id


async def test_nobody_is_found_by_an_unknown_address_or_id(directory: SlackDirectory) -> None:
    assert await refusal(directory.user_by_email("no@example.com")) == "Slack knows no such person"
    assert await refusal(directory.user_now("U0NOBODY")) == "Slack knows no such person"


async def test_an_app_is_not_asked(slack: SlackSandbox, directory: SlackDirectory) -> None:
    assert await refusal(directory.user_now(slack.workspace.bot.id)) == "that is an app, not a person"


async def test_a_deactivated_user_is_known_as_such_at_once(directory: SlackDirectory, ana: User) -> None:
    assert not (await directory.user_now(ana.id)).deactivated
    ana.deleted = True
    assert (await directory.user_now(ana.id)).deactivated


@pytest.mark.parametrize("allowed", [False, True])
async def test_people_of_other_organisations_are_external_unless_they_are_allowed(
    slack: SlackSandbox, gateway: Gateway, clock: Clock, ana: User, *, allowed: bool
) -> None:
    guest = slack.add_user("Guest", email="guest@other.example", team=slack.add_team())
    directory = SlackDirectory(gateway, clock, allow_external=allowed, team_id=slack.workspace.team_id)
    assert (await directory.user_now(guest.id)).external is not allowed
    assert not (await directory.user_now(ana.id)).external


async def test_acting_from_a_workspace_that_is_not_theirs_is_external(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    assert not (await directory.user_now(ana.id, ana.team_id)).external
    assert (await directory.user_now(ana.id, slack.add_team())).external


# Channels and groups


async def test_members_of_a_channel_are_those_of_this_moment(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    ops = slack.add_channel("ops", [ana])
    assert await directory.is_member(ops.id, ana.id)
    ops.members.remove(ana.id)
    assert not await directory.is_member(ops.id, ana.id)


async def test_members_of_a_large_channel_are_read_to_the_end(
    slack: SlackSandbox, directory: SlackDirectory
) -> None:
    crowd = [slack.add_user(f"Person {i}") for i in range(1001)]
    ops = slack.add_channel("all", crowd)
    last = max(ops.members)
    assert await directory.is_member(ops.id, last)
    assert calls(slack, "conversations.members") == 2


async def test_members_of_a_group_are_those_of_this_moment(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    group = slack.add_group("finance", [ana])
    assert await directory.group_members(group.id) == (ana.id,)
    assert await directory.is_member(group.id, ana.id)
    group.members.clear()
    assert not await directory.is_member(group.id, ana.id)


async def test_a_channel_that_cannot_be_posted_to_says_why(
    slack: SlackSandbox, directory: SlackDirectory
) -> None:
    await directory.check_channel(slack.add_channel("ops").id)
    archived = slack.add_channel("old", archived=True)
    private = slack.add_channel("board", private=True, with_bot=False)
    assert await refusal(directory.check_channel(archived.id)) == "the channel is archived"
    assert "invite Assent there" in await refusal(directory.check_channel(private.id))


async def test_nobody_is_a_member_of_what_slack_does_not_show_us(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    private = slack.add_channel("board", [ana], private=True, with_bot=False)
    assert not await directory.is_member(private.id, ana.id)
    assert not await directory.is_member("S0NONE", ana.id)


async def test_a_channel_whose_members_we_may_not_read_is_refused_at_submit(
    slack: SlackSandbox, directory: SlackDirectory
) -> None:
    ops = slack.add_channel("ops")
    slack.workspace.scopes.discard("channels:read")
    assert "lacks the scope channels:read" in await refusal(directory.check_channel(ops.id))


# What is remembered


async def test_lookups_at_submit_are_remembered_for_five_minutes(
    slack: SlackSandbox, directory: SlackDirectory, clock: Clock, ana: User
) -> None:
    for _ in range(3):
        await directory.user_by_email("ana@example.com")
    assert calls(slack, "users.lookupByEmail") == 1
    clock.pass_by(minutes=5)
    await directory.user_by_email("ana@example.com")
    assert calls(slack, "users.lookupByEmail") == 2


async def test_the_same_question_asked_by_many_at_once_goes_out_once(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    ops = slack.add_channel("ops", [ana])
    assert all(await asyncio.gather(*(directory.is_member(ops.id, ana.id) for _ in range(50))))
    assert calls(slack, "conversations.members") == 1


async def test_one_who_gives_up_does_not_end_it_for_the_others(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    slack.faults.next("users.info", delay=0.1)
    hasty, patient = (asyncio.ensure_future(directory.user_now(ana.id)) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()
    assert (await patient).name == "Ana"


# When Slack will not say


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "before"}, {"status": 429, "retry_after": 9}])
async def test_while_slack_cannot_be_asked_nobody_is_taken_for_who_they_were(
    slack: SlackSandbox, directory: SlackDirectory, ana: User, fault: dict[str, object]
) -> None:
    ops = slack.add_channel("ops", [ana])
    await directory.user_now(ana.id)
    assert await directory.is_member(ops.id, ana.id)
    slack.faults.next("*", times=None, **fault)  # type: ignore[arg-type]  # members of any type
    assert (await directory.user(ana.id)).name == "Ana"
    with pytest.raises(DirectoryUnavailableError):
        await directory.user_now(ana.id)
    with pytest.raises(DirectoryUnavailableError):
        await directory.is_member(ops.id, ana.id)


async def test_a_revoked_token_is_no_answer(
    slack: SlackSandbox, directory: SlackDirectory, ana: User
) -> None:
    slack.revoke()
    with pytest.raises(DirectoryUnavailableError, match="token_revoked"):
        await directory.user_now(ana.id)


async def test_everybody_of_a_group_larger_than_slacks_limit_is_found_in_the_end(
    slack: SlackSandbox, clock: Clock
) -> None:
    slack.api.enforce_limits = True
    crowd = [slack.add_user(f"Person {i}") for i in range(130)]
    gateway = Gateway(slack.bot_token, slack.api_url)
    directory = SlackDirectory(gateway, clock, allow_external=True)

    async def look_all_up() -> int:
        found = await asyncio.gather(*(directory.user(u.id) for u in crowd), return_exceptions=True)
        return sum(isinstance(one, Person) for one in found)

    assert await look_all_up() == 100
    slack.api.enforce_limits = False
    gateway._paused.clear()
    clock.pass_by(minutes=1)
    assert await look_all_up() == 130
    assert calls(slack, "users.info") <= 130 + 40
    await gateway.close()


async def test_a_profile_s_zone_that_nobody_knows_falls_back_to_its_offset(
    slack: SlackSandbox, directory: SlackDirectory
) -> None:
    dan = slack.add_user("Dan", email="dan@example.com")
    dan.tz, dan.tz_offset = "Mars/Phobos", 19800
    assert (await directory.user(dan.id)).time_zone == "UTC+05:30"
