"""One person is one person, however their address is written."""

from __future__ import annotations

import itertools
import time

import pytest

from bot.domain.errors import SelfApproval
from bot.domain.lifecycle import lifecycle
from bot.domain.model.frozen import replace
from bot.domain.model.identity import canonical, mailbox, named, person_keys, same_mailbox
from bot.domain.model.request import Surface
from bot.domain.people.audience import (
    Actor,
    Person,
    ResolvedPerson,
    expand_groups,
    merge_respondents,
    parse_selector,
    seat,
)
from tests.support.asking import NOW, asked, by_mail, response, somebody

SPELLINGS = [
    ("ana@example.com", "ANA@Example.COM"),
    ("ana@example.com", "ana+tickets@example.com"),
    ("ana@example.com", "ana@example.com."),
    ("ana@example.com", "ａｎａ@example.com"),
    ("ana.lopez@gmail.com", "a.n.a.l.o.p.e.z+x@googlemail.com"),
    ("josé@example.com", "JOSE\u0301@example.com"),
    ("ana@bücher.example", "ana@xn--bcher-kva.example"),
    ("ana@bücher.example", "ana@BU\u0308CHER.example"),
    ("ana@straße.example", "ana@xn--strae-oqa.example"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_every_spelling_of_an_address_is_one_person(one: str, other: str) -> None:
    assert same_mailbox(one, other)
    people = [ResolvedPerson(person=Person(email=parse_selector(a).value), via=a) for a in (one, other)]
    assert len(seat(people, "ab")) == 1
    late = replace(seat(people[1:], "b")[0], id="rsp_late")
    assert len(merge_respondents(seat(people[:1], "a"), [late])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana@example.com", "a.na@example.com"),
        ("ana@example.com", "ana@example.org"),
        ("ana@example.com", "ana-x@example.com"),
        ("ana@bücher.example", "ana@bucher.example"),
        ("+x@example.com", "+y@example.com"),
    ],
)
def test_what_is_not_known_to_be_one_address_is_two(one: str, other: str) -> None:
    assert not same_mailbox(one, other)


def test_mail_goes_to_the_address_as_it_was_written() -> None:
    assert mailbox("Ana.Lopez+Tickets@Gmail.com") == "ana.lopez+tickets@gmail.com"
    assert parse_selector("email:ANA@xn--bcher-kva.example.").text == "email:ana@bücher.example"
    assert canonical("not an address") == "not an address"


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u202e", "\ufe0f", "\u2060", "\U000e0041"])
def test_what_nobody_can_see_is_in_no_address(hidden: str) -> None:
    with pytest.raises(ValueError, match="no email address"):
        parse_selector(f"email:a{hidden}na@example.com")
    assert same_mailbox(f"a{hidden}na@example.com", "ana@example.com")


@pytest.mark.parametrize(
    "text",
    [
        "bob@example.com",
        "email:bob@example.com",
        "mailto:bob@example.com",
        "mailto:bob%40example.com?subject=x",
        '"bob@example.com"',
        '"bob"@example.com',
        "'bob@example.com'",
        "“bob@example.com”",
        "Bob <bob@example.com> via CI",
        "CI for bob@EXAMPLE.com.",
        "run=bob@example.com",
        "ci/bob@example.com",
        "Bob (bob+ci@example.com)",
        "ｂｏｂ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "b\u200bob@example.com",
        "\u202eBob bob@example.com",
        "eve@example.com on behalf of bob@example.com",
        "bob@example\u3002com",
    ],
)
def test_a_requester_is_whoever_the_text_names(text: str) -> None:
    keys = named(text).keys
    assert "email:bob@example.com" in keys
    request = asked(somebody("bob"), somebody("ana"), requester_keys=keys)
    with pytest.raises(SelfApproval):
        lifecycle.apply(request, response("bob"), NOW)


@pytest.mark.parametrize(
    "text",
    ["slack:U0123456789", "<@U0123456789>", "<@U0123456789|bob>", "Bob (U0123456789)", "x SLACK:u0123456789"],
)
def test_a_slack_id_in_a_text_is_that_user(text: str) -> None:
    assert named(text).slack_users == ("U0123456789",)


@pytest.mark.parametrize(
    "text", ["nightly build", "agent:refunds", "@ops", "a@b", "UPDATE", "slack:ursula@example.com"]
)
def test_other_words_name_no_slack_user(text: str) -> None:
    assert named(text).slack_users == ()


def test_keys_stored_by_an_earlier_version_are_still_that_person() -> None:
    old = frozenset({"email:bob+ci@example.com"})
    assert "email:bob@example.com" in person_keys(old)
    with pytest.raises(SelfApproval):
        lifecycle.apply(asked(somebody("bob"), requester_keys=old), response("bob"), NOW)


def test_every_address_of_a_seat_is_that_persons() -> None:
    both = [
        ResolvedPerson(person=Person(email="ana@example.com", slack_user_id="U1"), via="a", addresses=()),
        ResolvedPerson(person=Person(email="anna@example.org", slack_user_id="U1"), via="b"),
    ]
    (ana,) = seat([both[0], both[1]], "ab")
    second = replace(ana, addresses=somebody("anna").addresses)
    assert "email:anna@example.com" in second.keys


def test_an_alias_answers_from_the_seat_of_its_person() -> None:
    alias = Actor(keys=person_keys(frozenset({"email:ana+phone@example.com"})), surface=Surface.API)
    request = lifecycle.apply(asked(somebody("ana"), somebody("ben"), quorum=2), response(alias), NOW).request
    assert [r.respondent for r in request.responses] == ["rsp_ana"]
    assert lifecycle.apply(request, response(by_mail("ana")), NOW).request is request


def test_a_thousand_people_are_seated_in_linear_time() -> None:
    def seconds(number: int) -> float:
        people = [
            ResolvedPerson(person=Person(email=f"p{n}@example.com"), via=f"p{n}@example.com")
            for n in range(number)
        ]
        ids = (f"rsp_{n}" for n in itertools.count())
        began = time.perf_counter()
        seats = seat(people, ids)
        merge_respondents(seats, [replace(r, id=f"late_{r.id}") for r in seats])
        assert len(seats) == number
        return time.perf_counter() - began

    small, large = min(seconds(500) for _ in range(3)), min(seconds(5000) for _ in range(3))
    assert large < 40 * small


def test_a_thousand_aliases_of_one_person_too() -> None:
    people = [ResolvedPerson(person=Person(email=f"ana+{n}@example.com"), via=f"v{n}") for n in range(1000)]
    began = time.perf_counter()
    (ana,) = seat(people, "a")
    assert time.perf_counter() - began < 1
    assert len(ana.via) == 1000


def test_groups_that_double_at_every_level_are_expanded_once() -> None:
    groups = {f"g{n}": [f"group:g{n + 1}", f"group:g{n + 1}", f"p{n}@example.com"] for n in range(60)}
    found, unknown = expand_groups(["group:g0"], groups)
    assert (len(found), unknown) == (60, ("g60",))
    assert found[parse_selector("p2@example.com")] == ("group:g0", "group:g1", "group:g2")
