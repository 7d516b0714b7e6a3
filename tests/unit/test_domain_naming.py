"""People whose names look alike are told apart wherever they stand beside each other; others are called as ever."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import pytest

from bot.domain.messages import phrases
from bot.domain.people import quorum
from bot.domain.people.naming import alike, apart, label, skeleton
from bot.slack.render import cards
from tests.support.asking import NOW, after, asked, somebody

MARK = somebody("mark", name="Mark Weber", slack="U1")


@pytest.mark.parametrize(
    "twin",
    [
        "Mark Weber",
        "mark  weber",
        "Mark\u00a0Weber",
        "MARK WEBER",
        "Ｍａｒｋ Weber",
        "Маrk Weber",
        "Márk Weber",
        "Mark\u200b Weber",
        "Mark VVeber",
    ],
)
def test_look_alikes_are_told_apart_by_their_address(twin: str) -> None:
    other = somebody("other", name=twin)
    request = asked(MARK, other, quorum=2)
    assert phrases.waiting_for(request) == (
        "Mark Weber (mark@example.com)",
        f"{twin} (other@example.com)",
    )
    assert "mark@example.com" in str(cards.card(request, NOW).blocks)
    answered = after(request, ("mark", "approve"), ("other", "approve"))
    assert answered.outcome
    assert answered.outcome.by == f"Mark Weber (mark@example.com) and {twin} (other@example.com)"


def test_without_an_address_the_slack_id_tells_them_apart() -> None:
    first, second = (somebody(n, email=False, slack=f"U{n}", name="Al") for n in "ab")
    request = asked(first, second)
    assert [label(request, r) for r in request.respondents] == ["Al (Ua)", "Al (Ub)"]


def test_a_tree_that_counts_from_groups_names_them_apart() -> None:
    ops = [somebody(n, name="Mark", groups=("group:ops",)) for n in ("m1", "m2")]
    request = asked(*ops, quorum={"all_of": [{"from": "group:ops", "approvals": 2}]})
    assert "Mark (m1@example.com), Mark (m2@example.com)" in quorum.judge(request).text


def test_one_person_in_two_steps_is_one() -> None:
    again = replace(MARK, id="rsp_again", step=1)
    assert alike(asked(MARK, again)) == frozenset()


def test_others_keep_their_bare_names() -> None:
    request = asked(MARK, somebody("ben"))
    assert phrases.waiting_for(request) == ("Mark Weber", "Ben")


def test_the_requester_is_told_apart_from_those_who_decide() -> None:
    request = replace(
        asked(MARK, requester_keys=frozenset({"email:fake@example.com"}), requester="email:fake@example.com"),
        requester_name="Mark  Weber",
    )
    assert phrases.requester(request) == "Mark  Weber (fake@example.com)"
    assert phrases.waiting_for(request) == ("Mark Weber (mark@example.com)",)


def test_a_name_that_is_somebody_elses_address_never_stands_alone() -> None:
    request = asked(somebody("ana", name=None), somebody("eve", name="ana@example.com"))
    assert phrases.waiting_for(request) == ("ana@example.com", "ana@example.com (eve@example.com)")


def test_different_names_are_not_taken_for_each_other() -> None:
    assert (
        len({skeleton(n) for n in ("Ana Lima", "Ana Luma", "Anna Lima", "Ana Lima Jr.", "李雷", "李霞")}) == 6
    )


def test_a_thousand_people_are_named_at_once() -> None:
    request = asked(*(somebody(f"p{n}", name=f"Person {n // 2}") for n in range(1000)))
    phrases.waiting_for(request)
    began = perf_counter()
    assert len(phrases.waiting_for(request)) == 1000
    assert perf_counter() - began < 1.0


def test_a_terminal_tells_them_apart_too() -> None:
    people = [
        {"id": "rsp_1", "name": "Mark", "email": "m1@example.com", "slack_user_id": None},
        {"id": "rsp_2", "name": "Mark", "email": None, "slack_user_id": "U2"},
        {"id": "rsp_3", "name": None, "email": "ben@example.com", "slack_user_id": None},
        {"id": "rsp_4", "name": "Cy", "email": None, "slack_user_id": "U4"},
        {"id": "rsp_5", "name": "Cy", "email": "cy@example.com", "slack_user_id": "U4"},
    ]
    assert list(apart(people).values()) == [
        "Mark (m1@example.com)",
        "Mark (U2)",
        "ben@example.com",
        "Cy",
        "Cy",
    ]
