"""What is too long for one view is read in Slack to its end, part by part, by everybody who may see it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bot.slack.render import cards, details_modal, home, modals
from tests.support.cards import decided

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User, View
    from tests.support.product import Json, Product

LONG = {"a_begin": "THE-BEGIN", "note": "harmless " * 3_000, "z_command": "rm -rf /THE-END"}


@pytest.fixture
def ana(slack: SlackSandbox) -> User:
    return slack.add_user("Ana", email="ana@example.com")


async def read(slack: SlackSandbox, view: View) -> str:
    """All that stands in Details, from its first view to its last."""
    words = view.words
    for _ in range(200):
        if "submit" not in view.body:
            return words
        await slack.submit(view, {})
        words += view.words
    raise AssertionError("it does not end")


async def details(slack: SlackSandbox, user: User) -> View:
    """What somebody opens by Details of the card they were shown."""
    card = await slack.next_message(user)
    return await (await slack.click(user, card, "Details")).view()


@pytest.mark.parametrize("final", [False, True])
async def test_details_are_read_to_the_end_and_decide_nothing(
    product: Product, slack: SlackSandbox, ana: User, *, final: bool
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=LONG, labels={"env": "prod"})
    view = await details(slack, ana)
    if final:
        await product.answer(request, "reject", reason="Too dear")
    assert view.body["submit"]["text"] == "Read all"
    assert "Review…" not in view.words
    words = await read(slack, view)
    assert words.index("THE-BEGIN") < words.index("rm -rf /THE-END")
    assert (await product.get(request))["status"] == ("rejected" if final else "pending")


async def test_details_that_fit_have_no_more_parts(product: Product, slack: SlackSandbox, ana: User) -> None:
    await product.submit(audience=[f"slack:{ana.id}"], labels={"env": "prod"}, details={"Note": "x" * 1700})
    assert "submit" not in (await details(slack, ana)).body


async def test_a_revision_while_reading_begins_again(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=LONG)
    view = await details(slack, ana)
    await slack.submit(view, {})
    body = {"payload": LONG | {"a_begin": "ANOTHER"}}
    revised = await product.call("POST", f"/v1/requests/{request['id']}/revise", json=body)
    assert revised.status == 200
    await slack.submit(view, {})
    assert "changed since you opened it" in view.words
    assert "Part 1 of" in view.words
    assert "ANOTHER" in await read(slack, view)


async def test_who_may_no_longer_see_it_reads_no_further(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    ben = slack.add_user("Ben", email="ben@example.com")
    ops = slack.add_channel("ops", [ana, ben])
    await product.submit(audience=[f"slack:{ops.id}"], payload=LONG)
    card = await slack.next_message(ops)
    view = await (await slack.click(ben, card, "Details")).view()
    ops.members.remove(ben.id)
    await slack.submit(view, {})
    told = await slack.next_message(ben)
    assert "There is no request" in told.words
    assert "harmless" not in told.words


@pytest.mark.parametrize("number", [2, 7])
async def test_a_review_shows_labels_in_full_beside_the_options(
    product: Product, slack: SlackSandbox, ana: User, number: int
) -> None:
    labels = [f"Pay out of the account {'of the operations team ' * 5}, number {n}" for n in range(number)]
    choices = [{"id": f"c{n}", "label": label} for n, label in enumerate(labels)]
    request = await product.submit(audience=[f"slack:{ana.id}"], kind="choice", choices=choices)
    card = await slack.next_message(ana)
    assert card.buttons[0] == "Review…"
    shown = await (await slack.click(ana, card, "Details")).view()
    review = await (await slack.click(ana, card, "Review…")).view()
    assert [label for label in labels if label not in shown.words] == []
    assert [label for label in labels if label not in review.words] == []
    (box,) = [b["element"] for b in review.blocks if b.get("block_id") == "decision"]
    options = [option["text"]["text"] for option in box["options"]]
    assert [option.partition(".")[0] for option in options] == [str(n + 1) for n in range(number)]
    await slack.submit(review, {"Choice": options[-1]})
    await decided(slack, card)
    assert (await product.get(request))["outcome"]["choice"] == f"c{number - 1}"


async def test_labels_too_long_for_one_view_are_read_part_by_part(
    product: Product, slack: SlackSandbox, ana: User
) -> None:
    labels = [f"Number {n} {'of a long list ' * 30}, END {n}." for n in range(40)]
    choices = [{"id": f"c{n}", "label": label} for n, label in enumerate(labels)]
    request = await product.submit(audience=[f"slack:{ana.id}"], kind="choice", choices=choices)
    card = await slack.next_message(ana)
    words = await read(slack, await (await slack.click(ana, card, "Details")).view())
    assert [n for n in range(40) if f"END {n}." not in words] == []
    review = await (await slack.click(ana, card, "Review…")).view()
    words = review.words
    while review.body["submit"]["text"] == "Next part":
        await slack.submit(review, {})
        words += review.words
    assert [n for n in range(40) if f"END {n}." not in words] == []
    (box,) = [b["element"] for b in review.blocks if b.get("block_id") == "decision"]
    await slack.submit(review, {"Choice": box["options"][7]["text"]["text"]})
    await decided(slack, card)
    assert (await product.get(request))["outcome"]["choice"] == "c7"


async def test_what_is_laid_out_for_one_person_holds_up_nobody_else(
    product: Product, slack: SlackSandbox, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laying out a payload of a megabyte takes a tenth of a second and more; other calls go on meanwhile."""
    where: list[tuple[str, bool]] = []
    for module, name in DRAWING:
        monkeypatch.setattr(module, name, noting(getattr(module, name), where))
    payload: Json = {f"field {n}": "x" * 90 for n in range(9_000)} | {"z_end": "THE-END"}
    request = await product.submit(audience=[f"slack:{ana.id}"], payload=payload)
    card = await slack.next_message(ana)
    for button in ("Details", "Review…"):
        view = await (await slack.click(ana, card, button)).view()
        await slack.submit(view, {})
        await slack.close_view(view)
    await (await slack.command(ana, "/approvals", "")).ephemeral()
    await (await slack.command(ana, "/approvals", f"show {request['id']}")).ephemeral()
    await slack.open_home(ana)
    await slack.wait_for(lambda: slack.home(ana))
    assert {name for name, _ in where} == {name for _, name in DRAWING}
    assert [name for name, on_the_loop in where if on_the_loop] == []


DRAWING = [
    (cards, "card"),
    (details_modal, "details_modal"),
    (details_modal, "reading_modal"),
    (modals, "answer_modal"),
    (home, "home"),
    (home, "inbox_blocks"),
]


def noting(draw: Callable[..., Any], where: list[tuple[str, bool]]) -> Callable[..., Any]:
    """The same, and a note whether it was called where everything else waits for it."""

    def noted(*args: Any, **options: Any) -> Any:
        where.append((draw.__name__, threading.current_thread() is threading.main_thread()))
        return draw(*args, **options)

    return noted
