"""What people in Slack may see of requests, and that nobody approves by typing what they were not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cards import copied
from tests.support.product import Product, running

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User
    from tests.support.product import Json

SECRET = "Sell the north wing"


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def eve(slack: SlackSandbox) -> User:
    return slack.add_user("Eve", email="eve@example.com")


async def typed(slack: SlackSandbox, user: User, text: str) -> str:
    return (await (await slack.command(user, "/approvals", text)).ephemeral()).words


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "show ID",
        "approve ID",
        "reject ID no",
        "skip ID",
        "withdraw ID",
        "ask ID why?",
        "reply ID yes",
        "escalate ID",
    ],
)
async def test_what_one_may_not_see_is_like_what_there_is_not(
    product: Product, slack: SlackSandbox, ana: User, eve: User, text: str, *, final: bool
) -> None:
    request = await product.submit(title=SECRET, audience=[f"slack:{ana.id}"])
    if final:
        await product.answer(request, "reject", reason="Too dear")
    told = await typed(slack, eve, text.replace("ID", request["id"]))
    unknown = request["id"][:-1] + ("1" if request["id"][-1] != "1" else "2")
    assert told.replace(request["id"], "ID") == (
        await typed(slack, eve, text.replace("ID", unknown))
    ).replace(unknown, "ID")
    assert "There is no request" in told
    assert (await product.get(request))["version"] == (2 if final else 1)


async def test_all_lists_what_involves_me_and_says_how_many(
    product: Product, slack: SlackSandbox, ana: User, eve: User
) -> None:
    ops = slack.add_channel("ops", [eve])
    await product.submit(title=SECRET, audience=[f"slack:{ana.id}"])
    await product.submit(title="For the channel", audience=[f"slack:{ops.id}"])
    await product.submit(
        title="Asked by Eve", audience=[f"slack:{ana.id}"], requester="email:eve@example.com"
    )
    for number in range(20):
        await product.submit(title=f"Number {number}.", audience=[f"slack:{eve.id}"])
    listed = await typed(slack, eve, "all")
    assert SECRET not in listed
    assert "Number 19." in listed
    assert "more" in listed
    theirs = await typed(slack, ana, "all")
    assert SECRET in theirs
    assert "Asked by Eve" in theirs
    assert "For the channel" not in theirs


async def test_a_member_of_an_asked_channel_sees_it_until_they_leave(
    product: Product, slack: SlackSandbox, eve: User
) -> None:
    ops = slack.add_channel("ops", [eve])
    request = await product.submit(title=SECRET, audience=[f"slack:{ops.id}"])
    assert SECRET in await typed(slack, eve, f"show {request['id']}")
    ops.members.remove(eve.id)
    assert "There is no request" in await typed(slack, eve, f"show {request['id']}")


@pytest.mark.parametrize("step", [0, 1])
async def test_all_lists_what_show_shows_to_a_member_of_any_asked_room(
    product: Product, slack: SlackSandbox, ana: User, eve: User, step: int
) -> None:
    finance, ops = slack.add_group("finance", [ana]), slack.add_channel("ops", [ana])
    by_group = await one_of_two_steps(product, ana, f"slack:{finance.id}", step, title="For the group")
    by_channel = await one_of_two_steps(product, ana, f"slack:{ops.id}", step, title="For the channel")
    assert "Nothing here" in await typed(slack, eve, "all")
    finance.members.append(eve.id)
    ops.members.add(eve.id)
    listed = await typed(slack, eve, "all")
    for request in (by_group, by_channel):
        assert request["title"] in await typed(slack, eve, f"show {request['id']}")
        assert request["title"] in listed


async def one_of_two_steps(product: Product, ana: User, room: str, step: int, title: str) -> Json:
    """A request that asks Ana, and in this step the room."""
    steps = [{"name": f"Step {n}", "audience": [f"slack:{ana.id}"]} for n in range(2)]
    steps[step]["audience"] = [room]
    return await product.submit(title=title, audience=None, steps=steps)


async def test_a_thread_is_followed_only_by_who_may_see_its_request(
    product: Product, slack: SlackSandbox, ana: User, eve: User
) -> None:
    """The next level is named in the request before anybody turns to it."""
    ladder = [{"name": "manager", "audience": [f"slack:{eve.id}"], "after_seconds": 900}]
    request = await product.submit(title=SECRET, audience=[f"slack:{ana.id}"], escalation=ladder)
    here = slack.workspace.direct(eve.id)
    card = copied(slack, await slack.next_message(ana), here)
    await slack.click(eve, card, "Approve")
    await slack.wait_for(lambda: "not in the audience" in " ".join(m.words for m in slack.ephemerals(eve)))
    await slack.say(eve, here, "What is this?", thread=card.ts)
    said = await slack.next_message(eve, where=lambda m: m.thread_ts == card.ts and m.user != eve.id)
    assert "here nobody reads it" in said.words
    assert SECRET not in said.words
    assert (await product.get(request))["comments"] == []


@pytest.mark.parametrize("button", ["Details", "Approve", "Reject"])
async def test_a_strangers_click_tells_nothing(
    product: Product, slack: SlackSandbox, ana: User, eve: User, button: str
) -> None:
    request = await product.submit(title=SECRET, audience=[f"slack:{ana.id}"], labels={"a": "b"})
    card = await slack.next_message(ana)
    for done in (False, True):
        if done:
            await product.answer(request, "reject", reason="Too dear")
        buttons = {"Details": "assent.details", "Approve": "assent.approve", "Reject": "assent.reject"}
        click = await slack.click(eve, card, buttons[button], value=f"{request['id']}:1:0")
        told = (await slack.next_message(eve)).words if click.shown is None else click.shown
        assert SECRET not in told
        assert "Too dear" not in told


async def test_colleagues_see_where_that_is_set_and_outsiders_never(
    database_url: str, slack: SlackSandbox, ana: User, eve: User
) -> None:
    outsider = slack.add_user("Olga", email="olga@example.org", team=slack.add_team())
    async with running(database_url, slack=slack, assent_visibility="workspace") as product:
        request = await product.submit(title=SECRET, audience=[f"slack:{ana.id}"])
        assert SECRET in await typed(slack, eve, f"show {request['id']}")
        assert SECRET in await typed(slack, eve, "all")
        for text in ("all", f"show {request['id']}"):
            assert "another organisation" in await typed(slack, outsider, text)


async def test_nobody_approves_by_typing_what_changed_since_they_saw_it(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload={"amount": 1})
    card = await slack.next_message(ana)
    slack.faults.next("chat.update", error="fatal_error", times=None)
    revised = await product.call(
        "POST", f"/v1/requests/{request['id']}/revise", json={"payload": {"amount": "another one"}}
    )
    assert revised.status == 200, revised.text
    said = await typed(slack, ana, f"approve {request['id']}")
    assert f"/approvals show {request['id']}" in said
    assert "changed since you saw it" in said
    assert (await product.get(request))["status"] == "pending"
    assert "another one" in await typed(slack, ana, f"show {request['id']}")
    assert "You approved" in await typed(slack, ana, f"approve {request['id']}")
    assert "another one" not in card.words


async def test_who_was_sent_nothing_looks_first(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(audience=["email:ana@example.com"])
    assert "You have not seen it yet" in await typed(slack, ana, f"approve {request['id']}")
    await typed(slack, ana, f"show {request['id']}")
    assert "You approved" in await typed(slack, ana, f"approve {request['id']}")


@pytest.mark.parametrize("size", [3_000, 27_000])
async def test_nothing_longer_than_its_card_is_approved_with_one_click(
    product: Product, slack: SlackSandbox, ana: User, size: int
) -> None:
    payload = {"note": "harmless " * (size // 9), "z_command": "rm -rf /THE-END"}
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=payload)
    card = await slack.next_message(ana)
    assert "Approve" not in card.buttons
    assert card.buttons[:2] == ["Review…", "Reject"]
    await slack.open_home(ana)
    home = await slack.wait_for(lambda: (h := slack.home(ana)) and "Review…" in h.buttons and h)
    assert home
    assert "Approve" not in home.buttons
    listed = await (await slack.command(ana, "/approvals", "")).ephemeral()
    assert "Approve" not in listed.buttons
    assert "on its card" in await typed(slack, ana, f"approve {request['id']}")

    modal = await (await slack.click(ana, card, "Review…")).view()
    read = modal.words
    while modal.body.get("submit", {}).get("text") == "Next part":
        assert (await product.get(request))["status"] == "pending"
        await slack.submit(modal, {})
        read += modal.words
    assert "rm -rf /THE-END" in read
    await slack.submit(modal, {})
    await slack.wait_for(lambda: "Approved by Ana" in card.words)


async def test_a_revision_while_reading_starts_again(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload={"note": "x" * 27_000})
    modal = await (await slack.click(ana, await slack.next_message(ana), "Review…")).view()
    body = {"payload": {"note": "y" * 27_000}}
    await product.call("POST", f"/v1/requests/{request['id']}/revise", json=body)
    await slack.submit(modal, {})
    assert "changed since you opened it" in modal.words
    assert (await product.get(request))["status"] == "pending"


async def test_an_old_card_that_says_approve_opens_the_review(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload={"note": "x" * 5_000 + "END"})
    card = await slack.next_message(ana)
    click = await slack.click(ana, card, "Review…")
    assert "END" in (await click.view()).words
    assert (await product.get(request))["status"] == "pending"
