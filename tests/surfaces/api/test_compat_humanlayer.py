"""HumanLayer's published client (0.7.9), unmodified, against a running server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from humanlayer.core.approval import HumanLayer
from humanlayer.core.async_approval import AsyncHumanLayer
from humanlayer.core.models import (
    ContactChannel,
    EmailContactChannel,
    FunctionCallSpec,
    FunctionCallStatus,
    HumanContactSpec,
    HumanContactStatus,
    ResponseOption,
    SlackContactChannel,
    SMSContactChannel,
)
from humanlayer.core.protocol import HumanLayerException

from bot.sandbox.slack.sandbox import SlackSandbox
from tests.support.product import KEY, ManualClock, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.product import Json, Product

ANA = ContactChannel(email=EmailContactChannel(address="ana@example.com", context_about_user="the manager"))
OPTIONS = [
    ResponseOption(name="not-now", title="Not now", prompt_fill="Try again tomorrow"),
    ResponseOption(name="never", description="It is against the rules"),
]


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url, clock=ManualClock()) as product:
        yield product


def client(product: Product, **options: Any) -> HumanLayer:
    """The client as its users make it, only that it looks more often than every three seconds."""
    return HumanLayer(
        api_key=KEY,
        api_base_url=f"{product.url}/humanlayer/v1",
        run_id="agent-7",
        sleep=lambda _seconds: time.sleep(0.01),
        **options,
    )


async def asked(product: Product) -> Json:
    """The request that the client has opened, or is about to."""
    with product.assent.store.watch(None) as watch:
        async with asyncio.timeout(20):
            while not (items := (await product.call("GET", "/v1/pending")).json["items"]):
                await watch.changed(20)
    return items[0]


async def call_and(
    product: Product, decide: Callable[[Json], Any], options: list[ResponseOption] | None = None
) -> Any:
    """What the agent's tool gives when its approval is asked for and decided."""

    def refund(customer: str, amount: int) -> str:
        return f"{customer} has {amount} back"

    tool = client(product, contact_channel=ANA).require_approval(reject_options=options).wrap(refund)
    calling = asyncio.create_task(asyncio.to_thread(tool, customer="8841", amount=1250))
    request = await asked(product)
    assert request["payload"]["tool"] == "refund"
    assert request["payload"]["kwargs"] == {"customer": "8841", "amount": 1250}
    await decide(request)
    async with asyncio.timeout(20):
        return await calling


async def test_an_approved_tool_runs(product: Product) -> None:
    result = await call_and(product, lambda r: product.answer(r, "approve", "ana@example.com"))
    assert result == "8841 has 1250 back"


async def test_a_rejected_tool_does_not_run_and_the_agent_learns_why(product: Product) -> None:
    reject = "User denied refund with message: "

    async def rejected(reason: str | None, options: list[ResponseOption] | None = None) -> str:
        result: str = await call_and(
            product, lambda r: product.answer(r, "reject", "ana@example.com", reason=reason), options
        )
        assert result.startswith(reject)
        return result.removeprefix(reject)

    assert await rejected("Too much") == "Too much"
    assert (await rejected(None)).startswith("Rejected by ana@example.com at ")
    assert await rejected("not-now", OPTIONS) == "Try again tomorrow"
    assert await rejected("Not now: next week", OPTIONS) == "next week"
    assert await rejected("Nothing of that", OPTIONS) == "Nothing of that"


async def test_a_tool_that_nobody_answers_for_does_not_run(product: Product) -> None:
    spec = FunctionCallSpec(
        fn="refund", kwargs={"to": None}, channel=ANA, state={"turn": 3, "assent": {"timeout_seconds": 60}}
    )
    fetching = asyncio.create_task(asyncio.to_thread(client(product).fetch_approval, spec))
    await asked(product)
    product.advance(61)
    completed = await fetching
    assert completed.call.spec.state == spec.state
    decided = completed.as_completed()
    assert decided.approved is False
    assert decided.comment.startswith("No decision by ")


async def test_a_tool_does_not_run_where_people_approved_something_else(product: Product) -> None:
    async def revise_and_approve(request: Json) -> None:
        body = {"payload": {"tool": "refund", "kwargs": {"customer": "8841", "amount": 1}}}
        await product.call("POST", f"/v1/requests/{request['id']}/revise", json=body)
        await product.answer(request, "approve", "ana@example.com")

    result = await call_and(product, revise_and_approve)
    assert result.startswith("Error fetching approval for refund: 409")
    assert "stale_revision" in result


async def test_a_call_is_asked_once_and_answered_once(product: Product) -> None:
    agent = client(product)

    def opened(amount: int = 1) -> Any:
        spec = FunctionCallSpec(fn="refund", kwargs={"n": amount}, channel=ANA, reject_options=OPTIONS)
        return agent.create_function_call(spec, call_id="call-1")

    assert await asyncio.to_thread(opened) == await asyncio.to_thread(opened)
    assert len((await product.call("GET", "/v1/pending")).json["items"]) == 1
    with pytest.raises(HumanLayerException, match="idempotency_conflict"):
        await asyncio.to_thread(opened, 2)
    wrong = FunctionCallStatus(approved=False, reject_option_name="perhaps")
    with pytest.raises(HumanLayerException, match="not-now, never"):
        await asyncio.to_thread(agent.respond_to_function_call, "call-1", wrong)
    status = FunctionCallStatus(approved=False, reject_option_name="never", comment="Really")
    answered = await asyncio.to_thread(agent.respond_to_function_call, "call-1", status)
    assert answered.status
    assert (answered.status.comment, answered.status.reject_option_name) == ("Really", "never")
    with pytest.raises(HumanLayerException, match="already_resolved"):
        await asyncio.to_thread(agent.respond_to_function_call, "call-1", status)
    with pytest.raises(HumanLayerException, match="404"):
        await asyncio.to_thread(agent.get_function_call, "call-2")


async def test_only_the_allowed_responders_are_asked_and_may_answer(sqlite_url: str) -> None:
    async with SlackSandbox() as slack, running(sqlite_url, slack=slack) as product:
        ana, ben = slack.add_user("Ana"), slack.add_user("Ben")
        channel = slack.add_channel("general", [ana, ben])
        spec = FunctionCallSpec(
            fn="refund",
            kwargs={},
            channel=ContactChannel(
                slack=SlackContactChannel(channel_or_user_id=channel.id, allowed_responder_ids=[ana.id])
            ),
        )
        await asyncio.to_thread(client(product).create_function_call, spec, "call-1")
        request = await asked(product)
        refused = await product.call(
            "POST",
            f"/v1/requests/{request['id']}/responses",
            json={"respondent": f"slack:{ben.id}", "decision": "approve"},
        )
        assert (refused.status, refused.json["code"]) == (403, "not_in_audience")
        assert [r["slack_user_id"] for r in request["respondents"]] == [ana.id]


async def test_a_channel_that_we_cannot_use_is_refused_in_words(product: Product) -> None:
    spec = FunctionCallSpec(
        fn="f", kwargs={}, channel=ContactChannel(sms=SMSContactChannel(phone_number="+1555"))
    )
    with pytest.raises(HumanLayerException, match=r"/spec/channel/sms.*is not supported"):
        await asyncio.to_thread(client(product).create_function_call, spec)
    with pytest.raises(HumanLayerException, match="HITL_NO_AUDIENCE"):
        await asyncio.to_thread(client(product).create_function_call, FunctionCallSpec(fn="f", kwargs={}))


async def test_arguments_that_nobody_could_read_are_refused_in_words(product: Product) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    for kwargs, words in (({"a": deep}, "is nested more than"), ({"a": 2**60}, "cannot carry exactly")):
        body = {"run_id": "agent-7", "call_id": "call-1", "spec": {"fn": "f", "kwargs": kwargs}}
        answer = await product.call("POST", "/humanlayer/v1/function_calls", json=body)
        assert (answer.status, answer.json["code"]) == (422, "invalid")
        (fault,) = answer.json["errors"]
        assert fault["pointer"].startswith("/spec/kwargs/a")
        assert words in fault["detail"]


async def test_a_human_answers_a_question(product: Product) -> None:
    ask = client(product, contact_channel=ANA).human_as_tool(response_options=OPTIONS)

    async def answered(decision: str, reason: str | None) -> str:
        asking = asyncio.create_task(asyncio.to_thread(ask, "Shall I go on?"))
        request = await asked(product)
        assert request["message"] == "Shall I go on?"
        assert [c["label"] for c in request["choices"]] == ["Not now", "never", "Reply"]
        await product.answer(request, decision, "ana@example.com", reason=reason)
        return await asking

    assert await answered("reply", "Only the first part") == "Only the first part"
    assert await answered("option-1", None) == "Try again tomorrow"
    assert await answered("option-2", "No!") == "No!"
    assert await answered("reject", "Ask Ben") == "Ask Ben"


async def test_a_question_is_answered_over_the_protocol_too(product: Product) -> None:
    agent = AsyncHumanLayer(
        api_key=KEY, api_base_url=f"{product.url}/humanlayer/v1", run_id="agent-7", contact_channel=ANA
    )
    spec = HumanContactSpec(msg="Colour?", subject="Paint", response_options=OPTIONS)
    contact = await agent.create_human_contact(spec)
    assert (await asked(product))["title"] == "Paint"
    with pytest.raises(HumanLayerException, match="422"):
        await agent.respond_to_human_contact(contact.call_id, HumanContactStatus())
    answer = HumanContactStatus(response="Blue", response_option_name="never")
    done = await agent.respond_to_human_contact(contact.call_id, answer)
    assert done.spec == spec
    assert done.status
    assert (done.status.response, done.status.response_option_name) == ("Blue", "never")
    assert await agent.get_human_contact(contact.call_id) == done


async def test_a_question_is_answered_where_it_was_asked_too(product: Product) -> None:
    contact = await asyncio.to_thread(
        client(product).create_human_contact, HumanContactSpec(msg="Colour?", channel=ANA), "call-1"
    )
    path = f"/humanlayer/v1/agent/contact_requests/{contact.call_id}/respond"
    done = await product.call("POST", path, json={"response": "Blue"})
    assert (done.status, done.json["status"]["response"]) == (200, "Blue")
