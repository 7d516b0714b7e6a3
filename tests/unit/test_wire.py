"""What comes in over the API, every fault by its JSON pointer, and the shape of what goes out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import Invalid
from bot.domain.lifecycle import lifecycle
from bot.domain.model.events import DeliveryFailed
from bot.domain.model.spec import Hours
from bot.schemas.requests import NotifyBody, ReasonBody, RespondBody, SubmitBody, parse
from bot.schemas.responses import instant, request_json
from tests.support.asking import NOW, after, asked, response, somebody

if TYPE_CHECKING:
    from pydantic import BaseModel

LEAST: dict[str, Any] = {"title": "T"}


def pointers(model: type[BaseModel], body: Any) -> dict[str, str]:
    """Pointer → fault."""
    with pytest.raises(Invalid) as error:
        parse(model, body)  # type: ignore[type-var]  # any model
    return {fault.pointer: fault.detail for fault in error.value.faults}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"title": ""}, "/title"),
        ({"title": "   "}, "/title"),
        ({"title": 5}, "/title"),
        ({"message": None}, "/message"),
        ({"audience": "email:a@b.c"}, "/audience"),
        ({"audience": ["x", 5]}, "/audience/1"),
        ({"details": {"a/b~c": []}}, "/details/a~1b~0c"),
        ({"details": {"Price (€)": {}}}, "/details/Price (€)"),
        ({"details": {"int": []}}, "/details/int"),
        ({"details": {"email": []}}, "/details/email"),
        ({"details": []}, "/details"),
        ({"labels": {"str": None}}, "/labels/str"),
        ({"quorum": 0}, "/quorum"),
        ({"quorum": 1.5}, "/quorum"),
        ({"quorum": "most"}, "/quorum"),
        ({"quorum": True}, "/quorum"),
        ({"quorum": [1]}, "/quorum"),
        ({"reject_quorum": 0}, "/reject_quorum"),
        ({"kind": "poll"}, "/kind"),
        ({"choices": [{"id": "a b", "label": "x"}]}, "/choices/0/id"),
        ({"choices": [{"id": "a", "label": "x"}, {"id": "b"}]}, "/choices/1/label"),
        ({"choices": [{"id": "a", "label": "x", "colour": "red"}]}, "/choices/0/colour"),
        ({"level": "loud"}, "/level"),
        ({"reason": "never"}, "/reason"),
        ({"on_timeout": "shrug"}, "/on_timeout"),
        ({"timeout_seconds": 0}, "/timeout_seconds"),
        ({"timeout_seconds": -1}, "/timeout_seconds"),
        ({"timeout_seconds": "60"}, "/timeout_seconds"),
        ({"timeout_seconds": 1e12}, "/timeout_seconds"),
        ({"timeout_at": "tomorrow"}, "/timeout_at"),
        ({"timeout_at": "2030-01-01T00:00:00"}, "/timeout_at"),
        ({"callback_url": "ftp://example.com"}, "/callback_url"),
        ({"callback_url": "https://"}, "/callback_url"),
        ({"callback_url": "javascript:alert(1)"}, "/callback_url"),
        ({"source_url": "http:/example.com"}, "/source_url"),
        ({"source_url": "https://example.com/ x"}, "/source_url"),
        ({"allow_skip": "perhaps"}, "/allow_skip"),
        ({"destination": {}}, "/destination"),
        ({"destination": {"type": "fax"}}, "/destination"),
        ({"destination": {"type": "email"}}, "/destination/email"),
        ({"destination": {"type": "email", "email": 5}}, "/destination/email"),
        ({"destination": {"type": "slack", "channel": "C1"}}, "/destination/channel"),
        ({"destination": [{"type": "email", "email": "a@b.c"}, {"type": "slack", "userId": 5}]},
         "/destination/1/userId"),
        ({"steps": [{"audience": ["x"]}, {"audience": "x"}]}, "/steps/1/audience"),
        ({"escalation": [{}]}, "/escalation/0/name"),
        ({"remind_after_seconds": 0}, "/remind_after_seconds"),
        ({"form": []}, "/form"),
        ({"tilte": "typo"}, "/tilte"),
        ({"int": 1}, "/int"),
    ],
)  # fmt: skip
def test_every_fault_of_a_submission_is_pointed_at(fields: dict[str, Any], pointer: str) -> None:
    found = pointers(SubmitBody, LEAST | fields)
    assert set(found) == {pointer}
    assert found[pointer]


def test_all_of_them_at_once() -> None:
    body = {"audience": [1, "ok", 2], "quorum": 0, "titel": "x", "labels": {"a": None}, "level": "x"}
    assert set(pointers(SubmitBody, body)) == {
        "/title",
        "/audience/0",
        "/audience/2",
        "/quorum",
        "/titel",
        "/labels/a",
        "/level",
    }


def test_faults_say_how_to_mend_them() -> None:
    found = pointers(SubmitBody, {"titel": "x", "callback_url": "x"})
    assert found["/title"] == "is needed"
    assert found["/titel"] == "is not a field of this call; check the spelling or leave it out"
    assert found["/callback_url"] == "must be an http or https URL"
    found = pointers(NotifyBody, {"message": "M", "destination": [{"type": "sms"}]})
    assert found == {"/destination/0": "has a `type` that is not known; it must be one of: 'email', 'slack'"}


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Http"])
def test_a_scheme_may_be_written_in_capitals(scheme: str) -> None:
    urls = dict.fromkeys(("source_url", "callback_url"), f"{scheme}://OK.example/A?b=C://D")
    body = parse(SubmitBody, LEAST | urls)
    assert {body.source_url, body.callback_url} == {f"{scheme.lower()}://OK.example/A?b=C://D"}


@pytest.mark.parametrize("body", [None, 5, "text", [], [LEAST]])
def test_a_body_that_is_no_object(body: Any) -> None:
    assert set(pointers(SubmitBody, body)) == {""}


def test_the_contracts_own_example_is_taken_as_it_is() -> None:
    body = {
        "title": "Refund €1,250 to customer 8841",
        "message": "Order 5531 arrived broken. *Evidence* in the ticket.",
        "audience": ["slack:U0123456789", "email:ana@example.com", "slack:C0123456789", "group:finance"],
        "quorum": 2,
        "payload": {"tool": "refund", "amount": 1250, "customer": "8841"},
        "details": {"Order": "5531", "Requested by": "support-agent"},
        "timeout_seconds": 3600,
        "on_timeout": "expire",
        "requester": "email:bob@example.com",
        "callback_url": "https://example.com/hooks/assent",
        "labels": {"env": "prod"},
        "source_url": "https://ci.example.com/run/1",
    }
    parsed = parse(SubmitBody, body)
    assert parsed.model_dump(mode="json", exclude_unset=True) == body | {"timeout_seconds": 3600.0}


def test_defaults_ask_for_as_little_as_they_may() -> None:
    body = parse(SubmitBody, LEAST)
    assert (body.quorum, body.reject_quorum, body.kind, body.level) == (1, 1, "approval", "confirm")
    assert (body.allow_skip, body.allow_self_approval) == (False, False)
    assert (body.on_timeout, body.reason, body.audience) == ("expire", "optional", None)


@pytest.mark.parametrize("quorum", [1, 1000, "all", "majority", {"all_of": []}])
def test_every_kind_of_quorum(quorum: Any) -> None:
    assert parse(SubmitBody, LEAST | {"quorum": quorum}).quorum == quorum


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        (RespondBody, {}, {"/decision"}),
        (RespondBody, {"decision": ""}, {"/decision"}),
        (RespondBody, {"decision": "approve", "values": []}, {"/values"}),
        (RespondBody, {"decision": "approve", "respondent": ""}, {"/respondent"}),
        (RespondBody, {"decision": "approve", "by": "me"}, {"/by"}),
        (ReasonBody, {"reason": 5, "x": 1}, {"/reason", "/x"}),
        (NotifyBody, {}, {"/message"}),
        (NotifyBody, {"message": "m", "destination": {"type": "slack", "email": 5}}, {"/destination/email"}),
    ],
)
def test_the_other_bodies(model: type[BaseModel], body: Any, expected: set[str]) -> None:
    assert set(pointers(model, body)) == expected


def test_instants_are_utc_with_milliseconds() -> None:
    there = datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert instant(there) == "2026-11-21T07:30:15.123Z"
    assert instant(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
    assert instant(None) is None


def test_a_request_is_answered_as_the_contract_shows() -> None:
    request = asked(somebody("ana", slack="U1"), somebody("ben"), quorum=2, labels={"env": "prod"})
    request = lifecycle.apply(request, response("ana", reason="fine"), NOW).request
    request = lifecycle.apply(
        request, DeliveryFailed(target="email:ben@example.com", reason="full"), NOW
    ).request
    shown = request_json(request)
    assert shown["quorum"] == {"required": 2, "approved": 1, "rejected": 0, "text": "1 of 2 approvals"}
    assert shown["step"] == {"index": 0, "count": 1, "name": None}
    assert [r["state"] for r in shown["respondents"]] == ["approved", "unreachable"]
    assert shown["respondents"][0] == {
        "id": "rsp_ana",
        "name": "Ana",
        "email": "ana@example.com",
        "slack_user_id": "U1",
        "state": "approved",
        "trouble": None,
        "step": 0,
        "delegate_of": None,
    }
    assert shown["responses"] == [
        {
            "respondent": "rsp_ana",
            "decision": "approve",
            "reason": "fine",
            "values": None,
            "surface": "email",
            "at": "2026-11-21T08:00:00.000Z",
        }
    ]
    assert shown["unreachable"] == [{"target": "email:ben@example.com", "reason": "full"}]
    assert (shown["status"], shown["version"], shown["outcome"]) == ("pending", 3, None)
    assert json.loads(json.dumps(shown)) == shown


def test_an_outcome_is_answered_as_the_contract_shows() -> None:
    shown = request_json(after(asked(somebody("ana")), ("ana", "approve")))
    assert shown["status"] == "approved"
    assert shown["resolved_at"] == "2026-11-21T08:00:00.000Z"
    outcome = shown["outcome"]
    assert outcome["resolved_by"] == "respondents"
    assert outcome["respondents"] == ["rsp_ana"]
    assert outcome["payload"] == shown["payload"]
    assert {
        "decision",
        "choice",
        "reason",
        "values",
        "payload",
        "edited",
        "resolved_by",
        "respondents",
    } <= set(outcome)


def test_the_next_reminder_is_within_working_hours() -> None:
    saturday = datetime(2026, 11, 21, tzinfo=UTC)
    request = replace(asked(remind_every_seconds=3600, hours=Hours()), opened_at=saturday)
    assert request_json(request)["remind_at"] == "2026-11-23T09:00:00.000Z"
