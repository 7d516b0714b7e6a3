"""What binds whoever submits: policies on every way in, phrases, who may be asked, and how many."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.policies.policy import Policy, Then
from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Answer, Json, Product

ANA, BEN, BOB = (f"email:{name}@example.com" for name in ("ana", "ben", "bob"))
POLICIES = (
    Policy(name="reads", then=Then.APPROVE, when={"payload.tool": ["list", "read"]}),
    Policy(name="own", then=Then.ASK, when={"key": "nobody"}),
    Policy(name="drops", then=Then.REJECT, when={"payload.tool": "drop_*"}, reason="Nobody drops."),
)
FORM = {"type": "object", "properties": {"tool": {"type": "string"}}}
CROWD = [f"email:p{n}@example.com" for n in range(1001)]


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    groups = {"crowd": CROWD[:600], "others": CROWD[600:]}
    async with running(sqlite_url, policies=POLICIES, groups=groups, clock=ManualClock()) as product:
        yield product


async def post(product: Product, path: str, **body: Any) -> Answer:
    return await product.call("POST", path, json=body)


async def ask(product: Product, **fields: Any) -> Answer:
    return await post(product, "/v1/requests", **{"title": "T", "audience": [ANA]} | fields)


def faults(answer: Answer) -> set[str]:
    assert answer.status == 422, answer.text
    return {fault["pointer"] for fault in answer.json["errors"]}


class TestPolicies:
    @pytest.mark.parametrize("level", ["info", "confirm"])
    async def test_what_one_rejects_is_rejected_at_every_level(self, product: Product, level: str) -> None:
        request = await product.submit(payload={"tool": "drop_database"}, level=level)
        assert (request["status"], request["outcome"]["resolved_by"]) == ("rejected", "policy")
        assert request["outcome"]["reason"] == "Nobody drops."

    async def test_a_revision_is_ruled_on_again(self, product: Product) -> None:
        request = await product.submit(payload={"tool": "move"})
        revised = await post(
            product, f"/v1/requests/{request['id']}/revise", payload={"tool": "drop_database"}
        )
        assert (revised.json["status"], revised.json["outcome"]["resolved_by"]) == ("rejected", "policy")
        assert revised.json["revision"] == 2
        types = [event["type"] for event in await events(product, request)]
        assert types == ["request.created", "request.updated", "request.resolved"]
        assert revised.json["version"] == 2

    async def test_one_that_approves_rules_on_a_revision_too(self, product: Product) -> None:
        request = await product.submit(payload={"tool": "move"})
        revised = await post(product, f"/v1/requests/{request['id']}/revise", payload={"tool": "list"})
        assert (revised.json["status"], revised.json["outcome"]["by"]) == ("approved", "policy reads")

    @pytest.mark.parametrize("who", [ANA, None])
    async def test_no_answer_edits_a_request_into_what_one_rejects(
        self, product: Product, who: str | None
    ) -> None:
        request = await product.submit(payload={"tool": "move"}, form=FORM)
        body = {"decision": "approve", "values": {"tool": "drop_database"}}
        body |= {"respondent": who} if who else {}
        answer = await post(product, f"/v1/requests/{request['id']}/responses", **body)
        assert faults(answer) == {"/values"}
        assert "Nobody drops." in answer.text
        stored = await product.get(request)
        assert (stored["status"], stored["values"], stored["version"]) == ("pending", {}, 1)
        body["values"] = {"tool": "copy"}
        assert (await post(product, f"/v1/requests/{request['id']}/responses", **body)).json[
            "status"
        ] == "approved"

    async def test_the_submitting_key_can_be_matched_whatever_the_requester_says(
        self, sqlite_url: str
    ) -> None:
        mine = Policy(name="ci", then=Then.APPROVE, when={"key": "limited"})
        async with running(sqlite_url, policies=(mine,)) as product:
            body, headers = {"title": "T", "audience": [ANA]}, await product.new_key("submit")
            asked = await product.call("POST", "/v1/requests", json=body, headers=headers)
            assert asked.json["status"] == "approved", asked.text
            assert (await ask(product, requester="limited")).json["status"] == "pending"


async def events(product: Product, request: Json) -> list[Json]:
    answer = await product.call("GET", f"/v1/requests/{request['id']}/audit")
    items: list[Json] = answer.json["items"] if isinstance(answer.json, dict) else answer.json
    return items


VERIFY = {"level": "verify", "verification_phrase": "Delete production"}


class TestPhrases:
    @pytest.mark.parametrize(
        "fields",
        [
            VERIFY,
            {"kind": "choice", "choices": [{"id": "a", "label": "A"}]},
            {"kind": "input", "form": FORM},
        ],
    )
    async def test_silence_approves_nothing_that_wants_somebody(
        self, product: Product, fields: dict[str, Any]
    ) -> None:
        timed = {"timeout_seconds": 1, "on_timeout": "approve"}
        assert faults(await ask(product, **fields, **timed)) == {"/on_timeout"}
        steps = [{"audience": [ANA], **timed}, {"audience": [BEN]}]
        answer = await post(product, "/v1/requests", title="T", steps=steps, **fields)
        assert faults(answer) == {"/steps/0/on_timeout"}
        assert (await ask(product, **fields, timeout_seconds=1, on_timeout="reject")).status == 201

    async def test_an_operator_types_the_phrase_like_everybody(self, product: Product) -> None:
        request = await product.submit(**VERIFY)
        path = f"/v1/requests/{request['id']}/responses"
        for body in ({}, {"phrase": "delete production"}, {"phrase": ""}):
            assert faults(await post(product, path, decision="approve", **body)) == {"/phrase"}
        bulk = await post(product, "/v1/responses", requests=[request["id"]], decision="approve")
        assert bulk.json["items"][0].get("status") != 200
        assert (await product.get(request))["status"] == "pending"
        done = await post(product, path, decision="approve", phrase="Delete production")
        assert done.json["status"] == "approved"

    async def test_compatible_routes_are_no_shortcut(self, product: Product) -> None:
        request = await product.submit(**VERIFY)
        body = {"request_id": request["id"], "decision": "approved"}
        answer = await product.call("POST", "/agents/hitl/decision", json=body)
        assert answer.status == 422
        assert (await product.get(request))["status"] == "pending"


SPELT = [
    "email:bob@example.com",
    "mailto:bob@example.com",
    '"bob@example.com"',
    "Bob <bob@example.com> via CI",
    "bob@EXAMPLE.com.",
    "bob+ci@example.com",
    "ｂｏｂ@example.com",
]


class TestWhoIsAsked:
    @pytest.mark.parametrize("requester", SPELT)
    async def test_the_requester_decides_nothing_however_spelt(
        self, product: Product, requester: str
    ) -> None:
        alone = await ask(product, audience=["email:bob@example.com"], requester=requester)
        assert faults(alone) == {"/audience"}
        request = (await ask(product, audience=[BOB, ANA], requester=requester)).json
        path = f"/v1/requests/{request['id']}/responses"
        own = await post(product, path, decision="approve", respondent="email:BOB+x@example.com")
        assert (own.status, own.json["code"]) == (403, "self_approval")

    async def test_a_step_or_a_level_of_the_requester_alone_is_refused(self, product: Product) -> None:
        steps = [{"audience": [ANA]}, {"audience": [BOB]}]
        answer = await post(product, "/v1/requests", title="T", requester=BOB, steps=steps)
        assert faults(answer) == {"/steps/1/audience"}
        ladder = [{"name": "boss", "audience": ["bob@example.com"]}]
        assert faults(await ask(product, requester=BOB, escalation=ladder)) == {"/escalation/0/audience"}
        assert (await ask(product, audience=[BOB], requester=BOB, allow_self_approval=True)).status == 201

    async def test_the_same_person_twice_is_one_seat(self, product: Product) -> None:
        twice = ["email:josé@bücher.example", "email:JOSE\u0301+x@xn--bcher-kva.example"]
        request = (await ask(product, audience=twice)).json
        assert len(request["respondents"]) == 1
        assert faults(await ask(product, audience=twice, quorum=2)) == {"/quorum"}
        found = await product.call("GET", "/v1/requests", params={"respondent": twice[1]})
        assert [r["id"] for r in found.json["items"]] == [request["id"]]


class TestHowManyAreAsked:
    async def test_a_thousand_people_are_asked_and_no_more(self, product: Product) -> None:
        assert (await ask(product, audience=CROWD[:1000], quorum="all")).status == 201
        for audience in (CROWD, ["group:crowd", "group:others"], ["group:crowd", *CROWD[600:]]):
            answer = await ask(product, audience=audience)
            assert faults(answer) == {"/audience"}
            assert "1,000" in answer.text
        many = [{"type": "email", "email": f"p{n}@example.com"} for n in range(1001)]
        assert faults(await ask(product, audience=None, destination=many)) == {"/destination"}

    async def test_three_thousand_in_all_steps_and_levels_together(self, product: Product) -> None:
        def people(step: int, number: int) -> list[str]:
            return [f"s{step}p{n}@example.com" for n in range(number)]

        steps = [{"audience": people(n, 900)} for n in range(3)]
        ladder = [{"name": "boss", "audience": people(9, 301)}]
        answer = await post(product, "/v1/requests", title="T", steps=steps, escalation=ladder)
        assert faults(answer) == {"/escalation/0/audience"}
        assert "3,000" in answer.text

    @pytest.mark.parametrize(
        "fields",
        [
            {"labels": {f"l{n}": "x" for n in range(201)}},
            {"details": {f"l{n}": "x" for n in range(201)}},
            {"remind_after_seconds": list(range(1, 200))},
            {"requester": "x" * 501},
            {"requester": " ".join(f"p{n}@example.com" for n in range(11))},
            {"kind": "choice", "choices": [{"id": f"c{n}", "label": "x"} for n in range(101)]},
            {"steps": [{"audience": [ANA]}] * 21, "audience": None},
            {"escalation": [{"name": "x", "audience": [ANA]}] * 11},
            {"quorum": {"any_of": [{"from": ANA}] * 21}},
        ],
    )
    async def test_every_list_has_an_end(self, product: Product, fields: dict[str, Any]) -> None:
        (pointer,) = faults(await ask(product, **fields))
        assert pointer.removeprefix("/") in fields

    async def test_other_calls_are_answered_meanwhile(self, product: Product) -> None:
        steps = [
            {"audience": [f"s{s}p{n}@example.com" for n in range(1000)], "quorum": "all"} for s in range(3)
        ]
        asking = asyncio.create_task(post(product, "/v1/requests", title="T", steps=steps))
        slowest = 0.0
        while not asking.done():
            began = time.perf_counter()
            assert (await product.call("GET", "/healthz")).status == 200
            slowest = max(slowest, time.perf_counter() - began)
        assert (await asking).status == 201
        assert slowest < 2
