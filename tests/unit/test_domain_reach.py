"""Whether a quorum can be reached: known at submission, said when it is lost later, and never made easier."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from bot.approvals.audience.resolver import check_reach
from bot.domain.errors import Invalid, NoAudience
from bot.domain.lifecycle import lifecycle
from bot.domain.messages.notifications import Notice
from bot.domain.model.events import AudienceResolved, DeliveryFailed, Remind, Timer
from bot.domain.model.frozen import replace
from bot.domain.model.request import Address, OpenSelector, RespondentState, Status, Surface, Unreached
from bot.domain.model.spec import EscalationLevel, Kind, Level, OnTimeout, Step
from bot.domain.people import quorum
from bot.domain.people.quorum_rules import MAX_LEAVES, rule_faults
from tests.support.asking import NOW, after, asked, places, somebody

if TYPE_CHECKING:
    from bot.domain.model.request import Request, Respondent

ANA, BEN, CY = (somebody(name) for name in ("ana", "ben", "cy"))
GONE = replace(CY, state=RespondentState.UNREACHABLE, trouble="deactivated", groups=("group:red",))
BOB = Address(surface=Surface.EMAIL, value="bob@example.com")


def refused(request: Request) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        check_reach(request)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


RED = {"from": "group:red", "approvals": "all"}


@pytest.mark.parametrize(
    ("rule", "people"),
    [
        ("all", (ANA, BEN, GONE)),
        (3, (ANA, BEN, GONE)),
        ("majority", (ANA, GONE)),
        ({"all_of": [RED]}, (ANA, replace(BEN, groups=("group:red",)), GONE)),
        ({"all_of": [{"from": "group:red"}, {"from": "email:ana@example.com"}]}, (ANA, BEN, GONE)),
    ],
)
def test_what_needs_somebody_who_cannot_be_told_is_refused_with_their_name(
    rule: Any, people: tuple[Respondent, ...]
) -> None:
    (why,) = refused(asked(*people, quorum=rule)).values()
    assert "Cy (deactivated) cannot be told" in why


@pytest.mark.parametrize(
    ("rule", "people"),
    [
        (2, (ANA, BEN, GONE)),
        ("majority", (ANA, BEN, GONE)),
        ({"any_of": [RED, {"from": "email:ana@example.com"}]}, (ANA, GONE)),
        ({"all_of": [{"from": "group:red"}]}, (ANA, replace(BEN, groups=("group:red",)), GONE)),
    ],
)
def test_what_the_others_can_meet_is_asked(rule: Any, people: tuple[Respondent, ...]) -> None:
    check_reach(asked(*people, quorum=rule))


@pytest.mark.parametrize("spelling", ["bob@example.com", "bob+ci@example.com"])
def test_an_audience_of_the_requester_alone_is_refused(spelling: str) -> None:
    keys = frozenset({f"email:{spelling}"})
    bob = somebody("bob")
    assert "nobody decides their own request" in refused(asked(bob, requester_keys=keys))["/audience"]
    assert "/audience" in refused(asked(bob, requester_keys=keys, lookups=("slack:bob@example.com",)))
    check_reach(asked(bob, requester_keys=keys, allow_self_approval=True))
    check_reach(asked(bob, ANA, requester_keys=keys))
    check_reach(asked(bob, requester_keys=keys, channels=("slack:C1",)))
    assert set(refused(asked(bob, ANA, requester_keys=keys, quorum=2))) == {"/quorum"}


def test_a_level_of_the_requester_alone_is_refused_too() -> None:
    ladder = (EscalationLevel(name="boss", audience=("email:bob@example.com",)),)
    boss = replace(somebody("bob"), step=-1, levels=(1,))
    request = asked(ANA, boss, requester_keys=frozenset({"email:bob@example.com"}), escalation=ladder)
    assert set(refused(request)) == {"/escalation/0/audience"}


def test_an_audience_that_reaches_nobody_is_another_fault() -> None:
    with pytest.raises(NoAudience):
        check_reach(asked(GONE))


def test_whom_a_lookup_can_only_find_again_is_nobody_more() -> None:
    request = asked(ANA, BEN, lookups=("slack:ana@example.com",), quorum=3)
    assert "only 2 people" in refused(request)["/quorum"]
    check_reach(asked(ANA, BEN, lookups=("slack:dee@example.com",), quorum=3))
    check_reach(asked(ANA, BEN, lookups=("slack:S1",), quorum=30))


def lose(request: Request, name: str, at: Any = NOW) -> Any:
    return lifecycle.apply(
        request, DeliveryFailed(target=f"email:{name}@example.com", reason="no such mailbox"), at
    )


class TestLostLater:
    def asked(self, *people: Respondent, **fields: Any) -> Request:
        return replace(asked(*people, **fields), requester_addresses=(BOB,))

    def test_the_requester_the_audit_trail_and_the_request_say_so(self) -> None:
        change = lose(self.asked(ANA, BEN, quorum="all"), "ana")
        words = (
            "The quorum can no longer be reached: Ana cannot be told (no such mailbox)."
            " Ask others, or cancel the request."
        )
        assert [(t.notice, t.address, t.text) for t in change.tells] == [
            (Notice.NEWS, "bob@example.com", words)
        ]
        assert change.request.trail[-1].text == words
        assert change.facts[-1].data["quorum_out_of_reach"] is True
        assert change.request.status is Status.PENDING

    def test_it_is_never_lowered_and_they_may_still_answer(self) -> None:
        request = lose(self.asked(ANA, BEN, quorum="all"), "ana").request
        assert after(request, ("ben", "approve")).status is Status.PENDING
        assert after(request, ("ben", "approve"), ("ana", "approve")).status is Status.APPROVED

    def test_where_the_others_are_enough_it_says_that(self) -> None:
        change = lose(self.asked(ANA, BEN), "ana")
        assert change.request.trail[-1].text.endswith("The others can still reach the quorum.")
        assert change.facts[-1].data["quorum_out_of_reach"] is False

    def test_one_address_of_two_is_no_loss(self) -> None:
        change = lose(self.asked(somebody("ana", slack="U1"), BEN, quorum="all"), "ana")
        assert (change.tells, change.request.trail) == ((), ())

    def test_the_next_level_is_a_way_out(self) -> None:
        ladder = (EscalationLevel(name="boss", audience=("email:cy@example.com",)),)
        boss = replace(CY, step=-1, levels=(1,))
        change = lose(self.asked(ANA, boss, escalation=ladder), "ana")
        assert change.request.trail[-1].text.endswith("It can be escalated.")

    def test_said_once_until_they_were_told_again(self) -> None:
        request = lose(self.asked(ANA, BEN, quorum="all"), "ana").request
        assert lose(request, "ana").request is request
        assert len(lose(request, "ben").request.trail) == 2
        again = lifecycle.apply(request, Remind(by="bob"), NOW).request
        assert len(lose(again, "ana").request.trail) == len(again.trail) + 1

    def test_a_channel_that_is_gone(self) -> None:
        request = self.asked(channels=("slack:C1",))
        change = lifecycle.apply(request, DeliveryFailed(target="slack:C1", reason="archived"), NOW)
        assert change.request.trail[-1].text.startswith(
            "The quorum can no longer be reached: slack:C1 cannot"
        )

    def test_somebody_of_a_later_step(self) -> None:
        steps = (Step(audience=("email:ana@example.com",)), Step(audience=("slack:U3",)))
        request = replace(self.asked(ANA, steps=steps), lookups=(OpenSelector(selector="slack:U3", step=1),))
        found = replace(GONE, addresses=(), step=1)
        note = Unreached(target="slack:U3", reason="deactivated")
        event = AudienceResolved(places=request.lookups, found=(found,), unreached=(note,))
        change = lifecycle.apply(request, event, NOW)
        assert change.facts[-1].data["quorum_out_of_reach"] is True

    def test_somebody_who_was_looked_up_and_is_gone(self) -> None:
        request = self.asked(ANA, lookups=("slack:U3",), quorum=2)
        found = replace(GONE, addresses=())
        event = AudienceResolved(
            places=places("slack:U3"),
            found=(found,),
            unreached=(Unreached(target="slack:U3", reason="deactivated"),),
        )
        change = lifecycle.apply(request, event, NOW)
        assert "Cy cannot be told (deactivated)" in change.request.trail[-1].text
        assert quorum.out_of_reach(change.request)


@pytest.mark.parametrize(
    "fields",
    [
        {"level": Level.VERIFY, "verification_phrase": "yes"},
        {"kind": Kind.CHOICE},
        {"kind": Kind.INPUT, "form": {"type": "object"}},
    ],
)
def test_silence_approves_nothing_that_wants_people_whatever_was_stored(fields: dict[str, Any]) -> None:
    request = asked(ANA, timeout_at=NOW, on_timeout=OnTimeout.APPROVE, **fields)
    ended = lifecycle.apply(request, Timer(), NOW).request
    assert ended.status is Status.EXPIRED


def brute(needs: list[tuple[int, set[int]]]) -> bool:
    """Hall's theorem: every set of leaves has enough people together."""
    return all(
        len(set().union(*(able for _, able in some))) >= sum(n for n, _ in some)
        for size in range(1, len(needs) + 1)
        for some in itertools.combinations(needs, size)
    )


def test_places_are_filled_exactly_where_they_can_be() -> None:
    chance = random.Random(8)
    verdicts = set()
    for _ in range(2000):
        leaves = [
            (chance.randint(1, 3), {p for p in range(6) if chance.random() < 0.5})
            for _ in range(chance.randint(1, 4))
        ]
        bits = [(needed, sum(1 << p for p in able)) for needed, able in leaves]
        assert quorum._assigned(bits) is brute(leaves)
        verdicts.add(brute(leaves))
    assert verdicts == {True, False}


def test_the_worst_tree_over_a_thousand_people_is_judged_in_a_moment() -> None:
    chance = random.Random(1)
    groups = [[f"group:g{g}" for g in range(MAX_LEAVES) if chance.random() < 0.5] for _ in range(1000)]
    pairs = [
        {
            "any_of": [
                {"from": f"group:g{2 * i}", "approvals": 70},
                {"from": f"group:g{2 * i + 1}", "approvals": 71},
            ]
        }
        for i in range(6)
    ]
    tree = {"all_of": [*pairs, *({"from": f"group:g{i}", "approvals": 72} for i in range(12, MAX_LEAVES))]}
    assert rule_faults(tree, "/quorum") == []
    seats = [
        replace(
            somebody(f"p{n}"),
            groups=tuple(mine),
            state=RespondentState.APPROVED if n % 10 else RespondentState.WAITING,
        )
        for n, mine in enumerate(groups)
    ]
    began = time.perf_counter()
    quorum.judge(asked(*seats, quorum=tree))
    assert time.perf_counter() - began < 2


def test_a_tree_of_more_groups_than_anybody_follows_is_refused() -> None:
    wide = {"all_of": [{"from": "group:a"}] * (MAX_LEAVES + 1)}
    (fault,) = rule_faults(wide, "/quorum")
    assert "more than 20 groups" in fault.detail
    deep: Any = {"from": "group:a"}
    for _ in range(900):
        deep = {"all_of": [deep]}
    assert rule_faults(deep, "/quorum")
