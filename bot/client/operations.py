"""The methods of `Client` and `AsyncClient`, each written once, as a flow."""

from __future__ import annotations

import logging
import math
import time
import uuid
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload
from urllib.parse import quote

from bot.client.errors import Unsendable
from bot.client.flows import Flow, decode, exchange, get, may_pass, pauses, post
from bot.client.outcome import Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.client.clients import AsyncClient, Client

Requests = list[Request]
Deliveries = list[dict[str, Any]]
P = ParamSpec("P")
T = TypeVar("T")

LONGEST_WAIT = 25.0
"""Seconds one call waits on the server: some proxies drop a connection that is silent for 30."""

PAGE = 200
"""Requests asked for in one call, the most that the API gives."""

log = logging.getLogger(__name__)


class operation(Generic[P, T]):  # noqa: N801 - used as a decorator
    """A flow as a method: `Client` runs it at once, `AsyncClient` when it is awaited."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @wraps(self.flow)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self.flow(client, *args, **kwargs))

        return method


def _answering(decision: str) -> operation[..., Request]:
    @operation
    def answer(
        self: Operations,
        /,
        id: str,
        *,
        reason: str | None = None,
        respondent: str | None = None,
        **members: Any,
    ) -> Flow[Request]:
        """Answer as `respondent`, or as the operator: see `respond`."""
        return (yield from self._respond(id, decision, reason=reason, respondent=respondent, **members))

    return answer


class Operations:
    """What a workflow can say to Assent. Every method raises `ApiError` or `Unreachable`.

    A call that cannot ask, tell or decide twice is repeated up to `retries` times while the server is away.
    """

    retries = 3

    @operation
    def submit(self, /, *, idempotency_key: str | None = None, **fields: Any) -> Flow[Request]:
        """Ask people; the fields are those of CONTRACT §3 (`title`, `audience`, …).

        The same `idempotency_key` with the same fields gives the same request, however often it is submitted:
        pass one that names the place in your workflow, so that a rerun finds its answer. Without one, a fresh
        key still keeps this call's own retries from asking twice.
        """
        key = idempotency_key or uuid.uuid4().hex
        if not (key.isascii() and key.isprintable()):
            raise Unsendable(f"the idempotency key {key!r} has characters that a header cannot carry")
        call = post("/v1/requests", fields, headers={"Idempotency-Key": key})
        return Request((yield from exchange(call, self.retries)))

    @operation
    def get(self, /, id: str) -> Flow[Request]:
        """Read one request."""
        return Request((yield from exchange(get(_path(id)), self.retries)))

    @operation
    def wait(self, /, id: str, timeout: float | None = None) -> Flow[Outcome]:
        """Wait until the request is final, through restarts of the server, and return its outcome.

        Raises `TimeoutError` when it is still pending after `timeout` seconds (0 looks once, None waits for
        ever), and `Unreachable` or `ApiError` when by then the server does not answer.
        """
        now = time.monotonic
        deadline = math.inf if timeout is None else now() + timeout
        delay, backoff = 0.0, pauses()
        while True:
            asked = now() + delay
            patience = min(LONGEST_WAIT, max(0.0, deadline - asked))
            call = get(_path(id), {"wait": patience or None}, patience=patience + 10.0, delay=delay)
            reply = yield call
            away = may_pass(call, reply)
            if not away and (request := Request(decode(reply))).status != "pending":
                return Outcome.of(request)
            if not now() < deadline:
                if away:
                    decode(reply)
                raise TimeoutError(f"{id} is still pending after {timeout:g} s")
            if away or now() - asked < patience / 2:  # a server about to stop answers early
                delay = min(next(backoff), max(0.0, deadline - now()))
            else:
                delay, backoff = 0.0, pauses()
            if away:
                log.warning("Assent does not answer; asking for %s again in %.1f s", id, delay)

    @operation
    def pending(self, /, limit: int | None = None) -> Flow[Requests]:
        """List what waits for people, newest first; with scope `links` each with its personal links."""
        return (yield from self._pages("/v1/pending", limit, {}))

    @operation
    def list(self, /, limit: int | None = None, **filters: Any) -> Flow[Requests]:
        """List requests, newest first.

        The filters are `status`, `respondent`, `requester`, `label` ("key:value", or a list of them) and `q`.
        """
        return (yield from self._pages("/v1/requests", limit, filters))

    @operation
    def respond(self, /, id: str, decision: str, **members: Any) -> Flow[Request]:
        """Answer with `approve`, `reject`, `skip` or a choice's id; `members` are those of CONTRACT §3.

        Without `respondent` the key itself answers as the operator, which decides the request at once.
        """
        return (yield from self._respond(id, decision, **members))

    approve = _answering("approve")
    reject = _answering("reject")
    skip = _answering("skip")

    @operation
    def cancel(self, /, id: str, *, reason: str | None = None) -> Flow[Request]:
        """Withdraw a request that is still pending."""
        return Request((yield from exchange(post(_path(id, "cancel"), {"reason": reason}), self.retries)))

    @operation
    def deliveries(self, /, id: str) -> Flow[Deliveries]:
        """List every card and mail of a request, and what became of it."""
        found: Deliveries = (yield from exchange(get(_path(id, "deliveries")), self.retries))["items"]
        return found

    @operation
    def notify(self, /, message: str, **target: Any) -> Flow[dict[str, Any]]:
        """Tell the people of `audience` or `destination` something, without asking."""
        call = post("/v1/notifications", {"message": message, **target}, repeatable=False)
        return dict((yield from exchange(call, self.retries)))

    def _respond(self, id: str, decision: str, **members: Any) -> Flow[Request]:
        call = post(_path(id, "responses"), {"decision": decision, **members})
        return Request((yield from exchange(call, self.retries)))

    def _pages(self, path: str, limit: int | None, filters: dict[str, Any]) -> Flow[Requests]:
        found: Requests = []
        cursor: str | None = None
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            page = yield from exchange(get(path, {**filters, "limit": size, "cursor": cursor}), self.retries)
            found += map(Request, page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found


def _path(id: str, *rest: str) -> str:
    return "/".join(["/v1/requests", quote(id, safe=""), *rest])
