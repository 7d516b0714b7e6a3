"""Systems that wait for an outcome in their own words: Airflow's human-in-the-loop tasks, Prefect's paused flow runs.

A request says nothing about it: a `callback_url` at a system that the operator configured is served as that system
wants it, with the operator's credentials. So whoever may submit requests may answer everything that waits there, and
no more than that: one route of it, rebuilt from its parts. Yes is said only for what somebody approved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from yarl import URL

from bot.domain.policies.warrant import unwarranted
from bot.ports.delivery import Failed, Result, Retry
from bot.schemas.responses import request_json

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from bot.domain.callbacks.orchestrators import Orchestrator
    from bot.domain.model.request import Json, Request

FOR_GOOD = {400, 404, 409, 422}
"""Statuses that trying again will not change; wrong credentials can be mended meanwhile."""

LONGEST_WHY = 300
"""Characters of what the other side says that are shown."""


class Answer(NamedTuple):
    """What a system answered: the status, the JSON, and the time there as the header says it."""

    status: int
    body: Json
    date: str | None

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked."""
        return 200 <= self.status < 300


class Receiver(ABC):
    """One configured system: `https://user:password@host/…`, or `https://:key@host/…`."""

    def __init__(self, url: str, place: Orchestrator) -> None:
        parts = urlsplit(url)
        self.place = place
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")

    @property
    def name(self) -> str:
        """What people call it."""
        return self.place.name

    def serves(self, url: str) -> bool:
        """Whether a callback URL is the route of this system that is answered."""
        return self.place.target(url) is not None

    async def tell(self, http: ClientSession, url: str, request: Request) -> Result:
        """Tell it the outcome of a final request; raises what aiohttp raises."""
        target = self.place.target(url)
        if target is None:
            return Failed(f"the callback URL is not {self.place.wanted}")
        if why := unwarranted(request):
            return Failed(f"{self.name} is not told yes, and goes on waiting: {why}")
        try:
            return await self._tell(http, target, request, dict(request_json(request)))
        except (AttributeError, KeyError, TypeError, ValueError):
            return Retry(f"{self.name} did not answer as {self.name} does")

    @abstractmethod
    async def _tell(
        self, http: ClientSession, url: str, request: Request, wire: dict[str, Any]
    ) -> Result: ...

    async def _call(
        self, http: ClientSession, method: str, url: str, body: Json, authorization: str
    ) -> tuple[Json, Result | None]:
        """The JSON answered, or what to make of a failure."""
        answer = await self._fetch(http, method, url, body, authorization)
        return answer.body, self._failure(answer)

    def _failure(self, answer: Answer) -> Result | None:
        if answer.ok:
            return None
        said = f"{self.name} answered {answer.status}{_why(answer.body)}"
        return Failed(said) if answer.status in FOR_GOOD else Retry(said)

    async def _fetch(
        self, http: ClientSession, method: str, url: str, body: Json, authorization: str
    ) -> Answer:
        """A call with the operator's credentials, which no redirection gets; the URL goes out as it is."""
        headers = {"Authorization": authorization} if authorization else {}
        content = {} if body is None else {"json": body}
        async with http.request(
            method, URL(url, encoded=True), headers=headers, allow_redirects=False, **content
        ) as response:
            answer = Answer(response.status, None, response.headers.get("Date"))
            said = await (response.json(content_type=None) if answer.ok else _refusal(response))
            return answer._replace(body=said)


async def _refusal(response: Any) -> Json:
    """What a refusal says, where it is short and JSON."""
    try:
        return await response.json()
    except Exception:  # noqa: BLE001 - only the status counts
        return None


def _why(answer: Json) -> str:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return f": {detail[:LONGEST_WHY]}" if isinstance(detail, str) else ""


def unheard_edits(wire: dict[str, Any], heard: set[str]) -> list[str]:
    """The members of the payload that were changed before it was approved, and that the other side does not take."""
    if not wire["outcome"]["edited"]:
        return []
    before, after = wire["payload"], wire["outcome"]["payload"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ["payload"]
    members = sorted(before.keys() | after.keys())
    return [m for m in members if before.get(m) != after.get(m) and m not in heard]
