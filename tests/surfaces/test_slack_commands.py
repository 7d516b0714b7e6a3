"""`/approvals`, as people type it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.slack.inbound import listeners
from bot.slack.inbound.payloads import plain

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.product import Product


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ben(slack: SlackSandbox) -> User:
    return slack.add_user("Ben", email="ben@example.com")


async def typed(slack: SlackSandbox, user: User, text: str) -> Message:
    """What somebody reads who types `/approvals TEXT`."""
    interaction = await slack.command(user, "/approvals", text)
    assert interaction.ack.ok
    return await interaction.ephemeral()


async def test_alone_it_lists_what_waits_for_me_with_buttons(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    await product.submit(title="For Ana", audience=[f"slack:{ana.id}"])
    await product.submit(title="For Ben", audience=[f"slack:{ben.id}"])
    listed = await typed(slack, ana, "")
    assert "For Ana" in listed.words
    assert "For Ben" not in listed.words
    assert listed.buttons[:2] == ["Approve", "Reject"]
    assert "Nothing here" in (await typed(slack, slack.add_user("Cy", email="cy@example.com"), "")).words


async def test_a_button_of_the_list_decides_and_the_list_follows(
    product: Product, slack: SlackSandbox, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "QUICK_SECONDS", 5.0)  # queued, it would say so in a message of its own
    request = await product.submit(title="For Ana", audience=[f"slack:{ana.id}"])
    listed = await typed(slack, ana, "")
    await slack.click(ana, listed, "Approve")
    await slack.wait_for(lambda: "You approved" in listed.words)
    assert "For Ana" in listed.words
    assert listed.buttons == []
    assert (await product.get(request))["status"] == "approved"


async def test_a_queued_answer_from_the_list_is_confirmed(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    await product.submit(title="For Ana", audience=[f"slack:{ana.id}"])
    listed = await typed(slack, ana, "")
    slack.faults.next("users.info", delay=0.3)
    click = await slack.click(ana, listed, "Approve")
    assert "You approved “For Ana”" in (await click.ephemeral()).words


async def test_all_and_mine(product: Product, slack: SlackSandbox, ana: User, ben: User) -> None:
    await product.submit(title="For Ana", audience=[f"slack:{ana.id}"], requester="email:ben@example.com")
    await product.submit(title="For Ben", audience=[f"slack:{ben.id}"])
    done = await product.submit(title="Done", audience=[f"slack:{ana.id}"], requester=f"slack:{ben.id}")
    await product.answer(done, "approve")
    everything = (await typed(slack, ben, "all")).words
    assert "For Ana" in everything
    assert "For Ben" in everything
    assert "Done" not in everything
    mine = (await typed(slack, ben, "mine")).words
    assert "For Ana" in mine
    assert "Done" in mine
    assert "For Ben" not in mine


async def test_show_is_the_card(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(message="Order 5531 arrived broken.", audience=[f"slack:{ana.id}"])
    shown = await typed(slack, ana, f"show {request['id']}")
    assert "Order 5531 arrived broken." in shown.words
    assert "Approve" in shown.buttons


async def test_approve_and_reject(product: Product, slack: SlackSandbox, ana: User, ben: User) -> None:
    first = await product.submit(title="First", audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana)
    assert (
        "You approved “First”. Approved by Ana" in (await typed(slack, ana, f"approve {first['id']}")).words
    )
    await slack.wait_for(lambda: not card.buttons)
    second = await product.submit(audience=[f"slack:{ana.id}", f"slack:{ben.id}"], quorum=2)
    said = await typed(slack, ana, f"Approve {second['id']} looks & feels <right>, @ben")
    assert "1 of 2 approvals" in said.words
    assert (await product.get(second))["responses"][0]["reason"] == "looks & feels <right>, @ben"
    assert "You rejected" in (await typed(slack, ben, f"reject  {second['id']}  not yet")).words
    stored = await product.get(second)
    assert stored["status"] == "rejected"
    assert stored["outcome"]["reason"] == "not yet"


async def test_skip(product: Product, slack: SlackSandbox, ana: User) -> None:
    strict = await product.submit(audience=[f"slack:{ana.id}"])
    assert "does not allow skipping" in (await typed(slack, ana, f"skip {strict['id']}")).words
    lax = await product.submit(audience=[f"slack:{ana.id}"], allow_skip=True)
    assert "You skipped" in (await typed(slack, ana, f"skip {lax['id']}")).words


async def test_a_reason_is_asked_for_where_there_must_be_one(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], reason="on_reject")
    said = (await typed(slack, ana, f"reject {request['id']}")).words
    assert f"/approvals reject {request['id']} REASON" in said
    assert (await product.get(request))["status"] == "pending"


async def test_the_same_rules_as_on_a_card(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    cy = slack.add_user("Cy", email="cy@example.com")
    people = [f"slack:{ana.id}", f"slack:{cy.id}"]
    request = await product.submit(audience=people, requester="email:ana@example.com", quorum=1)
    assert "somebody else has to decide" in (await typed(slack, ana, f"approve {request['id']}")).words
    assert "There is no request" in (await typed(slack, ben, f"approve {request['id']}")).words
    await product.answer(request, "reject", reason="Enough")
    assert "Already rejected" in (await typed(slack, ana, f"approve {request['id']}")).words
    stored = await product.get(request)
    assert stored["responses"] == []


@pytest.mark.parametrize("text", ["", "all", "mine", "show {id}", "approve {id}"])
async def test_people_of_other_organisations_see_and_decide_nothing(
    product: Product, slack: SlackSandbox, ana: User, text: str
) -> None:
    eve = slack.add_user("Eve", email="eve@example.org", team=slack.add_team())
    request = await product.submit(title="Internal", audience=[f"slack:{ana.id}"])
    said = (await typed(slack, eve, text.replace("{id}", request["id"]))).words
    assert "another organisation" in said
    assert "Internal" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("help", "/approvals reject ID"),
        ("HELP", "/approvals reject ID"),
        ("aprove req_1", "did you mean “approve”?"),
        ("frobnicate", "There is no “frobnicate”."),
        ("approve", "Say which request"),
        ("show", "Say which request"),
        ("approve req_nothing", "no request 'req_nothing'"),
        ("show req_nothing", "no request 'req_nothing'"),
        ("delegate", "Say whom: /approvals delegate @user"),
        ("delegate @ben", "Pick the name from what Slack offers"),
        ("escalate", "Say which request: /approvals escalate ID [reason]."),
        ("withdraw", "Say which request: /approvals withdraw ID."),
        ("ask req_1", "/approvals ask ID QUESTION"),
        ("reply req_1", "/approvals reply ID TEXT"),
    ],
)
async def test_words_that_ask_for_nothing_known(
    product: Product, slack: SlackSandbox, ana: User, text: str, said: str
) -> None:
    assert said in (await typed(slack, ana, text)).words


async def test_an_id_is_taken_exactly(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"])
    for wrong in (request["id"][:-1], request["id"].upper(), request["id"] + "x"):
        assert "There is no request" in (await typed(slack, ana, f"approve {wrong}")).words
    assert (await product.get(request))["status"] == "pending"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("a &amp; b &lt;c&gt; &amp;amp;", "a & b <c> &amp;"),
        ("<@U123|ana> in <#C123|ops> and <!here>", "@ana in #ops and @here"),
        ("<@U123>", "@U123"),
        (
            "<https://example.com|example> <https://example.com/a?b&amp;c>",
            "example https://example.com/a?b&c",
        ),
    ],
)
def test_what_was_typed_is_read_back_from_slacks_markup(sent: str, meant: str) -> None:
    assert plain(sent) == meant
