"""What a key may do with requests, and what is said of it: by name, by whom, and to whom nothing is said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import ApiError, AsyncClient
from bot.store.queries import api_keys
from tests.support.product import KEY

if TYPE_CHECKING:
    from tests.support.product import Answer, Json, Product

ANA = "email:ana@example.com"
PHRASE = "SINK the fleet"
LAYER = "/humanlayer/v1"
ASKS, HOLDER = ("submit",), {"Authorization": f"Bearer {KEY}"}


async def post(product: Product, request: Json, verb: str, headers: dict[str, str], **body: Json) -> Answer:
    return await product.call("POST", f"/v1/requests/{request['id']}/{verb}", json=body, headers=headers)


async def facts(product: Product, request: Json) -> list[Json]:
    return (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]


async def test_every_event_of_a_call_names_its_key_and_no_other_event_does(product: Product) -> None:
    agent = await product.new_key("submit", name="agent")
    desk = await product.new_key("respond", "operate", name="desk")
    levels = [{"name": "boss", "audience": ["email:cy@example.com"]}]
    request = await product.submit_with(
        agent, escalation=levels, audience=[ANA, "email:ben@example.com"], quorum="all"
    )
    for verb, key, body in [
        ("comments", desk, {"respondent": ANA, "text": "Why?"}),
        ("comments", agent, {"text": "Because"}),
        ("remind", desk, {}),
        ("escalate", agent, {}),
        ("delegate", desk, {"from": "email:ben@example.com", "to": "email:dee@example.com"}),
        ("revise", agent, {"title": "Other"}),
        ("responses", desk, {"respondent": ANA, "decision": "approve"}),
        ("withdraw", desk, {"respondent": ANA}),
        ("responses", desk, {"decision": "approve"}),
    ]:
        assert (await post(product, request, verb, key, **body)).status == 200, verb
    named = [(e["type"], e["data"]["key"]) for e in await facts(product, request)]
    assert named == [
        ("request.created", "agent"),
        ("request.updated", "desk"),
        ("request.updated", "agent"),
        ("request.reminded", "desk"),
        ("request.escalated", "agent"),
        ("request.delegated", "desk"),
        ("request.updated", "agent"),
        ("request.response", "desk"),
        ("request.updated", "desk"),
        ("request.resolved", "desk"),
    ]
    timed = await product.submit(timeout_seconds=0.05)
    await product.get(timed, wait=10)
    assert [e["data"].get("key") for e in await facts(product, timed)] == ["bootstrap key", None]


async def test_a_request_says_by_name_which_key_it_came_with_also_once_that_is_revoked(
    product: Product,
) -> None:
    request = await product.submit_with(await product.new_key("submit", name="night agent"))
    assert request["submitted_by"] == "night agent"
    store = product.assent.store
    (key,) = await store.run_read(api_keys.every)
    await store.run_write(lambda c: api_keys.revoke(c, key.id, datetime.now(UTC)))
    assert (await product.get(request))["submitted_by"] == "night agent"
    assert key.id not in str(await product.get(request))
    assert (await product.submit())["submitted_by"] == "bootstrap key"


async def test_a_change_by_an_operators_key_is_not_the_requesters(product: Product) -> None:
    agent = await product.new_key("submit", name="agent")
    desk = await product.new_key("operate", name="desk")
    request = await product.submit_with(agent, requester="email:bob@example.com", payload={"amount": 1})
    assert (await post(product, request, "revise", agent, payload={"amount": 2})).status == 200
    assert (await post(product, request, "revise", desk, payload={"amount": 3})).status == 200
    assert (await post(product, request, "comments", desk, text="I lowered it")).status == 200
    stored = await product.get(request)
    assert [e["by"] for e in stored["edits"]] == ["email:bob@example.com", "operator (desk)"]
    assert stored["trail"][-1]["text"].startswith("operator (desk) ")
    assert stored["comments"][-1]["by"] == "operator (desk)"
    assert [e["data"].get("by") for e in await facts(product, request)][1:3] == [
        "email:bob@example.com",
        "operator (desk)",
    ]


@pytest.mark.parametrize("verb", ["revise", "comments", "cancel", "remind", "escalate"])
async def test_nobody_acts_on_what_another_key_asked(verb: str, product: Product) -> None:
    request = await product.submit(title="Secret", payload={"amount": 1})
    other = await product.new_key("submit", "respond", "links")
    body = {"revise": {"payload": {"amount": 9}}, "comments": {"text": "I checked it"}}.get(verb, {})
    refused = await post(product, request, verb, other, **body)
    assert (refused.status, refused.json["code"]) == (403, "not_yours")
    assert "Secret" not in refused.text
    assert await product.get(request) == request
    final = (await post(product, request, "cancel", HOLDER)).json
    refused = await post(product, request, verb, other, **body)
    assert (refused.status, refused.json["code"]) == (403, "not_yours")
    assert "request" not in refused.json
    assert await product.get(request) == final


async def test_an_agents_key_decides_nothing_that_it_asked_whatever_else_it_may(product: Product) -> None:
    agent = await product.new_key("submit", "read", "operate", "admin")
    request = await product.submit_with(agent)
    one = request["id"]
    call = {"run_id": "r", "call_id": "c1", "spec": {"fn": "f", "kwargs": {}, "channel": CHANNEL}}
    assert (await product.call("POST", f"{LAYER}/function_calls", json=call, headers=agent)).status == 201
    for path, body in [
        (f"/v1/requests/{one}/responses", {"decision": "approve"}),
        (f"/v1/requests/{one}/responses", {"decision": "reject"}),
        (f"/v1/requests/{one}/responses", {"decision": "approve", "respondent": ANA}),
        ("/agents/hitl/decision", {"request_id": one, "decision": "approved"}),
        (f"{LAYER}/agent/function_calls/c1/respond", {"approved": True}),
        (f"/v1/requests/{one}/delegate", {"from": ANA, "to": "email:ben@example.com"}),
    ]:
        refused = await product.call("POST", path, json=body, headers=agent)
        assert (refused.status, refused.json["code"]) == (403, "self_approval"), path
    bulk = {"requests": [one], "decision": "approve"}
    (item,) = (await product.call("POST", "/v1/responses", json=bulk, headers=agent)).json["items"]
    assert item["problem"]["code"] == "self_approval"
    assert (await product.get(request))["status"] == "pending"
    other = await product.new_key("operate")
    assert (await post(product, request, "responses", other, decision="approve")).json == {
        "id": one,
        "status": "approved",
        "version": 2,
    }


CHANNEL = {"email": {"address": "ana@example.com"}}


async def test_a_key_that_may_not_read_is_told_nothing_of_a_request(product: Product) -> None:
    secret = "The merger with Initech"
    form = {"type": "object", "properties": {"codename": {"type": "string", "enum": [secret]}}}
    fields = {"title": secret, "payload": {"codename": secret}, "requester": secret}
    request = await product.submit(form=form, reason="required", **fields)
    relay = await product.new_key("respond", "operate", name="relay")
    answers = [
        await post(product, request, "responses", relay, respondent=ANA, decision="perhaps"),
        await post(
            product, request, "responses", relay, respondent=ANA, decision="approve", values={"codename": 7}
        ),
        await post(
            product, request, "responses", relay, respondent="email:eve@example.com", decision="reject"
        ),
        await post(product, request, "escalate", relay),
        await post(product, request, "responses", relay, respondent=ANA, decision="approve", reason=secret),
        await post(product, request, "responses", relay, decision="approve", reason="again"),
        await post(product, request, "cancel", relay),
    ]
    assert [a.json.get("code") for a in answers] == [
        *("invalid", "invalid", "not_in_audience", "invalid", None, "already_resolved", "already_resolved")
    ]
    for answer in answers:
        assert secret not in answer.text
        assert "codename" not in answer.text
    assert (
        answers[5].json["request"]
        == answers[4].json
        == {
            "id": request["id"],
            "status": "approved",
            "version": 2,
        }
    )
    late = await post(product, request, "cancel", await product.new_key("operate", "read"))
    assert late.json["request"]["title"] == secret


async def test_the_same_call_again_asks_for_the_same_authority(product: Product) -> None:
    agent = await product.new_key("submit", "respond", "operate")
    request = await product.submit_with(agent)
    headers = agent | {"Idempotency-Key": "k"}
    body = {"respondent": ANA, "decision": "approve"}
    first = await post(product, request, "responses", headers, **body)
    assert first.status == 200
    store = product.assent.store
    await store.run_write(lambda c: c.execute(api_keys.api_keys.update().values(scopes="submit,operate")))
    await forget_keys(product)
    again = await post(product, request, "responses", headers, **body)
    assert (again.status, again.json["code"]) == (403, "self_approval")


async def forget_keys(product: Product) -> None:
    """What the server remembers of keys for a few seconds."""
    auth = product.assent.events._door._auth
    auth._known.clear()


async def test_the_phrase_to_be_typed_is_in_no_answer_to_any_key(product: Product) -> None:
    request = await product.submit(level="verify", verification_phrase=PHRASE, callback_url=None)
    everything = await product.new_key("submit", "read", "respond", "operate", "links", "admin")
    one = f"/v1/requests/{request['id']}"
    wrong = {"respondent": ANA, "decision": "approve", "phrase": "SINK"}
    for headers in (HOLDER, everything):
        for path in (
            one,
            f"{one}/audit",
            f"{one}/deliveries",
            "/v1/requests",
            "/v1/pending",
            "/agents/hitl/pending",
        ):
            answer = await product.call("GET", path, headers=headers)
            assert (answer.status, PHRASE in answer.text) == (200, False), path
        refused = await post(product, request, "responses", headers, **wrong)
        assert (refused.status, PHRASE in refused.text) == (422, False)
        refused = await post(product, request, "responses", headers, decision="approve")
        assert [e["pointer"] for e in refused.json["errors"]] == ["/phrase"]
    assert (await post(product, request, "responses", everything, **wrong | {"phrase": PHRASE})).status == 200


class TestWhatWasSeen:
    async def test_an_answer_to_what_was_revised_since_is_refused(self, product: Product) -> None:
        request = await product.submit(payload={"amount": 1})
        assert request["revision"] == 1
        await post(product, request, "revise", HOLDER, payload={"amount": 1000})
        for body in ({"respondent": ANA}, {}):
            stale = await post(product, request, "responses", HOLDER, decision="approve", revision=1, **body)
            assert (stale.status, stale.json["code"]) == (409, "stale_revision")
            early = await post(product, request, "responses", HOLDER, decision="approve", revision=3, **body)
            assert (early.status, [e["pointer"] for e in early.json["errors"]]) == (422, ["/revision"])
            for wrong in (0, -1, "1", 1.5, True):
                bad = await post(
                    product, request, "responses", HOLDER, decision="approve", revision=wrong, **body
                )
                assert bad.status == 422, wrong
        assert (await product.get(request))["status"] == "pending"
        done = await post(product, request, "responses", HOLDER, decision="approve", revision=2)
        assert done.json["status"] == "approved"

    async def test_an_operator_may_say_which_step(self, product: Product) -> None:
        steps = [{"audience": [ANA]}, {"audience": ["email:ben@example.com"]}]
        request = await product.submit(steps=steps, audience=None)
        early = await post(product, request, "responses", HOLDER, decision="approve", step=1)
        assert (early.status, early.json["code"]) == (403, "not_in_audience")
        await post(product, request, "responses", HOLDER, respondent=ANA, decision="approve")
        late = await post(product, request, "responses", HOLDER, decision="approve", step=0)
        assert (late.status, late.json["code"]) == (409, "step_closed")

    async def test_one_answer_to_several_says_what_was_seen_of_each(self, product: Product) -> None:
        first, second, third = [await product.submit() for _ in range(3)]
        for request in (first, third):
            await post(product, request, "revise", HOLDER, title="Other")
        body: dict[str, Any] = {
            "requests": [{"id": first["id"], "revision": 2}, second["id"], third["id"]],
            "decision": "approve",
            "revision": 1,
        }
        for who in ({"respondent": ANA}, {}):
            items = (await product.call("POST", "/v1/responses", json=body | who)).json["items"]
            assert [i["id"] for i in items] == [first["id"], second["id"], third["id"]]
            assert items[2]["problem"]["code"] == "stale_revision"
        assert [(await product.get(r))["status"] for r in (first, second, third)] == [
            *("approved", "approved", "pending")
        ]


class TestCallIds:
    async def ask(
        self, product: Product, key: dict[str, str], fn: str = "pay", call_id: str = "c1"
    ) -> Answer:
        body = {"run_id": "r", "call_id": call_id, "spec": {"fn": fn, "kwargs": {}, "channel": CHANNEL}}
        return await product.call("POST", f"{LAYER}/function_calls", json=body, headers=key)

    async def look(self, product: Product, key: dict[str, str], call_id: str = "c1") -> Answer:
        return await product.call("GET", f"{LAYER}/function_calls/{call_id}", headers=key)

    async def respond(self, product: Product, key: dict[str, str], call_id: str) -> Answer:
        path = f"{LAYER}/agent/function_calls/{call_id}/respond"
        return await product.call("POST", path, json={"approved": True}, headers=key)

    async def test_two_keys_may_use_the_same(self, product: Product) -> None:
        one, two, three = [await product.new_key("submit", name=n) for n in ("one", "two", "three")]
        desk = await product.new_key("operate", "read")
        assert (await self.ask(product, one, "pay")).status == 201
        assert (await self.respond(product, two, "c1")).json["code"] == "forbidden_scope"
        assert (await self.look(product, two)).status == 404
        assert (await self.ask(product, two, "refund")).status == 201
        assert (await self.ask(product, one, "pay")).status == 200
        assert (await self.ask(product, one, "refund")).json["code"] == "idempotency_conflict"
        assert (await self.look(product, one)).json["spec"]["fn"] == "pay"
        assert (await self.look(product, two)).json["spec"]["fn"] == "refund"
        assert (await self.look(product, three)).json["code"] == "not_found"
        ambiguous = await self.respond(product, desk, "c1")
        assert (ambiguous.status, [e["pointer"] for e in ambiguous.json["errors"]]) == (422, ["/call_id"])
        ids = {r["submitted_by"]: r["id"] for r in (await product.call("GET", "/v1/requests")).json["items"]}
        assert ids["one"] in ambiguous.text
        assert (await self.look(product, two, ids["one"])).status == 404
        assert (await self.look(product, one, ids["one"])).status == 200
        assert (await self.respond(product, desk, ids["one"])).json["status"]["approved"] is True
        assert (await self.look(product, one)).json["status"]["approved"] is True
        assert (await self.look(product, two)).json["status"]["approved"] is None

    async def test_who_answers_names_the_only_call_of_its_id(self, product: Product) -> None:
        agent, desk = await product.new_key("submit"), await product.new_key("operate")
        await self.ask(product, agent, call_id="run:1.x")
        done = await self.respond(product, desk, "run:1.x")
        assert (done.status, done.json.keys()) == (200, {"id", "status", "version"})
        assert (await self.respond(product, desk, "run:1.x")).status == 409

    async def test_no_request_passes_for_a_call_and_no_call_for_a_request(self, product: Product) -> None:
        agent = await product.new_key("submit")
        desk = await product.new_key("operate", "read")
        sent = {"run_id": "r", "call_id": "c9", "spec": {}}
        fake = await product.submit_with(agent, payload={"tool": "x", "kwargs": {}, "humanlayer": sent})
        for name in (fake["id"], "c9"):
            assert (await self.respond(product, desk, name)).status == 404
            assert (await self.look(product, desk, name)).status == 404
        bad = await self.ask(product, agent, call_id=fake["id"])
        assert (bad.status, [e["pointer"] for e in bad.json["errors"]]) == (422, ["/call_id"])
        body = {"title": "T", "audience": [ANA]}
        key = agent | {"Idempotency-Key": "humanlayer:function_calls:c7"}
        assert (await product.call("POST", "/v1/requests", json=body, headers=key)).status == 201
        assert (await self.look(product, agent, "c7")).status == 404


async def test_a_key_follows_its_own_without_loss_through_many_of_others(product: Product) -> None:
    agent = await product.new_key("submit")
    mine = [(await product.submit_with(agent, title=f"mine {n}"))["id"] for n in range(40)]
    for n in range(60):
        await product.submit(title=f"other {n}")
    mine.append((await product.submit_with(agent, title="last"))["id"])
    seen: list[str] = []
    last = "0"
    while mine[-1] not in seen:
        headers = agent | {"Last-Event-ID": last}
        async with product.http.get("/v1/events", headers=headers) as response:
            text = ""
            while text.count("request.created") < 25 and mine[-1] not in text:
                async with asyncio.timeout(10):
                    text += (await response.content.readuntil(b"\n\n")).decode()
        events = [e for e in text.split("\n\n") if "data: " in e]
        assert "other " not in text
        seen += [e.split('"request_id":"')[1].split('"')[0] for e in events]
        last = events[-1].split("id: ")[1].split("\n")[0]
    assert seen == mine


async def test_a_list_of_ones_own_goes_on_page_by_page_with_every_filter(product: Product) -> None:
    agent = await product.new_key("submit")
    mine = [
        (await product.submit_with(agent, title=f"Deploy {n}", labels={"n": n % 2}))["id"] for n in range(5)
    ]
    for n in range(5):
        await product.submit(title=f"Deploy other {n}", labels={"n": n % 2})
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await product.call("GET", "/v1/requests", params={"limit": 2, **cursor}, headers=agent)
        found += [r["id"] for r in answer.json["items"]]
        if answer.json["next_cursor"] is None:
            break
        cursor = {"cursor": answer.json["next_cursor"]}
    assert found == mine[::-1]
    for params, expected in [
        ({"label": "n:1"}, [mine[3], mine[1]]),
        ({"q": "other"}, []),
        ({"status": "approved"}, []),
        ({"respondent": ANA, "label": "n:0"}, [mine[4], mine[2], mine[0]]),
    ]:
        answer = await product.call("GET", "/v1/requests", params=params, headers=agent)
        assert [r["id"] for r in answer.json["items"]] == expected, params


async def test_a_program_needs_no_more_than_submit_for_all_that_it_does_with_its_own(
    product: Product,
) -> None:
    headers = await product.new_key("submit", name="agent")
    key = headers["Authorization"].removeprefix("Bearer ")
    async with AsyncClient(product.url, key) as client:
        other = await product.submit()
        request = await client.submit(title="Deploy", audience=[ANA], payload={"v": 7})
        assert [r.id for r in await client.pending()] == [r.id for r in await client.list()] == [request.id]
        await client.remind(request.id)
        await client.revise(request.id, payload={"v": 8})
        await client.comment(request.id, text="v8 it is")
        assert (await client.deliveries(request.id), len(await client.audit(request.id))) == ([], 4)
        await product.answer(request, "approve", "ana@example.com")
        outcome = await client.wait(request.id, timeout=20)
        assert outcome
        assert await client.verify(await client.receipt(request.id), {"v": 8})
        assert [e.type async for e in client.events(request.id)][-1] == "request.resolved"
        taken_back = await client.submit(title="Deploy", audience=[ANA])
        assert (await client.cancel(taken_back.id)).outcome["by"] == "agent"
        with pytest.raises(ApiError, match="not_found"):
            await client.get(other["id"])
        with pytest.raises(ApiError, match="not_yours"):
            await client.cancel(other["id"])


async def test_the_client_says_what_was_looked_at(product: Product) -> None:
    async with AsyncClient(product.url, KEY) as client:
        seen = await client.submit(title="Deploy", audience=[ANA])
        await client.revise(seen.id, title="Delete")
        for who in ({"respondent": ANA}, {}):
            with pytest.raises(ApiError, match="stale_revision"):
                await client.approve(seen.id, revision=seen.revision, **who)
        results = await client.respond_to_all([{"id": seen.id, "revision": 1}], "approve")
        assert results[0]["problem"]["code"] == "stale_revision"
        assert (await client.approve(seen.id, revision=2, step=0)).status == "approved"


class TestKeys:
    async def test_an_administrator_makes_lists_and_revokes_them(self, product: Product) -> None:
        admin = await product.new_key("admin", name="admin")
        body = {"name": " ci ", "scopes": ["submit", "read", "submit"]}
        made = await product.call("POST", "/v1/keys", json=body, headers=admin)
        assert (made.status, made.json["name"], made.json["scopes"]) == (201, "ci", ["read", "submit"])
        assert made.json["callback_secret"].startswith("whsec_")
        new = {"Authorization": f"Bearer {made.json['key']}"}
        request = await product.submit_with(new)
        assert request["submitted_by"] == "ci"
        listed = await product.call("GET", "/v1/keys", headers=admin)
        assert {k["name"]: k["revoked_at"] for k in listed.json["items"]} == {"admin": None, "ci": None}
        assert made.json["key"] not in listed.text
        assert made.json["callback_secret"] not in listed.text
        for _ in range(2):
            gone = await product.call("DELETE", f"/v1/keys/{made.json['id']}", headers=admin)
            assert gone.status == 204
        assert (await product.call("GET", "/v1/requests", headers=new)).status == 401
        assert (await product.call("DELETE", "/v1/keys/key_nope", headers=admin)).status == 404
        assert (await product.call("DELETE", "/v1/keys/bootstrap", headers=admin)).status == 404

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"scopes": ["read"]}, "/name"),
            ({"name": " ", "scopes": ["read"]}, "/name"),
            ({"name": "a\u202eb", "scopes": ["read"]}, "/name"),
            ({"name": "x" * 101, "scopes": ["read"]}, "/name"),
            ({"name": "ci", "scopes": []}, "/scopes"),
            ({"name": "ci", "scopes": ["everything"]}, "/scopes/0"),
            ({"name": "ci", "scopes": ["read"], "id": "key_1"}, "/id"),
        ],
    )
    async def test_what_makes_no_key_is_refused(self, body: Json, pointer: str, product: Product) -> None:
        refused = await product.call("POST", "/v1/keys", json=body)
        assert (refused.status, [e["pointer"] for e in refused.json["errors"]]) == (422, [pointer])
