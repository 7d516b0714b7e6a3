"""The outbox: who has leased which delivery, and what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.model.events import DeliveryFailed, Remind
from bot.domain.model.spec import Step
from bot.ports.delivery import Failed, Lost, Recorded, Retry, Sent, Superseded
from bot.ports.store import Message
from bot.store import SqlOutbox
from bot.store.database.file_lock import alone
from bot.store.outbox import LEASE
from tests.support.asking import NOW, asked, by_slack, response, somebody
from tests.support.storing import happen, save, stored

if TYPE_CHECKING:
    from datetime import datetime

    from bot.ports.delivery import Leased, Result
    from bot.ports.store import DeliveryState
    from bot.store import SqlStore

BOTH = ["slack", "email"]
DAN = somebody("dan", slack="U4")
RECEIPT = {"channel": "D4", "ts": "1.1"}


class Box:
    """The outbox at a moment that the test moves."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.outbox = SqlOutbox(store)
        self.now: datetime = NOW

    async def claim(self, limit: int = 50, surfaces: list[str] = BOTH) -> list[Leased]:
        return await self.outbox.claim(self.now, limit, surfaces)

    async def card(self) -> Leased:
        """The one card that is due."""
        (leased,) = await self.claim(surfaces=["slack"])
        return leased

    async def record(self, leased: Leased, result: Result, retry_in: float | None = None) -> None:
        at = None if retry_in is None else self.now + timedelta(seconds=retry_in)
        await self.outbox.record([Recorded(leased=leased, result=result, retry_at=at)], self.now)

    async def states(self) -> list[DeliveryState]:
        return list((await self.store.read(lambda tx: tx.deliveries(["req_1"])))["req_1"])

    async def card_state(self) -> DeliveryState:
        return next(d for d in await self.states() if d.surface == "slack")


@pytest.fixture
async def box(store: SqlStore) -> Box:
    """A request put to Dan, by Slack and by mail."""
    await save(store, asked(DAN, somebody("ana", email=False, slack="U9", addresses=()), quorum=2))
    return Box(store)


async def test_what_is_due_is_leased_once(box: Box, other: SqlStore) -> None:
    elsewhere = Box(other)
    leased = await asyncio.gather(*(b.claim(1) for b in (box, elsewhere) * 3))
    flat = [item for batch in leased for item in batch]
    assert sorted(i.delivery.surface for i in flat) == ["email", "slack"]
    assert await elsewhere.claim() == []


async def test_only_for_surfaces_that_can_be_sent_to(box: Box) -> None:
    assert await box.claim(surfaces=[]) == []
    assert [i.delivery.surface for i in await box.claim(surfaces=["email"])] == ["email"]
    assert await box.outbox.next_due(["email"]) == NOW + LEASE
    assert await box.outbox.next_due(["slack"]) == NOW
    assert await box.outbox.next_due([]) is None


async def test_nothing_is_claimed_before_it_is_due(box: Box) -> None:
    box.now = NOW - timedelta(seconds=1)
    assert await box.claim() == []


async def test_a_delivery_knows_what_to_say_to_whom(box: Box) -> None:
    slack, mail = sorted(await box.claim(), key=lambda i: i.delivery.surface, reverse=True)
    assert (slack.delivery.notice, slack.delivery.address) == ("card", "U4")
    assert (mail.delivery.notice, mail.delivery.address) == ("ask", "dan@example.com")
    assert {slack.delivery.respondent, mail.delivery.respondent} == {"rsp_dan"}
    assert (slack.delivery.receipt, slack.delivery.attempts, slack.delivery.reposted) == (None, 0, None)
    requests = await box.outbox.requests(["req_1", "req_none"])
    assert list(requests) == ["req_1"]


async def test_rows_come_in_the_order_they_were_queued(store: SqlStore) -> None:
    def work(tx: Any) -> None:
        for n in range(20):
            tx.notify(Message(surface="email", address="ana@example.com", message=f"{n:02}"), NOW)

    await store.write(work)
    box = Box(store)
    said = [i.delivery.content for _ in range(4) for i in await box.claim(5)]
    assert said == [f"{n:02}" for n in range(20)]


async def test_sent_stays_sent(box: Box) -> None:
    await box.record(await box.card(), Sent(RECEIPT, 1))
    box.now += timedelta(days=1)
    assert await box.claim(surfaces=["slack"]) == []
    state = await box.card_state()
    assert (state.state, state.attempts, state.error, state.at) == ("sent", 1, None, NOW)


async def test_a_retry_comes_when_it_said_and_counts_its_attempts(box: Box) -> None:
    await box.record(await box.card(), Retry("busy"), 10)
    state = await box.card_state()
    assert (state.state, state.attempts, state.error) == ("retrying", 1, "busy")
    box.now += timedelta(seconds=9.999)
    assert await box.claim(surfaces=["slack"]) == []
    box.now += timedelta(seconds=0.001)
    again = await box.card()
    assert again.delivery.attempts == 1
    await box.record(again, Retry("down", counts=False), 10)
    assert (await box.card_state()).attempts == 1


async def test_what_was_not_tried_stays_as_it_is_until_it_is(box: Box) -> None:
    await box.record(await box.card(), Retry("busy"), 0)
    for _ in range(2):
        leased = await box.card()
        await box.outbox.record([Recorded(leased=leased, result=None, retry_at=box.now)], box.now)
    state = await box.card_state()
    assert (state.state, state.attempts, state.error) == ("retrying", 1, "busy")


async def test_the_attempts_are_counted_and_those_of_a_change_anew(box: Box) -> None:
    await box.record(await box.card(), Retry("busy"), 0)
    await box.record(await box.card(), Sent(RECEIPT, 1))
    assert (await box.card_state()).attempts == 2
    await happen(box.store, "req_1", response("dan"))
    redraw = await box.card()
    assert redraw.delivery.attempts == 0
    await box.record(redraw, Retry("busy"), 0)
    assert (await box.card_state()).attempts == 1


@pytest.mark.parametrize(("result", "state"), [(Failed("no"), "failed"), (Superseded("late"), "superseded")])
async def test_what_is_over_is_never_tried_again(box: Box, result: Result, state: str) -> None:
    await box.record(await box.card(), result)
    await happen(box.store, "req_1", response("dan"))
    box.now += timedelta(days=1)
    assert await box.claim(surfaces=["slack"]) == []
    assert (await box.card_state()).state == state


async def test_each_surface_is_claimed_for_itself(box: Box) -> None:
    for n in range(5):
        note = Message(surface="email", address=f"p{n}@example.com", message="hello")
        await box.store.write(lambda tx, n=note: tx.notify(n, NOW - timedelta(hours=1)))  # type: ignore[misc]  # a default in a lambda
    assert sorted(i.delivery.surface for i in await box.claim(2)) == ["email", "email", "slack"]


async def test_a_lease_that_ran_out_is_taken_over_and_the_late_result_ignored(box: Box) -> None:
    first = await box.card()
    box.now += LEASE - timedelta(milliseconds=1)
    assert await box.claim(surfaces=["slack"]) == []
    box.now += timedelta(milliseconds=1)
    second = await box.card()
    assert second.delivery == replace(first.delivery, unconfirmed=True)  # nobody said whether it was sent
    await box.record(first, Failed("too late"))
    assert (await box.card_state()).state == "queued"
    await box.record(second, Sent(RECEIPT, 1))
    assert (await box.card_state()).state == "sent"


async def test_a_restart_may_give_back_every_lease(box: Box) -> None:
    await box.claim()
    await box.outbox.release(box.now)
    assert len(await box.claim()) == 2


class TestRedrawing:
    async def change(self, box: Box, target: str = "slack:U9") -> None:
        await happen(box.store, "req_1", DeliveryFailed(target=target, reason="x"), box.now)

    async def test_every_change_makes_a_card_due_again(self, box: Box) -> None:
        await box.record(await box.card(), Sent(RECEIPT, 1))
        await self.change(box)
        again = await box.card()
        assert again.delivery.receipt == RECEIPT
        await box.record(again, Sent(RECEIPT, 2))
        assert await box.claim(surfaces=["slack"]) == []

    async def test_a_mail_is_sent_once(self, box: Box) -> None:
        (mail,) = await box.claim(surfaces=["email"])
        await box.record(mail, Sent({"message_id": "x"}, 1))
        await self.change(box)
        assert await box.claim(surfaces=["email"]) == []

    async def test_a_change_while_it_is_being_sent_is_not_missed(self, box: Box) -> None:
        leased = await box.card()
        await self.change(box)
        assert await box.claim(surfaces=["slack"]) == []
        await box.record(leased, Sent(RECEIPT, 1))
        assert (await box.card()).delivery.receipt == RECEIPT

    async def test_nor_redrawn_where_what_was_sent_is_the_newest(self, box: Box) -> None:
        leased = await box.card()
        await self.change(box)
        await box.record(leased, Sent(RECEIPT, 2))
        assert await box.claim(surfaces=["slack"]) == []

    async def test_a_lost_card_is_posted_anew_and_says_that_it_was(self, box: Box) -> None:
        await box.record(await box.card(), Sent(RECEIPT, 1))
        await self.change(box)
        await box.record(await box.card(), Lost("deleted"), 0)
        again = await box.card()
        assert (again.delivery.receipt, again.delivery.reposted) == (None, "once")
        await box.record(again, Sent({"channel": "D4", "ts": "2.2"}, 2))
        await self.change(box, "slack:U8")
        third = await box.card()
        assert (third.delivery.receipt, third.delivery.reposted) == ({"channel": "D4", "ts": "2.2"}, "once")

    async def test_one_that_could_not_be_changed_is_tried_again_at_the_next_change(self, box: Box) -> None:
        await box.record(await box.card(), Sent(RECEIPT, 1))
        await self.change(box)
        await box.record(await box.card(), Failed("archived"))
        assert await box.claim(surfaces=["slack"]) == []
        await self.change(box, "slack:U8")
        await box.record(await box.card(), Sent(RECEIPT, 3))
        assert (await box.card_state()).state == "sent"

    async def test_no_change_hastens_one_that_was_never_posted(self, box: Box) -> None:
        await box.record(await box.card(), Retry("no answer"), 60)
        await self.change(box)
        assert await box.claim(surfaces=["slack"]) == []
        assert await box.outbox.next_due(["slack"]) == NOW + timedelta(seconds=60)

    async def test_those_of_a_step_that_passed_are_redrawn_too(self, store: SqlStore) -> None:
        steps = (Step(audience=("slack:C1",)), Step(audience=("email:ana@example.com",)))
        await save(store, asked(somebody("ana", step=1), channels=["slack:C1"], steps=steps))
        box = Box(store)
        await box.record(await box.card(), Sent(RECEIPT, 1))
        for actor in (by_slack("U1", "slack:C1"), "ana"):
            await happen(store, "req_1", response(actor))
            card = await box.card()
            version = (await stored(store, "req_1")).version
            await box.record(card, Sent(RECEIPT, version))
        assert (await stored(store, "req_1")).status.final


class TestReminding:
    async def test_a_card_that_was_given_up_is_tried_once_more(self, box: Box) -> None:
        leased = await box.card()
        await box.record(leased, Retry("no answer"), 0)
        await box.record(await box.card(), Failed("a scope is missing"))
        await happen(box.store, "req_1", Remind(by="Bob"), box.now)
        card = await box.card()
        assert (card.delivery.id, card.delivery.attempts) == (leased.delivery.id, 0)
        assert card.delivery.notice == "card"
        await box.record(card, Sent(RECEIPT, 1))
        assert "reminder" in [i.delivery.notice for i in await box.claim(surfaces=["slack"])]

    async def test_but_not_of_somebody_who_is_not_reminded(self, box: Box) -> None:
        await box.record(await box.card(), Failed("a scope is missing"))
        await happen(box.store, "req_1", response("dan"))
        await happen(box.store, "req_1", Remind(by="Bob"), box.now)
        assert await box.claim(surfaces=["slack"]) == []
        assert (await box.card_state()).state == "failed"

    async def test_somebody_who_could_not_be_reached_at_all_included(self, box: Box) -> None:
        await box.record(await box.card(), Failed("a scope is missing"))
        for target in ("slack:U4", "email:dan@example.com"):
            await happen(box.store, "req_1", DeliveryFailed(target=target, reason="gone"), box.now)
        await happen(box.store, "req_1", Remind(by="Bob"), box.now)
        assert [i.delivery.notice for i in await box.claim(surfaces=["slack"])] == ["card"]


class TestAdopting:
    async def adopt(self, box: Box, receipt: dict[str, str]) -> None:
        await box.store.write(lambda tx: tx.adopt("req_1", receipt, receipt["channel"], box.now))

    async def test_a_card_nobody_knew_of_is_redrawn_from_now_on(self, box: Box) -> None:
        await box.record(await box.card(), Sent(RECEIPT, 1))
        await self.adopt(box, {"channel": "D4", "ts": "9.9"})
        assert (await box.card()).delivery.receipt == {"channel": "D4", "ts": "9.9"}

    async def test_a_card_that_is_known_and_could_not_be_changed_is_tried_again(self, box: Box) -> None:
        await box.record(await box.card(), Sent(RECEIPT, 1))
        await happen(box.store, "req_1", response("dan"), box.now)
        await box.record(await box.card(), Failed("archived"))
        await self.adopt(box, RECEIPT)
        await box.record(await box.card(), Sent(RECEIPT, 2))
        await self.adopt(box, RECEIPT)
        assert await box.claim(surfaces=["slack"]) == []
        assert len([d for d in await box.states() if d.surface == "slack"]) == 1

    async def test_a_card_that_was_posted_under_a_lease_that_ran_out_is_redrawn(self, box: Box) -> None:
        late = await box.card()
        box.now += LEASE
        await box.record(await box.card(), Sent(RECEIPT, 1))
        for _ in range(2):
            await box.record(late, Sent({"channel": "D4", "ts": "9.9"}, 1))
        card = await box.card()
        assert (card.delivery.receipt, card.delivery.respondent) == (
            {"channel": "D4", "ts": "9.9"},
            "rsp_dan",
        )

    async def test_a_card_that_was_clicked_before_it_was_known_to_be_posted_is_one(self, box: Box) -> None:
        leased = await box.card()
        await self.adopt(box, RECEIPT)
        await box.record(leased, Sent(RECEIPT, 1))
        (state,) = [d for d in await box.states() if d.surface == "slack"]
        assert (state.id, state.receipt) == (leased.delivery.id, RECEIPT)

    @pytest.mark.parametrize("reposted", [False, True])
    async def test_a_card_that_is_known_is_not(self, box: Box, *, reposted: bool) -> None:
        if reposted:
            await box.record(await box.card(), Lost("deleted"), 0)
        await box.record(await box.card(), Sent(RECEIPT, 1))
        for _ in range(2):
            await self.adopt(box, RECEIPT)
        assert len([d for d in await box.states() if d.surface == "slack"]) == 1


async def test_a_callback_shows_without_the_secrets_in_its_url(store: SqlStore) -> None:
    url = "https://user:secret@example.com:8443/hook/a@b?token=secret#secret"
    await save(store, asked(DAN, callback_url=url))
    await happen(store, "req_1", response("dan"))
    box = Box(store)
    (leased,) = await box.claim(surfaces=["callback"])
    assert leased.delivery.address == url
    await box.record(leased, Failed("the receiver wants no more callbacks (410 Gone)"))
    (shown,) = [d for d in await box.states() if d.surface == "callback"]
    assert (shown.address, shown.state) == ("https://example.com:8443/hook/a@b", "failed")
    assert shown.error == "the receiver wants no more callbacks (410 Gone)"


async def test_what_goes_to_a_full_host_is_left_where_it_is(store: SqlStore) -> None:
    urls = [f"https://example.co{rest}" for rest in ("", "/hook", "?n=1", "#1", ":8443/hook", "m/hook")]
    for number, url in enumerate(urls):
        await save(store, asked(DAN, request_id=f"req_{number}", callback_url=url))
        await happen(store, f"req_{number}", response("dan"))
    box, full = Box(store), ["https://example.co"]
    leased = await box.outbox.claim(box.now, 50, ["callback"], full)
    assert sorted(i.delivery.address for i in leased) == sorted(urls[4:])
    assert await box.outbox.next_due(["callback"], full) == NOW + LEASE
    assert await box.outbox.next_due(["callback"]) == NOW


def test_only_the_first_server_on_a_file_knows_itself_alone(database_url: str) -> None:
    is_file = database_url.startswith("sqlite")
    for _ in range(2):
        with alone(database_url) as first, alone(database_url) as second:
            assert (first, second) == (is_file, False)


@pytest.mark.parametrize("failing", ["slack", "email"])
async def test_nothing_about_a_request_overtakes_what_asks_at_the_same_address(
    box: Box, store: SqlStore, failing: str
) -> None:
    (first,) = await box.claim(surfaces=[failing])
    await box.record(first, Retry("busy"), 600)
    await happen(store, "req_1", Remind(by="Bob"), box.now)
    assert first.delivery.address not in [row.delivery.address for row in await box.claim(surfaces=[failing])]
    assert await box.outbox.next_due([failing]) == box.now + timedelta(seconds=600)
    box.now += timedelta(seconds=600)
    (again,) = await box.claim(surfaces=[failing])
    assert again.delivery.id == first.delivery.id
    await box.record(again, Sent({"channel": "D4", "ts": "1.1"}, 1))
    assert "reminder" in [row.delivery.notice for row in await box.claim(surfaces=[failing])]
