"""From answers to a verdict: how many approvals are enough, and when they can no longer be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import AudienceResolved
from bot.domain.model.request import Request, RespondentState, Status
from bot.domain.people.quorum import Crowd, judge, reachable
from tests.support.asking import NOW, after, asked, by_slack, places, response, somebody

if TYPE_CHECKING:
    from bot.domain.model.spec import QuorumRule

PEOPLE = ("ana", "ben", "cy")
WORDS = {"+": "approve", "-": "reject", "s": "skip"}
OPEN = Status.PENDING


def of(answers: str, *, people: int = 3, **fields: object) -> Request:
    """`+-s` answers of Ana, Ben and Cy, in this order."""
    request = asked(*map(somebody, PEOPLE[:people]), allow_skip=True, **fields)  # type: ignore[arg-type]  # fields of any type
    return after(request, *((p, WORDS[a]) for p, a in zip(PEOPLE, answers, strict=False)))


@pytest.mark.parametrize(
    ("quorum", "reject_quorum", "answers", "status", "text"),
    [
        (1, 1, "", OPEN, "0 of 1 approval"),
        (1, 1, "+", Status.APPROVED, "1 of 1 approval"),
        (1, 1, "-", Status.REJECTED, "0 of 1 approval; 1 rejection"),
        (1, 1, "s", OPEN, "0 of 1 approval"),
        (1, 1, "ss+", Status.APPROVED, "1 of 1 approval"),
        (1, 1, "sss", Status.SKIPPED, "0 of 1 approval; too many skipped, so 1 can no longer be reached"),
        (2, 1, "+", OPEN, "1 of 2 approvals"),
        (2, 1, "++", Status.APPROVED, "2 of 2 approvals"),
        (2, 1, "+-", Status.REJECTED, "1 of 2 approvals; 1 rejection"),
        (2, 2, "+-", OPEN, "1 of 2 approvals; 1 rejection of 2 that would end it"),
        (2, 2, "+-+", Status.APPROVED, "2 of 2 approvals"),
        (2, 3, "--", Status.REJECTED, "0 of 2 approvals; 2 rejections, so 2 can no longer be reached"),
        (2, 1, "ss", Status.SKIPPED, "0 of 2 approvals; too many skipped, so 2 can no longer be reached"),
        (3, 1, "++s", Status.SKIPPED, "2 of 3 approvals; too many skipped, so 3 can no longer be reached"),
        (2, 3, "s-", Status.REJECTED, "0 of 2 approvals; 1 rejection, so 2 can no longer be reached"),
        ("all", 1, "++", OPEN, "2 of 3 approvals"),
        ("all", 1, "+++", Status.APPROVED, "3 of 3 approvals"),
        ("all", 1, "++s", Status.APPROVED, "2 of 2 approvals"),
        ("all", 1, "ss+", Status.APPROVED, "1 of 1 approval"),
        ("all", 1, "sss", Status.SKIPPED, "0 of 1 approval; too many skipped, so 1 can no longer be reached"),
        ("all", 3, "-", Status.REJECTED, "0 of 3 approvals; 1 rejection, so 3 can no longer be reached"),
        ("majority", 1, "+", OPEN, "1 of 2 approvals"),
        ("majority", 1, "++", Status.APPROVED, "2 of 2 approvals"),
        ("majority", 1, "+s", OPEN, "1 of 2 approvals"),
        ("majority", 1, "+s+", Status.APPROVED, "2 of 2 approvals"),
        ("majority", 1, "ss+", Status.APPROVED, "1 of 1 approval"),
        ("majority", 1, "sss", Status.SKIPPED, "0 of 1 approval; too many skipped, so 1 can no longer be reached"),
        ("majority", 3, "-+", OPEN, "1 of 2 approvals; 1 rejection of 3 that would end it"),
        ("majority", 3, "--", Status.REJECTED, "0 of 2 approvals; 2 rejections, so 2 can no longer be reached"),
    ],
)  # fmt: skip
def test_what_answers_come_to(
    quorum: QuorumRule, reject_quorum: int, answers: str, status: Status, text: str
) -> None:
    request = of(answers, quorum=quorum, reject_quorum=reject_quorum)
    assert request.status is status
    assert judge(request).text == text


def test_a_skip_may_be_what_completes_all() -> None:
    assert of("++", quorum="all").status is OPEN
    assert of("++s", quorum="all").status is Status.APPROVED


class TestTheRequestersOwnSeat:
    BOB = frozenset({"email:cy@example.com"})

    def test_it_is_not_counted(self) -> None:
        request = of("", quorum="all", requester_keys=self.BOB)
        assert judge(request).required == 2
        assert of("++", quorum="all", requester_keys=self.BOB).status is Status.APPROVED
        assert of("+-", quorum=2, reject_quorum=2, requester_keys=self.BOB).status is Status.REJECTED

    def test_it_is_where_that_was_allowed(self) -> None:
        request = of("++", quorum="all", requester_keys=self.BOB, allow_self_approval=True)
        assert request.status is OPEN
        assert judge(request).required == 3


class TestNobodyToCount:
    def test_all_of_nobody_is_no_approval(self) -> None:
        assert judge(asked(quorum="all")).decision is None
        assert judge(asked(quorum="all")).required == 1
        assert judge(asked(quorum="majority")).required == 1

    def test_all_of_only_the_requester_is_no_approval(self) -> None:
        request = asked(somebody("ana"), quorum="all", requester_keys=frozenset({"email:ana@example.com"}))
        assert judge(request).decision is None

    def test_heads_are_not_counted_while_some_are_unknown(self) -> None:
        assert of("+++", quorum="all", lookups=("slack:S1",)).status is OPEN
        assert of("++", quorum="majority", lookups=("slack:S1",)).status is OPEN
        assert of("++", quorum=2, lookups=("slack:S1",)).status is Status.APPROVED
        assert of("+-", quorum="all", lookups=("slack:S1",)).status is Status.REJECTED

    def test_nothing_is_out_of_reach_while_more_people_may_come(self) -> None:
        assert of("s--", quorum=2, reject_quorum=3, lookups=("slack:S1",)).status is OPEN
        assert of("s--", quorum=2, reject_quorum=3, channels=("slack:C1",)).status is OPEN
        assert of("sss", quorum=1, channels=("slack:C1",)).status is OPEN

    def test_it_is_once_the_last_lookup_found_nobody(self) -> None:
        request = of("s--", quorum=2, reject_quorum=3, lookups=("slack:S1",))
        assert lifecycle.apply(request, AudienceResolved(places=places("slack:S1")), NOW).request.status is (
            Status.REJECTED
        )


def test_a_channel_takes_a_number_of_its_members() -> None:
    request = asked(quorum=2, channels=("slack:C1",))
    for user in ("U1", "U1", "U2"):
        assert request.status is OPEN
        event = response(by_slack(user, "slack:C1"))
        event = type(event)(actor=event.actor, answer=event.answer, new_id=f"rsp_{user}")
        request = lifecycle.apply(request, event, NOW).request
    assert request.status is Status.APPROVED
    assert len(request.respondents) == 2


def test_somebody_unreachable_may_still_answer_and_counts() -> None:
    ben = somebody("ben", state=RespondentState.UNREACHABLE)
    request = asked(somebody("ana"), ben, quorum="all")
    assert after(request, ("ana", "approve")).status is OPEN
    assert after(request, ("ana", "approve"), ("ben", "approve")).status is Status.APPROVED


def test_whoever_handed_it_on_is_not_counted() -> None:
    gone = somebody("ben", state=RespondentState.DELEGATED)
    assert after(asked(somebody("ana"), gone, quorum="all"), ("ana", "approve")).status is Status.APPROVED


@pytest.mark.parametrize(
    ("quorum", "people", "more", "channel", "why_not"),
    [
        (2, 2, (), False, None),
        (3, 2, (), False, "needs 3 approvals, but only 2 people of the audience may approve"),
        (2, 1, (), False, "needs 2 approvals, but only 1 person of the audience may approve"),
        (3, 2, ("slack:S1",), False, None),
        (3, 2, ("slack:C1",), True, None),
        ("all", 2, (), False, None),
        ("all", 2, ("slack:C1",), True, "'all' needs people who can be counted; an audience with a channel takes a number"),  # noqa: E501 - a whole sentence
    ],
)  # fmt: skip
def test_a_quorum_that_could_never_be_reached_is_known_at_once(
    quorum: QuorumRule, people: int, *, more: tuple[str, ...], channel: bool, why_not: str | None
) -> None:
    seats = [somebody(f"p{number}") for number in range(people)]
    crowd = Crowd(seats, sources=frozenset(more), extra=None if more else 0, channel=channel)
    assert reachable(quorum, crowd) == why_not
