"""The rules of people over the API: steps, trees, escalation, delegation, edits, second thoughts, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.support.product import ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.product import Answer, Json, Product

ANA, BEN, CY, DEE = (f"{name}@example.com" for name in ("ana", "ben", "cy", "dee"))
GROUPS = {"security": (ANA, BEN), "ops": (BEN, CY, DEE)}
FORM = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "title": "Amount", "minimum": 1},
        "customer": {"type": "string", "readOnly": True},
    },
    "required": ["amount"],
}
REFUND = {"amount": 1250, "customer": "8841", "tool": "refund"}


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url, groups=GROUPS, clock=ManualClock()) as product:
        yield product


def mails(*addresses: str) -> list[str]:
    return [f"email:{address}" for address in addresses]


def states(request: Json) -> dict[str, str]:
    return {r["email"].partition("@")[0]: r["state"] for r in request["respondents"]}


async def yes(product: Product, request: Json, who: str, **fields: Any) -> Json:
    answer = await product.answer(request, "approve", who, **fields)
    assert answer.status == 200, answer.text
    return answer.json


async def post(product: Product, request: Json, verb: str, **body: Any) -> Answer:
    return await product.call("POST", f"/v1/requests/{request['id']}/{verb}", json=body)


async def done(product: Product, request: Json, verb: str, **body: Any) -> Json:
    answer = await post(product, request, verb, **body)
    assert answer.status == 200, answer.text
    return answer.json


def refusal(answer: Answer) -> tuple[int, str, list[str]]:
    return answer.status, answer.json["code"], [e["pointer"] for e in answer.json.get("errors", ())]


class TestTrees:
    RULE: ClassVar[Json] = {
        "all_of": [{"from": "group:security", "approvals": 1}, {"from": "group:ops", "approvals": 2}]
    }
    AUDIENCE: ClassVar[Json] = ["group:security", "group:ops"]

    async def test_each_group_gives_its_part_and_nobody_counts_twice(self, product: Product) -> None:
        request = await product.submit(audience=self.AUDIENCE, quorum=self.RULE)
        assert request["quorum"]["required"] == 3
        assert "0 of 1 from security (waiting: " in request["quorum"]["text"]
        for who in (BEN, CY):
            request = await yes(product, request, who)
        assert request["status"] == "pending"
        assert (await yes(product, request, DEE))["status"] == "approved"

    async def test_who_belongs_to_both_counts_in_both_only_where_the_rule_says_so(
        self, product: Product
    ) -> None:
        request = await product.submit(audience=self.AUDIENCE, quorum=self.RULE | {"distinct": False})
        assert (await yes(product, await yes(product, request, BEN), CY))["status"] == "approved"

    async def test_it_ends_as_soon_as_it_can_no_longer_pass(self, product: Product) -> None:
        request = await product.submit(audience=self.AUDIENCE, quorum=self.RULE, reject_quorum=4)
        request = (await product.answer(request, "reject", CY)).json
        assert request["status"] == "pending"
        request = (await product.answer(request, "reject", DEE, reason="No budget")).json
        assert request["status"] == "rejected"
        assert "can no longer be reached" in request["quorum"]["text"]

    @pytest.mark.parametrize(
        ("rule", "pointer"),
        [
            ({"all_of": []}, "/quorum/all_of"),
            ({"all_of": [{"from": "group:ops", "approvals": 0}]}, "/quorum/all_of/0/approvals"),
            ({"from": "nobody"}, "/quorum/from"),
            ({"from": "group:ops", "approvals": 4}, "/quorum"),
            ({"from": "email:eve@example.com"}, "/quorum"),
            ({"most_of": []}, "/quorum"),
            ({"any_of": [{"from": "group:ops", "votes": 1}]}, "/quorum/any_of/0/votes"),
        ],
    )
    async def test_a_rule_that_means_nothing_is_refused_at_its_place(
        self, product: Product, rule: Json, pointer: str
    ) -> None:
        body = {"title": "Delete it?", "audience": self.AUDIENCE, "quorum": rule}
        assert refusal(await product.call("POST", "/v1/requests", json=body)) == (422, "invalid", [pointer])


async def with_key(product: Product, request: Json, decision: str) -> Answer:
    """Ana's answer, with an idempotency key that is always the same."""
    said = {"respondent": f"email:{ANA}", "decision": decision}
    path = f"/v1/requests/{request['id']}/responses"
    return await product.call("POST", path, json=said, headers={"Idempotency-Key": "once"})


class TestSteps:
    STEPS: ClassVar[Json] = [
        {"name": "Team", "audience": mails(ANA)},
        {"name": "Finance", "audience": mails(BEN, CY), "quorum": "all", "timeout_seconds": 60},
    ]

    async def test_they_are_taken_in_order(self, product: Product) -> None:
        request = await product.submit(steps=self.STEPS, audience=None)
        assert request["step"] == {"index": 0, "count": 2, "name": "Team"}
        early = await product.answer(request, "approve", BEN)
        assert refusal(early)[:2] == (403, "not_in_audience")
        request = await yes(product, request, ANA, reason="Looks right")
        assert (request["status"], request["step"]["name"]) == ("pending", "Finance")
        assert request["trail"][0]["text"].startswith("Team is approved: 1 of 1 approval")
        again = await yes(product, request, ANA, reason="Looks right")
        assert again["version"] == request["version"]
        late = await product.answer(request, "reject", ANA)
        assert refusal(late)[:2] == (409, "step_closed")
        request = await yes(product, await yes(product, request, BEN), CY)
        assert request["status"] == "approved"
        assert len(request["outcome"]["respondents"]) == 3

    async def test_an_answer_that_comes_twice_answers_no_further_step(self, product: Product) -> None:
        steps = [{"audience": mails(ANA)}, {"audience": mails(ANA, BEN)}]
        request, other = [await product.submit(steps=steps, audience=None) for _ in range(2)]
        for of in (request, other):
            first, twice = [await with_key(product, of, "approve") for _ in range(2)]
            assert (first.status, twice.status) == (200, 200)
            assert twice.json["version"] == first.json["version"]
        assert refusal(await with_key(product, request, "reject"))[:2] == (409, "idempotency_conflict")
        again = await product.answer(request, "approve", ANA, step=0)
        assert (again.status, again.json["status"]) == (200, "pending")
        stale = await product.answer(request, "reject", ANA, step=0)
        assert refusal(stale)[:2] == (409, "step_closed")
        assert (await product.answer(request, "approve", ANA)).json["status"] == "approved"

    async def test_a_rejection_in_any_step_ends_it(self, product: Product) -> None:
        request = await yes(product, await product.submit(steps=self.STEPS, audience=None), ANA)
        assert (await product.answer(request, "reject", CY)).json["status"] == "rejected"

    async def test_a_steps_time_begins_when_it_opens(self, product: Product) -> None:
        request = await product.submit(steps=self.STEPS, audience=None)
        product.advance(3600)
        request = await yes(product, request, ANA)
        assert request["timeout_at"]
        product.advance(61)
        waited = await product.get(request, wait=20)
        assert (waited["status"], waited["outcome"]["resolved_by"]) == ("expired", "timeout")


class TestEscalation:
    LADDER: ClassVar[Json] = [
        {"name": "manager", "after_seconds": 900, "audience": mails(DEE)},
        {"name": "board", "audience": mails(CY), "replace": True},
    ]

    async def test_it_climbs_by_time_and_those_before_may_still_answer(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA, BEN), quorum="all", escalation=self.LADDER)
        assert "dee" not in states(request)
        assert refusal(await product.answer(request, "approve", DEE))[1] == "not_in_audience"
        product.advance(901)
        request = (await product.answer(request, "approve", ANA)).json
        assert request["escalation"]["level"] == 1
        assert states(request) == {"ana": "approved", "ben": "waiting", "dee": "waiting"}
        assert "Escalated from audience to manager by the clock" in request["trail"][0]["text"]
        assert (await yes(product, request, DEE))["outcome"]["by"] == f"{ANA} and {DEE}"

    async def test_a_respondent_or_the_api_may_escalate_and_a_level_may_replace(
        self, product: Product
    ) -> None:
        request = await product.submit(audience=mails(ANA, BEN), escalation=self.LADDER)
        request = await done(product, request, "escalate", respondent=ANA, reason="Above my limit")
        assert request["trail"][0]["text"] == f"Escalated from audience to manager by {ANA}: Above my limit"
        request = await done(product, request, "escalate", reason="Still too high")
        assert refusal(await product.answer(request, "approve", ANA))[:2] == (403, "not_in_audience")
        [pending] = (await product.call("GET", "/v1/pending")).json["items"]
        names = {r["id"]: r["name"] or r["email"] for r in pending["respondents"]}
        assert [names[link["respondent"]] for link in pending["links"]] == [CY]
        assert refusal(await post(product, request, "escalate")) == (422, "invalid", ["/escalation"])
        assert (await yes(product, request, CY))["status"] == "approved"
        events = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
        climbs = [e["data"] for e in events if e["type"] == "request.escalated"]
        assert [(c["from"], c["to"], c["reason"]) for c in climbs] == [
            ("audience", "manager", "Above my limit"),
            ("manager", "board", "Still too high"),
        ]

    async def test_without_a_ladder_it_is_refused(self, product: Product) -> None:
        assert refusal(await post(product, await product.submit(), "escalate"))[:2] == (422, "invalid")

    async def test_a_deadline_may_escalate_and_then_expire(self, product: Product) -> None:
        levels = [{"name": "manager", "audience": mails(DEE)}]
        request = await product.submit(timeout_seconds=60, on_timeout="escalate", escalation=levels)
        product.advance(61)
        request = (await post(product, request, "remind")).json
        assert (request["status"], request["escalation"]["level"]) == ("pending", 1)
        product.advance(61)
        assert (await product.get(request, wait=20))["status"] == "expired"


class TestDelegation:
    async def test_another_person_takes_the_place(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA, BEN), quorum="all")
        request = await done(
            product, request, "delegate", **{"from": ANA, "to": mails(CY)[0], "reason": "away"}
        )
        assert states(request) == {"ana": "delegated", "cy": "waiting", "ben": "waiting"}
        assert refusal(await product.answer(request, "approve", ANA))[:2] == (403, "not_in_audience")
        request = await yes(product, await yes(product, request, BEN), CY)
        assert request["status"] == "approved"
        assert request["trail"][0]["text"] == f"{ANA} handed this on to {CY}: away"

    @pytest.mark.parametrize("to", [ANA, BEN, "bob@example.com", "group:ops", "nonsense"])
    async def test_it_goes_to_nobody_who_may_not(self, product: Product, to: str) -> None:
        request = await product.submit(audience=mails(ANA, BEN), requester="email:bob@example.com")
        answer = await post(product, request, "delegate", **{"from": ANA, "to": to})
        assert refusal(answer) == (422, "invalid", ["/to"])

    async def test_only_who_is_asked_may_hand_on(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA))
        answer = await post(product, request, "delegate", **{"from": DEE, "to": CY})
        assert refusal(answer)[:2] == (403, "not_in_audience")


class TestEdits:
    async def test_a_changed_value_sets_earlier_approvals_back(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA, BEN), quorum="all", payload=REFUND, form=FORM)
        request = await yes(product, request, ANA)
        request = await yes(product, request, BEN, values={"amount": 900})
        assert states(request) == {"ana": "waiting", "ben": "approved"}
        assert "changed amount from 1250 to 900" in request["trail"][0]["text"]
        request = await yes(product, request, ANA)
        outcome = request["outcome"]
        assert (outcome["edited"], outcome["values"]) == (True, {"amount": 900})
        assert outcome["payload"] == REFUND | {"amount": 900}
        assert request["payload"] == REFUND

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"amount": "much"}, "/values/amount"),
            ({"amount": 0}, "/values/amount"),
            ({"amount": None}, "/values/amount"),
            ({"customer": "1"}, "/values/customer"),
            ({"tool": "delete"}, "/values/tool"),
        ],
    )
    async def test_what_does_not_fit_is_refused_at_its_field(
        self, product: Product, values: Json, pointer: str
    ) -> None:
        request = await product.submit(payload=REFUND, form=FORM)
        for who in (ANA, None):
            answer = await product.answer(request, "approve", who, values=values)
            assert refusal(answer) == (422, "invalid", [pointer])

    async def test_an_input_is_filled_in(self, product: Product) -> None:
        request = await product.submit(kind="input", form=FORM)
        assert refusal(await product.answer(request, "approve", ANA)) == (422, "invalid", ["/values/amount"])
        request = await yes(product, request, ANA, values={"amount": 7})
        assert request["outcome"]["payload"] == {"amount": 7}

    async def test_feedback_is_collected_from_everybody_and_averaged(self, product: Product) -> None:
        request = await product.submit(
            audience=mails(ANA, BEN, CY), kind="feedback", feedback_type="quality", timeout_seconds=60
        )
        request = await yes(product, request, ANA, values={"score": 1, "comment": "Good"})
        assert refusal(await product.answer(request, "approve", BEN, values={"score": 2}))[2] == [
            "/values/score"
        ]
        await yes(product, request, BEN, values={"score": 0.5})
        product.advance(61)
        request = await product.get(request, wait=20)
        assert request["status"] == "approved"
        assert request["outcome"]["values"] == {
            "score": 0.75,
            "count": 2,
            "comment": "Good",
            "comments": ["Good"],
            "feedback_type": "quality",
        }

    async def test_as_many_as_the_quorum_must_choose_the_same(self, product: Product) -> None:
        choices = [{"id": c, "label": c.title()} for c in ("red", "blue")]
        request = await product.submit(audience=mails(ANA, BEN, CY), quorum=2, kind="choice", choices=choices)
        for who, choice in ((ANA, "red"), (BEN, "blue")):
            request = (await product.answer(request, choice, who)).json
        assert (request["status"], request["quorum"]["text"]) == ("pending", "1 of 2 choices")
        request = (await product.answer(request, "blue", CY)).json
        assert (request["status"], request["outcome"]["choice"]) == ("approved", "blue")


class TestSecondThoughts:
    async def test_an_answer_can_be_taken_back_and_changed(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA, BEN), quorum="all")
        request = await yes(product, request, ANA)
        request = await done(product, request, "withdraw", respondent=ANA)
        assert (request["responses"], states(request)["ana"]) == ([], "waiting")
        assert (await product.answer(request, "reject", ANA)).json["status"] == "rejected"

    async def test_a_held_decision_can_be_undone_until_it_is_final(self, product: Product) -> None:
        request = await yes(product, await product.submit(grace_seconds=30), ANA)
        assert (request["status"], request["held"]["decision"]) == ("pending", "approved")
        request = await done(product, request, "withdraw", respondent=ANA)
        assert request["held"] is None
        request = await yes(product, request, ANA)
        product.advance(31)
        final = await product.get(request, wait=20)
        assert (final["status"], final["outcome"]["resolved_by"]) == ("approved", "respondents")

    async def test_questions_go_back_and_forth(self, product: Product) -> None:
        request = await product.submit(requester="email:bob@example.com")
        request = await done(product, request, "comments", respondent=ANA, text="Which order?")
        request = await done(product, request, "comments", text="5531")
        assert [(c["by"], c["text"]) for c in request["comments"]] == [
            (ANA, "Which order?"),
            ("email:bob@example.com", "5531"),
        ]
        assert request["status"] == "pending"

    async def test_a_revision_asks_everybody_again(self, product: Product) -> None:
        request = await product.submit(audience=mails(ANA, BEN), quorum="all", payload=REFUND)
        await yes(product, request, ANA)
        revised = await done(
            product, request, "revise", payload=REFUND | {"amount": 900}, reason="Two came back"
        )
        assert revised["revision"] == 2
        assert revised["payload_digest"] != request["payload_digest"]
        assert (revised["responses"], states(revised)["ana"]) == ([], "waiting")
        assert (await product.get(request))["payload"]["amount"] == 900
        assert refusal(await post(product, request, "revise", reason="just so"))[:2] == (422, "invalid")

    async def test_a_revision_fits_what_the_form_lets_nobody_change(self, product: Product) -> None:
        request = await product.submit(form=FORM, payload=REFUND)
        refused = await post(product, request, "revise", payload=REFUND | {"customer": 8841})
        assert refusal(refused) == (422, "invalid", ["/payload/customer"])
        assert (await done(product, request, "revise", payload={"amount": -1}))["revision"] == 2


async def test_several_are_answered_at_once_but_not_those_to_be_verified(product: Product) -> None:
    plain = [await product.submit() for _ in range(2)]
    careful = await product.submit(level="verify", verification_phrase="DELETE prod")
    ids = [r["id"] for r in (*plain, careful)]
    body = {"requests": ids, "respondent": ANA, "decision": "approve"}
    items = (await product.call("POST", "/v1/responses", json=body)).json["items"]
    assert [i["request"] and i["request"]["status"] for i in items] == ["approved", "approved", None]
    assert items[2]["problem"]["code"] == "invalid"
    assert (await product.get(careful))["status"] == "pending"


async def test_reminders_are_scheduled_and_on_demand(product: Product) -> None:
    request = await product.submit(remind_after_seconds=[60, 120])
    product.advance(61)
    request = await done(product, request, "remind")
    events = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
    assert [e["data"]["by"] for e in events if e["type"] == "request.reminded"] == [
        "the schedule",
        "operator (bootstrap key)",
    ]
    final = await yes(product, request, ANA)
    product.advance(3600)
    assert (await product.get(request))["version"] == final["version"]


class TestGroups:
    async def test_one_set_over_the_api_is_asked(self, product: Product) -> None:
        set_up = await product.call("PUT", "/v1/groups/legal", json={"members": mails(DEE)})
        assert set_up.json == {"name": "legal", "members": mails(DEE)}
        request = await product.submit(audience=["group:legal"])
        assert states(request) == {"dee": "waiting"}
        names = [g["name"] for g in (await product.call("GET", "/v1/groups")).json["items"]]
        assert names == ["legal", "ops", "security"]
        assert (await product.call("DELETE", "/v1/groups/legal")).status == 204
        gone = await product.call("POST", "/v1/requests", json={"title": "x", "audience": ["group:legal"]})
        assert refusal(gone) == (422, "invalid", ["/audience/0"])

    @pytest.mark.parametrize(
        ("name", "members", "pointer"),
        [
            ("ops", ["a@example.com"], "/name"),
            ("a b", ["a@example.com"], "/name"),
            ("x", ["ana"], "/members/0"),
            ("x", ["group:y", "group:x"], "/members/1"),
        ],
    )
    async def test_faults_are_named(
        self, product: Product, name: str, members: list[str], pointer: str
    ) -> None:
        answer = await product.call("PUT", f"/v1/groups/{name}", json={"members": members})
        assert refusal(answer) == (422, "invalid", [pointer])

    async def test_one_may_be_computed_for_each_request(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "staff.py").write_text(
            "MANAGERS = {'email:bob@example.com': 'dee@example.com'}\n"
            "async def manager(asker):\n    return [f'email:{MANAGERS[asker.requester]}']\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        async with running(sqlite_url, groups={"manager": "staff:manager"}) as product:
            asked = {"title": "Refund?", "audience": ["group:manager"], "requester": "email:bob@example.com"}
            request = (await product.call("POST", "/v1/requests", json=asked)).json
            assert states(request) == {"dee": "waiting"}
            stranger = asked | {"requester": "email:eve@example.com"}
            assert refusal(await product.call("POST", "/v1/requests", json=stranger))[0] == 422


async def test_a_policy_decides_what_it_matches_and_people_the_rest(sqlite_url: str) -> None:
    policies = [{"name": "small", "then": "approve", "when": {"payload.amount": {"max": 100}}}]
    async with running(sqlite_url, policies=policies) as product:
        small = await product.submit(payload={"amount": 80})
        assert (small["status"], small["outcome"]["resolved_by"]) == ("approved", "policy")
        assert small["outcome"]["by"] == "policy small"
        assert (await product.submit(payload={"amount": 101}))["status"] == "pending"
