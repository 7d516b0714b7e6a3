"""What a card says that was not redrawn yet, or a button of an earlier release, counts for nothing it does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cards import copied

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.product import Json, Product

CHANGED = "This has changed since you saw it; nothing was done."


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


@pytest.fixture
def ben(slack: SlackSandbox) -> User:
    return slack.add_user("Ben", email="ben@example.com")


async def revise(product: Product, request: Json) -> None:
    body = {"payload": {"amount": "another one"}, "reason": "Wrong order"}
    answer = await product.call("POST", f"/v1/requests/{request['id']}/revise", json=body)
    assert answer.status == 200, answer.text


async def older(product: Product, slack: SlackSandbox, ana: User, ben: User) -> tuple[Json, Message]:
    """A request, and a copy of Ana's card that still shows what was asked before a revision."""
    ladder = [{"name": "manager", "audience": [f"slack:{ben.id}"], "after_seconds": 900}]
    request = await product.submit(audience=[f"slack:{ana.id}"], payload={"amount": 1}, escalation=ladder)
    card = await slack.next_message(ana)
    old = copied(slack, card, slack.workspace.direct(ana.id))
    await revise(product, request)
    await slack.wait_for(lambda: "another one" in card.words)
    return request, old


@pytest.mark.parametrize(
    ("button", "entry"),
    [("Escalate…", None), ("assent.more", "Ask…"), ("assent.more", "Delegate…")],
)
async def test_an_act_from_an_older_revision_opens_no_form(  # noqa: PLR0917
    product: Product, slack: SlackSandbox, ana: User, ben: User, button: str, entry: str | None
) -> None:
    request, old = await older(product, slack, ana, ben)
    before = await product.get(request)
    click = await slack.click(ana, old, button, **({"choose": entry} if entry else {}))
    said = (await click.ephemeral()).words
    assert CHANGED in said
    assert "Wrong order" in said
    assert slack.modals(ana) == []
    assert await product.get(request) == before


@pytest.mark.parametrize(
    ("button", "entry", "filled"),
    [
        ("Escalate…", None, {"Reason": "Too much"}),
        ("assent.more", "Ask…", {"Question": "Why?"}),
        ("assent.more", "Delegate…", {"Hand on to": "BEN"}),
    ],
)
async def test_a_form_that_was_opened_before_a_revision_does_nothing(  # noqa: PLR0917
    product: Product,
    slack: SlackSandbox,
    ana: User,
    ben: User,
    button: str,
    entry: str | None,
    filled: dict[str, str],
) -> None:
    ladder = [{"name": "manager", "audience": [f"slack:{ben.id}"], "after_seconds": 900}]
    request = await product.submit(audience=[f"slack:{ana.id}"], payload={"amount": 1}, escalation=ladder)
    card = await slack.next_message(ana)
    form = await (await slack.click(ana, card, button, **({"choose": entry} if entry else {}))).view()
    await revise(product, request)
    before = await product.get(request)
    await slack.submit(form, {label: ben.id if text == "BEN" else text for label, text in filled.items()})
    assert CHANGED in form.words
    assert await product.get(request) == before


async def test_undo_on_a_card_of_an_older_revision_takes_nothing_back(
    product: Product, slack: SlackSandbox, ana: User, ben: User
) -> None:
    request = await product.submit(
        audience=[f"slack:{ana.id}", f"slack:{ben.id}"], quorum=2, payload={"amount": 1}
    )
    card = await slack.next_message(ana)
    await slack.click(ana, card, "Approve")
    await slack.wait_for(lambda: "Undo" in card.buttons)
    old = copied(slack, card, slack.workspace.direct(ana.id))
    await revise(product, request)
    await slack.wait_for(lambda: "another one" in card.words)
    await slack.click(ana, card, "Approve")
    await slack.wait_for(lambda: "Undo" in card.buttons)
    said = (await (await slack.click(ana, old, "Undo")).ephemeral()).words
    assert CHANGED in said
    assert [r["decision"] for r in (await product.get(request))["responses"]] == ["approve"]


async def test_an_old_button_says_no_yes_to_what_takes_a_review(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    """Its value and action id are those of a card that could be approved with one click."""
    plain = await product.submit(title="Plain", audience=[f"slack:{ana.id}"])
    one_click = await slack.next_message(ana)
    assert "Approve" in one_click.buttons
    request = await product.submit(
        title="Long", audience=[f"slack:{ana.id}"], payload={"a": "x" * 5_000 + "END"}
    )
    card = await slack.next_message(ana, where=lambda m: "Long" in m.words)
    assert "Approve" not in card.buttons
    old = copied(slack, one_click, slack.workspace.direct(ana.id))
    for block in old.blocks:
        for element in block.get("elements", []):
            if "value" in element:
                element["value"] = element["value"].replace(plain["id"], request["id"])
    view = await (await slack.click(ana, old, "assent.approve")).view()
    assert "END" in view.words
    assert (await product.get(request))["responses"] == []
    await slack.submit(view, {})
    await slack.wait_for(lambda: "Approved by Ana" in card.words)


async def test_what_is_typed_right_after_a_card_appears_counts(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    """The person reads it before its posting is confirmed to us."""
    request = await product.submit(audience=[f"slack:{ana.id}"])
    await slack.next_message(ana)
    said = await (await slack.command(ana, "/approvals", f"approve {request['id']}")).ephemeral()
    assert "You approved" in said.words
    assert (await product.get(request))["status"] == "approved"
