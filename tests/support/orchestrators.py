"""An Airflow with one waiting task and a Prefect with one flow run, which refuse what the real ones refuse."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import encode_basic_auth, web
from jsonschema import Draft202012Validator, ValidationError

from tests.support.asking import NOW

Json = Any

TASK = "/api/v2/dags/shop/dagRuns/run-1/taskInstances/refund/-1/hitlDetails"
RUN_ID = "0f6e2f2c-8a52-4c8e-9d6b-1d2c3b4a5f60"
RUN = f"/api/flow_runs/{RUN_ID}"
RESUME = f"{RUN}/resume"
RESPONSE, SCHEMA = "paused-1-response", "paused-1-schema"
KIND = "__prefect_kind"


def schema(**fields: Json) -> Json:
    """What Prefect stores of a `RunInput`: a field with a `default` is not required, and no other may be there."""
    required = [name for name, kind in fields.items() if "default" not in kind]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def hydrate(value: Json) -> Json:
    """What Prefect's server makes of a run's input, with a template for whatever it would render."""
    if isinstance(value, list):
        return [hydrate(item) for item in value]
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        return {name: hydrate(member) for name, member in value.items()}
    match value[KIND]:
        case "json":
            return json.loads(value["value"])
        case "none":
            return hydrate(value["value"])
        case _:
            return "RENDERED"


@dataclass
class Systems:
    """Both systems, on one address."""

    url: str = ""
    options: list[str] = field(default_factory=lambda: ["Approve", "Reject"])
    params: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    forgets: bool = False
    """Airflow answers 200 and keeps nothing."""
    task_instance: Json = None
    wants: Json = None
    """The schema of the input that the flow waits for."""
    states: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, Json] = field(default_factory=dict)
    keeps: Json = None
    """What Prefect keeps in place of what it was told."""
    resumes: int = 0
    troubles: list[web.Response] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    called: list[str] = field(default_factory=list)
    """Every path, with the credentials that came with it."""

    def application(self) -> web.Application:
        """Both APIs, and a place where nothing but a stray call arrives."""
        application = web.Application(middlewares=[self.note])
        application.router.add_post("/auth/token", self.token)
        for method in ("GET", "PATCH"):
            application.router.add_route(method, TASK, self.task)
        application.router.add_get(RUN, self.run)
        application.router.add_get("/api/flow_run_states/", self.history)
        application.router.add_get(f"{RUN}/input/{{key}}", self.input)
        application.router.add_post(f"{RUN}/set_state", self.set_state)
        application.router.add_post(RESUME, self.resume)
        application.router.add_post("/{path:.*}", self.stray)
        return application

    @web.middleware
    async def note(self, http: web.Request, handler: Any) -> web.StreamResponse:
        self.called.append(f"{http.raw_path} {http.headers.get('Authorization', '-')}")
        return await handler(http)

    async def stray(self, _http: web.Request) -> web.Response:
        self.told.set()
        return web.Response()

    # Airflow

    @property
    def details(self) -> Json:
        shown = {"options": self.options, "params": self.params, "response_received": self.answer is not None}
        shown["task_instance"] = self.task_instance
        return web.json_response(shown | (self.answer or {"chosen_options": None, "params_input": {}}))

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
            return web.json_response({"detail": "already updated"}, status=409)
        answer = await http.json()
        if not set(answer["chosen_options"]) <= set(self.options) or len(answer["chosen_options"]) != 1:
            return web.json_response({"detail": "Invalid options"}, status=400)
        assert set(answer["params_input"]) == set(self.params)
        if not self.forgets:
            self.answer = answer
            self.told.set()
        return web.json_response(answer)

    # Prefect

    def state(self, kind: str, seconds: float = 1, *, keyset: bool = False) -> None:
        """The run enters a state, so long after the requests of the tests were submitted."""
        keys = {"schema": SCHEMA, "response": RESPONSE} if keyset else None
        self.states.append(
            {
                "id": f"state-{len(self.states)}",
                "type": kind,
                "timestamp": (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z"),
                "state_details": {"run_input_keyset": keys},
            }
        )

    def pause(self, wants: Json = None, seconds: float = 1) -> None:
        """The run pauses, and says what input it wants."""
        self.wants = wants
        self.inputs = {SCHEMA: wants} if wants else {}
        self.state("PAUSED", seconds, keyset=wants is not None)

    @property
    def resumed(self) -> Json:
        """The input that the flow goes on with."""
        return self.inputs.get(RESPONSE)

    def _known(self, http: web.Request) -> bool:
        return http.headers.get("Authorization") == encode_basic_auth("bot", "pass word")

    async def run(self, http: web.Request) -> web.Response:
        return web.json_response({"state": self.states[-1]}, status=200 if self._known(http) else 401)

    async def history(self, http: web.Request) -> web.Response:
        assert http.query == {"flow_run_id": RUN_ID}
        return web.json_response(self.states, status=200 if self._known(http) else 401)

    async def input(self, http: web.Request) -> web.Response:
        key = http.match_info["key"]
        if key not in self.inputs:
            return web.json_response({"detail": "Flow run input not found"}, status=404)
        return web.Response(text=json.dumps(self.inputs[key]))

    async def set_state(self, http: web.Request) -> web.Response:
        self.state((await http.json())["state"]["type"], 2)
        return web.json_response({"state": self.states[-1], "status": "ACCEPT", "details": {}}, status=201)

    async def resume(self, http: web.Request) -> web.Response:
        if not self._known(http):
            return web.Response(status=401)
        if self.states[-1]["type"] != "PAUSED":
            return self._not_resumed("ABORT", "Cannot resume a flow run that is not paused.")
        if self.wants:
            given = hydrate((await http.json()).get("run_input") or {})
            try:
                Draft202012Validator(self.wants).validate(given)
            except ValidationError as error:
                return self._not_resumed("REJECT", f"Reason: Validation failed. {error.message}")
            if given:
                self.inputs[RESPONSE] = self.keeps or given
        self.resumes += 1
        self.state("RUNNING", 2)
        self.told.set()
        return web.json_response({"state": {}, "status": "ACCEPT", "details": {}}, status=201)

    @staticmethod
    def _not_resumed(status: str, reason: str) -> web.Response:
        details = {"type": "abort_details", "reason": reason}
        return web.json_response({"state": None, "status": status, "details": details})
