"""Prefect's paused flow runs.

Source: Prefect REST API, "Resume Flow Run", whose answer tells in its body whether it did, and the templates that its
server reads in a run's input (`__prefect_kind`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import encode_basic_auth

from bot.delivery.orchestrators import LONGEST_WHY, Receiver, unheard_edits
from bot.domain.callbacks import orchestrators
from bot.ports.delivery import Failed, Result, Retry, Sent, Superseded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientSession

    from bot.domain.model.request import Json, Request

KIND = "__prefect_kind"
"""What makes an object of a run's input an instruction to Prefect's server: a template, a variable, …"""

BEGINNING = frozenset({"SCHEDULED", "PENDING", "RUNNING"})
"""States of a run that may still come to its pause."""

ENDED = frozenset({"CANCELLING", "CANCELLED"})

TOLD = ("choice", "reason", "by", "values", "payload")


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause of a flow run: its state, and the schema of the input it waits for, where it waits for one."""

    state: Mapping[str, Any]
    current: bool
    schema: Mapping[str, Any] | None = None

    @property
    def keys(self) -> Mapping[str, str]:
        """Where the run keeps the schema, and the response; empty where it wants none."""
        return (self.state.get("state_details") or {}).get("run_input_keyset") or {}

    @property
    def fields(self) -> Mapping[str, Any]:
        """What the input may have."""
        return (self.schema or {}).get("properties") or {}

    @property
    def hears_no(self) -> bool:
        """Whether the flow can be told that it is not to go on: else resuming it is a yes."""
        return not self.fields.keys().isdisjoint({"approved", "status"})


class Prefect(Receiver):
    """Prefect 3; the URL is that of a paused flow run's `resume`.

    The flow's `RunInput` may ask for any of `approved`, `status`, `choice`, `reason`, `by`, `values` and `payload`, and
    by their names for members of the values and the payload; it gets what it asks for. A run that has no way to hear a
    no is never resumed by one: it stays paused, or is cancelled where `on_reject` is `cancel`.
    """

    def __init__(self, url: str, *, on_reject: str = "pause") -> None:
        super().__init__(url, orchestrators.prefect(url))
        self._cancels = on_reject == "cancel"

    async def _tell(self, http: ClientSession, url: str, request: Request, wire: dict[str, Any]) -> Result:
        run = url.removesuffix("/resume")
        pause = await self._pause(http, run, request)
        if not isinstance(pause, Pause):
            return pause
        if wire["status"] != "approved" and not pause.hears_no:
            return await self._leave(http, run, pause, request)
        told = _input(wire, pause)
        if isinstance(told, Failed):
            return told
        if not pause.current:
            return await self._as_kept(http, run, pause, told, request)
        body = {"run_input": literal(told)}
        answer, failure = await self._call(http, "POST", url, body, self._authorization())
        if not failure and answer["status"] != "ACCEPT":
            failure = Failed(f"Prefect did not resume it: {_reason(answer)}")
        return failure or await self._resumed(http, run, pause, told, request)

    async def _pause(self, http: ClientSession, run: str, request: Request) -> Pause | Result:
        """The pause that the request is about: the first that lasted, or began, after it was submitted."""
        flow_run, failure = await self._call(http, "GET", run, None, self._authorization())
        if failure:
            return failure
        state = flow_run["state"]
        states = await self._states(http, run)
        if not isinstance(states, list):
            return states
        asked = _asked_at(states or [state], state, request)
        if asked is not None:
            return await self._with_schema(http, run, Pause(asked, asked["id"] == state["id"]))
        if state["type"] in BEGINNING:
            return Retry("the flow run in Prefect has not paused yet")
        return Failed(f"the flow run in Prefect waits for nobody: it is {state['type'].lower()}")

    async def _states(self, http: ClientSession, run: str) -> list[dict[str, Any]] | Result:
        """What the run went through, oldest first."""
        api, _, run_id = run.rpartition("/flow_runs/")
        url = f"{api}/flow_run_states/?flow_run_id={quote(run_id, safe='')}"
        answer = await self._fetch(http, "GET", url, None, self._authorization())
        if answer.status == HTTPStatus.NOT_FOUND:  # nothing but the present state is known
            return []
        if failure := self._failure(answer):
            return failure
        return sorted(answer.body, key=lambda state: _at(state["timestamp"]))

    async def _with_schema(self, http: ClientSession, run: str, pause: Pause) -> Pause | Result:
        if not pause.keys:
            return pause
        key = quote(pause.keys["schema"], safe="")
        answer = await self._fetch(http, "GET", f"{run}/input/{key}", None, self._authorization())
        if answer.status == HTTPStatus.NOT_FOUND:  # a run pauses, and stores its schema next
            return Retry("the flow run in Prefect has not said yet what input it wants")
        return self._failure(answer) or Pause(pause.state, pause.current, answer.body)

    async def _leave(self, http: ClientSession, run: str, pause: Pause, request: Request) -> Result:
        """Nobody said yes, and the run could hear nothing else: it stays as it is, or ends."""
        left = f"the request is {request.status}, and the flow has no input to be told so"
        if not self._cancels or not pause.current:
            return Superseded(f"{left}: it was not resumed")
        body = {"state": {"type": "CANCELLING", "message": f"Assent: {left}."}}
        answer, failure = await self._call(http, "POST", f"{run}/set_state", body, self._authorization())
        if failure:
            return failure
        if answer["status"] == "ABORT":
            return Failed(f"Prefect did not cancel it: {_reason(answer)}")
        flow_run, failure = await self._call(http, "GET", run, None, self._authorization())
        if failure:
            return failure
        state = flow_run["state"]["type"]
        return Sent({}, request.version) if state in ENDED else Retry(f"Prefect did not cancel it: {state}")

    async def _resumed(
        self, http: ClientSession, run: str, pause: Pause, told: dict[str, Json], request: Request
    ) -> Result:
        """Look again: whether the run has left that pause, with exactly the input it was told."""
        flow_run, failure = await self._call(http, "GET", run, None, self._authorization())
        if failure:
            return failure
        if flow_run["state"]["id"] == pause.state["id"]:
            return Retry("Prefect said that it resumed the flow run, which is still paused")
        return await self._as_kept(http, run, pause, told, request)

    async def _as_kept(
        self, http: ClientSession, run: str, pause: Pause, told: dict[str, Json], request: Request
    ) -> Result:
        """Whether a pause that is over ended with what the flow is told."""
        if not pause.keys:
            return Sent({}, request.version)
        key = quote(pause.keys["response"], safe="")
        answer = await self._fetch(http, "GET", f"{run}/input/{key}", None, self._authorization())
        empty = answer.status == HTTPStatus.NOT_FOUND  # an empty input is not kept
        if not empty and (failure := self._failure(answer)):
            return failure
        if ({} if empty else answer.body) != told:
            return Failed("the flow run in Prefect went on with another input than this outcome")
        return Sent({}, request.version)

    def _authorization(self) -> str:
        if self._user:
            return encode_basic_auth(self._user, self._password)
        return f"Bearer {self._password}" if self._password else ""


def literal(value: Json) -> Json:
    """A value that Prefect's server takes as it is: whatever it would read as an instruction goes as a JSON text.

    Only what a text of kind `json` says is not looked into again.
    """
    if isinstance(value, dict):
        if KIND in value:
            return {KIND: "json", "value": json.dumps(value)}
        return {name: literal(member) for name, member in value.items()}
    return [literal(member) for member in value] if isinstance(value, list | tuple) else value


def _asked_at(states: list[dict[str, Any]], state: dict[str, Any], request: Request) -> dict[str, Any] | None:
    """The state of the pause that was there when the request was submitted, or the first one after."""
    ends = [*(_at(after["timestamp"]) for after in states[1:]), None]
    for paused, end in zip(states, ends, strict=True):
        if paused["type"] == "PAUSED" and (end is None or end > request.created_at):
            return state if paused["id"] == state["id"] else paused
    return None


def _at(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)


def _reason(answer: Mapping[str, Any]) -> str:
    return str((answer.get("details") or {}).get("reason") or answer["status"])[:LONGEST_WHY]


def _input(wire: dict[str, Any], pause: Pause) -> dict[str, Json] | Failed:
    """The declared fields with their values, or why the flow cannot be told this outcome."""
    if fault := _unheard(wire, pause):
        return Failed(fault)
    known, required = _known(wire), (pause.schema or {}).get("required") or ()
    told: dict[str, Json] = {}
    for name, schema in pause.fields.items():
        value = known.get(name)
        if value is None and name == "reason" and name in required and not _nullable(schema):
            value = ""
        if value is not None or (name in known and _nullable(schema)):
            told[name] = value
        elif name in required:
            return Failed(f"the flow's input wants {name!r}, and the request has no value for it")
    return told


def _known(wire: dict[str, Any]) -> dict[str, Json]:
    """What can be told, by the names of fields; a payload's member takes the place of nothing that is ours."""
    outcome = wire["outcome"]
    members = [m for m in (outcome["payload"], outcome["values"]) if isinstance(m, dict)]
    ours = {name: outcome[name] for name in TOLD}
    ours |= {"approved": wire["status"] == "approved", "status": wire["status"]}
    return {name: value for known in (*members, ours) for name, value in known.items()}


def _unheard(wire: dict[str, Any], pause: Pause) -> str | None:
    """What the flow would have to hear of this yes and has no field for."""
    if wire["status"] != "approved":
        return None
    if wire["outcome"]["choice"] is not None and "choice" not in pause.fields:
        return f"the flow's input has no 'choice', and the choice is {wire['outcome']['choice']}"
    changed = [] if "payload" in pause.fields else unheard_edits(wire, {*pause.fields})
    if changed and "values" not in pause.fields:
        return f"the flow's input has no field for what was changed: {', '.join(changed)}"
    return None


def _nullable(schema: Json) -> bool:
    """Whether a field may be null."""
    if not isinstance(schema, dict):
        return schema is True
    kinds = schema.get("type")
    if kinds is not None:
        return "null" in ([kinds] if isinstance(kinds, str) else kinds)
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if branches:
        return any(_nullable(branch) for branch in branches)
    return None in schema["enum"] if "enum" in schema else not {"$ref", "allOf", "const"} & schema.keys()
