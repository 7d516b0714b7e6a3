"""The methods of `Client` and `AsyncClient`, each written once, as a flow."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

from bot.client import receipts
from bot.client.errors import Unanswered, Unsendable
from bot.client.models import Outcome, Request
from bot.client.transport.descriptors import operation, stream
from bot.client.transport.events import Following
from bot.client.transport.protocol import (
    Call,
    Flow,
    HttpResponse,
    Lost,
    backoff_delays,
    decode,
    exchange,
    get,
    is_retryable,
    post,
    put,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bot.client.fields import Answer, Changes, Fields, Filters, Given, Target

Requests = list[Request]
Rows = list[dict[str, Any]]
Strings = list[str]
Asked = Sequence[str | Mapping[str, Any]]
"""Requests by id, or as `{"id", "revision"}` with what was looked at."""

LONGEST_WAIT = 25.0
"""Seconds one call waits on the server: some proxies drop a connection that is silent for 30."""

KEYS_SECONDS = 300.0
"""How long the server's keys are remembered; one that it withdrew is trusted no longer than that."""

RETRY_FOR = 30.0
"""Seconds for which a call is repeated: longer than a new version of the server takes to start."""

PAGE = 200
"""Requests asked for in one call, the most that the API gives."""

log = logging.getLogger(__name__)


def answer(id: str, decision: str, **members: Any) -> Call:
    """The call that answers a request; see `respond`."""
    return post(_path(id, "responses"), {"decision": decision, **members}, headers=_once())


def _once() -> dict[str, str]:
    """What keeps a call's own retries from doing it twice."""
    return {"Idempotency-Key": uuid.uuid4().hex}


class Operations:
    """What a workflow can say to Assent. Every method raises `ApiError` or `Unreachable`.

    Calls are repeated for up to `retry_for` seconds while the server is away, and never ask, tell or decide twice: what
    changes something carries an Idempotency-Key, the same in each repetition.
    """

    retry_for: float = RETRY_FOR
    _now: Callable[[], float] = staticmethod(time.monotonic)
    _keys: tuple[float, dict[str, Any]] = (0.0, {"keys": []})

    @operation
    def submit(self, /, *, idempotency_key: str | None = None, **fields: Unpack[Fields]) -> Flow[Request]:
        """Ask people; the fields are those of a submission in the API's reference (`title`, `audience`, …).

        The same `idempotency_key` with the same fields gives the same request, however often it is submitted:
        pass one that names the place in your workflow, so that a rerun finds its answer. Without one, a fresh
        key still keeps this call's own retries from asking twice.
        """
        key = idempotency_key or uuid.uuid4().hex
        if not (key.isascii() and key.isprintable()):
            raise Unsendable(f"the idempotency key {key!r} has characters that a header cannot carry")
        call = post("/v1/requests", fields, headers={"Idempotency-Key": key})
        return Request((yield from self._exchange(call)))

    @operation
    def get(self, /, id: str) -> Flow[Request]:
        """Read one request."""
        return Request((yield from self._exchange(get(_path(id)))))

    @operation
    def wait(self, /, id: str, timeout: float | None = None) -> Flow[Outcome]:
        """Wait until the request is final, through restarts of the server, and return its outcome.

        Raises `TimeoutError` when it has no outcome after `timeout` seconds (0 looks once, None waits for ever):
        `Unanswered`, which is one, when the server does not answer by then.
        """
        now = time.monotonic
        deadline = math.inf if timeout is None else now() + timeout
        delay, backoff, about = 0.0, backoff_delays(), f"waiting for {id}"
        while True:
            asked = now() + delay
            patience = min(LONGEST_WAIT, max(0.0, deadline - asked))
            call = get(
                _path(id), {"wait": patience or None}, patience=patience + 10.0, delay=delay, about=about
            )
            reply = yield call
            away = is_retryable(call, reply)
            if not away:
                request = Request(decode(reply))
                if request.status != "pending":
                    return Outcome.of(request)
                about = _progress(request)
            if not now() < deadline:
                if away:
                    raise _unanswered(reply)
                raise TimeoutError(f"{id} is still pending after {timeout:g} s")
            if away or now() - asked < patience / 2:  # a server about to stop answers early
                delay = min(next(backoff), max(0.0, deadline - now()))
            else:
                delay, backoff = 0.0, backoff_delays()
            if away:
                log.warning("Assent does not answer; asking for %s again in %.1f s", id, delay)

    @operation
    def pending(self, /, limit: int | None = None) -> Flow[Requests]:
        """List what waits for people, newest first; with scope `links` each with its personal links."""
        return (yield from self._pages("/v1/pending", limit, {}))

    @operation
    def list(self, /, limit: int | None = None, **filters: Unpack[Filters]) -> Flow[Requests]:
        """List requests, newest first.

        The filters are `status`, `respondent`, `requester`, `label` ("key:value", or a list of them) and `q`.
        """
        return (yield from self._pages("/v1/requests", limit, filters))

    @operation
    def respond(self, /, id: str, decision: str, **members: Unpack[Given]) -> Flow[Request]:
        """Answer with `approve`, `reject`, `skip` or a choice's id; `members` are in the API's reference.

        Without `respondent` the key itself answers as the operator, which decides the request at once.
        """
        return Request((yield from self._exchange(answer(id, decision, **members))))

    @operation
    def approve(self, /, id: str, **members: Unpack[Given]) -> Flow[Request]:
        """Approve as `respondent`, or as the operator: see `respond`.

        With `revision` (and `step`) it is to what you looked at, and refused where the question was changed since.
        """
        return Request((yield from self._exchange(answer(id, "approve", **members))))

    @operation
    def reject(self, /, id: str, **members: Unpack[Given]) -> Flow[Request]:
        """Reject, likewise."""
        return Request((yield from self._exchange(answer(id, "reject", **members))))

    @operation
    def skip(self, /, id: str, **members: Unpack[Given]) -> Flow[Request]:
        """Leave it to the others, likewise, where that is allowed."""
        return Request((yield from self._exchange(answer(id, "skip", **members))))

    @operation
    def choose(self, /, id: str, choice: str, **members: Unpack[Given]) -> Flow[Request]:
        """Pick the option with this id, likewise."""
        return Request((yield from self._exchange(answer(id, choice, **members))))

    @operation
    def respond_to_all(self, /, ids: Asked, decision: str, **members: Unpack[Answer]) -> Flow[Rows]:
        """Give several requests the same answer; what came of each: `id`, and `request` or `problem`."""
        body = {"requests": [*ids], "decision": decision, **members}
        call = post("/v1/responses", body, headers=_once())
        found: Rows = (yield from self._exchange(call))["items"]
        return found

    @operation
    def cancel(self, /, id: str, *, reason: str | None = None) -> Flow[Request]:
        """Withdraw a request that is still pending."""
        return (yield from self._done(id, "cancel", {"reason": reason}))

    @operation
    def remind(self, /, id: str, *, reason: str | None = None) -> Flow[Request]:
        """Ask those who have not answered once more."""
        return (yield from self._done(id, "remind", {"reason": reason}))

    @operation
    def escalate(
        self, /, id: str, *, reason: str | None = None, respondent: str | None = None
    ) -> Flow[Request]:
        """Ask the next level of the escalation now, for a `respondent` or the key's owner."""
        return (yield from self._done(id, "escalate", {"reason": reason, "respondent": respondent}))

    @operation
    def withdraw(self, /, id: str, *, respondent: str) -> Flow[Request]:
        """Take back the answer of a `respondent`, while the request is pending."""
        return (yield from self._done(id, "withdraw", {"respondent": respondent}))

    @operation
    def comment(self, /, id: str, *, text: str, respondent: str | None = None) -> Flow[Request]:
        """Put `text`: a question of a `respondent`, or without one the requester's reply."""
        return (yield from self._done(id, "comments", {"text": text, "respondent": respondent}))

    @operation
    def revise(self, /, id: str, **changes: Unpack[Changes]) -> Flow[Request]:
        """Ask something else instead (`title`, `message`, `details`, `payload`)."""
        return (yield from self._done(id, "revise", changes))

    @operation
    def delegate(self, /, id: str, from_: str, to: str, *, reason: str | None = None) -> Flow[Request]:
        """Hand what waits for one respondent (`from_`) to another person (`to`), such as email:ben@example.com."""
        return (yield from self._done(id, "delegate", {"from": from_, "to": to, "reason": reason}))

    @operation
    def deliveries(self, /, id: str) -> Flow[Rows]:
        """List every card and mail of a request, and what became of it."""
        return (yield from self._items(_path(id, "deliveries")))

    @operation
    def audit(self, /, id: str) -> Flow[Rows]:
        """List the audit events of a request, oldest first."""
        return (yield from self._items(_path(id, "audit")))

    @stream
    def events(self, /, id: str | None = None, *, after: int | None = None) -> Following:
        """Follow what happens, as `Event`s, through restarts of the server.

        Of one request everything from its first event to its outcome; of all, what happens from now on, without end.
        `after` is the `id` of an event that is known already: what came after it is not missed.
        """
        return Following(_path(id, "events") if id else "/v1/events", after)

    @operation
    def receipt(self, /, id: str) -> Flow[str]:
        """Get the signed receipt of a final request, a compact JWS; see `verify`."""
        return str((yield from self._exchange(get(_path(id, "receipt"))))["receipt"])

    @operation
    def verify(
        self,
        /,
        receipt: str,
        payload: Any,
        request: str | Mapping[str, Any] | None = None,
        choice: str | None = None,
        allow: str | Collection[str] = (),
    ) -> Flow[dict[str, Any]]:
        """Return the claims of a receipt that proves that people approved exactly this payload.

        `request` (its id, or the request) says of which request it must be, `choice` which option of a choice must
        have been chosen, without which the receipt of a choice proves nothing. What no person approved satisfies only
        who names it in `allow`: `policy` (level `info` and ASSENT_AUTO_APPROVE are that, too), `grant`, `timeout`.

        Raises `Unverified` for anything else, and where none of the keys that the server publishes has signed it;
        ValueError for an unknown name in `allow`.
        """
        wanted = receipts.Wanted.of(payload, request, choice, allow)
        keys = yield from self._published_keys(receipts.key_id(receipt))
        return receipts.check(receipt, wanted, keys)

    @operation
    def notify(self, /, message: str, **target: Unpack[Target]) -> Flow[dict[str, Any]]:
        """Tell the people of `audience` or `destination` something, without asking."""
        call = post("/v1/notifications", {"message": message, **target}, headers=_once())
        return dict((yield from self._exchange(call)))

    @operation
    def groups(self, /) -> Flow[Rows]:
        """List every group: `name` and `members` (None where they are computed for each request)."""
        return (yield from self._items("/v1/groups"))

    @operation
    def put_group(self, /, name: str, members: Strings) -> Flow[dict[str, Any]]:
        """Set the members of a group, as selectors."""
        call = put(f"/v1/groups/{quote(name, safe='')}", {"members": members})
        return dict((yield from self._exchange(call)))

    @operation
    def delete_group(self, /, name: str) -> Flow[None]:
        """Forget a group."""
        yield from self._exchange(Call(method="DELETE", path=f"/v1/groups/{quote(name, safe='')}"))

    def _exchange(self, call: Call) -> Flow[Any]:
        return exchange(call, self.retry_for, self._now)

    def _done(self, id: str, what: str, said: Mapping[str, Any]) -> Flow[Request]:
        """The request after something was done with it, once."""
        call = post(_path(id, what), said, headers=_once())
        return Request((yield from self._exchange(call)))

    def _published_keys(self, wanted: str) -> Flow[dict[str, Any]]:
        """The JWK set of the server, asked for again where it is old or lacks the key that is wanted."""
        until, keys = self._keys
        if time.monotonic() > until or wanted not in {key.get("kid") for key in keys["keys"]}:
            keys = yield from self._exchange(get("/.well-known/jwks.json"))
            self._keys = time.monotonic() + KEYS_SECONDS, keys
        return keys

    def _items(self, path: str) -> Flow[Rows]:
        found: Rows = (yield from self._exchange(get(path)))["items"]
        return found

    def _pages(self, path: str, limit: int | None, filters: Mapping[str, Any]) -> Flow[Requests]:
        found: Requests = []
        cursor: str | None = None
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            page = yield from self._exchange(get(path, {**filters, "limit": size, "cursor": cursor}))
            found += map(Request, page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found


def _unanswered(reply: HttpResponse | Lost) -> Unanswered:
    reason = reply.reason if isinstance(reply, Lost) else f"it answered {reply.status}"
    return Unanswered(reply.url, reason)


def _progress(request: Request) -> str:
    """What a wait has come to, in the server's words; nothing that a requester wrote reaches the terminal."""
    return f"waiting for {request.id}: {request.quorum['text']}"


def _path(id: str, *rest: str) -> str:
    return "/".join(["/v1/requests", quote(id, safe=""), *rest])
