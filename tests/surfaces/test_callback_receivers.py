"""Outcomes as Airflow and Prefect want them, told to doubles that refuse what those refuse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer

from bot.delivery.callbacks import CallbackSender
from bot.delivery.receivers import Airflow, Prefect
from bot.delivery.signing import secret_from
from bot.domain import lifecycle
from bot.domain.spec import Choice, Kind
from bot.domain.telling import Notice
from bot.ports import Delivery, Failed, Retry, Sent
from tests.support.asking import NOW, PAYLOAD, asked, response, somebody
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.domain.request import Request
    from bot.ports import Result
    from tests.support.product import Json

TASK = "/api/v2/dags/shop/dagRuns/run-1/taskInstances/refund/-1/hitlDetails"
SECRET = secret_from("5f" * 32)
CHOICES = (Choice(id="eu", label="Europe"), Choice(id="us", label="America"))
RUN = "/api/flow_runs/0f6e/resume"


@dataclass
class Systems:
    """An Airflow with one waiting task and a Prefect with one paused flow run, on one address."""

    url: str = ""
    options: list[str] = field(default_factory=lambda: ["Approve", "Reject"])
    params: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    resumed: list[Json] = field(default_factory=list)
    troubles: list[web.Response] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def details(self) -> Json:
        shown = {"options": self.options, "params": self.params, "response_received": self.answer is not None}
        return web.json_response(shown | (self.answer or {"chosen_options": None}))

    async def token(self, http: web.Request) -> web.Response:
        if await http.json() != {"username": "bot", "password": "pass word"}:
            return web.Response(status=401)
        return web.json_response({"access_token": "jwt"}, status=201)

    async def task(self, http: web.Request) -> web.Response:
        if self.troubles:
            return self.troubles.pop(0)
        if http.headers.get("Authorization") != "Bearer jwt":
            return web.Response(status=401)
        if http.method == "GET":
            return self.details
        if self.answer:
            return web.Response(status=409)
        answer = await http.json()
        assert set(answer["chosen_options"]) <= set(self.options)
        assert set(answer["params_input"]) == set(self.params)
        self.answer = answer
        self.told.set()
        return self.details

    async def resume(self, http: web.Request) -> web.Response:
        if http.headers.get("Authorization") != encode_basic_auth("bot", "pass word"):
            return web.Response(status=401)
        if self.resumed:
            details = {"type": "abort_details", "reason": "Cannot resume a flow run that is not paused."}
            return web.json_response({"state": None, "status": "ABORT", "details": details})
        self.resumed.append((await http.json())["run_input"])
        self.told.set()
        return web.json_response(
            {"state": {}, "status": "ACCEPT", "details": {"type": "accept_details"}}, status=201
        )


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    systems = Systems()
    application = web.Application()
    application.router.add_post("/auth/token", systems.token)
    for method in ("GET", "PATCH"):
        application.router.add_route(method, TASK, systems.task)
    application.router.add_post(RUN, systems.resume)
    async with TestServer(application) as server:
        systems.url = str(server.make_url("")).rstrip("/")
        yield systems


def receivers(systems: Systems) -> list[Airflow | Prefect]:
    with_key = systems.url.replace("://", "://bot:pass%20word@")
    return [Airflow(with_key), Prefect(with_key)]


def decided(decision: str, **fields: Any) -> Request:
    """Ana's decision, because they checked."""
    event = response("ana", decision, reason="Checked")
    return lifecycle.apply(asked(somebody("ana"), **fields), event, NOW).request


async def tell(systems: Systems, path: str, request: Request) -> Result:
    sender = CallbackSender([SECRET], allow_private=True, receivers=receivers(systems))
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


async def test_prefect_resumes_once(systems: Systems) -> None:
    request = decided("reject")
    assert await tell(systems, RUN, request) == Sent({}, request.version)
    again = await tell(systems, RUN, decided("approve"))
    assert again == Failed("Prefect did not resume it: Cannot resume a flow run that is not paused.")
    [told] = systems.resumed
    assert (told["approved"], told["status"], told["reason"]) == (False, "rejected", "Checked")
    assert (told["by"], told["payload"]) == ("Ana", PAYLOAD)


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
    [airflow, _] = receivers(systems)
    url = airflow.base.replace("://", "://bot:pass%20word@")
    async with running(sqlite_url, assent_airflow_url=url, assent_callback_allow_private=True) as product:
        request = await product.submit(callback_url=systems.url + TASK)
        await product.answer(request, "approve", "ana@example.com")
        async with asyncio.timeout(20):
            await systems.told.wait()
    assert systems.answer == {"chosen_options": ["Approve"], "params_input": {}}


@pytest.mark.parametrize(
    "url",
    [
        "https://flow.example.com.evil.com/api/v2/dags/d/dagRuns/r/taskInstances/t/-1/hitlDetails",
        "https://flow.example.com/api/v2/variables?x=/hitlDetails",
        "https://flow.example.com/hook",
    ],
)
def test_credentials_go_nowhere_else(url: str) -> None:
    assert not Airflow("https://u:p@flow.example.com").serves(url)
    assert not Prefect("https://u:p@flow.example.com").serves(url)
