"""Airflow's human-in-the-loop tasks.

Source: Airflow REST API v2, "Update a Human-in-the-loop detail", and the operators of the standard provider.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from bot.delivery.orchestrators import Answer, Receiver, unheard_edits
from bot.domain.callbacks import orchestrators
from bot.ports.delivery import Failed, Result, Retry, Sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import ClientSession

    from bot.domain.model.request import Json, Request

OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that nobody's answer changes."""

SETTLED_SECONDS = 10.0
"""How long a task has waited before it is answered: twice the five seconds of the executor's heartbeat."""

NO = frozenset({"reject", "no", "deny", "decline", "cancel", "abort", "stop", "refuse"})
"""What the one option of a task may not be called that stands for a yes."""


class Airflow(Receiver):
    """Airflow 3.1 or newer; the URL is that of a task's `hitlDetails`.

    The option chosen is `Approve` or `Reject`, or the one that is named as the request's choice; a task with one
    option is told yes by it, and nothing else. Of the task's params, `approver` and `reason` are filled in, and others
    from the payload with its edits.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, orchestrators.airflow(url))

    async def _tell(self, http: ClientSession, url: str, request: Request, wire: dict[str, Any]) -> Result:
        token = await self._token(http)
        if not isinstance(token, str):
            return token
        shown = await self._fetch(http, "GET", url, None, token)
        if failure := self._failure(shown):
            return failure
        answer = _answer(wire, shown.body)
        if isinstance(answer, Failed):
            return answer
        if shown.body["response_received"]:
            return _judge(shown.body, answer, request)
        return _not_waiting(shown) or await self._answered(http, url, answer, token, request)

    async def _answered(
        self, http: ClientSession, url: str, answer: dict[str, Json], token: str, request: Request
    ) -> Result:
        """Answer, and look again, whatever was said to it: an answer before may have arrived unheard."""
        _, refused = await self._call(http, "PATCH", url, answer, token)
        details, failure = await self._call(http, "GET", url, None, token)
        if failure:
            return failure
        if refused and not details["response_received"]:
            return refused
        return _judge(details, answer, request)

    async def _token(self, http: ClientSession) -> str | Result:
        """The header of a new token, as they expire, or of the key itself where there is no user."""
        if not self._user:
            return f"Bearer {self._password}" if self._password else ""
        login = {"username": self._user, "password": self._password}
        answer, failure = await self._call(http, "POST", self.place.address("auth", "token"), login, "")
        return failure or f"Bearer {answer['access_token']}"


def _not_waiting(shown: Answer) -> Result | None:
    """Why an answer would be lost now: Airflow takes one at any time, also for a task that is over.

    It also takes one while its executor has not noticed yet that the task has begun to wait; then the task fails.
    """
    task = shown.body.get("task_instance") or {}
    if (state := task.get("state")) in OVER:
        return Failed(f"the task in Airflow waits for nobody: it is {state}")
    since = [at for at in (shown.body.get("created_at"), task.get("start_date")) if at]
    if not since or not shown.date:
        return None
    waited = (parsedate_to_datetime(shown.date) - max(map(datetime.fromisoformat, since))).total_seconds()
    left = SETTLED_SECONDS - waited
    begun = "the task in Airflow has only just begun to wait, and would lose the answer"
    return Retry(begun, after=min(left, SETTLED_SECONDS)) if left > 0 else None


def _judge(details: dict[str, Any], answer: dict[str, Any], request: Request) -> Result:
    """Whether what Airflow keeps is what it was told: it may say 200 and keep nothing, or keep another's answer."""
    if not details["response_received"]:
        return Retry("Airflow took the answer and did not keep it")
    chosen = details["chosen_options"]
    if chosen != answer["chosen_options"]:
        return Failed(f"answered in Airflow: {chosen}")
    if details["params_input"] != answer["params_input"]:
        return Failed(f"answered in Airflow: {chosen}, with other params than were approved")
    return Sent({}, request.version)


def _answer(wire: dict[str, Any], details: dict[str, Any]) -> dict[str, Json] | Failed:
    """The option and the params, or why the task cannot be told."""
    option = _option(wire, details["options"])
    if isinstance(option, Failed):
        return option
    params = details["params"]
    if wire["status"] == "approved" and (unheard := unheard_edits(wire, set(params))):
        return Failed(f"the task in Airflow has no param for what was changed: {', '.join(unheard)}")
    values = _params(params, wire["outcome"])
    for name, value in values.items():
        if fault := _fault(params[name], value):
            return Failed(f"the param {name!r} of the task in Airflow: {fault}")
    return {"chosen_options": [option], "params_input": values}


def _option(wire: dict[str, Any], options: Sequence[str]) -> str | Failed:
    """The one option that says the outcome."""
    names = _names(wire)
    found = [option for option in options if option in names] or [
        option for option in options if option.casefold() in {name.casefold() for name in names}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        return Failed(f"the outcome could be any of the options {' and '.join(found)} of the task in Airflow")
    if names == {"Approve"} and len(options) == 1 and options[0].strip().casefold() not in NO:
        return options[0]
    return Failed(f"the task in Airflow has no option {' or '.join(sorted(names))}")


def _names(wire: dict[str, Any]) -> set[str]:
    """What an option may be called that says this outcome."""
    if wire["status"] != "approved":
        return {"Reject"}
    labels = {choice["id"]: choice["label"] for choice in wire["choices"]}
    chosen = wire["outcome"]["choice"]
    return {chosen, labels[chosen]} if chosen else {"Approve"}


def _params(params: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Json]:
    """A value for each of a task's params, as Airflow takes all or nothing; its own where the outcome has none."""
    payload = outcome["payload"] if isinstance(outcome["payload"], dict) else {}
    known = {**payload, "approver": outcome["by"], "reason": outcome["reason"] or ""}
    own = {name: p["value"] if isinstance(p, dict) and "value" in p else p for name, p in params.items()}
    return {name: known.get(name, value) for name, value in own.items()}


def _fault(param: Json, value: Json) -> str | None:
    """What is wrong with a value: Airflow takes it all the same, and then its task fails."""
    schema = param.get("schema") if isinstance(param, dict) else None
    if not schema:
        return None
    error = next(jsonschema_rs.iter_errors(schema, value), None)
    return error.message if error else None
