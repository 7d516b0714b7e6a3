"""Submitting: what is taken, what comes back, and every fault by its pointer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import running

if TYPE_CHECKING:
    from tests.support.product import Answer, Product

ANA = ["email:ana@example.com"]
ASK = {"title": "Deploy", "audience": ANA}
PAST, FUTURE = "2001-01-01T00:00:00Z", "2035-01-01T00:00:00+01:00"
CHOICES = [{"id": "blue", "label": "Blue"}, {"id": "green", "label": "Green", "style": "danger"}]


async def refused(product: Product, body: Any) -> tuple[int, str, set[str]]:
    """Status, code and the pointers of a refusal."""
    answer = await product.call("POST", "/v1/requests", json=body)
    found = answer.json
    return answer.status, found.get("code", ""), {e["pointer"] for e in found.get("errors", ())}


FAULTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no title": ({"title": None}, {"/title"}),
    "empty title": ({"title": ""}, {"/title"}),
    "blank title": ({"title": " \t\n"}, {"/title"}),
    "title of another type": ({"title": 7}, {"/title"}),
    "message of another type": ({"message": ["a"]}, {"/message"}),
    "unknown field": ({"titel": "T"}, {"/titel"}),
    "unknown field with a slash": ({"a/b~c": 1}, {"/a~1b~0c"}),
    "details that are no map": ({"details": ["a"]}, {"/details"}),
    "details that are not flat": ({"details": {"a": {"b": 1}}}, {"/details/a"}),
    "labels that are not flat": ({"labels": {"env": ["prod"]}}, {"/labels/env"}),
    "audience that is no list": ({"audience": "email:ana@example.com"}, {"/audience"}),
    "audience of numbers": ({"audience": [7]}, {"/audience/0"}),
    "no selector": ({"audience": [*ANA, "nobody", "fax:1"]}, {"/audience/1", "/audience/2"}),
    "no address": ({"audience": ["email:ana"]}, {"/audience/0"}),
    "no Slack id": ({"audience": ["slack:X1"]}, {"/audience/0"}),
    "unknown group": ({"audience": [*ANA, "group:nope"]}, {"/audience/1"}),
    "two unknown groups": (
        {"audience": ["group:nope", *ANA, "group:none"]},
        {"/audience/0", "/audience/2"},
    ),
    "unknown group of a step": (
        {"steps": [{}, {"audience": [*ANA, "group:nope"]}]},
        {"/steps/1/audience/1"},
    ),
    "fault at a key with the name of a type": (
        {"details": {"email": {}, "int": []}},
        {"/details/email", "/details/int"},
    ),
    "empty address": ({"destination": {"type": "email", "email": ""}}, {"/destination/email"}),
    "bad Slack id": ({"destination": [{"type": "slack", "channelId": "X"}]}, {"/destination/0/channelId"}),
    "address of another type": ({"destination": {"type": "email", "email": 7}}, {"/destination/email"}),
    "destination of no type": ({"destination": {"email": "a@example.com"}}, {"/destination"}),
    "destination of an unknown type": ({"destination": {"type": "fax"}}, {"/destination"}),
    "mail destination without address": ({"destination": {"type": "email"}}, {"/destination/email"}),
    "bad address": ({"destination": {"type": "email", "email": "ana"}}, {"/destination/email"}),
    "Slack destination without anyone": ({"destination": {"type": "slack"}}, {"/destination"}),
    "Slack destination with two": (
        {"destination": {"type": "slack", "userId": "U1", "channelId": "C1"}},
        {"/destination"},
    ),
    "second destination of a list": (
        {"destination": [{"type": "email", "email": "a@example.com"}, {"type": "slack"}]},
        {"/destination/1"},
    ),
    "quorum of none": ({"quorum": 0}, {"/quorum"}),
    "negative quorum": ({"quorum": -1}, {"/quorum"}),
    "fractional quorum": ({"quorum": 1.5}, {"/quorum"}),
    "quorum as text": ({"quorum": "2"}, {"/quorum"}),
    "unknown quorum": ({"quorum": "most"}, {"/quorum"}),
    "quorum that cannot be reached": ({"quorum": 2}, {"/quorum"}),
    "reject quorum of none": ({"reject_quorum": 0}, {"/reject_quorum"}),
    "reject quorum that cannot be reached": ({"reject_quorum": 2}, {"/reject_quorum"}),
    "unknown kind": ({"kind": "vote"}, {"/kind"}),
    "choice without choices": ({"kind": "choice"}, {"/choices"}),
    "choices without choice": ({"choices": CHOICES}, {"/choices"}),
    "same choice twice": ({"kind": "choice", "choices": [CHOICES[0], CHOICES[0]]}, {"/choices/1/id"}),
    "built-in choice": ({"kind": "choice", "choices": [{"id": "reject", "label": "R"}]}, {"/choices/0/id"}),
    "choice without label": ({"kind": "choice", "choices": [{"id": "a"}]}, {"/choices/0/label"}),
    "unknown style": (
        {"kind": "choice", "choices": [{"id": "a", "label": "A", "style": "pink"}]},
        {"/choices/0/style"},
    ),
    "allow_skip of another type": ({"allow_skip": "yes"}, {"/allow_skip"}),
    "integer beyond 2^53": ({"payload": {"n": 2**53}}, {"/payload/n"}),
    "integer beyond 2^64": ({"payload": [1, {"a/b": 2**70}]}, {"/payload/1/a~1b"}),
    "form with an integer beyond 2^64": (
        {"form": {"type": "object", "properties": {"a": {"type": "integer", "maximum": 10**30}}}},
        {"/form/properties/a/maximum"},
    ),
    "form that nobody can fill in": (
        {"form": {"type": "object", "properties": {"a": {"enum": []}}, "required": ["b"]}},
        {"/form/properties/a", "/form/required/0"},
    ),
    "read-only value that the form does not allow": (
        {
            "form": {"type": "object", "properties": {"a": {"type": "string", "readOnly": True}}},
            "payload": {"a": 5},
        },
        {"/payload/a"},
    ),
    "unknown level": ({"level": "panic"}, {"/level"}),
    "verify without phrase": ({"level": "verify"}, {"/verification_phrase"}),
    "phrase without verify": ({"verification_phrase": "DELETE"}, {"/verification_phrase"}),
    "unknown reason rule": ({"reason": "never"}, {"/reason"}),
    "timeout of nothing": ({"timeout_seconds": 0}, {"/timeout_seconds"}),
    "negative timeout": ({"timeout_seconds": -5}, {"/timeout_seconds"}),
    "timeout as text": ({"timeout_seconds": "60"}, {"/timeout_seconds"}),
    "timeout after centuries": ({"timeout_seconds": 1e12}, {"/timeout_seconds"}),
    "past timeout": ({"timeout_at": PAST}, {"/timeout_at"}),
    "timeout after millennia": ({"timeout_at": "9999-12-31T23:59:59-23:00"}, {"/timeout_at"}),
    "timeout before everything": ({"timeout_at": "0001-01-01T00:00:00+23:00"}, {"/timeout_at"}),
    "timeout without a zone": ({"timeout_at": "2035-01-01T00:00:00"}, {"/timeout_at"}),
    "timeout that is no instant": ({"timeout_at": "tomorrow"}, {"/timeout_at"}),
    "timeout that is a number": ({"timeout_at": 2000000000}, {"/timeout_at"}),
    "timeout that is a number as text": ({"timeout_at": "2000000000"}, {"/timeout_at"}),
    "two timeouts": ({"timeout_at": FUTURE, "timeout_seconds": 60}, {"/timeout_at"}),
    "unknown on_timeout": ({"timeout_seconds": 60, "on_timeout": "shrug"}, {"/on_timeout"}),
    "escalate to nobody": ({"timeout_seconds": 60, "on_timeout": "escalate"}, {"/on_timeout"}),
    "allow_self_approval of another type": ({"allow_self_approval": 7}, {"/allow_self_approval"}),
    "requester that is nobody": ({"requester": "email:bob"}, {"/requester"}),
    "empty requester": ({"requester": ""}, {"/requester"}),
    "source that is no URL": ({"source_url": "see the ticket"}, {"/source_url"}),
    "source of no host": ({"source_url": "http://[::1"}, {"/source_url"}),
    "source of no port": ({"source_url": "https://example.com:99999/"}, {"/source_url"}),
    "source that runs script": ({"source_url": "javascript:alert(1)"}, {"/source_url"}),
    "callback that is no URL": ({"callback_url": "ftp://example.com/"}, {"/callback_url"}),
    "everything at once": (
        {"title": "", "audience": [7], "quorum": 0, "colour": "red", "timeout_seconds": -1},
        {"/title", "/audience/0", "/quorum", "/colour", "/timeout_seconds"},
    ),
    "several rules at once": (
        {
            "audience": ["nobody"],
            "kind": "choice",
            "level": "verify",
            "timeout_at": PAST,
            "callback_url": "http://127.0.0.1/",
        },
        {"/audience/0", "/choices", "/verification_phrase", "/timeout_at", "/callback_url"},
    ),
}


async def test_every_fault_has_its_pointer(product: Product) -> None:
    found = {}
    for name, (fields, _) in FAULTS.items():
        body = {k: v for k, v in (ASK | fields).items() if v is not None}
        found[name] = await refused(product, body)
    assert found == {name: (422, "invalid", pointers) for name, (_, pointers) in FAULTS.items()}


PAST = "2020-01-01T00:00:00Z"


async def test_faults_of_the_shape_do_not_hide_those_of_the_rules(product: Product) -> None:
    for body, pointers in (
        (
            {"title": "", "audience": ["fax:1"], "timeout_at": "2020-01-01T00:00:00Z"},
            {"/title", "/audience/0", "/timeout_at"},
        ),
        ({"title": "T", "bogus": 1, "audience": ANA, "level": "verify"}, {"/bogus", "/verification_phrase"}),
        (
            {"title": "T", "audience": ANA, "quorum": 9, "level": "verify"},
            {"/quorum", "/verification_phrase"},
        ),
        (
            {"title": "T", "audience": ["group:none"], "timeout_at": PAST},
            {"/audience/0", "/timeout_at"},
        ),
        (
            {"title": "T", "bogus": 1, "kind": "poll", "choices": [{"id": "a", "label": "A"}]},
            {"/bogus", "/kind"},
        ),
        ({"title": "T", "payload": 2**60, "choices": [{"id": "a", "label": "A"}]}, {"/payload", "/choices"}),
    ):
        assert await refused(product, body) == (422, "invalid", pointers), body


async def test_a_fault_says_how_to_mend_it(product: Product) -> None:
    body = {"titel": "T", "audience": ["fax:1"], "source_url": "x"}
    answer = await product.call("POST", "/v1/requests", json=body)
    details = {e["pointer"]: e["detail"] for e in answer.json["errors"]}
    assert details["/title"] == "is needed"
    assert "check the spelling" in details["/titel"]
    assert "http or https" in details["/source_url"]


async def test_nobody_asked_is_refused(product: Product) -> None:
    for body in (
        {"title": "T"},
        {"title": "T", "audience": []},
        {"title": "T", "destination": []},
        {"title": "T", "audience": None},
    ):
        assert await refused(product, body) == (400, "HITL_NO_AUDIENCE", set()), body
    assert (await product.call("GET", "/v1/requests")).json["items"] == []


async def test_an_audience_that_reaches_nobody_is_refused(product: Product) -> None:
    for selector in ("slack:C012345", "slack:S012345"):
        assert await refused(product, {"title": "T", "audience": [selector]}) == (
            400,
            "HITL_NO_AUDIENCE",
            set(),
        )


async def test_an_unknown_group_within_a_group_is_told_at_what_led_there(database_url: str) -> None:
    async with running(database_url, groups={"ops": ("group:night",), "night": ("group:gone",)}) as product:
        answer = await product.call("POST", "/v1/requests", json=ASK | {"audience": [*ANA, "group:ops"]})
    (error,) = answer.json["errors"]
    assert error["pointer"] == "/audience/1"
    assert error["detail"].startswith("group:gone is not configured")


async def test_a_deadline_may_be_decades_away(product: Product) -> None:
    assert (await product.submit(timeout_at="2099-01-01T00:00:00Z"))["timeout_at"].startswith("2099-01-01")


async def test_the_configured_audience_is_asked_where_a_request_names_none(database_url: str) -> None:
    groups = {"ops": ("email:ana@example.com", "group:night"), "night": ("email:cy@example.com",)}
    async with running(
        database_url, groups=groups, assent_default_audience="email:ben@example.com"
    ) as product:
        answer = await product.call("POST", "/v1/requests", json={"title": "T"})
        assert answer.json["audience"] == ["email:ben@example.com"]
        asked = await product.submit(audience=["group:ops", "email:ANA@example.com"])
        emails = [r["email"] for r in asked["respondents"]]
        assert sorted(emails) == ["ana@example.com", "cy@example.com"]


async def test_a_request_comes_back_as_it_was_asked(product: Product) -> None:
    body = {
        "title": "  Refund €1,250  ",
        "message": "Order *5531*",
        "audience": ["email:Ana@Example.com", "email:ben@example.com"],
        "quorum": 2,
        "payload": {"tool": "refund", "amount": 1250, "nested": [1.5, None, True, {"ä": "ß"}]},
        "details": {"Order": "5531", "Amount": 12.5, "Urgent": True},
        "timeout_seconds": 3600,
        "requester": "email:bob@example.com",
        "callback_url": "https://8.8.8.8/hook",
        "labels": {"env": "prod", "run": 7},
        "source_url": "https://ci.example.com/run/1",
    }
    answer = await product.call("POST", "/v1/requests", json=body)
    request = answer.json
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v1/requests/{request['id']}"
    assert request["id"].startswith("req_")
    assert request["title"] == "Refund €1,250"
    assert request["payload"] == body["payload"]
    assert request["payload_digest"].startswith("sha256:")
    assert request["details"] == {"Order": "5531", "Amount": "12.5", "Urgent": "true"}
    assert request["labels"] == {"env": "prod", "run": "7"}
    assert request["quorum"] == {"required": 2, "approved": 0, "rejected": 0, "text": "0 of 2 approvals"}
    assert request["step"] == {"index": 0, "count": 1, "name": None}
    assert (request["status"], request["version"], request["outcome"]) == ("pending", 1, None)
    assert [r["email"] for r in request["respondents"]] == ["ana@example.com", "ben@example.com"]
    assert all(r["id"].startswith("rsp_") for r in request["respondents"])
    assert request["created_at"].endswith("Z")
    assert await product.get(request) == request


async def test_the_digest_is_of_the_canonical_payload(product: Product) -> None:
    one = await product.submit(payload={"b": 1.0, "a": [1e2, "\u20ac"]})
    two = await product.submit(payload={"a": [100, "€"], "b": 1})
    other = await product.submit(payload={"a": [100, "€"], "b": 2})
    assert one["payload_digest"] == two["payload_digest"] != other["payload_digest"]


@pytest.mark.parametrize("depth", [64, 65, 500])
async def test_a_payload_may_be_nested_as_deep_as_it_can_be_signed(depth: int, product: Product) -> None:
    payload: Any = 1
    for _ in range(depth):
        payload = [payload]
    answer = await product.call("POST", "/v1/requests", json=ASK | {"payload": payload})
    assert answer.status == (201 if depth <= 64 else 422)
    if depth > 64:
        assert answer.json["errors"][0]["pointer"].startswith("/payload/0/0")
        assert len(answer.json["errors"]) == 1


@pytest.mark.parametrize(("depth", "status"), [(66, 422), (500, 422), (600, 400), (1000, 400)])
async def test_what_is_nested_deeper_is_refused_wherever_it_stands(
    depth: int, status: int, product: Product
) -> None:
    bodies = {
        "payload": {"payload": "DEEP"},
        "details": {"details": {"a": "DEEP"}},
        "kind": {"kind": "DEEP"},
        "quorum": {"quorum": {"from": "DEEP"}},
        "form": {"form": {"type": "object", "properties": {"a": {"type": "string", "default": "DEEP"}}}},
    }
    for name, fields in bodies.items():
        raw = json.dumps(ASK | fields).replace('"DEEP"', "[" * depth + "]" * depth).encode()
        for headers in ({}, {"Idempotency-Key": f"{name}-{depth}"}):
            answer = await product.call("POST", "/v1/requests", data=raw, headers=headers)
            assert answer.status == status, (name, answer.text)
            assert all(e["pointer"].startswith(f"/{name}") for e in answer.json.get("errors", ()))


async def test_numbers_in_details_and_labels_are_texts_of_any_length(product: Product) -> None:
    request = await product.submit(details={"Order": 10**30}, labels={"run": 2**64})
    assert (request["details"], request["labels"]) == ({"Order": str(10**30)}, {"run": str(2**64)})


@pytest.mark.parametrize(
    "payload", [None, 0, "", False, [], {}, 2**53 - 1, -(2**53) + 1, 1e300, "\U0001f469‍\U0001f4bb"]
)
async def test_any_json_may_be_the_payload(payload: Any, product: Product) -> None:
    request = await product.submit(payload=payload)
    assert (await product.get(request))["payload"] == payload


async def test_destinations_are_an_audience(product: Product) -> None:
    destination = [{"type": "email", "email": "ana@example.com"}, {"type": "slack", "userId": "U0123456789"}]
    answer = await product.call("POST", "/v1/requests", json={"title": "T", "destination": destination})
    assert answer.json["audience"] == ["email:ana@example.com", "slack:U0123456789"]
    assert answer.json["quorum"]["required"] == 1


async def test_one_person_by_several_addresses_has_one_seat(product: Product) -> None:
    request = await product.submit(audience=[*ANA, "email:ANA@example.com", "ana@example.com"])
    assert len(request["respondents"]) == 1
    assert await refused(product, ASK | {"audience": [*ANA, "ana@example.com"], "quorum": 2}) == (
        422,
        "invalid",
        {"/quorum"},
    )


async def test_a_requester_does_not_count_towards_the_quorum(product: Product) -> None:
    asked = {"title": "T", "audience": [*ANA, "email:ben@example.com"], "requester": "email:Ana@Example.com"}
    assert await refused(product, asked | {"quorum": 2}) == (422, "invalid", {"/quorum"})
    assert (await product.submit(**asked, quorum="all"))["quorum"]["required"] == 1
    assert (await product.submit(**asked, quorum=2, allow_self_approval=True))["quorum"]["required"] == 2


async def test_an_audience_of_the_requester_alone_is_refused_for_itself(product: Product) -> None:
    asked = {"title": "T", "audience": ANA, "requester": "email:ana@example.com"}
    assert await refused(product, asked | {"quorum": 3}) == (422, "invalid", {"/audience"})


async def test_information_is_approved_at_once(product: Product) -> None:
    request = await product.submit(level="info")
    assert request["status"] == "approved"
    assert request["outcome"]["resolved_by"] == "policy"
    assert request["outcome"]["surface"] == "policy"


async def test_auto_approval_says_so(database_url: str) -> None:
    async with running(database_url, assent_auto_approve=True) as product:
        assert "every request is approved at once" in (await product.call("GET", "/docs")).text
        request = await product.submit()
    assert (request["status"], request["outcome"]["resolved_by"]) == ("approved", "policy")
    assert "ASSENT_AUTO_APPROVE" in request["outcome"]["reason"]


async def post(product: Product, key: str, **fields: Any) -> Answer:
    return await product.call("POST", "/v1/requests", json=ASK | fields, headers={"Idempotency-Key": key})


async def test_the_same_key_and_body_is_the_same_request(product: Product) -> None:
    first = await post(product, "run-1", payload={"a": 1, "b": 2})
    again = await post(product, "run-1", payload={"b": 2, "a": 1})
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    await product.answer(first.json, "approve", "ana@example.com")
    assert (await post(product, "run-1", payload={"a": 1, "b": 2})).json["status"] == "approved"
    assert len((await product.call("GET", "/v1/requests")).json["items"]) == 1


async def test_the_same_key_with_another_body_is_a_conflict(product: Product) -> None:
    first = await post(product, "run-1")
    other = await post(product, "run-1", title="Destroy")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")
    assert first.json["id"] in other.json["detail"]


async def test_a_refused_body_does_not_use_up_the_key(product: Product) -> None:
    assert (await post(product, "run-1", quorum=7)).status == 422
    assert (await post(product, "run-1")).status == 201


async def test_a_number_of_any_size_may_come_with_a_key(product: Product) -> None:
    first = await post(product, "run-1", details={"n": 2**70})
    assert first.json["details"] == {"n": str(2**70)}
    assert (await post(product, "run-1", details={"n": 2**70})).json == first.json
    assert (await post(product, "run-2", payload=2**70)).status == 422


async def test_keys_of_different_callers_do_not_meet(product: Product) -> None:
    other = await product.new_key("submit") | {"Idempotency-Key": "run-1"}
    first = await post(product, "run-1")
    second = await product.call("POST", "/v1/requests", json=ASK | {"title": "Other"}, headers=other)
    assert (first.status, second.status) == (201, 201)


@pytest.mark.parametrize("key", ["", " ", "k" * 256])
async def test_a_key_must_be_of_a_sane_length(key: str, product: Product) -> None:
    answer = await post(product, key)
    assert (answer.status, answer.json["code"]) == (422, "invalid")


async def test_twenty_submissions_at_once_with_one_key_are_one_request(product: Product) -> None:
    answers = await asyncio.gather(*(post(product, "run-1") for _ in range(20)))
    assert sorted(a.status for a in answers) == [200] * 19 + [201]
    assert len({a.json["id"] for a in answers}) == 1
    assert len((await product.call("GET", "/v1/requests")).json["items"]) == 1
