"""Outcomes as Airflow and Prefect want them, told to doubles that refuse what those refuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.delivery.airflow import Airflow
from bot.delivery.callbacks import CallbackSender
from bot.delivery.prefect import Prefect
from bot.delivery.signing import secret_from
from bot.domain.lifecycle import lifecycle
from bot.domain.messages.notifications import Notice
from bot.domain.model.events import Timer
from bot.domain.model.spec import Choice, Kind, Level, OnTimeout, Step
from bot.domain.policies.policy import rule
from bot.ports.delivery import Delivery, Failed, Retry, Sent, Superseded
from tests.support.asking import NOW, PAYLOAD, asked, response, somebody
from tests.support.orchestrators import KIND, RESUME, RUN, TASK, Systems, schema
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.domain.model.request import Request
    from bot.ports.delivery import Result

SECRET = secret_from("5f" * 32)
CHOICES = (Choice(id="eu", label="Europe"), Choice(id="us", label="America"))
TEXT: dict[str, Any] = {"type": "string"}
YES_OR_NO: dict[str, Any] = {"type": "boolean"}
ANYTHING: dict[str, Any] = {}
NULLABLE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    systems = Systems()
    async with TestServer(systems.application()) as server:
        systems.url = str(server.make_url("")).rstrip("/")
        yield systems


def receivers(systems: Systems, on_reject: str = "pause") -> list[Airflow | Prefect]:
    with_key = systems.url.replace("://", "://bot:pass%20word@")
    return [Airflow(with_key), Prefect(with_key, on_reject=on_reject)]


def decided(decision: str, **fields: Any) -> Request:
    """Ana's decision, because they checked."""
    event = response("ana", decision, reason="Checked")
    return lifecycle.apply(asked(somebody("ana"), **fields), event, NOW).request


async def tell(systems: Systems, path: str, request: Request, on_reject: str = "pause") -> Result:
    sender = CallbackSender([SECRET], allow_private=True, receivers=receivers(systems, on_reject))
    delivery = Delivery(
        id="dlv_1",
        request_id=request.id,
        surface="callback",
        address=systems.url + path,
        notice=Notice.CALLBACK,
        respondent=None,
        receipt=None,
        attempts=0,
        created_at=NOW,
    )
    try:
        return await sender.send(delivery, request, NOW)
    finally:
        await sender.close()


async def test_airflow_learns_the_option_who_and_why(systems: Systems) -> None:
    systems.params = {
        "approver": {"value": "", "schema": {"type": "string"}},
        "reason": "",
        "amount": {"value": 0, "schema": {}},
        "colour": {"value": "blue", "schema": {}},
    }
    told = {"approver": "Ana", "reason": "Checked", "amount": 1250, "colour": "blue"}
    request = decided("approve")
    for _ in range(2):  # a second time changes nothing
        assert await tell(systems, TASK, request) == Sent({}, request.version)
    assert systems.answer == {"chosen_options": ["Approve"], "params_input": told}


@pytest.mark.parametrize(
    ("fields", "decision", "options", "chosen"),
    [
        ({}, "reject", ["Approve", "Reject"], "Reject"),
        ({"kind": Kind.CHOICE, "choices": CHOICES}, "eu", ["America", "Europe"], "Europe"),
    ],
    ids=["rejected", "a choice"],
)
async def test_airflow_gets_the_option_that_says_it(
    systems: Systems, *, fields: Any, decision: str, options: list[str], chosen: str
) -> None:
    systems.options = options
    await tell(systems, TASK, decided(decision, **fields))
    assert systems.answer == {"chosen_options": [chosen], "params_input": {}}


async def test_a_task_that_cannot_be_told_no_is_left_alone(systems: Systems) -> None:
    systems.options = ["Ship it", "Approve"]
    assert await tell(systems, TASK, decided("reject")) == Failed("the task in Airflow has no option Reject")
    assert systems.answer is None


async def test_who_answered_in_airflow_is_not_overruled(systems: Systems) -> None:
    systems.answer = {"chosen_options": ["Reject"], "params_input": {}}
    assert await tell(systems, TASK, decided("approve")) == Failed("answered in Airflow: ['Reject']")


async def test_an_answer_that_airflow_does_not_keep_is_a_failure(systems: Systems) -> None:
    systems.forgets = True
    assert await tell(systems, TASK, decided("approve")) == Retry(
        "Airflow took the answer and did not keep it"
    )
    systems.answer = {"chosen_options": ["Approve"], "params_input": {"amount": 1}}
    systems.params = {"amount": 0}
    assert isinstance(await tell(systems, TASK, decided("approve")), Failed)


async def test_a_task_with_one_option_is_told_yes_and_never_no(systems: Systems) -> None:
    systems.options = ["OK"]
    no = await tell(systems, TASK, decided("reject"))
    assert no == Failed("the task in Airflow has no option Reject")
    choice = decided("eu", kind=Kind.CHOICE, choices=CHOICES)
    assert isinstance(await tell(systems, TASK, choice), Failed)
    assert systems.answer is None
    await tell(systems, TASK, decided("approve"))
    assert systems.answer == {"chosen_options": ["OK"], "params_input": {}}


async def test_the_one_option_no_is_no_yes(systems: Systems) -> None:
    systems.options = ["Reject"]
    assert isinstance(await tell(systems, TASK, decided("approve")), Failed)


async def test_a_param_that_would_fail_the_task_is_not_sent(systems: Systems) -> None:
    systems.params = {"amount": {"value": None, "schema": {"type": "string"}, "description": None}}
    told = await tell(systems, TASK, decided("approve"))
    assert told == Failed("the param 'amount' of the task in Airflow: 1250 is not of type \"string\"")
    assert systems.answer is None


async def test_a_task_that_is_over_or_has_just_begun_is_not_answered(systems: Systems) -> None:
    systems.task_instance = {"state": "failed", "start_date": "2026-01-01T00:00:00Z"}
    over = await tell(systems, TASK, decided("approve"))
    assert over == Failed("the task in Airflow waits for nobody: it is failed")
    began = datetime.now(UTC) - timedelta(seconds=3)
    systems.task_instance = {"state": "awaiting_input", "start_date": began.isoformat()}
    early = await tell(systems, TASK, decided("approve"))
    assert isinstance(early, Retry)
    assert early.after is not None
    assert 4 < early.after < 9
    assert systems.answer is None


async def test_what_was_changed_is_told_or_nothing_is(systems: Systems) -> None:
    request = decided("approve")
    assert request.outcome
    changed = replace(
        request, outcome=replace(request.outcome, payload={**PAYLOAD, "amount": 5}, edited=True)
    )
    systems.pause(schema(approved=YES_OR_NO))
    for path in (TASK, RESUME):
        told = await tell(systems, path, changed)
        assert isinstance(told, Failed)
        assert told.reason.endswith("changed: amount")
    systems.params = {"amount": 0}
    await tell(systems, TASK, changed)
    assert systems.answer == {"chosen_options": ["Approve"], "params_input": {"amount": 5}}
    systems.states.clear()
    systems.pause(schema(approved=YES_OR_NO, amount={"type": "integer"}))
    await tell(systems, RESUME, changed)
    assert systems.resumed == {"approved": True, "amount": 5}


async def test_prefect_gets_what_the_flow_declares_and_once(systems: Systems) -> None:
    systems.pause(schema(approved=YES_OR_NO, reason=TEXT | {"default": ""}, payload={"type": "object"}))
    request = decided("reject")
    for _ in range(2):
        assert await tell(systems, RESUME, request) == Sent({}, request.version)
    assert systems.resumed == {"approved": False, "reason": "Checked", "payload": PAYLOAD}
    assert systems.resumes == 1
    other = await tell(systems, RESUME, decided("approve"))
    assert other == Failed("the flow run in Prefect went on with another input than this outcome")


async def test_a_required_field_without_a_value_is_named(systems: Systems) -> None:
    systems.pause(schema(approved=YES_OR_NO, choice=TEXT))
    told = await tell(systems, RESUME, decided("approve"))
    assert told == Failed("the flow's input wants 'choice', and the request has no value for it")
    systems.states.clear()
    systems.pause(schema(approved=YES_OR_NO, choice=NULLABLE, values={"type": "object"}))
    await tell(systems, RESUME, decided("approve"))
    assert systems.resumed == {"approved": True, "choice": None, "values": {}}


async def test_what_prefect_refuses_is_told_in_its_words(systems: Systems) -> None:
    systems.pause(schema(approved=YES_OR_NO, by={"type": "integer"}))
    told = await tell(systems, RESUME, decided("approve"))
    reason = "Prefect did not resume it: Reason: Validation failed. 'Ana' is not of type 'integer'"
    assert told == Failed(reason)


async def test_a_choice_is_no_plain_yes(systems: Systems) -> None:
    systems.pause(schema(approved=YES_OR_NO))
    told = await tell(systems, RESUME, decided("us", kind=Kind.CHOICE, choices=CHOICES))
    assert told == Failed("the flow's input has no 'choice', and the choice is us")
    assert systems.resumes == 0


@pytest.mark.parametrize("wants", [None, schema(note=TEXT | {"default": ""})])
@pytest.mark.parametrize("decision", ["reject", "expire"])
async def test_a_flow_that_hears_no_no_is_not_resumed_by_one(
    systems: Systems, wants: Any, decision: str
) -> None:
    systems.pause(wants)
    request = decided("reject") if decision == "reject" else timed_out(OnTimeout.EXPIRE)
    assert isinstance(await tell(systems, RESUME, request), Superseded)
    assert (systems.resumes, systems.states[-1]["type"]) == (0, "PAUSED")
    assert await tell(systems, RESUME, request, on_reject="cancel") == Sent({}, request.version)
    assert (systems.resumes, systems.states[-1]["type"]) == (0, "CANCELLING")


async def test_a_flow_without_input_is_resumed_by_a_yes(systems: Systems) -> None:
    systems.pause()
    request = decided("approve")
    assert await tell(systems, RESUME, request) == Sent({}, request.version)
    assert (systems.resumes, systems.resumed) == (1, None)


TEMPLATE = {KIND: "jinja", "template": "{{ 7 * 7 }}"}


@pytest.mark.parametrize(
    "payload",
    [
        TEMPLATE,
        {"deep": [{"er": TEMPLATE}]},
        {KIND: "workspace_variable", "variable_name": "secret"},
        {KIND: "none", "value": TEMPLATE},
        {KIND: "json", "value": "[1]"},
        {"a": {KIND: None, "value": TEMPLATE}},
    ],
)
async def test_nothing_of_a_payload_is_an_instruction(systems: Systems, payload: Any) -> None:
    systems.pause(schema(approved=YES_OR_NO, payload=ANYTHING, values=ANYTHING))
    request = decided("approve", payload=payload)
    assert await tell(systems, RESUME, request) == Sent({}, request.version)
    assert systems.resumed["payload"] == payload


async def test_another_input_than_was_told_is_a_failure(systems: Systems) -> None:
    systems.keeps = {"approved": True}
    systems.pause(schema(approved=YES_OR_NO, payload=ANYTHING))
    assert isinstance(await tell(systems, RESUME, decided("approve")), Failed)


async def test_a_run_that_has_not_paused_yet_is_told_later(systems: Systems) -> None:
    systems.state("RUNNING")
    assert isinstance(await tell(systems, RESUME, decided("approve")), Retry)
    systems.state("FAILED", 2)
    told = await tell(systems, RESUME, decided("approve"))
    assert told == Failed("the flow run in Prefect waits for nobody: it is failed")


async def test_one_outcome_never_answers_the_next_pause(systems: Systems) -> None:
    systems.pause()
    await tell(systems, RESUME, decided("approve"))
    systems.pause(seconds=9)
    await tell(systems, RESUME, decided("approve"))
    assert (systems.resumes, systems.states[-1]["type"]) == (1, "PAUSED")


def timed_out(rule: OnTimeout) -> Request:
    """Nobody answered in time."""
    request = asked(somebody("ana"), timeout_at=NOW, on_timeout=rule)
    return lifecycle.apply(request, Timer(), NOW).request


def informed() -> Request:
    """Nobody had to decide."""
    request = asked(somebody("ana"), level=Level.INFO)
    return lifecycle.open_request(request, rule(request.spec, auto_approve=False), NOW).request


def automatic() -> Request:
    """A policy of the configuration decided."""
    request = asked(somebody("ana"))
    return lifecycle.open_request(request, rule(request.spec, auto_approve=True), NOW).request


def by_steps(*, silent: bool) -> Request:
    """Two steps; of the first, nobody or somebody approved."""
    first, second = somebody("ana"), somebody("ben", step=1)
    steps = (
        Step(audience=("email:ana@example.com",), quorum=1, timeout_seconds=5, on_timeout=OnTimeout.APPROVE),
        Step(audience=("email:ben@example.com",), quorum=1),
    )
    request = lifecycle.at_first_step(asked(first, second, steps=steps), NOW)
    event = Timer() if silent else response("ana", "approve")
    request = lifecycle.apply(request, event, NOW + timedelta(seconds=6 if silent else 1)).request
    return lifecycle.apply(request, response("ben", "approve"), NOW + timedelta(seconds=7)).request


@pytest.mark.parametrize("path", [TASK, RESUME])
@pytest.mark.parametrize(
    "request_",
    [timed_out(OnTimeout.APPROVE), informed(), by_steps(silent=True)],
    ids=["time", "info", "step"],
)
async def test_yes_is_never_said_for_nobody(systems: Systems, path: str, request_: Request) -> None:
    assert request_.status == "approved"
    systems.pause()
    told = await tell(systems, path, request_)
    assert isinstance(told, Failed)
    assert "is not told yes" in told.reason
    assert systems.called == []


@pytest.mark.parametrize("path", [TASK, RESUME])
@pytest.mark.parametrize("request_", [automatic(), by_steps(silent=False)], ids=["policy", "steps"])
async def test_a_policy_or_everybody_asked_says_yes(systems: Systems, path: str, request_: Request) -> None:
    systems.pause()
    assert await tell(systems, path, request_) == Sent({}, request_.version)


async def test_a_redirect_gets_no_credentials(systems: Systems) -> None:
    moved = {"Location": f"{systems.url}/elsewhere"}
    systems.troubles = [web.Response(status=307, headers=moved)]
    assert await tell(systems, TASK, decided("approve")) == Retry("Airflow answered 307")
    assert not [call for call in systems.called if call.startswith("/elsewhere")]


@pytest.mark.parametrize(
    ("trouble", "result"),
    [
        (lambda: web.Response(status=503), Retry("Airflow answered 503")),
        (lambda: web.json_response({"not": "it"}), Retry("Airflow did not answer as Airflow does")),
        (lambda: web.Response(status=404), Failed("Airflow answered 404")),
    ],
    ids=["down", "something else", "gone"],
)
async def test_a_trouble_that_may_pass_is_tried_again(
    systems: Systems, trouble: Callable[[], web.Response], result: Result
) -> None:
    systems.troubles = [trouble()]
    assert await tell(systems, TASK, decided("approve")) == result
    assert systems.answer is None


async def test_an_answer_reaches_the_configured_airflow(sqlite_url: str, systems: Systems) -> None:
    url = systems.url.replace("://", "://bot:pass%20word@")
    async with running(sqlite_url, assent_airflow_url=url, assent_callback_allow_private=True) as product:
        request = await product.submit(callback_url=systems.url + TASK)
        await product.answer(request, "approve", "ana@example.com")
        async with asyncio.timeout(20):
            await systems.told.wait()
    assert systems.answer == {"chosen_options": ["Approve"], "params_input": {}}


async def test_a_callback_elsewhere_gets_no_credentials(sqlite_url: str, systems: Systems) -> None:
    base = systems.url.replace("://", "://bot:pass%20word@") + "/api/"
    async with running(sqlite_url, assent_prefect_url=base, assent_callback_allow_private=True) as product:
        body = {"title": "T", "audience": ["email:ana@example.com"]}
        for path in ("/api/variables/x", "/x/%2e%2e/api/admin", "/api//flow_runs/x/resume?y", "/x/..;/api"):
            refused = await product.call(
                "POST", "/v1/requests", json=body | {"callback_url": systems.url + path}
            )
            assert refused.status == 422, path
            assert refused.json["errors"][0]["pointer"] == "/callback_url"
        stray = f"{systems.url}/api/../secret{RUN}/resume"
        request = await product.submit(callback_url=stray)
        await product.answer(request, "approve", "ana@example.com")
        async with asyncio.timeout(20):
            await systems.told.wait()
    [call] = systems.called
    assert call.endswith(" -")


async def test_what_nobody_approved_shows_on_the_request(sqlite_url: str, systems: Systems) -> None:
    systems.pause()
    url = systems.url.replace("://", "://bot:pass%20word@")
    async with running(sqlite_url, assent_prefect_url=url, assent_callback_allow_private=True) as product:
        request = await product.submit(callback_url=systems.url + RESUME, level="info")
        async with asyncio.timeout(20):
            shown = await product.get(request)
            while "callback" not in [missed["target"] for missed in shown["unreachable"]]:
                await asyncio.sleep(0.02)
                shown = await product.get(request)
    assert "is not told yes" in shown["trail"][-1]["text"]
    assert systems.resumes == 0
