"""What the client says, and how often, without a socket: each test plays the server in a flow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import ApiError, Client, Fault, Outcome, Request, Unanswered, Unreachable, Unsendable
from bot.client.transport import operations
from bot.client.transport.operations import LONGEST_WAIT, Operations
from bot.client.transport.protocol import (
    LONGEST_PAUSE,
    SHORTEST_PATIENCE,
    Call,
    HttpResponse,
    Lost,
    backoff_delays,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.client.transport.protocol import Flow

REFUSED = Lost(url="http://assent", reason="connection refused", sent=False)
DROPPED = Lost(url="http://assent", reason="connection dropped", sent=True)
PENDING: dict[str, Any] = {
    "id": "req_1",
    "status": "pending",
    "title": "Deploy 4.2",
    "quorum": {"text": "0 of 1 approvals"},
}
OUTCOME: dict[str, Any] = {
    "decision": "approved",
    "choice": None,
    "reason": "go",
    "values": {},
    "payload": {"version": "4.2"},
    "edited": False,
    "by": "Ana",
}
APPROVED = {**PENDING, "status": "approved", "outcome": OUTCOME, "resolved_at": "2026-11-21T08:00:00.000Z"}


def answer(status: int, body: object, **headers: str) -> HttpResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(url="http://assent", status=status, content=content, headers=headers)


def problem(status: int, code: str, **members: object) -> HttpResponse:
    return answer(status, {"code": code, "title": code, "detail": f"it is {code}", **members})


class Played(Operations):
    """A client whose server is a list of replies; `calls` are those it made."""

    def __init__(self, *replies: HttpResponse | Lost) -> None:
        self.replies: Iterator[HttpResponse | Lost] = iter(replies)
        self.calls: list[Call] = []
        self.passed = 0.0

    def _now(self) -> float:  # type: ignore[override]
        """The time that its calls were delayed by, altogether."""
        return self.passed

    def run(self, flow: Flow[Any]) -> Any:
        try:
            call = next(flow)
            while True:
                self.calls.append(call)
                self.passed += call.delay
                call = flow.send(next(self.replies))
        except StopIteration as end:
            return end.value

    def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        call: Callable[..., Any] = getattr(self, method)
        return call(*args, **kwargs)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by one second whenever it is read, so that no wait takes time."""
    ticks = [0.0]

    def now() -> float:
        ticks[0] += 1.0
        return ticks[0]

    monkeypatch.setattr("bot.client.transport.operations.time.monotonic", now)
    return ticks


def test_submit_sends_the_fields_that_were_given() -> None:
    client = Played(answer(201, PENDING))
    request = client.do("submit", title="Deploy 4.2", audience=["email:ana@example.com"], message=None)
    [call] = client.calls
    assert (call.method, call.path) == ("POST", "/v1/requests")
    assert json.loads(call.content or b"") == {"title": "Deploy 4.2", "audience": ["email:ana@example.com"]}
    assert (request.id, request["status"]) == ("req_1", "pending")


@pytest.mark.parametrize("trouble", [REFUSED, DROPPED, answer(503, b""), answer(502, b"<html>")])
def test_submit_repeats_itself_with_one_idempotency_key(trouble: HttpResponse | Lost) -> None:
    client = Played(trouble, trouble, answer(200, PENDING))
    client.do("submit", title="Deploy 4.2")
    keys = {call.headers["Idempotency-Key"] for call in client.calls}
    assert len(client.calls) == 3
    assert len(keys) == 1
    assert 0 == client.calls[0].delay < client.calls[1].delay < client.calls[2].delay


def test_two_submits_have_two_keys_unless_one_is_given() -> None:
    client = Played(*[answer(201, PENDING)] * 4)
    for key in (None, None, "run-7", "run-7"):
        client.do("submit", title="Deploy 4.2", idempotency_key=key)
    first, second, third, fourth = (call.headers["Idempotency-Key"] for call in client.calls)
    assert first != second
    assert third == fourth == "run-7"


def test_a_server_that_stays_away_is_reported_with_what_was_tried() -> None:
    client = Played(*[REFUSED] * 99)
    with pytest.raises(
        Unanswered, match=r"http://assent: connection refused \(GET \S+ was tried \d+ times in 30 s\)"
    ) as caught:
        client.do("get", "req_1")
    assert isinstance(caught.value, TimeoutError)
    assert client.passed == pytest.approx(30)
    assert all(call.delay <= LONGEST_PAUSE for call in client.calls)


@pytest.mark.parametrize("seconds", [0.5, 3, 9.9])
def test_a_call_lasts_as_long_as_it_is_told_to(seconds: float) -> None:
    client = Played(*[DROPPED] * 99)
    client.retry_for = seconds
    with pytest.raises(Unanswered):
        client.do("get", "req_1")
    assert client.passed == pytest.approx(seconds)


def test_without_time_a_call_is_made_once() -> None:
    client = Played(REFUSED)
    client.retry_for = 0
    with pytest.raises(Unreachable) as caught:
        client.do("submit", title="Deploy")
    assert len(client.calls) == 1
    assert "tried" not in str(caught.value)


def test_the_last_tries_do_not_wait_longer_than_there_is_time() -> None:
    client = Played(*[Lost(url="http://assent", reason="timed out", sent=True)] * 99)
    client.retry_for = 4
    with pytest.raises(Unanswered):
        client.do("get", "req_1")
    assert client.calls[0].patience == 20
    assert all(SHORTEST_PATIENCE <= call.patience <= 4 for call in client.calls[1:])


@pytest.mark.parametrize(
    "wait",
    [
        {"retry-after": "31"},
        {"retry-after": "Fri, 20 Nov 2026 08:01:00 GMT", "date": "Fri, 20 Nov 2026 08:00:00 GMT"},
    ],
)
def test_who_is_limited_for_longer_than_there_is_time_is_told_at_once(wait: dict[str, str]) -> None:
    client = Played(answer(429, {"code": "rate_limited", "detail": "slow down"}, **wait))
    with pytest.raises(ApiError, match="slow down"):
        client.do("remind", "req_1")
    assert len(client.calls) == 1


def test_a_refusal_after_several_tries_says_so() -> None:
    client = Played(*[answer(503, {"code": "unavailable", "detail": "starting"})] * 99)
    with pytest.raises(ApiError, match="starting") as caught:
        client.do("get", "req_1")
    [note] = caught.value.__notes__
    assert note.endswith("times in 30 s.")


def test_a_busy_server_says_how_long_to_stay_away() -> None:
    client = Played(answer(429, {"code": "rate_limited"}, **{"retry-after": "7"}), answer(200, PENDING))
    client.do("get", "req_1")
    assert client.calls[1].delay == 7.0


def test_a_refusal_carries_its_code_and_every_fault() -> None:
    faults = [{"pointer": "/title", "detail": "is needed"}, {"pointer": "", "detail": "no such field: titel"}]
    client = Played(problem(422, "invalid", errors=faults))
    with pytest.raises(ApiError) as caught:
        client.do("submit", titel="Deploy")
    error = caught.value
    assert (error.status, error.code, error.detail) == (422, "invalid", "it is invalid")
    assert error.faults == [Fault("/title", "is needed"), Fault("", "no such field: titel")]
    assert str(error).splitlines() == ["invalid (invalid)", "/title: is needed", "no such field: titel"]


def test_the_loser_of_a_race_gets_the_outcome() -> None:
    client = Played(problem(409, "already_resolved", request=APPROVED))
    with pytest.raises(ApiError) as caught:
        client.do("reject", "req_1")
    assert Outcome.of(Request(caught.value.problem["request"])).by == "Ana"


@pytest.mark.parametrize("reply", [answer(200, b"<html>hello"), answer(301, b""), answer(404, b"not here")])
def test_a_server_that_is_not_assent_is_told_apart(reply: HttpResponse) -> None:
    with pytest.raises(Unreachable, match=f"answered {reply.status}, and not as Assent does"):
        Played(reply).do("get", "req_1")


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"share": float("nan")}},
        {"payload": {"when": object()}},
        {"title": "\udcff"},
        {"idempotency_key": "run\n7"},
        {"idempotency_key": "lauf-ä"},
    ],
)
def test_what_no_server_could_read_is_not_sent(fields: dict[str, Any]) -> None:
    client = Played()
    with pytest.raises(Unsendable, match="cannot"):
        client.do("submit", **{"title": "Deploy", **fields})
    assert client.calls == []


def test_an_id_cannot_lead_elsewhere() -> None:
    client = Played(answer(200, PENDING))
    client.do("get", "../../admin?x=1")
    assert client.calls[0].path == "/v1/requests/..%2F..%2Fadmin%3Fx%3D1"


@pytest.mark.parametrize("decision", ["approve", "reject", "skip"])
def test_answers_name_the_respondent_and_the_reason(decision: str) -> None:
    client = Played(answer(200, APPROVED))
    client.do(decision, "req_1", reason="fine", respondent="email:ana@example.com")
    [call] = client.calls
    assert call.path == "/v1/requests/req_1/responses"
    assert json.loads(call.content or b"") == {
        "decision": decision,
        "reason": "fine",
        "respondent": "email:ana@example.com",
    }


def test_an_answer_repeats_itself_with_one_idempotency_key() -> None:
    client = Played(DROPPED, answer(200, APPROVED), answer(200, APPROVED), answer(200, {"items": []}))
    client.approve("req_1", respondent="email:ana@example.com")
    client.approve("req_1", respondent="email:ana@example.com")
    client.respond_to_all(["req_1"], "approve")
    lost, again, *others = (call.headers["Idempotency-Key"] for call in client.calls)
    assert lost == again
    assert len({again, *others}) == 3


@pytest.mark.parametrize(
    ("method", "given", "path", "body"),
    [
        ("cancel", {"reason": "sold out"}, "cancel", {"reason": "sold out"}),
        ("remind", {}, "remind", {}),
        ("escalate", {"respondent": "rsp_1"}, "escalate", {"respondent": "rsp_1"}),
        (
            "delegate",
            {"from_": "rsp_1", "to": "ben@example.com"},
            "delegate",
            {"from": "rsp_1", "to": "ben@example.com"},
        ),
        ("withdraw", {"respondent": "rsp_1"}, "withdraw", {"respondent": "rsp_1"}),
        ("comment", {"text": "Why?"}, "comments", {"text": "Why?"}),
        ("revise", {"payload": {"version": "4.3"}}, "revise", {"payload": {"version": "4.3"}}),
    ],
)
def test_a_pending_request_is_managed(
    method: str, given: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    client = Played(REFUSED, answer(200, PENDING))
    assert client.do(method, "req_1", **given).status == "pending"
    assert {call.path for call in client.calls} == {f"/v1/requests/req_1/{path}"}
    assert json.loads(client.calls[0].content or b"") == body


CHANGING: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "submit": ((), {"title": "Deploy"}),
    "respond": (("req_1", "approve"), {}),
    "approve": (("req_1",), {}),
    "reject": (("req_1",), {}),
    "skip": (("req_1",), {}),
    "respond_to_all": ((["req_1"], "approve"), {}),
    "cancel": (("req_1",), {}),
    "remind": (("req_1",), {}),
    "escalate": (("req_1",), {}),
    "withdraw": (("req_1",), {"respondent": "rsp_1"}),
    "comment": (("req_1",), {"text": "Why?"}),
    "revise": (("req_1",), {"title": "Deploy 4.3"}),
    "delegate": (("req_1", "rsp_1", "ben@example.com"), {}),
    "notify": (("Deployed",), {"audience": ["slack:C1"]}),
}


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize(
    "trouble", [REFUSED, DROPPED, answer(502, b"<html>"), answer(503, b""), answer(504, b"")]
)
def test_whatever_changes_something_is_the_same_call_each_time(
    method: str, trouble: HttpResponse | Lost
) -> None:
    given, named = CHANGING[method]
    client = Played(trouble, trouble, answer(200, {**PENDING, "items": []}))
    client.do(method, *given, **named)
    assert len(client.calls) == 3
    assert len({(c.method, c.path, c.content, c.headers["Idempotency-Key"]) for c in client.calls}) == 1


def test_every_method_that_posts_is_in_the_table_above() -> None:
    source = Path(operations.__file__).read_text(encoding="utf-8")
    assert source.count("post(") == source.count("headers=_once())") + 1  # a submission has a key of its own


def test_lists_follow_the_cursor_to_the_limit() -> None:
    pages = [
        answer(200, {"items": [PENDING] * 200, "next_cursor": "c1"}),
        answer(200, {"items": [PENDING] * 50, "next_cursor": "c2"}),
    ]
    client = Played(*pages)
    found = client.do("list", 250, status="pending", label=["env:prod", "team:pay"])
    assert len(found) == 250
    filters = (("status", "pending"), ("label", "env:prod"), ("label", "team:pay"))
    assert client.calls[0].query == (*filters, ("limit", "200"))
    assert client.calls[1].query == (*filters, ("limit", "50"), ("cursor", "c1"))


def test_a_list_ends_with_its_last_page() -> None:
    client = Played(answer(200, {"items": [PENDING], "next_cursor": None}))
    assert [request.id for request in client.do("pending")] == ["req_1"]


def test_wait_asks_again_until_the_request_is_final(clock: list[float]) -> None:
    client = Played(answer(200, PENDING), answer(200, PENDING), answer(200, APPROVED))
    outcome = client.do("wait", "req_1")
    assert outcome
    assert (outcome.status, outcome.reason, outcome.payload) == ("approved", "go", {"version": "4.2"})
    assert [dict(call.query)["wait"] for call in client.calls] == [str(LONGEST_WAIT)] * 3


@pytest.mark.usefixtures("clock")
def test_wait_survives_a_server_that_is_away_for_long() -> None:
    trouble = [REFUSED, DROPPED, answer(502, b"<html>bad gateway"), answer(503, b"")] * 25
    client = Played(*trouble, answer(200, APPROVED))
    assert client.do("wait", "req_1").by == "Ana"
    assert max(call.delay for call in client.calls) <= 10


@pytest.mark.usefixtures("clock")
def test_wait_rests_when_a_stopping_server_answers_early() -> None:
    client = Played(answer(200, PENDING), answer(200, APPROVED))
    client.do("wait", "req_1")
    assert client.calls[1].delay > 0


@pytest.mark.usefixtures("clock")
def test_wait_says_when_the_time_is_over() -> None:
    client = Played(*[answer(200, PENDING)] * 50)
    with pytest.raises(TimeoutError, match="req_1 is still pending after 30 s"):
        client.do("wait", "req_1", timeout=30)
    assert all(float(dict(call.query)["wait"]) <= LONGEST_WAIT for call in client.calls if call.query)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_wait_without_time_looks_once(timeout: float) -> None:
    client = Played(answer(200, PENDING))
    with pytest.raises(TimeoutError):
        client.do("wait", "req_1", timeout=timeout)


@pytest.mark.usefixtures("clock")
def test_wait_does_not_call_pending_what_it_could_not_ask() -> None:
    for reply, reason in ((REFUSED, "connection refused"), (answer(503, b""), "it answered 503")):
        with pytest.raises(TimeoutError, match=f"no answer from Assent at http://assent: {reason}") as caught:
            Played(*[reply] * 50).do("wait", "req_1", timeout=20)
        assert isinstance(caught.value, Unreachable)


def test_wait_does_not_wait_for_what_does_not_exist() -> None:
    with pytest.raises(ApiError) as caught:
        Played(problem(404, "not_found")).do("wait", "req_9")
    assert caught.value.code == "not_found"


def test_pauses_grow_to_a_limit() -> None:
    found = [pause for pause, _ in zip(backoff_delays(shortest=1.0, longest=8.0), range(6), strict=False)]
    for pause, longest in zip(found, [1, 2, 4, 8, 8, 8], strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("url", ["assent.example.com", "ftp://assent.example.com", "http://", "http://a:0"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not a server's address"):
        Client(url)


def test_a_client_never_shows_its_key() -> None:
    client = Client("http://assent.example.com/", "sk-secret")
    assert repr(client) == "Client('http://assent.example.com')"
    with pytest.raises(ValueError, match="copy it again") as caught:
        Client("http://assent.example.com", "sk-sec\u00a0ret")
    assert "sk-sec" not in str(caught.value)
