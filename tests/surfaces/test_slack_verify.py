"""Level `verify`: on every way that leads from Slack to an approval, nothing is approved without the phrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.slack.render.together import APPROVE_TOGETHER
from tests.support.cards import decided

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User, View
    from tests.support.product import Json, Product

PHRASE = "delete prod-db"
FORM = {"type": "object", "properties": {"amount": {"type": "integer", "title": "Amount"}}}


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


async def careful(product: Product, *people: User, **fields: Json) -> Json:
    audience = [f"slack:{user.id}" for user in people]
    return await product.submit(
        audience=audience, level="verify", verification_phrase=PHRASE, payload={"amount": 1}, **fields
    )


async def untouched(product: Product, request: Json) -> bool:
    stored = await product.get(request)
    return (stored["status"], stored["responses"]) == ("pending", [])


async def refused(slack: SlackSandbox, view: View) -> None:
    """The form wants the phrase, exactly."""
    (label,) = [label for label in view.labels if PHRASE in label]
    for typed in ("", "delete", PHRASE.upper(), f"{PHRASE}!"):
        submitted = await slack.submit(view, {label: typed} if typed else {})
        assert submitted.errors[label]


async def home_of(slack: SlackSandbox, user: User, words: str) -> View:
    await slack.open_home(user)
    view = await slack.wait_for(lambda: (h := slack.home(user)) and words in h.words and h)
    assert view
    return view


@pytest.mark.parametrize("button", ["Approve", "Edit…"])
async def test_by_a_button_of_the_card_and_its_form(
    product: Product, slack: SlackSandbox, ana: User, button: str
) -> None:
    request = await careful(product, ana, form=FORM)
    card = await slack.next_message(ana)
    view = await (await slack.click(ana, card, button)).view()
    assert await untouched(product, request)
    await refused(slack, view)
    assert await untouched(product, request)
    await slack.submit(view, {f"Type exactly: {PHRASE}": PHRASE})
    assert "Approved by Ana" in await decided(slack, card)


async def test_by_review(product: Product, slack: SlackSandbox, ana: User) -> None:
    request = await product.submit(
        audience=[f"slack:{ana.id}"], level="verify", verification_phrase=PHRASE, payload={"a": "x" * 9_000}
    )
    view = await (await slack.click(ana, await slack.next_message(ana), "Review…")).view()
    while view.body["submit"]["text"] == "Next part":
        await slack.submit(view, {})
    await refused(slack, view)
    assert await untouched(product, request)


@pytest.mark.parametrize("many", [False, True])
async def test_by_a_choice(product: Product, slack: SlackSandbox, ana: User, *, many: bool) -> None:
    choices = [{"id": f"c{n}", "label": f"Option {n}"} for n in range(7 if many else 2)]
    request = await careful(product, ana, kind="choice", choices=choices)
    card = await slack.next_message(ana)
    picked = {"choose": "Option 1"} if many else {}
    view = await (await slack.click(ana, card, "Choose…" if many else "Option 1", **picked)).view()
    await refused(slack, view)
    assert await untouched(product, request)


@pytest.mark.parametrize("where", ["home", "list"])
async def test_by_an_entry_of_the_inbox(product: Product, slack: SlackSandbox, ana: User, where: str) -> None:
    request = await careful(product, ana)
    if where == "home":
        click = await slack.click(ana, await home_of(slack, ana, "Refund"), "Approve")
    else:
        listed = await (await slack.command(ana, "/approvals", "")).ephemeral()
        click = await slack.click(ana, listed, "Approve")
    await refused(slack, await click.view())
    assert await untouched(product, request)


async def test_by_what_is_ticked(product: Product, slack: SlackSandbox, ana: User) -> None:
    """It has no box; and what claims that it had one is refused, before the form and when it comes back."""
    request = await careful(product, ana)
    for n in range(2):
        await product.submit(title=f"Plain {n}", audience=[f"slack:{ana.id}"])
    home = await home_of(slack, ana, "Plain 1")
    assert "To be answered by itself: it wants a phrase typed." in home.words
    forged = f"{request['id']}:1:0"
    row = next(b for b in home.blocks if b.get("block_id") == "assent:selected")
    option = {"text": {"type": "plain_text", "text": "Select"}, "value": forged}
    boxes = {"b": {"assent.select": {"type": "checkboxes", "selected_options": [option]}}}
    said = await (await slack.use(ana, home, row, row["elements"][0], choice=None, values=boxes)).view()
    assert "wants a phrase typed" in said.words
    assert "submit" not in said.body
    assert await untouched(product, request)

    boxes["b"]["assent.select"]["selected_options"] = [
        o
        for b in home.blocks
        for e in b.get("elements", [])
        for o in e.get("options", [])
        if e.get("type") == "checkboxes"
    ]
    await slack.close_view(said)
    form = await (await slack.use(ana, home, row, row["elements"][0], choice=None, values=boxes)).view()
    assert form.body["callback_id"] == APPROVE_TOGETHER
    form.body["private_metadata"] = form.body["private_metadata"].replace("[", f'["{forged}", ', 1)
    await slack.submit(form, {})
    assert "You approved 2 of 3." in form.words
    assert "wants a phrase typed" in form.words
    assert await untouched(product, request)


@pytest.mark.parametrize("reason", ["", " fine", f" {PHRASE}"])
async def test_by_a_typed_command(product: Product, slack: SlackSandbox, ana: User, reason: str) -> None:
    request = await careful(product, ana)
    await slack.next_message(ana)
    said = await (await slack.command(ana, "/approvals", f"approve {request['id']}{reason}")).ephemeral()
    assert "on its card" in said.words
    assert await untouched(product, request)


async def test_by_taking_an_answer_back(product: Product, slack: SlackSandbox, ana: User) -> None:
    """Whoever takes their yes back has to type the phrase again for the next."""
    ben = slack.add_user("Ben", email="ben@example.com")
    request = await careful(product, ana, ben, quorum=2)
    card = await slack.next_message(ana)
    view = await (await slack.click(ana, card, "Approve")).view()
    await slack.submit(view, {f"Type exactly: {PHRASE}": PHRASE})
    await slack.wait_for(lambda: "Undo" in card.buttons)
    await slack.click(ana, card, "Undo")
    await slack.wait_for(lambda: "Undo" not in card.buttons)
    assert await untouched(product, request)
    await refused(slack, await (await slack.click(ana, card, "Approve")).view())
    assert await untouched(product, request)
