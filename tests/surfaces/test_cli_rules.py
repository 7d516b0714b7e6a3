"""The rules of people on the command line: several at once, forms, escalation, delegation, second thoughts, groups."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import command
from tests.support.product import KEY, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANA, BEN, CY = (f"email:{name}@example.com" for name in ("ana", "ben", "cy"))
FORM = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "title": "Amount", "minimum": 1},
        "currency": {"title": "Currency", "enum": ["EUR", "USD"]},
        "customer": {"type": "string", "title": "Customer", "readOnly": True},
    },
}
REFUND = {"amount": 1250, "currency": "EUR", "customer": "8841"}


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url) as product:
        yield product


async def run(product: Product, *arguments: str) -> command.Done:
    return await command.run(*arguments, ASSENT_URL=product.url, ASSENT_API_KEY=KEY)


async def in_terminal(product: Product, *arguments: str, answers: str) -> str:
    """Run a command whose standard input and error are a terminal, type `answers`; what the terminal showed."""
    ours, theirs = pty.openpty()
    os.write(ours, answers.encode())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", *arguments),
        stdin=theirs,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=theirs,
        env=command.environment(ASSENT_URL=product.url, ASSENT_API_KEY=KEY),
    )
    async with asyncio.timeout(20):
        status = await process.wait()
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert status == 0, shown
    return shown


async def test_several_get_one_answer_and_refusals_are_said(product: Product) -> None:
    plain = [(await product.submit())["id"] for _ in range(2)]
    careful = (await product.submit(level="verify", verification_phrase="DELETE"))["id"]
    done = await run(product, "approve", *plain, careful, "--as", ANA)
    assert done.status == 1
    assert done.out.count("approved") == 2
    assert "wants a phrase typed" in " ".join(done.out.split())


async def test_a_form_is_filled_in_by_options_with_its_faults_named(product: Product) -> None:
    request = await product.submit(payload=REFUND, form=FORM)
    approve = ("approve", request["id"], "--as", ANA, "--json")
    for value, fault in (
        ("amount=much", "amount: must be a whole number"),
        ("amount=0", "/values/amount: must be at least 1"),
        ("total=1", "no such field; the fields are amount, currency, customer"),
    ):
        refused = await run(product, *approve, "--value", value)
        assert refused.status in {1, 2}
        assert fault in refused.err
    done = await run(product, *approve, "--value", "amount=900", "--value", "currency=USD")
    assert done.json["outcome"]["payload"] == REFUND | {"amount": 900, "currency": "USD"}


async def test_at_a_terminal_the_form_and_the_phrase_are_asked_for(product: Product) -> None:
    request = await product.submit(
        payload=REFUND, form=FORM, level="verify", verification_phrase="REFUND 8841"
    )
    shown = await in_terminal(product, "approve", request["id"], "--as", ANA, answers="REFUND 8841\n900\n\n")
    assert "Type the phrase that the request shows to people: " in shown
    assert "Amount [1250]: " in shown
    assert "Currency (EUR, USD) [EUR]: " in shown
    assert "Customer: 8841" in shown
    final = await product.get(request)
    assert (final["status"], final["outcome"]["values"]) == ("approved", {"amount": 900})


async def test_feedback_and_choices(product: Product) -> None:
    feedback = await product.submit(kind="feedback")
    done = await run(product, "approve", feedback["id"], "--as", ANA, "--value", "score=0.8", "--json")
    assert done.json["outcome"]["values"]["score"] == 0.8
    choices = [{"id": c, "label": c.title()} for c in ("red", "blue")]
    choice = await product.submit(kind="choice", choices=choices)
    assert "Blue" in (await run(product, "show", choice["id"])).out
    done = await run(product, "choose", choice["id"], "blue", "--as", ANA, "--json")
    assert done.json["outcome"]["choice"] == "blue"


async def test_a_request_is_escalated_handed_on_discussed_revised_and_shown(product: Product) -> None:
    levels: list[dict[str, Any]] = [{"name": "manager", "audience": [CY]}]
    request = await product.submit(audience=[ANA, BEN], quorum="all", escalation=levels, payload=REFUND)
    one = request["id"]
    for arguments in (
        ("delegate", one, "--from", ANA, "--to", "email:dee@example.com", "--reason", "on holiday"),
        ("approve", one, "--as", BEN),
        ("withdraw", one, "--as", BEN),
        ("comment", one, "Which order?", "--as", BEN),
        ("comment", one, "5531"),
        ("remind", one),
        ("revise", one, "--title", "Refund €900", "--reason", "two came back"),
        ("escalate", one, "--reason", "late"),
    ):
        done = await run(product, *arguments)
        assert (done.status, done.err) == (0, ""), arguments
    shown = " ".join((await run(product, "show", one)).out.split())
    for words in (
        "Refund €900",
        "ana@example.com handed this on to dee@example.com: on holiday",
        "ben@example.com took their answer back.",
        "ben@example.com Which order?",
        "5531",
        "Escalated from audience to manager by operator (bootstrap key): late",
        "manager (asked)",
    ):
        assert words in shown
    refused = await run(product, "escalate", one)
    assert refused.status == 1
    assert "no further level" in refused.err


async def test_people_are_reminded_once_a_minute_whoever_does_it(product: Product) -> None:
    request = await product.submit(audience=[ANA])
    assert (await run(product, "remind", request["id"])).status == 0
    again = await run(product, "remind", request["id"])
    assert (again.status, again.out) == (1, "")
    assert "(rate_limited)" in again.err
    by_api = await product.call("POST", f"/v1/requests/{request['id']}/remind", json={})
    assert (by_api.status, by_api.json["code"]) == (429, "rate_limited")
    assert 0 < int(by_api.headers["Retry-After"]) <= 60


async def test_groups_are_set_listed_and_deleted(product: Product) -> None:
    assert "group:legal" in (await run(product, "groups", "set", "legal", "ana@example.com", BEN)).out
    assert (await run(product, "groups", "list", "--json")).json == [
        {"name": "legal", "members": ["ana@example.com", BEN]}
    ]
    assert (await run(product, "groups", "delete", "legal")).status == 0
    gone = await run(product, "groups", "delete", "legal")
    assert gone.status == 1
    assert "There is no group 'legal'" in gone.err


async def test_policies_can_be_tried_without_asking_anybody(tmp_path: Path) -> None:
    config = tmp_path / "assent.toml"
    config.write_text('[[policies]]\nname = "dev"\nthen = "approve"\nwhen = { "labels.env" = "dev" }\n')
    for env, decision in (("dev", "approved"), ("prod", "ask")):
        asked = json.dumps({"title": "Deploy?", "labels": {"env": env}})
        done = await command.run("policy", "-", "--json", stdin=asked, ASSENT_CONFIG=str(config))
        assert (done.status, done.json["decision"]) == (0, decision), done.err


async def test_a_view_can_be_tried_without_asking_anybody(tmp_path: Path) -> None:
    config = tmp_path / "assent.toml"
    config.write_text(
        '[[views]]\nname = "pay"\nwhen = { "payload.tool" = "pay" }\n'
        'fields = [{ path = "/amount", as = "money", currency = "/currency", exponent = 2 }]\n'
    )
    payload = {"tool": "pay", "amount": 4821000, "currency": "EUR", "lines": [{"sku": "A", "qty": 1}]}
    asked = json.dumps({"title": "Pay?", "payload": payload})
    done = await command.run("view", "-", stdin=asked, ASSENT_CONFIG=str(config))
    assert done.status == 0, done.err
    assert "What will be done (view: pay)" in done.out
    assert "Amount: 48,210.00 EUR" in done.out
    assert "SKU  Qty" in done.out
    assert "currency" not in done.out.lower()
    nothing = await command.run("view", "-", stdin='{"title": "Pay?"}', ASSENT_CONFIG=str(config))
    assert (nothing.status, "no payload" in nothing.err) == (1, True)


class TestWhatWasShown:
    """An answer on the command line is to what a command showed, not to what came after."""

    @pytest.mark.parametrize("look", [("show",), ("list",), ("pending",)])
    @pytest.mark.parametrize("verb", ["approve", "reject"])
    async def test_a_revision_in_between_is_refused_and_shown(
        self, look: tuple[str, ...], verb: str, product: Product
    ) -> None:
        request = await product.submit(payload={"amount": 1})
        one = request["id"]
        assert one in (await run(product, *look, *([one] if look == ("show",) else []))).out
        path = f"/v1/requests/{one}/revise"
        assert (await product.call("POST", path, json={"payload": {"amount": 99999}})).status == 200
        for who in ((), ("--as", ANA)):
            refused = await run(product, verb, one, *who, "--revision", "1")
            assert (refused.status, "stale_revision" in refused.err) == (1, True)
        assert (await product.get(request))["status"] == "pending"

    async def test_what_show_showed_is_what_is_answered(self, product: Product) -> None:
        request = await product.submit(payload={"amount": 1})
        one = request["id"]
        await run(product, "show", one)
        path = f"/v1/requests/{one}/revise"
        await product.call("POST", path, json={"payload": {"amount": 99999}})
        refused = await run(product, "approve", one)
        assert refused.status == 1
        assert "changed since you opened it" in refused.err
        assert "99999" in refused.out
        assert (await product.get(request))["status"] == "pending"
        assert (await run(product, "approve", one)).status == 0
        assert (await product.get(request))["outcome"]["payload"] == {"amount": 99999}

    async def test_of_several_each_is_answered_as_it_was_shown(self, product: Product) -> None:
        first, second = [await product.submit() for _ in range(2)]
        await run(product, "pending")
        await product.call("POST", f"/v1/requests/{second['id']}/revise", json={"title": "Other"})
        done = await run(product, "approve", first["id"], second["id"], "--json")
        assert done.status == 1
        assert [r["problem"] and r["problem"]["code"] for r in done.json] == [None, "stale_revision"]

    async def test_at_a_terminal_what_was_never_shown_is_shown_and_asked_about(
        self, product: Product
    ) -> None:
        request = await product.submit(payload={"amount": 1250})
        shown = await in_terminal(product, "reject", request["id"], answers="yes\n")
        assert "Answer this? (yes or no) [no]: " in shown
        assert (await product.get(request))["status"] == "rejected"

    async def test_a_key_that_may_not_read_says_what_was_looked_at(self, product: Product) -> None:
        request = await product.submit()
        relay = (await product.new_key("respond"))["Authorization"].removeprefix("Bearer ")
        answer = ("approve", request["id"], "--as", ANA, "--key", relay)
        refused = await run(product, *answer)
        assert (refused.status, "--revision" in refused.err) == (1, True)
        done = await run(product, *answer, "--revision", "1")
        assert (done.status, done.out.split()) == (0, [request["id"], "approved"])

    async def test_without_a_state_folder_the_answer_is_to_what_is_there(self, product: Product) -> None:
        request = await product.submit()
        for _ in range(2):
            done = await command.run(
                *("show", request["id"]),
                ASSENT_URL=product.url,
                ASSENT_API_KEY=KEY,
                XDG_STATE_HOME="/dev/null",
            )
            assert done.status == 0
        done = await command.run(
            *("approve", request["id"]),
            ASSENT_URL=product.url,
            ASSENT_API_KEY=KEY,
            XDG_STATE_HOME="/dev/null",
        )
        assert done.status == 0
