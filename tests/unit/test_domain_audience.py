"""Who is asked, who is who, and who may answer, with the reason why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.errors import AssentError, NotInAudience, SelfApproval, StepClosed, Unavailable
from bot.domain.lifecycle import lifecycle
from bot.domain.model.request import Address, Respondent, RespondentState, Status, Surface
from bot.domain.model.spec import Spec, Step
from bot.domain.people.audience import (
    Actor,
    Person,
    ResolvedPerson,
    SelectorKind,
    expand_groups,
    merge,
    merge_respondents,
    parse_selector,
    seat,
)
from tests.support.asking import NOW, after, asked, by_mail, by_slack, response, somebody

BOB = frozenset({"email:bob@example.com", "slack:UBOB"})


class TestSelectors:
    @pytest.mark.parametrize(
        ("text", "kind", "normal"),
        [
            ("slack:U0123456789", SelectorKind.SLACK_USER, "slack:U0123456789"),
            ("slack:W0123456789", SelectorKind.SLACK_USER, "slack:W0123456789"),
            ("slack:C0123456789", SelectorKind.SLACK_CHANNEL, "slack:C0123456789"),
            ("slack:G0123456789", SelectorKind.SLACK_CHANNEL, "slack:G0123456789"),
            ("slack:S0123456789", SelectorKind.SLACK_GROUP, "slack:S0123456789"),
            ("slack:Ana@Example.com", SelectorKind.SLACK_EMAIL, "slack:ana@example.com"),
            ("email:Ana@Example.com", SelectorKind.EMAIL, "email:ana@example.com"),
            ("Ana@Example.com", SelectorKind.BOTH, "ana@example.com"),
            ("group:finance", SelectorKind.GROUP, "group:finance"),
            ("  email:ana@example.com ", SelectorKind.EMAIL, "email:ana@example.com"),
            ("EMAIL:ana@example.com", SelectorKind.EMAIL, "email:ana@example.com"),
            ("Slack:U1", SelectorKind.SLACK_USER, "slack:U1"),
        ],
    )
    def test_every_kind(self, text: str, kind: SelectorKind, normal: str) -> None:
        selector = parse_selector(text)
        assert (selector.kind, selector.text) == (kind, normal)

    @pytest.mark.parametrize(
        "text",
        ["", "ana", "@", "email:", "email:ana", "email:ana@host", "slack:", "slack:u1", "slack:X1", "slack:#c",
         "group:", "group:a b", "sms:+123", "mailto:ana@example.com", "ana@example.com, ben@example.com",
         "email:ana@example.com\r\nBcc: eve@example.com", "email:<ana@example.com>", "ana@-example.com"],
    )  # fmt: skip
    def test_nonsense_is_refused_with_how_to_write_it(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"write |is no "):
            parse_selector(text)

    def test_groups_are_replaced_by_their_members_once_however_they_nest(self) -> None:
        groups = {"a": ["email:ana@example.com", "group:b"], "b": ["slack:U1", "group:a", "group:none"]}
        found, unknown = expand_groups(["group:a", "slack:U1"], groups)
        assert [s.text for s in found] == ["email:ana@example.com", "slack:U1"]
        assert unknown == ("none",)


def found(
    email: str | None = None, slack: str | None = None, via: str = "x", **fields: object
) -> ResolvedPerson:
    surface, value = (Surface.EMAIL, email) if email else (Surface.SLACK, slack)
    address = Address(surface=surface, value=value or "")
    person = Person(email=email, slack_user_id=slack, **fields)  # type: ignore[arg-type]  # fields of any type
    return ResolvedPerson(person=person, via=via, addresses=(address,))


class TestOnePersonIsOneSeat:
    def test_by_a_confirmed_email(self) -> None:
        (ana,) = seat([found("ana@example.com"), found("ANA@example.com", "U1", name="Ana")], "ab")
        assert ana.keys == {"a", "email:ana@example.com", "slack:U1"}
        assert ana.label == "Ana"

    def test_by_a_slack_id(self) -> None:
        assert len(seat([found(slack="U1"), found(slack="U1", via="y")], "ab")) == 1

    def test_not_by_an_unconfirmed_email(self) -> None:
        assert len(seat([found("ana@example.com"), found(slack="U1")], "ab")) == 2

    def test_through_somebody_in_between(self) -> None:
        people = [found("ana@example.com"), found(slack="U1"), found("ana@example.com", "U1")]
        (ana,) = seat(people, "abc")
        assert ana.keys == {"a", "email:ana@example.com", "slack:U1"}

    def test_every_address_reaches_the_one_seat(self) -> None:
        (ana,) = seat([found("ana@example.com", via="v"), found("ana@example.com", "U1", via="w")], "ab")
        assert ana.via == ("v", "w")
        assert len(ana.addresses) == 1

    def test_a_deactivated_account_does_not_hide_an_address_that_works(self) -> None:
        gone = ResolvedPerson(
            person=Person(email="ana@example.com", slack_user_id="U1"), via="x", trouble="deactivated"
        )
        (ana,) = seat([gone, found("ana@example.com")], "ab")
        assert (ana.state, ana.trouble) == (RespondentState.WAITING, None)
        (alone,) = seat([gone], "a")
        assert (alone.state, alone.trouble) == (RespondentState.UNREACHABLE, "deactivated")

    def test_merging_keeps_the_answer_and_both_links(self) -> None:
        kept = merge(somebody("ana"), somebody("anna", state=RespondentState.APPROVED))
        assert (kept.id, kept.aliases, kept.state) == ("rsp_ana", ("rsp_anna",), RespondentState.APPROVED)

    def test_uniting_joins_every_seat_the_newcomer_links_the_answered_one_first(self) -> None:
        seats = [somebody("a", email=False, slack="U1"), somebody("b", state=RespondentState.REJECTED)]
        both = replace(somebody("b", slack="U1"), id="rsp_new")
        (one,) = merge_respondents(seats, [both])
        assert (one.id, one.state) == ("rsp_b", RespondentState.REJECTED)
        assert one.aliases == ("rsp_a", "rsp_new")

    def test_seats_of_different_steps_stay_apart(self) -> None:
        assert len(merge_respondents([somebody("ana")], [replace(somebody("ana"), id="rsp_2", step=1)])) == 2

    def test_it_may_be_found_only_when_they_answer(self) -> None:
        request = asked(somebody("ana"), somebody("u", email=False, slack="U1"), somebody("ben"), quorum=2)
        ana = by_slack("U1")
        confirmed = replace(ana, keys=ana.keys | {"email:ana@example.com"})
        request = lifecycle.apply(request, response(confirmed), NOW).request
        assert [r.id for r in request.respondents] == ["rsp_ana", "rsp_ben"]
        assert request.status is Status.PENDING
        again = lifecycle.apply(request, response(by_mail("u")), NOW).request
        assert again is request
        assert after(request, ("ben", "approve")).status is Status.APPROVED


class TestSelfApproval:
    @pytest.mark.parametrize(
        "actor",
        [
            by_mail("bob"),
            by_slack("UBOB"),
            Actor(keys=frozenset({"email:bob@example.com"}), surface=Surface.API),
            Actor(keys=frozenset({"slack:UBOB"}), surface=Surface.API),
            by_slack("UBOB", "slack:C1"),
            by_slack("UOTHER", person=Person(slack_user_id="UOTHER", email="bob@example.com")),
        ],
    )
    @pytest.mark.parametrize("decision", ["approve", "reject", "skip"])
    def test_no_path_lets_the_requester_answer(self, actor: Actor, decision: str) -> None:
        if actor.person:
            actor = replace(actor, keys=actor.keys | actor.person.keys)
        request = asked(somebody("bob"), somebody("ana"), channels=("slack:C1",), requester_keys=BOB)
        with pytest.raises(SelfApproval, match="You asked for this yourself"):
            lifecycle.apply(request, response(actor, decision), NOW)

    def test_it_is_allowed_where_that_was_said(self) -> None:
        request = asked(somebody("bob"), requester_keys=BOB, allow_self_approval=True)
        assert after(request, ("bob", "approve")).status is Status.APPROVED

    def test_nobody_answers_while_the_requesters_addresses_are_unknown(self) -> None:
        request = asked(somebody("ana"), requester_keys=BOB, requester_known=False)
        with pytest.raises(Unavailable, match="Nothing was recorded"):
            lifecycle.apply(request, response("ana"), NOW)
        anyone = replace(request, spec=replace(request.spec, allow_self_approval=True))
        assert after(anyone, ("ana", "approve")).status is Status.APPROVED


CHANNEL = "slack:C1"


class TestChannels:
    def test_a_member_gets_a_seat_of_their_own(self) -> None:
        request = asked(channels=(CHANNEL,), quorum=2)
        event = response(by_slack("U1", CHANNEL, person=Person(slack_user_id="U1", name="Uma")))
        (uma,) = lifecycle.apply(request, event, NOW).request.respondents
        assert (uma.id, uma.label, uma.via) == ("rsp_new", "Uma", (CHANNEL,))

    @pytest.mark.parametrize("memberships", [(), ("slack:C2",), ("slack:S1",)])
    def test_nobody_else_does(self, memberships: tuple[str, ...]) -> None:
        with pytest.raises(NotInAudience, match="not a member of the channel"):
            lifecycle.apply(asked(channels=(CHANNEL,)), response(by_slack("U1", *memberships)), NOW)

    def test_somebody_who_left_is_told_so(self) -> None:
        seated = somebody("u", email=False, slack="U1", via=(CHANNEL,))
        request = asked(seated, channels=(CHANNEL,))
        with pytest.raises(NotInAudience, match="no longer a member"):
            lifecycle.apply(request, response(by_slack("U1")), NOW)
        assert lifecycle.apply(request, response(by_slack("U1", CHANNEL)), NOW).request.status.final

    def test_somebody_who_was_named_too_may_leave(self) -> None:
        seated = somebody("u", email=False, slack="U1", via=(CHANNEL, "slack:U1"))
        assert lifecycle.apply(asked(seated), response(by_slack("U1")), NOW).request.status.final

    def test_a_member_who_was_named_by_mail_answers_from_that_seat(self) -> None:
        request = asked(somebody("ana"), channels=(CHANNEL,), quorum=2)
        actor = by_slack("U1", CHANNEL)
        actor = replace(actor, keys=actor.keys | {"email:ana@example.com"})
        request = lifecycle.apply(request, response(actor), NOW).request
        assert [r.id for r in request.respondents] == ["rsp_ana"]
        assert lifecycle.apply(request, response("ana"), NOW).request is request


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person(slack_user_id="U1", deactivated=True), "account is deactivated"),
        (Person(slack_user_id="U1", external=True), "another organisation"),
    ],
)
def test_outsiders_are_told_why(person: Person, words: str) -> None:
    request = asked(somebody("u", slack="U1"), channels=(CHANNEL,))
    with pytest.raises(NotInAudience, match=words):
        lifecycle.apply(request, response(by_slack("U1", CHANNEL, person=person)), NOW)


def in_second_step(respondents: tuple[Respondent, ...]) -> object:
    request = asked(*respondents)
    steps = (*request.spec.steps, Step(audience=("email:ben@example.com",)))
    spec: Spec = replace(request.spec, steps=steps)
    return replace(request, spec=spec, step=1)


@pytest.mark.parametrize(
    ("respondents", "who", "refusal", "words"),
    [
        ((somebody("ana"),), "eve", NotInAudience, "not in the audience"),
        ((somebody("ana"), somebody("ben", step=1)), "ana", StepClosed, "has moved on"),
        ((somebody("ana"), somebody("ben", step=2)), "ben", NotInAudience, "not open yet"),
        ((somebody("ben", step=1, state=RespondentState.DELEGATED),), "ben", NotInAudience, "handed this"),
    ],
)
def test_everybody_else_is_told_why(
    respondents: tuple[Respondent, ...], who: str, refusal: type[AssentError], words: str
) -> None:
    request = in_second_step(respondents)
    with pytest.raises(refusal, match=words):
        lifecycle.apply(request, response(who), NOW)  # type: ignore[arg-type]  # an actor of another kind
