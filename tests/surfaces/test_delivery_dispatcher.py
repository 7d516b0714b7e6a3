"""From the outbox to people: at least once, in order, whatever the other end does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.delivery import dispatcher
from bot.delivery.backoff import BREAKER, GIVE_UP
from bot.delivery.dispatcher import HOST_LANES, LANES, SAFE
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import AddComment, Cancel, Delegate, DeliveryFailed, Remind
from bot.domain.model.request import RespondentState, Surface
from bot.domain.policies.policy import Ruling
from bot.ports.delivery import Failed, Lost, Retry
from bot.store.outbox import LEASE
from tests.support.asking import NOW, asked, by_mail, by_slack, response, somebody
from tests.support.dispatching import Office
from tests.support.storing import happen, save

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.model.events import Event
    from bot.domain.model.request import Request
    from bot.store import SqlStore

ANA, DAN = somebody("ana"), somebody("dan", slack="U4")
MAIL = "dan@example.com"
DOWN = Retry("the relay is down", counts=False, pause="email")


@pytest.fixture
async def office(migrated_store: SqlStore) -> AsyncIterator[Office]:
    office = Office(migrated_store)
    yield office
    for event in office.sender.held.values():
        event.set()
    await office.dispatcher.settle(1)


async def opened(office: Office, *respondents: object, **fields: object) -> Request:
    request = asked(*(respondents or (DAN,)), at=office.clock.at, **fields)  # type: ignore[arg-type]  # fields of any type
    await save(office.store, request, now=office.clock.at)
    return request


async def changed(office: Office, number: int = 1) -> None:
    """Something about the request changes, so that its cards are out of date."""
    event = DeliveryFailed(target=f"slack:UX{number}", reason="gone")
    await happen(office.store, "req_1", event, office.clock.at)


async def test_everybody_is_told_once_at_every_address(office: Office) -> None:
    await opened(office, DAN, ANA, quorum=2, channels=["slack:C1"])
    for _ in range(2):
        await office.work_until(3600)
    assert sorted(office.sender.sent) == [
        ("C1", "card", 1),
        ("U4", "card", 1),
        ("ana@example.com", "ask", 1),
        (MAIL, "ask", 1),
    ]


async def test_one_address_is_told_in_order_and_one_thing_at_a_time(office: Office) -> None:
    messages = [f"{n}" for n in range(120)]
    await office.notify(MAIL, *messages)
    await office.work()
    assert [said for _, said, _ in office.sender.sent] == messages


async def test_a_slow_address_holds_up_no_other(office: Office) -> None:
    slow = office.sender.hold("slow@example.com")
    await office.notify("slow@example.com", "1", "2")
    for n in range(60):
        await office.notify(f"p{n}@example.com", "hello")
    progress = asyncio.Event()
    office.dispatcher.progressed = progress.set
    async with asyncio.timeout(20):
        while len(office.sender.sent) < 60:
            progress.clear()
            await office.dispatcher.run_once()
            await progress.wait()
    assert office.sender.tried.count("slow@example.com") == 1
    slow.set()
    await office.dispatcher.settle()
    assert [said for to, said, _ in office.sender.sent if to.startswith("slow")] == ["1", "2"]


async def begun(office: Office) -> None:
    """Begin all that can be begun now; what is held goes on."""
    while await office.dispatcher.run_once():
        pass
    await asyncio.sleep(0)


async def decided(office: Office, *callback_urls: str) -> None:
    """Requests decided by Dan, whose outcomes are to be posted."""
    for number, url in enumerate(callback_urls):
        request = asked(DAN, request_id=f"req_{number}_{url}", callback_url=url)
        await save(office.store, request)
        await happen(office.store, request.id, response("dan"))


class TestWhatHangs:
    async def test_a_surface_holds_up_no_other(self, office: Office) -> None:
        for n in range(2 * LANES):
            office.sender.hold(f"p{n}@example.com")
            await office.notify(f"p{n}@example.com", "hello")
        await begun(office)
        assert len(office.sender.tried) == LANES
        await opened(office)
        assert await office.dispatcher.next_due() == office.clock.at
        await begun(office)
        assert office.sender.sent == [("U4", "card", 1)]
        assert len(office.sender.tried) == LANES + 1
        assert await office.dispatcher.next_due() != office.clock.at, "what cannot be begun is no work"

    async def test_a_host_holds_up_no_other(self, office: Office) -> None:
        hang, other = "https://example.co", "https://example.com/hook"
        urls = [f"{hang}/{n}" for n in range(HOST_LANES)] + [hang, f"{hang}?n=1", f"{hang}#1"]
        for url in urls:
            office.sender.hold(url)
        await decided(office, *urls)
        await begun(office)
        tried = [to for to in office.sender.tried if to.startswith(hang)]
        assert len(tried) == HOST_LANES
        await decided(office, *[f"https://elsewhere.example/{n}" for n in urls], other)
        await begun(office)
        assert other in {to for to, *_ in office.sender.sent}

    async def test_callbacks_of_different_requests_to_one_url_are_posted_side_by_side(
        self, office: Office
    ) -> None:
        url = "https://example.com/hook"
        office.sender.hold(url)
        await decided(office, *[url] * 2 * HOST_LANES)
        await begun(office)
        assert office.sender.tried.count(url) == HOST_LANES
        office.sender.held[url].set()
        await office.dispatcher.settle()
        await office.work()
        assert len([to for to, *_ in office.sender.sent if to == url]) == 2 * HOST_LANES


async def test_what_waited_too_long_behind_a_slow_one_is_given_back_in_order(office: Office) -> None:
    slow = office.sender.hold(MAIL)
    await office.notify(MAIL, "1", "2", "3")
    await office.dispatcher.run_once()
    await asyncio.sleep(0)
    office.clock.advance(SAFE.total_seconds() + 1)
    slow.set()
    await office.dispatcher.settle()
    assert [said for _, said, _ in office.sender.sent] == ["1"]
    await office.work()
    assert [said for _, said, _ in office.sender.sent] == ["1", "2", "3"]


class TestWhileATargetIsDown:
    async def test_no_attempt_is_spent_and_others_still_go(self, office: Office) -> None:
        await opened(office, DAN, ANA, quorum=2)
        office.sender.will(MAIL, DOWN)
        office.sender.will("ana@example.com", DOWN)
        await office.work()
        assert office.sender.sent == [("U4", "card", 1)]
        assert {(await office.state(a)).attempts for a in (MAIL, "ana@example.com")} == {0}
        await office.work_until(BREAKER[0])
        assert sorted(a for a, *_ in office.sender.sent) == ["U4", "ana@example.com", MAIL]

    async def test_what_is_put_off_meanwhile_keeps_what_is_known_of_it(self, office: Office) -> None:
        await office.notify(MAIL, "first")
        await opened(office)
        office.sender.will(MAIL, Retry("busy", after=10), Retry("mailbox full", after=10), DOWN)
        await office.work_until(10)
        assert office.sender.tried.count(MAIL) == 3
        state = await office.state(MAIL)
        assert (state.state, state.attempts, state.error) == ("retrying", 1, "mailbox full")

    async def test_it_is_said_until_it_works_again(self, office: Office) -> None:
        await opened(office)
        office.sender.will(MAIL, DOWN, DOWN)
        assert await office.dispatcher.down() is None
        await office.work_until(BREAKER[0])
        assert await office.dispatcher.down() == "cannot send by email just now"
        await office.work_until(BREAKER[1])
        assert await office.dispatcher.down() is None

    async def test_it_is_left_alone_for_longer_and_longer(self, office: Office) -> None:
        await opened(office)
        office.sender.will(MAIL, *[DOWN] * 6)
        tried_at = []
        while not any(to == MAIL for to, *_ in office.sender.sent):
            await office.work()
            tried_at.append((office.clock.at - NOW).total_seconds())
            due = await office.dispatcher.next_due()
            office.clock.at = due or office.clock.at
        assert tried_at == [0, 1, 3, 8, 18, 38, 68]
        assert office.sender.tried.count(MAIL) == 7

    async def test_even_for_a_week_without_giving_up(self, office: Office) -> None:
        await opened(office)
        week = timedelta(days=7).total_seconds()
        office.sender.will(MAIL, Retry("down", counts=False, pause="email", after=week))
        await office.work_until(week)
        office.sender.will(MAIL, Retry("busy"))
        await office.work_until(60)
        assert (MAIL, "ask", 1) in office.sender.sent
        assert (await office.request()).unreached == ()

    async def test_one_address_that_throttles_leaves_the_others(self, office: Office) -> None:
        eve = somebody("eve", email=False, slack="U5")
        await opened(office, DAN, eve, quorum=2)
        office.sender.will("U4", Retry("slow down", after=30, counts=False, pause="U4"))
        await office.work_until(29)
        assert "U5" in {to for to, *_ in office.sender.sent}
        assert office.sender.tried.count("U4") == 1
        await office.work_until(1)
        assert ("U4", "card", 1) in office.sender.sent


class TestGivingUp:
    async def test_a_refused_address_shows_on_the_request_and_the_rest_still_counts(
        self, office: Office
    ) -> None:
        await opened(office)
        office.sender.will(MAIL, Failed("no such mailbox"))
        await office.work()
        request = await office.request()
        assert [(u.target, u.reason) for u in request.unreached] == [(f"email:{MAIL}", "no such mailbox")]
        assert request.respondents[0].state is RespondentState.WAITING
        assert (await office.state(MAIL)).state == "failed"
        assert ("U4", "card", 2) in office.sender.sent

    async def test_somebody_whose_addresses_fail_together_is_unreachable(self, office: Office) -> None:
        await opened(office)
        office.sender.will(MAIL, Failed("no such mailbox"))
        office.sender.will("U4", Failed("the account is deactivated"))
        await office.work()
        (dan,) = (await office.request()).respondents
        assert dan.state is RespondentState.UNREACHABLE
        assert dan.trouble in {"no such mailbox", "the account is deactivated"}
        await happen(office.store, "req_1", response("dan"))
        assert (await office.request()).status.final

    async def test_a_channel_that_cannot_be_posted_to_shows(self, office: Office) -> None:
        await opened(office, ANA, channels=["slack:C1"])
        office.sender.will("C1", Failed("the channel is archived"))
        await office.work()
        assert [u.target for u in (await office.request()).unreached] == ["slack:C1"]

    async def test_after_days_of_trying(self, office: Office) -> None:
        await opened(office, ANA)
        office.sender.will("ana@example.com", *[Retry("mailbox full")] * 1000)
        await office.work_until(GIVE_UP["email"].total_seconds() * 0.9)
        assert (await office.state("ana@example.com")).state == "retrying"
        await office.work_until(GIVE_UP["email"].total_seconds() * 0.4)
        request = await office.request()
        assert [u.reason for u in request.unreached] == ["given up: mailbox full"]
        assert request.respondents[0].state is RespondentState.UNREACHABLE
        assert await office.dispatcher.next_due() is None

    async def test_a_card_that_stands_but_cannot_be_changed_leaves_nobody_untold(
        self, office: Office
    ) -> None:
        await opened(office)
        await office.work()
        office.sender.will("U4", Failed("the channel is archived"))
        await happen(office.store, "req_1", response("dan"))
        await office.work()
        request = await office.request()
        assert (request.unreached, request.version) == ((), 2)
        assert (await office.state("U4")).state == "failed"

    async def test_a_mail_that_asks_for_nothing_fails_quietly(self, office: Office) -> None:
        await opened(office, ANA, DAN, quorum=1)
        await office.work()
        await happen(office.store, "req_1", response(by_slack("U4")))
        office.sender.will("ana@example.com", Failed("full"))
        await office.work()
        request = await office.request()
        assert (request.unreached, request.version) == ((), 2)


class TestWhatGoesWrongHere:
    async def test_a_sender_that_raises_costs_nobody_else_and_is_tried_again(self, office: Office) -> None:
        await opened(office, DAN, ANA, quorum=2)
        office.sender.will(MAIL, ZeroDivisionError("a bug"))
        await office.work()
        state = await office.state(MAIL)
        assert (state.state, state.attempts, state.error) == (
            "retrying",
            1,
            "something went wrong on our side",
        )
        await office.work_until(60)
        assert (MAIL, "ask", 1) in office.sender.sent

    async def test_a_sender_that_never_ends_is_cut_off(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatcher, "SEND_SECONDS", 0.01)
        await opened(office)
        office.sender.hold(MAIL)
        await office.work()
        assert (await office.state(MAIL)).error == "it took too long"
        assert ("U4", "card", 1) in office.sender.sent


class TestNothingLeftToSay:
    async def test_nobody_is_asked_what_was_decided_before_the_mail_went(self, office: Office) -> None:
        await opened(office, ANA, DAN)
        await happen(office.store, "req_1", Cancel(reason=None, by="bob", surface=Surface.API))
        await office.work()
        said = {(to, what) for to, what, _ in office.sender.sent}
        assert ("ana@example.com", "ask") not in said
        assert {("ana@example.com", "outcome"), ("U4", "card")} <= said

    async def test_nor_what_they_answered_elsewhere_meanwhile(self, office: Office) -> None:
        await opened(office, DAN, ANA, quorum=2)
        await happen(office.store, "req_1", response(by_slack("U4")))
        await office.work()
        assert [to for to, what, _ in office.sender.sent if what == "ask"] == ["ana@example.com"]
        assert (await office.state(MAIL)).state == "superseded"

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            (response("dan"), "they have answered already"),
            (Delegate(actor=by_mail("dan"), to=ANA, new_id=""), "they have handed it on"),
            (Cancel(reason=None, by="Bob", surface=Surface.API), "decided before it could be sent"),
        ],
    )
    async def test_nor_is_anybody_reminded_of_it(self, office: Office, event: Event, why: str) -> None:
        await opened(office, DAN, quorum=2, channels=["slack:C1"])
        await office.work()
        await happen(office.store, "req_1", Remind(by="Bob"), office.clock.at)
        await happen(office.store, "req_1", event, office.clock.at)
        await office.work()
        deliveries = await office.store.read(lambda tx: tx.deliveries(["req_1"]))
        [reminder] = [d for d in deliveries["req_1"] if (d.notice, d.address) == ("reminder", MAIL)]
        assert reminder.state == "superseded"
        assert why in (reminder.error or "")

    async def test_nor_after_it_waited_behind_something_slow(self, office: Office) -> None:
        await opened(office, quorum=2, channels=["slack:C1"])
        slow = office.sender.hold("U4")
        await happen(office.store, "req_1", Remind(by="Bob"))
        await office.dispatcher.run_once()
        await asyncio.sleep(0)
        await happen(office.store, "req_1", response("dan"))
        slow.set()
        await office.dispatcher.settle()
        assert [what for to, what, _ in office.sender.sent if to == "U4"] == ["card"]

    async def test_nor_told_how_it_was_going(self, office: Office) -> None:
        await opened(office)
        await happen(
            office.store, "req_1", AddComment(text="Soon?", surface=Surface.API, by="Bob"), office.clock.at
        )
        await happen(office.store, "req_1", Cancel(reason=None, by="Bob", surface=Surface.API))
        await office.work()
        assert {said for _, said, _ in office.sender.sent} == {"card", "outcome"}

    async def test_but_what_only_informs_is_still_told(self, office: Office) -> None:
        change = lifecycle.open_request(asked(ANA), Ruling("for information", tell=True), NOW)
        await office.store.write(lambda tx: tx.save(change, NOW))
        await office.work()
        assert office.sender.sent == [("ana@example.com", "ask", 1)]


class TestCards:
    async def test_every_copy_ends_up_showing_the_newest_state(self, office: Office) -> None:
        await opened(office, DAN, channels=["slack:C1", "slack:C2"])
        held = office.sender.hold("C1")
        await office.dispatcher.run_once()
        for number in range(5):
            await changed(office, number)
            await office.dispatcher.run_once()
            await asyncio.sleep(0)
        held.set()
        await office.dispatcher.settle()
        await office.work()
        shown = {to: version for to, what, version in office.sender.sent if what == "card"}
        assert shown == dict.fromkeys(("U4", "C1", "C2"), 6)

    async def test_a_busy_moment_does_not_end_a_card_that_is_weeks_old(self, office: Office) -> None:
        await opened(office)
        await office.work_until(timedelta(days=30).total_seconds())
        await changed(office)
        office.sender.will("U4", Retry("busy"))
        await office.work_until(10)
        assert office.sender.sent[-1] == ("U4", "card", 2)
        assert [u.target for u in (await office.request()).unreached] == ["slack:UX1"]

    async def test_a_lost_one_is_posted_again_but_only_once(self, office: Office) -> None:
        await opened(office)
        await office.work()
        for number in (1, 2, 3):
            office.sender.will("U4", Lost("message_not_found"))
            await changed(office, number)
            await office.work()
        cards = [version for to, what, version in office.sender.sent if what == "card"]
        assert cards == [1, 2]
        assert (await office.state("U4")).state == "failed"

    async def test_the_outcome_is_told_once_in_place_of_what_is_lost(self, office: Office) -> None:
        await opened(office)
        await office.work()
        office.sender.will("U4", Lost("cant_update_message"))
        await changed(office)
        await office.work()
        office.sender.will("U4", Lost("edit_window_closed"))
        await happen(office.store, "req_1", response("dan"))
        await office.work_until(3600)
        assert [v for to, what, v in office.sender.sent if what == "card"] == [1, 2, 3]
        assert (await office.state("U4")).state == "sent"


class TestRestarts:
    async def test_another_takes_over_what_a_dead_one_had_in_hand(self, office: Office) -> None:
        await opened(office)
        office.sender.hold("U4")
        office.sender.hold(MAIL)
        await office.dispatcher.run_once()
        await asyncio.sleep(0)
        for task in office.dispatcher._sending.values():
            task.cancel()
        heir = Office(office.store, office.clock)
        await heir.work()
        assert heir.sender.sent == []
        await heir.work_until(LEASE.total_seconds())
        assert sorted(heir.sender.sent) == [("U4", "card", 1), (MAIL, "ask", 1)]

    async def test_what_the_slow_one_says_too_late_changes_nothing(self, office: Office) -> None:
        await opened(office)
        slow = office.sender.hold("U4")
        await office.dispatcher.run_once()
        await asyncio.sleep(0)
        office.clock.advance(LEASE.total_seconds())
        heir = Office(office.store, office.clock)
        await heir.work()
        office.sender.will("U4", Failed("too late"))
        slow.set()
        await office.dispatcher.settle()
        assert (await office.state("U4")).state == "sent"

    async def test_several_share_the_work(self, office: Office) -> None:
        offices = [office, *(Office(office.store, office.clock) for _ in range(2))]
        for n in range(40):
            await office.notify(f"p{n}@example.com", "hello")
        await asyncio.gather(*(o.work() for o in offices))
        sent = [to for o in offices for to, *_ in o.sender.sent]
        assert sorted(sent) == sorted(f"p{n}@example.com" for n in range(40))


async def test_it_is_told_what_came_of_each_sending(office: Office) -> None:
    results: list[tuple[str, str]] = []
    office.dispatcher.tried = lambda surface, result: results.append((surface, result))
    await opened(office)
    office.sender.will(MAIL, Retry("busy"))
    await office.work()
    assert sorted(results) == [("email", "retry"), ("slack", "sent")]
