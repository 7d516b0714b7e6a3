"""Systems that wait for an outcome in their own words: Airflow's human-in-the-loop tasks, Prefect's paused flow runs.

A request says nothing about it: a `callback_url` at a system that the operator configured is served as that system
wants it, with the operator's credentials. So whoever may submit requests may answer everything that waits there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from aiohttp import encode_basic_auth

from bot.ports import Failed, Result, Retry, Sent
from bot.wire.answers import request_json

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from bot.domain.request import Json, Request

FOR_GOOD = {400, 404, 409, 422}
"""Statuses that trying again will not change; wrong credentials can be mended meanwhile."""


class Receiver(ABC):
    """One configured system: `https://user:password@host/…`, or `https://:key@host/…`."""

    name: str
    path: re.Pattern[str]

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.base = urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", ""))
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")

    def serves(self, url: str) -> bool:
        """Whether a callback URL is one of this system's."""
        return url.startswith(self.base) and bool(self.path.fullmatch(url.removeprefix(self.base)))

    async def tell(self, http: ClientSession, url: str, request: Request) -> Result:
        """Tell it the outcome of a final request; raises what aiohttp raises."""
        try:
            return await self._tell(http, url, request)
        except (KeyError, TypeError, ValueError):
            return Retry(f"{self.name} did not answer as {self.name} does")

    @abstractmethod
    async def _tell(self, http: ClientSession, url: str, request: Request) -> Result: ...

    async def _call(
        self, http: ClientSession, method: str, url: str, body: Json, authorization: str
    ) -> tuple[Json, Result | None]:
        """The JSON answered, or what to make of a failure."""
        headers = {"Authorization": authorization} if authorization else {}
        async with http.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
            if response.ok:
                return await response.json(), None
            said = f"{self.name} answered {response.status}"
            return None, Failed(said) if response.status in FOR_GOOD else Retry(said)


class Airflow(Receiver):
    """Airflow 3.1 or newer; the URL is that of a task's `hitlDetails`.

    The option chosen is `Approve` or `Reject`, or the one that is named as the request's choice. Of the task's
    params, `approver` and `reason` are filled in, and others from the payload with its edits.
    Source: Airflow REST API v2, "Update a Human-in-the-loop detail", and ApprovalOperator.
    """

    name = "Airflow"
    path = re.compile(r"api/v2/dags/[^?#]+/hitlDetails")

    async def _tell(self, http: ClientSession, url: str, request: Request) -> Result:
        token = await self._token(http)
        if not isinstance(token, str):
            return token
        details, failure = await self._call(http, "GET", url, None, token)
        if failure:
            return failure
        wire = request_json(request)
        names = _options(wire)
        option = next((option for option in details["options"] if option in names), None)
        if option is None:
            return Failed(f"the task in Airflow has no option {' or '.join(names)}")
        if details["response_received"]:
            chosen = details["chosen_options"]
            return (
                Sent({}, request.version) if chosen == [option] else Failed(f"answered in Airflow: {chosen}")
            )
        answer = {"chosen_options": [option], "params_input": _params(details["params"], wire["outcome"])}
        _, failure = await self._call(http, "PATCH", url, answer, token)
        return failure or Sent({}, request.version)

    async def _token(self, http: ClientSession) -> str | Result:
        """The header of a new token, as they expire, or of the key itself where there is no user."""
        if not self._user:
            return f"Bearer {self._password}" if self._password else ""
        login = {"username": self._user, "password": self._password}
        answer, failure = await self._call(http, "POST", f"{self.base}auth/token", login, "")
        return failure or f"Bearer {answer['access_token']}"


class Prefect(Receiver):
    """Prefect 3; the URL is that of a paused flow run's `resume`.

    The flow's `RunInput` may ask for `approved`, `status`, `choice`, `reason`, `by`, `values` and `payload`.
    Source: Prefect REST API, "Resume Flow Run", whose answer tells in its body whether it did.
    """

    name = "Prefect"
    path = re.compile(r"(?:[^?#]+/)?flow_runs/[^/?#]+/resume")

    async def _tell(self, http: ClientSession, url: str, request: Request) -> Result:
        wire = request_json(request)
        outcome, status = wire["outcome"], wire["status"]
        told = {name: outcome[name] for name in ("choice", "reason", "by", "values", "payload")}
        body = {"run_input": {"approved": status == "approved", "status": status, **told}}
        answer, failure = await self._call(http, "POST", url, body, self._authorization())
        if failure or answer["status"] == "ACCEPT":
            return failure or Sent({}, request.version)
        return Failed(f"Prefect did not resume it: {answer['details'].get('reason', answer['status'])}")

    def _authorization(self) -> str:
        if self._user:
            return encode_basic_auth(self._user, self._password)
        return f"Bearer {self._password}" if self._password else ""


def _options(wire: dict[str, Any]) -> set[str]:
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
