"""Who is behind a Slack audience: each member stands alone, and colleagues of one Enterprise Grid are no outsiders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.clock_and_ids import SystemClock
from bot.slack.api.client import Gateway
from bot.slack.api.directory import SlackDirectory
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Group, User
    from tests.support.product import Json, Product


@pytest.fixture
async def product(sqlite_url: str, slack: SlackSandbox) -> AsyncIterator[Product]:
    async with running(sqlite_url, slack=slack) as product:
        yield product


@pytest.fixture
def people(slack: SlackSandbox) -> list[User]:
    return [slack.add_user(name, email=f"{name.lower()}@example.com") for name in ("Ana", "Ben", "Cy")]


@pytest.fixture
def team(slack: SlackSandbox, people: list[User]) -> Group:
    return slack.add_group("finance", people)


def states(request: Json) -> dict[str, str]:
    return {r["name"] or r["slack_user_id"]: r["state"] for r in request["respondents"]}


def trouble(slack: SlackSandbox, user: User, **how: Any) -> None:
    slack.faults.next("users.info", where=lambda asked: asked.get("user") == user.id, **how)


class TestOneMemberTakesNobodyWithThem:
    async def test_an_app_in_a_user_group_is_left_out_and_said(
        self, product: Product, slack: SlackSandbox, team: Group
    ) -> None:
        team.members.append(slack.workspace.bot.id)
        request = await product.submit(audience=[f"slack:{team.id}"], quorum="all")
        assert states(request) == {"Ana": "waiting", "Ben": "waiting", "Cy": "waiting"}
        (note,) = request["unreachable"]
        assert note == {"target": f"slack:{slack.workspace.bot.id}", "reason": "that is an app, not a person"}

    async def test_a_group_of_apps_alone_reaches_nobody(
        self, product: Product, slack: SlackSandbox, team: Group
    ) -> None:
        team.members[:] = [slack.workspace.bot.id]
        body = {"title": "T", "audience": [f"slack:{team.id}"]}
        answer = await product.call("POST", "/v1/requests", json=body)
        assert (answer.status, answer.json["code"]) == (400, "HITL_NO_AUDIENCE")

    @pytest.mark.parametrize("gone", ["deactivated", "unknown"])
    async def test_a_member_who_is_gone_is_shown_and_the_others_are_asked(
        self, product: Product, slack: SlackSandbox, people: list[User], team: Group, gone: str
    ) -> None:
        if gone == "deactivated":
            people[1].deleted = True
        else:
            trouble(slack, people[1], error="user_not_found", times=None)
        request = await product.submit(audience=[f"slack:{team.id}"], quorum=2)
        assert sorted(states(request).values()) == ["unreachable", "waiting", "waiting"]
        assert await slack.next_message(people[0])
        body = {"title": "T", "audience": [f"slack:{team.id}"], "quorum": "all"}
        answer = await product.call("POST", "/v1/requests", json=body)
        assert answer.status == 422
        assert (people[1].name if gone == "deactivated" else people[1].id) in answer.text

    async def test_a_member_whom_slack_cannot_name_now_is_looked_up_later(
        self, product: Product, slack: SlackSandbox, people: list[User], team: Group
    ) -> None:
        trouble(slack, people[1], status=503)
        request = await product.submit(audience=[f"slack:{team.id}"], quorum="all")
        assert set(states(request)) >= {"Ana", "Cy"}
        assert await slack.next_message(people[0])
        await product.assent.approvals.look_up()
        card = await slack.next_message(people[1])
        found = await product.get(request)
        assert states(found) == {"Ana": "waiting", "Ben": "waiting", "Cy": "waiting"}
        team.members.remove(people[1].id)
        click = await slack.click(people[1], card, "Approve")
        assert "no longer a member" in (await click.ephemeral()).words

    async def test_in_a_configured_group_and_a_list_too(
        self, sqlite_url: str, slack: SlackSandbox, people: list[User]
    ) -> None:
        names = [f"slack:{user.id}" for user in people]
        trouble(slack, people[0], error="user_not_found", times=None)
        async with running(sqlite_url, slack=slack, groups={"finance": names}) as product:
            for audience in (["group:finance"], names):
                request = await product.submit(audience=audience, quorum=2)
                assert sorted(states(request).values()) == ["unreachable", "waiting", "waiting"]

    async def test_a_user_group_of_more_than_a_thousand_is_refused_before_anybody_is_looked_up(
        self, product: Product, slack: SlackSandbox, people: list[User], team: Group
    ) -> None:
        team.members += [f"U{n:09d}" for n in range(1000)]
        body = {"title": "T", "audience": [f"slack:{team.id}"]}
        answer = await product.call("POST", "/v1/requests", json=body)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/audience")
        assert "users.info" not in [call.method for call in slack.api.log]


class TestEnterpriseGrid:
    @pytest.fixture
    def grid(self, slack: SlackSandbox) -> str:
        slack.workspace.enterprise_id = "E0GRID"
        return "E0GRID"

    async def test_colleagues_of_other_workspaces_are_no_outsiders(
        self, product: Product, slack: SlackSandbox, grid: str
    ) -> None:
        ana = slack.workspace.add_user("Ana", email="ana@example.com")
        ana.enterprise_id = grid
        cass = slack.workspace.add_user(
            "Cass", email="cass@example.com", team_id=slack.add_team(), enterprise_id=grid
        )
        request = await product.submit(audience=[f"slack:{cass.id}"])
        card = await slack.next_message(cass)
        await slack.click(cass, card, "Approve")
        assert (await product.get(request))["status"] == "approved"

    async def test_people_of_another_organisation_stay_outside(
        self, product: Product, slack: SlackSandbox, grid: str
    ) -> None:
        eve = slack.workspace.add_user(
            "Eve", email="eve@example.org", team_id=slack.add_team(), enterprise_id="E0OTHER"
        )
        body = {"title": "T", "audience": [f"slack:{eve.id}"]}
        answer = await product.call("POST", "/v1/requests", json=body)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/audience")
        assert "other organisations" in answer.text

    async def test_the_organisation_is_asked_for_where_the_workspace_is_known(
        self, slack: SlackSandbox, grid: str
    ) -> None:
        cass = slack.workspace.add_user("Cass", email=None, team_id=slack.add_team(), enterprise_id=grid)
        gateway = Gateway(slack.bot_token, slack.api_url)
        directory = SlackDirectory(
            gateway, SystemClock(), allow_external=False, team_id=slack.workspace.team_id
        )
        assert not (await directory.user(cass.id)).external
        assert not (await directory.user_now(cass.id, cass.team_id)).external
        assert not (await directory.user_now(cass.id, slack.add_team())).external
        await gateway.close()
