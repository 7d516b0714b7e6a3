"""The App Home: what waits for somebody, with buttons, current after each thing they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import User, View
    from tests.support.product import Product


async def home_of(slack: SlackSandbox, user: User, words: str) -> View:
    """Somebody's Home tab, once it says this."""

    def current() -> View | None:
        home = slack.home(user)
        return home if home and words in home.words else None

    home = await slack.wait_for(current)
    assert home
    return home


async def test_it_lists_what_waits_for_this_person(product: Product, slack: SlackSandbox) -> None:
    ana, ben = (slack.add_user(n, email=f"{n.lower()}@example.com") for n in ("Ana", "Ben"))
    ops = slack.add_channel("ops", [ana])
    await product.submit(title="For Ana", audience=[f"slack:{ana.id}"])
    await product.submit(title="For the channel", audience=[f"slack:{ops.id}"])
    await product.submit(title="For Ana's mail", audience=["ana@example.com"])
    await product.submit(title="For Ben", audience=[f"slack:{ben.id}"])
    await product.submit(title="Of Ana", audience=[f"slack:{ops.id}"], requester="email:ana@example.com")

    assert (await slack.open_home(ana)).ok

    home = await home_of(slack, ana, "For Ana")
    assert [t for t in ("For the channel", "For Ana's mail") if t not in home.words] == []
    assert [t for t in ("For Ben", "Of Ana") if t in home.words] == []


async def test_an_answer_there_takes_the_request_off_it(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(title="First", audience=[f"slack:{ana.id}"])
    await product.submit(title="Second", audience=[f"slack:{ana.id}"])
    card = await slack.next_message(ana, where=lambda m: "First" in m.words)
    await slack.open_home(ana)
    home = await home_of(slack, ana, "First")

    await slack.click(ana, home, "Approve", value=request["id"])

    await slack.wait_for(lambda: "First" not in (slack.home(ana) or home).words)
    await slack.wait_for(lambda: "Approved by Ana" in card.words)
    home = await home_of(slack, ana, "Second")
    modal = await (await slack.click(ana, home, "Reject")).view()
    await slack.submit(modal, {"Reason": "No"})
    await home_of(slack, ana, "Nothing waits for you")
    assert slack.ephemerals(ana) == []


async def test_a_refusal_there_comes_as_a_direct_message(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    request = await product.submit(audience=[f"slack:{ana.id}"])
    await slack.next_message(ana)
    await slack.open_home(ana)
    home = await home_of(slack, ana, "Refund")
    await product.answer(request, "reject")
    await slack.click(ana, home, "Approve")
    assert "Already rejected" in (await slack.next_message(ana)).words


async def test_it_says_how_many_more_there_are(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    for number in range(23):
        await product.submit(title=f"Number {number}.", audience=[f"slack:{ana.id}"])
    await slack.open_home(ana)
    home = await home_of(slack, ana, "3 more")
    assert "Number 22." in home.words
    assert "Number 2." not in home.words


async def test_the_messages_tab_publishes_nothing(product: Product, slack: SlackSandbox) -> None:
    ana = slack.add_user("Ana", email="ana@example.com")
    event = {"type": "app_home_opened", "user": ana.id, "channel": "D0", "tab": "messages", "event_ts": "1.0"}
    assert (await slack.event(event)).ok
    assert slack.home(ana) is None
