"""One request, answered through any surface: everybody sees the outcome everywhere, and the waiter wakes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.async_api import expect

from tests.support import command
from tests.support.browser import open_page, running_browser
from tests.support.cards import decided
from tests.support.product import KEY, Product, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.sandbox.mail.relay import Mail, Mailbox
    from bot.sandbox.slack.sandbox import SlackSandbox
    from bot.sandbox.slack.workspace import Message, User
    from tests.support.product import Json

REASON = "The customer is on the fraud list"
CARA, DAN = "cara@example.com", "dan@example.com"


@dataclass
class Asked:
    """One request as it reached everybody: Ana directly, Ben in a channel, Cara and Dan by mail."""

    product: Product
    slack: SlackSandbox
    mailbox: Mailbox
    request: Json
    ana: User
    ben: User
    card: Message
    channel_card: Message
    mails: dict[str, Mail]


async def ask(product: Product, slack: SlackSandbox, mailbox: Mailbox) -> Asked:
    ana, ben = (slack.add_user(name, email=f"{name.lower()}@example.com") for name in ("Ana", "Ben"))
    ops = slack.add_channel("ops", [ben])
    request = await product.submit(
        audience=[f"slack:{ana.id}", f"slack:{ops.id}", f"email:{CARA}", f"email:{DAN}"],
        requester="email:bob@example.com",
    )
    return Asked(
        product,
        slack,
        mailbox,
        request,
        ana,
        ben,
        card=await slack.next_message(ana),
        channel_card=await slack.next_message(ops),
        mails={to: await mailbox.next_message(to) for to in (CARA, DAN)},
    )


async def in_slack(asked: Asked, who: User, card: Message) -> None:
    modal = await (await asked.slack.click(who, card, "Reject")).view()
    submitted = await asked.slack.submit(modal, {"Reason": REASON})
    assert submitted.ack.ok
    assert not submitted.errors


async def by_direct_message(asked: Asked) -> str:
    await in_slack(asked, asked.ana, asked.card)
    return "Ana"


async def by_channel_card(asked: Asked) -> str:
    await in_slack(asked, asked.ben, asked.channel_card)
    return "Ben"


async def by_typing(asked: Asked) -> str:
    done = await asked.slack.command(asked.ana, "/approvals", f"reject {asked.request['id']} {REASON}")
    assert "You rejected" in (await done.ephemeral()).words
    return "Ana"


async def by_link(asked: Asked, *, javascript: bool = True) -> str:
    async with running_browser() as browser:
        page = await open_page(browser, javascript=javascript)
        await page.goto(asked.mails[CARA].link)
        await page.get_by_label("Reject").check()
        await page.get_by_label("Reason").fill(REASON)
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Your answer is recorded")
    return CARA


async def by_link_without_javascript(asked: Asked) -> str:
    return await by_link(asked, javascript=False)


async def by_api(asked: Asked) -> str:
    answer = await asked.product.answer(asked.request, "reject", DAN, reason=REASON)
    assert answer.status == 200
    return DAN


async def by_command(asked: Asked) -> str:
    done = await cli(asked, "reject", asked.request["id"], "--as", f"email:{DAN}", "--reason", REASON)
    assert done.status == 0, done.err
    return DAN


async def cli(asked: Asked, *arguments: str) -> command.Done:
    return await command.run(*arguments, ASSENT_URL=asked.product.url, ASSENT_API_KEY=KEY)


class Way(NamedTuple):
    """How somebody answers; `answer` returns the name under which they are known."""

    answer: Callable[[Asked], Awaitable[str]]
    surface: str
    socket_mode: bool = False


WAYS = [
    Way(by_direct_message, "slack"),
    Way(by_channel_card, "slack", socket_mode=True),
    Way(by_typing, "slack"),
    Way(by_link, "email"),
    Way(by_link_without_javascript, "email"),
    Way(by_api, "api"),
    Way(by_command, "cli"),
]


CASES = [("sqlite_url", way) for way in WAYS] + [("postgres_url", way) for way in WAYS[:2]]


@pytest.mark.parametrize(("database", "way"), CASES, ids=[f"{d[:-4]}-{w.answer.__name__}" for d, w in CASES])
async def test_an_answer_on_one_surface_is_seen_on_all(
    request: pytest.FixtureRequest, database: str, slack: SlackSandbox, mailbox: Mailbox, way: Way
) -> None:
    async with running(
        request.getfixturevalue(database), slack=slack, mailbox=mailbox, socket_mode=way.socket_mode
    ) as product:
        if way.socket_mode:
            await slack.wait_for(lambda: slack.sockets.connections)
        asked = await ask(product, slack, mailbox)
        waiter = asyncio.create_task(product.get(asked.request, wait=60))
        who = await way.answer(asked)
        async with asyncio.timeout(20):
            outcome = await waiter
        said = f"Rejected by {who} at {minute(outcome)}"
        await the_api_says(asked, outcome, who, way.surface)
        await the_cards_say(asked, said)
        await the_mails_say(asked, said, answered=who)
        await the_pages_say(asked, said, answered=who)
        await the_command_says(asked, who)


def minute(request: Json) -> str:
    return re.sub(r"(.*)T(\d\d:\d\d).*", r"\1 \2 UTC", request["resolved_at"])


async def the_api_says(asked: Asked, outcome: Json, who: str, surface: str) -> None:
    people = {r["id"]: r["name"] or r["email"] for r in outcome["respondents"]}
    (response,) = outcome["responses"]
    assert outcome["status"] == outcome["outcome"]["decision"] == "rejected"
    assert outcome["outcome"]["resolved_by"] == "respondents"
    assert (people[response["respondent"]], response["reason"], response["surface"]) == (who, REASON, surface)
    assert outcome["outcome"]["respondents"] == [response["respondent"]]
    assert outcome["outcome"]["reason"] == REASON
    pending = await asked.product.call("GET", "/v1/pending")
    assert pending.json["items"] == []
    assert await asked.product.get(outcome) == outcome


async def the_cards_say(asked: Asked, said: str) -> None:
    for card in (asked.card, asked.channel_card):
        await decided(asked.slack, card)
        assert said.partition(" at ")[0] in card.words
        assert REASON in card.words
        assert said in card.text
    await asked.slack.open_home(asked.ana)
    home = await asked.slack.wait_for(lambda: asked.slack.home(asked.ana))
    assert home
    assert "Nothing waits for you" in home.words
    private = [message for message in asked.slack.messages(asked.ana) if message is not asked.card]
    assert all("You rejected" in message.words for message in private)


async def the_mails_say(asked: Asked, said: str, *, answered: str) -> None:
    for to in (CARA, DAN):
        if to != answered:
            told = await asked.mailbox.next_message(to)
            assert said in told.text
            assert REASON in told.text
            assert "You need not answer any more" in told.text
        elif to == CARA:
            told = await asked.mailbox.next_message(to)
            assert "You rejected this at" in told.text
            assert REASON in told.text
            assert "Was this not you?" in told.text
    mails = {to: len(asked.mailbox.messages(to)) for to in (CARA, DAN)}
    assert mails == {CARA: 2, DAN: 1 if answered == DAN else 2}


async def the_pages_say(asked: Asked, said: str, *, answered: str) -> None:
    for to, mail in asked.mails.items():
        page = await asked.product.call("GET", mail.link)
        assert page.status == 200
        assert said in page.text
        assert REASON in page.text
        assert "<form" not in page.text
        assert ("Your answer is recorded" if to == answered else "This is already decided") in page.text


async def the_command_says(asked: Asked, who: str) -> None:
    shown, waited = await asyncio.gather(
        cli(asked, "show", asked.request["id"]), cli(asked, "wait", asked.request["id"])
    )
    assert f"rejected by {who}" in shown.out
    assert REASON in " ".join(shown.out.split())
    assert waited.status == 1
