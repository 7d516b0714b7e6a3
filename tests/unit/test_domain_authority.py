"""Who may see and do what with which key: a rule for each thing that can happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from bot.domain.access.authority import Key, admit_key, author, only_own, reads, told
from bot.domain.errors import AlreadyResolved, AssentError, Fault, ForbiddenScope, Invalid, NotInAudience
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model import events
from bot.domain.model.frozen import replace
from bot.domain.model.request import Surface
from bot.domain.people.audience import Actor
from tests.support.asking import asked, somebody

if TYPE_CHECKING:
    from bot.domain.model.request import Request

ANA = Actor(keys=frozenset({"email:ana@example.com"}), surface=Surface.API)
YES = ResponseInput(decision="approve")
EVENTS: dict[str, events.Event] = {
    "respond": events.Respond(actor=ANA, answer=YES, new_id="rsp_9"),
    "withdraw": events.Withdraw(actor=ANA),
    "delegate": events.Delegate(actor=ANA, to=somebody("ben"), new_id="rsp_9"),
    "ask back": events.AddComment(text="?", surface=Surface.API, by="", actor=ANA),
    "escalate for somebody": events.Escalate(reason=None, by="", actor=ANA),
    "operate": events.Operate(answer=YES, by="", surface=Surface.API),
    "cancel": events.Cancel(reason=None, by="", surface=Surface.API),
    "revise": events.Revise(changes={}, reason=None, by="", surface=Surface.API),
    "remind": events.Remind(by=""),
    "escalate": events.Escalate(reason=None, by=""),
    "reply": events.AddComment(text="!", surface=Surface.API, by=""),
    "a timer": events.Timer(),
    "a look-up": events.AudienceResolved(),
    "no telling": events.DeliveryFailed(target="email:x@example.com", reason="gone"),
}
ANSWERING = {"respond", "withdraw", "delegate", "ask back", "escalate for somebody"}
MANAGING = {"cancel", "revise", "remind", "escalate", "reply"}


def key(*scopes: str, id: str = "key_1") -> Key:
    return Key(id=id, name="ci", scopes=frozenset(scopes))


def by(submitter: str | None, requester: str | None = None) -> Request:
    request = asked(somebody("ana"))
    return replace(request, spec=replace(request.spec, submitted_by=submitter, requester=requester))


def allowed(of: Key, request: Request) -> set[str]:
    may = set()
    for name, event in EVENTS.items():
        try:
            admit_key(of, event, request)
        except AssentError:
            continue
        may.add(name)
    return may


def test_there_is_a_case_for_every_event() -> None:
    assert {type(event) for event in EVENTS.values()} == set(get_args(events.Event))


@pytest.mark.parametrize(
    ("scopes", "own", "others"),
    [
        ((), set(), set()),
        (("read", "links", "admin"), set(), set()),
        (("submit",), MANAGING, set()),
        (("respond",), ANSWERING, ANSWERING),
        (("operate",), MANAGING, {*MANAGING, *ANSWERING, "operate"}),
        (("submit", "read", "operate"), MANAGING, {*MANAGING, *ANSWERING, "operate"}),
        (("submit", "respond"), {*MANAGING, *ANSWERING}, ANSWERING),
    ],
)
def test_a_key_does_what_its_scopes_say_with_its_own_and_with_others(
    scopes: tuple[str, ...], own: set[str], others: set[str]
) -> None:
    assert allowed(key(*scopes), by("key_1")) == own
    assert allowed(key(*scopes), by("key_2")) == others
    assert allowed(key(*scopes), by(None)) == others


def test_the_keys_that_nobody_made_decide_what_they_asked() -> None:
    for id in ("bootstrap", "local"):
        assert "operate" in allowed(key("operate", id=id), by(id))


def test_without_a_key_it_is_not_asked_here() -> None:
    for event in EVENTS.values():
        assert admit_key(None, event, by("key_1")) is event


def test_reading_is_for_read_and_for_what_one_submitted() -> None:
    assert reads(None, by("key_1"))
    assert reads(key("read"), by("key_2"))
    assert reads(key("submit"), by("key_1"))
    assert not reads(key("submit"), by("key_2"))
    assert not reads(key("submit"), by(None))
    assert not reads(key("respond", "operate", "links", "admin"), by("key_1"))
    assert (only_own(None), only_own(key("read", "submit")), only_own(key("submit"))) == (None, None, "key_1")


def test_who_speaks_is_the_requester_only_with_the_key_that_asked() -> None:
    assert author(key(), by("key_1", "email:bob@example.com")) == "email:bob@example.com"
    assert author(key(), by("key_1")) == "ci"
    assert author(key(), by("key_2", "email:bob@example.com")) == "operator (ci)"


def test_a_refusal_says_no_more_than_the_key_may_read() -> None:
    request = by("key_2")
    for refusal in (
        NotInAudience("Ana"),
        AlreadyResolved("by Ana", request),
        Invalid([Fault("/values/a", "Ana")]),
    ):
        assert told(refusal, key("read"), request) is refusal
        assert "Ana" in refusal.detail
        assert "Ana" not in told(refusal, key("respond"), request).detail
    assert refusal.faults[0].pointer == "/values"
    with pytest.raises(ForbiddenScope):
        admit_key(key("respond"), EVENTS["cancel"], request)
