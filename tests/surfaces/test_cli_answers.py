"""The commands against a server that answers whatever a test wants: its words, its troubles, its silence."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PENDING: dict[str, Any] = {
    "id": "req_1",
    "status": "pending",
    "title": "Refund €1,250",
    "message": "Order 5531 arrived broken.",
    "details": {"Order": "5531"},
    "payload": {"amount": 1250},
    "payload_digest": "sha256:aa",
    "requester": "email:bob@example.com",
    "labels": {"env": "prod"},
    "source_url": None,
    "kind": "approval",
    "form": None,
    "verification_phrase": None,
    "choices": [],
    "values": {},
    "edits": [],
    "comments": [],
    "trail": [],
    "held": None,
    "step": {"index": 0, "count": 1, "name": None},
    "steps": [{"name": None, "audience": ["email:ana@example.com"]}],
    "escalation": None,
    "audience": ["email:ana@example.com"],
    "quorum": {"required": 1, "approved": 0, "rejected": 0, "text": "0 of 1 approvals"},
    "respondents": [
        {"id": "rsp_1", "name": "Ana", "email": "ana@example.com", "slack_user_id": None, "state": "waiting"}
    ],
    "responses": [],
    "unreachable": [],
    "outcome": None,
    "created_at": "2026-11-21T08:00:00.000Z",
    "timeout_at": "2126-11-21T08:00:00.000Z",
    "on_timeout": "expire",
    "resolved_at": None,
}


def final(status: str) -> dict[str, Any]:
    outcome = {
        "decision": status,
        "choice": None,
        "reason": "seen",
        "values": {},
        "payload": PENDING["payload"],
        "edited": False,
        "resolved_by": "respondents",
        "respondents": ["rsp_1"],
        "by": "Ana",
    }
    return {**PENDING, "status": status, "outcome": outcome, "resolved_at": "2026-11-21T09:00:00.000Z"}


def delivery(state: str, error: str | None = None) -> dict[str, Any]:
    card = {"surface": "slack", "address": f"C{state}", "notice": "card", "respondent": None}
    return {**card, "state": state, "attempts": 1, "error": error, "at": None}


class StandIn:
    """A server that gives the `replies` in turn, the last one for ever, and keeps what it was asked.

    Whoever asks for deliveries gets the `deliveries`.
    """

    def __init__(self) -> None:
        self.replies: list[Callable[[], web.StreamResponse]] = []
        self.deliveries: list[Any] = []
        self.asked: asyncio.Queue[web.Request] = asyncio.Queue()
        self.bodies: list[Any] = []
        self.url = ""

    def gives(self, *bodies: Any, status: int = 200) -> None:
        self.replies = [lambda body=body: web.json_response(body, status=status) for body in bodies]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/deliveries"):
            return web.json_response({"items": self.deliveries})
        self.bodies.append(await request.json() if request.can_read_body else None)
        self.asked.put_nowait(request)
        return (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])()

    async def run(self, *arguments: str, stdin: str = "", **env: str) -> command.Done:
        return await command.run(
            *arguments, stdin=stdin, ASSENT_URL=self.url, ASSENT_API_KEY="sk-test", **env
        )


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stand_in
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code"), [("approved", 0), ("rejected", 1), ("skipped", 1), ("cancelled", 1), ("expired", 3)]
)
async def test_wait_exits_by_the_outcome(server: StandIn, status: str, code: int) -> None:
    server.gives(final(status))
    done = await server.run("wait", "req_1")
    assert (done.status, done.err) == (code, "")
    assert status in done.out


async def test_wait_exits_4_while_it_is_pending(server: StandIn) -> None:
    server.gives(PENDING)
    done = await server.run("wait", "req_1", "--timeout", "0", "--json")
    assert done.status == 4
    assert done.json == PENDING


async def test_a_wait_that_learns_nothing_in_its_time_exits_4(server: StandIn) -> None:
    server.gives({"code": "unavailable"}, status=503)
    done = await server.run("wait", "req_1", "--timeout", "0.1")
    assert (done.status, done.out) == (4, "")
    assert f"no answer from Assent at {server.url}" in done.err


async def test_a_fault_of_a_wait_exits_with_no_status_of_an_outcome(server: StandIn) -> None:
    server.gives({"title": "There is no such request.", "code": "not_found"}, status=404)
    for arguments in (
        ("wait", "req_nope"),
        ("submit", "--title", "Refund", "--wait"),
        ("submit", "--title", "Refund", "--wait", "--payload", "none.json"),
    ):
        done = await server.run(*arguments)
        assert (done.status, done.out) == (2, "")
        assert re.match("assent: (There is no such request|cannot read none.json)", done.err)
    assert (await server.run("submit", "--title", "Refund")).status == 1


async def test_submit_sends_a_file_with_options_over_it(server: StandIn) -> None:
    server.gives(PENDING, status=201)
    done = await server.run(
        *("submit", "--file", "-", "--title", "Refund", "--message", "- a list"),
        *("--audience", "slack:C1", "--audience", "ana@example.com"),
        *("--quorum", "2", "--detail", "Order=5531=a", "--label", "env=prod", "--timeout", "60"),
        *("--on-timeout", "reject", "--reason", "on_reject", "--allow-skip", "--idempotency-key", "run-7"),
        stdin='{"title": "old", "source_url": "https://ci.example.com/1"}',
    )
    assert done.status == 0
    assert server.bodies == [
        {
            "title": "Refund",
            "source_url": "https://ci.example.com/1",
            "message": "- a list",
            "audience": ["slack:C1", "ana@example.com"],
            "quorum": 2,
            "details": {"Order": "5531=a"},
            "labels": {"env": "prod"},
            "timeout_seconds": 60.0,
            "on_timeout": "reject",
            "reason": "on_reject",
            "allow_skip": True,
        }
    ]
    asked = server.asked.get_nowait()
    assert asked.headers["Idempotency-Key"] == "run-7"
    assert asked.headers["Authorization"] == "Bearer sk-test"


async def test_submit_reads_the_payload_from_standard_input_and_waits(server: StandIn) -> None:
    server.gives(PENDING, PENDING, final("rejected"))
    done = await server.run(
        "submit", "--title", "Refund", "--payload", "-", "--wait", "--json", stdin="[1, 2]"
    )
    assert done.status == 1
    assert server.bodies[0]["payload"] == [1, 2]
    assert done.json["outcome"]["reason"] == "seen"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": }', "standard input is not JSON: line 1, column 7"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[]", "does not hold a JSON object"),
        ('{"title": "x", "title": "y"}', "standard input: an object has the member 'title' more than once"),
        (
            '{"payload": {"a": [{"b": 1, "b": 2}]}}',
            "standard input: an object has the member 'b' more than once",
        ),
    ],
)
async def test_a_bad_file_is_explained(server: StandIn, text: str, complaint: str) -> None:
    done = await server.run("submit", "--file", "-", stdin=text)
    assert done.status == 1
    assert complaint in done.err


@pytest.mark.parametrize("verb", ["submit", "revise"])
async def test_a_member_stands_once_in_a_payload_too(server: StandIn, tmp_path: Path, verb: str) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"amount": 1, "amount": 1000000}')
    which = ["req_1"] if verb == "revise" else []
    done = await server.run(verb, *which, "--title", "x", "--payload", str(file))
    assert done.status == 1
    assert done.err == f"assent: {file}: an object has the member 'amount' more than once; leave one\n"
    assert server.bodies == []


async def test_a_missing_file_is_named(server: StandIn) -> None:
    done = await server.run("submit", "--title", "x", "--payload", "nowhere.json")
    assert (done.status, done.err) == (1, "assent: cannot read nowhere.json: No such file or directory\n")


async def test_every_fault_is_named_with_its_place(server: StandIn) -> None:
    faults = [
        {"pointer": "/title", "detail": "is needed"},
        {"pointer": "/audience/0", "detail": "no such group"},
    ]
    server.gives({"code": "invalid", "detail": "2 faults", "errors": faults}, status=422)
    done = await server.run("submit", "--audience", "group:x")
    assert done.status == 1
    assert done.err == "assent: 2 faults (invalid)\n/title: is needed\n/audience/0: no such group\n"


async def test_a_missing_key_says_where_to_put_one(server: StandIn) -> None:
    server.gives({"code": "unauthenticated", "detail": "an API key is needed"}, status=401)
    done = await server.run("pending")
    assert done.status == 1
    assert "ASSENT_API_KEY" in done.err
    assert "sk-test" not in done.err


async def test_a_server_that_is_not_there_is_explained(unused_tcp_port: int) -> None:
    done = await command.run("pending", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert done.status == 1
    assert f"no answer from Assent at http://127.0.0.1:{unused_tcp_port}" in done.err
    assert "--url" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["aprove", "req_1"],
        ["[red]\x1b[31m"],
        ["show"],
        ["show", "req_1", "--colour"],
        ["submit", "--title", "x", "--detail", "no equals sign"],
        ["submit", "--title", "x", "--quorum", "most"],
        ["submit", "--title", "x", "--quorum", '{"any_of": [], "any_of": []}'],
        ["submit", "--title", "x", "--quorum", '{"any_of": [{"from": "x", "approvals": NaN}]}'],
        ["submit", "--title", "x", "--quorum", "[" * 5000],
        ["submit", "--title", "x", "--level", "high"],
        ["list", "--status", "open"],
        ["pending", "--limit", "many"],
        ["pending", "--limit", "0"],
        ["list", "--limit", "-1"],
        ["pending", "--url", "assent.example.com"],
    ],
)
async def test_what_is_written_wrongly_exits_2(arguments: list[str]) -> None:
    done = await command.run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("assent: ")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


HOSTILE = "\x1b]0;owned\x07\x9b2J[red]now[/red]\u202egpj\r\nsecond\u2028line"


@pytest.mark.parametrize("arguments", [["show", "req_1"], ["approve", "req_1"], ["show", "req_1", "--json"]])
async def test_what_a_requester_writes_cannot_drive_the_terminal(
    server: StandIn, arguments: list[str]
) -> None:
    hostile = {
        **PENDING,
        "title": HOSTILE,
        "message": HOSTILE,
        "details": {HOSTILE: HOSTILE},
        "payload": HOSTILE,
    }
    server.gives({**hostile, "requester": HOSTILE, "labels": {HOSTILE: HOSTILE}})
    server.deliveries = [delivery("failed", HOSTILE)]
    done = await server.run(*arguments)
    assert done.status == 0
    assert not set("\x1b\x07\x9b\u202e\u2028\r") & set(done.out)
    assert "[red]now[/red]" in done.out
    if "--json" in arguments:
        assert done.json["title"] == HOSTILE


async def test_show_names_deliveries_in_trouble_and_no_others(server: StandIn) -> None:
    server.gives(PENDING)
    good = [delivery("queued"), delivery("sent"), delivery("superseded", "they have answered already")]
    server.deliveries = good
    assert "trouble" not in (await server.run("show", "req_1")).out
    server.deliveries = [
        *good,
        delivery("failed", "channel_not_found"),
        delivery("retrying", "it took too long"),
    ]
    out = (await server.run("show", "req_1")).out
    rows = [line.split(maxsplit=4) for line in out.partition("Deliveries in trouble")[2].strip().splitlines()]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["slack", "Cfailed", "card", "failed", "channel_not_found"],
        ["slack", "Cretrying", "card", "retrying", "it took too long"],
    ]


@pytest.mark.parametrize("columns", [40, 80])
async def test_nothing_is_cut_off_in_a_narrow_terminal(server: StandIn, columns: int) -> None:
    title = " ".join(f"word{n}" for n in range(40))
    server.gives({"items": [{**PENDING, "title": title}], "next_cursor": None})
    done = await server.run("pending", COLUMNS=str(columns))
    assert all(len(line) <= columns for line in done.out.splitlines())
    assert title.split() == [word for word in done.out.split() if word.startswith("word")]


async def test_colours_are_for_terminals_only(server: StandIn) -> None:
    server.gives(PENDING)
    assert "\x1b[" not in (await server.run("show", "req_1")).out
    terminal, inside = pty.openpty()
    process = await command.start(
        *("show", "req_1", "--url", server.url), stdout=inside, TERM="xterm-256color", NO_COLOR=""
    )
    await command.finish(process)
    os.close(inside)
    assert b"\x1b[36mpending" in os.read(terminal, 65536)
    os.close(terminal)


async def test_a_list_says_that_there_is_more(server: StandIn) -> None:
    server.gives({"items": [PENDING, PENDING, PENDING], "next_cursor": "c1"})
    done = await server.run("list", "--limit", "2", "--status", "pending", "--label", "env=prod")
    assert done.out.count("req_1") == 2
    assert "There are more" in done.out
    assert dict(server.asked.get_nowait().query) == {"status": "pending", "label": "env:prod", "limit": "3"}


async def test_personal_links_are_shown_only_on_demand(server: StandIn) -> None:
    link = {"respondent": "rsp_1", "url": "https://assent.example.com/r/abc"}
    server.gives({"items": [{**PENDING, "links": [link]}], "next_cursor": None})
    assert link["url"] not in (await server.run("pending")).out
    assert link["url"] in (await server.run("pending", "--links")).out


async def test_ctrl_c_ends_a_wait_quietly(server: StandIn) -> None:
    server.gives(PENDING)
    process = await command.start("wait", "req_1", "--url", server.url)
    await asyncio.wait_for(server.asked.get(), 30)
    process.send_signal(signal.SIGINT)
    assert await command.finish(process) == command.Done(130, "", "")


async def test_a_reader_that_leaves_is_no_error(server: StandIn) -> None:
    server.gives({"items": [PENDING] * 200, "next_cursor": None})
    reader, writer = os.pipe()
    os.close(reader)
    process = await command.start("pending", "--url", server.url, stdout=writer)
    os.close(writer)
    assert (await command.finish(process)).err == ""


async def test_wait_goes_on_when_the_server_comes_back(server: StandIn) -> None:
    bad_gateway: Callable[[], web.StreamResponse] = lambda: web.Response(status=502, text="<html>")  # noqa: E731 - its type stands beside it
    server.gives(final("approved"))
    server.replies = [bad_gateway, bad_gateway, *server.replies]
    done = await server.run("wait", "req_1")
    assert done.status == 0
    assert "does not answer" in done.err
