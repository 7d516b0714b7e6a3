"""The commands and the client against a real server: what one says, the other knows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bot import settings
from bot.bootstrap import Assent
from bot.client import ApiError, AsyncClient, Rejected
from bot.sandbox.mail.relay import Mailbox
from tests.support import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "test-key-that-may-do-everything"
ASK = (
    "submit",
    "--title",
    "Refund €1,250",
    "--audience",
    "email:ana@example.com",
    "--audience",
    "email:ben@example.com",
)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as relay:
        yield relay


@pytest.fixture
def environ(sqlite_url: str, mailbox: Mailbox, unused_tcp_port: int) -> dict[str, str]:
    return {
        "ASSENT_DATABASE_URL": sqlite_url,
        "ASSENT_PORT": str(unused_tcp_port),
        "ASSENT_API_KEY": KEY,
        "ASSENT_SMTP_URL": mailbox.url,
        "ASSENT_MAIL_FROM": "assent@example.com",
    }


@contextlib.asynccontextmanager
async def serving(environ: dict[str, str]) -> AsyncIterator[Assent]:
    assent = Assent(settings.load(environ))
    await assent.start()
    try:
        yield assent
    finally:
        await assent.stop()


@pytest.fixture
async def server(environ: dict[str, str]) -> AsyncIterator[Assent]:
    async with serving(environ) as assent:
        yield assent


@pytest.fixture
async def client(server: Assent) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, KEY) as client:
        yield client


async def assent(server: Assent, *arguments: str, stdin: str = "") -> command.Done:
    return await command.run(*arguments, stdin=stdin, ASSENT_URL=server.url, ASSENT_API_KEY=KEY)


async def submitted(server: Assent, *arguments: str) -> Any:
    done = await assent(server, *ASK, *arguments, "--json")
    assert done.status == 0, done.err
    return done.json


async def test_a_request_is_asked_listed_shown_and_approved(server: Assent, mailbox: Mailbox) -> None:
    request = await submitted(server, "--quorum", "all", "--label", "env=prod", "--detail", "Order=5531")
    await mailbox.next_message("ana@example.com")
    for listed in (
        await assent(server, "pending", "--json"),
        await assent(server, "list", "--status", "pending", "--label", "env=prod", "--q", "Refund", "--json"),
    ):
        assert [found["id"] for found in listed.json] == [request["id"]]
    assert (await assent(server, "list", "--label", "env=test", "--json")).json == []

    first = await assent(
        server, "approve", request["id"], "--as", "email:ana@example.com", "--reason", "seen"
    )
    assert (first.status, first.err) == (0, "")
    assert "pending" in first.out
    second = await assent(server, "approve", request["id"], "--as", "email:ben@example.com", "--json")
    assert second.json["status"] == "approved"
    shown = (await assent(server, "show", request["id"])).out
    for part in (request["id"], "Refund €1,250", "approved", "Order", "5531", "env=prod", "seen", "by cli"):
        assert part in shown
    assert (await assent(server, "wait", request["id"])).status == 0


async def test_submit_waits_for_what_somebody_else_decides(server: Assent, client: AsyncClient) -> None:
    waiting = await command.start(
        *ASK, "--wait", "--json", "--idempotency-key", "run-7", ASSENT_URL=server.url, ASSENT_API_KEY=KEY
    )
    ended = asyncio.create_task(command.finish(waiting))
    fields = {"title": "Refund €1,250", "audience": ["email:ana@example.com", "email:ben@example.com"]}
    same = await client.submit(idempotency_key="run-7", **fields)
    await client.reject(same.id, reason="too much", respondent="email:ben@example.com")
    done = await ended
    assert (done.status, done.json["outcome"]["reason"]) == (1, "too much")
    with pytest.raises(Rejected, match=r"Refund €1,250 was rejected by .*: too much"):
        (await client.wait(same.id)).raise_for_rejection()


@pytest.mark.parametrize(
    ("verb", "status"), [("approve", "approved"), ("reject", "rejected"), ("skip", "skipped")]
)
async def test_the_operator_decides_at_once(server: Assent, verb: str, status: str) -> None:
    request = await submitted(server, "--quorum", "all", "--allow-skip")
    done = await assent(server, verb, request["id"], "--reason", "- on call", "--json")
    assert (done.json["status"], done.json["outcome"]["resolved_by"]) == (status, "operator")


async def test_a_respondent_types_the_phrase_exactly(server: Assent) -> None:
    request = await submitted(server, "--level", "verify", "--verification-phrase", "ROTATE payments")
    answer = ("approve", request["id"], "--as", "email:ana@example.com")
    for phrase in ((), ("--phrase", "rotate payments")):
        done = await assent(server, *answer, *phrase)
        assert done.status == 1
        assert "/phrase" in done.err
        assert "ROTATE payments" not in done.err
    done = await assent(server, *answer, "--phrase", "ROTATE payments", "--json")
    assert (done.status, done.json["status"]) == (0, "approved")


async def test_show_says_which_mails_were_refused(
    server: Assent, client: AsyncClient, mailbox: Mailbox
) -> None:
    mailbox.fail("rcpt", "550 5.1.1 nobody here", times=None)
    request = await submitted(server)
    async with asyncio.timeout(20):
        while len((await client.get(request["id"]))["unreachable"]) < 2:
            await server.dispatcher.settle()
    await server.dispatcher.settle()
    out = " ".join((await assent(server, "show", request["id"])).out.split())
    refused = "ask failed the mail relay refused it (550 5.1.1 nobody here)"
    assert f"email ana@example.com {refused} email ben@example.com {refused}" in out


async def test_who_comes_too_late_reads_who_was_first(server: Assent) -> None:
    request = await submitted(server)
    await assent(server, "reject", request["id"], "--as", "email:ana@example.com", "--reason", "broken")
    late = await assent(server, "approve", request["id"], "--as", "email:ben@example.com")
    assert late.status == 1
    assert re.search(r"assent: Already rejected by ana@example\.com at .*broken", late.err)


async def test_a_cancelled_request_ends_every_wait(server: Assent) -> None:
    request = await submitted(server)
    waiting = asyncio.create_task(assent(server, "wait", request["id"], "--json"))
    assert (await assent(server, "cancel", request["id"], "--reason", "sold out")).status == 0
    done = await waiting
    assert (done.status, done.json["status"], done.json["outcome"]["reason"]) == (1, "cancelled", "sold out")


async def test_an_expired_request_exits_3(server: Assent) -> None:
    request = await submitted(server, "--timeout", "0.01")
    assert (await assent(server, "wait", request["id"])).status == 3


async def test_what_is_still_pending_exits_4(server: Assent) -> None:
    request = await submitted(server)
    assert (await assent(server, "wait", request["id"], "--timeout", "0.1")).status == 4


async def test_faults_of_a_request_are_named_with_their_places(server: Assent) -> None:
    bad = {"titel": "x", "title": "", "audience": ["email:ana@example.com"], "quorum": 0}
    done = await assent(server, "submit", "--file", "-", stdin=json.dumps(bad))
    assert done.status == 1
    for place in ("/titel: ", "/title: ", "/quorum: "):
        assert place in done.err


async def test_nobody_to_ask_is_an_error_with_its_code(client: AsyncClient) -> None:
    with pytest.raises(ApiError) as caught:
        await client.submit(title="Refund")
    assert (caught.value.status, caught.value.code) == (400, "HITL_NO_AUDIENCE")


async def test_notify_tells_people(server: Assent, mailbox: Mailbox) -> None:
    done = await assent(server, "notify", "Deployed 4.2", "--audience", "email:ana@example.com")
    assert (done.status, done.err) == (0, "")
    assert "Deployed 4.2" in (await mailbox.next_message("ana@example.com")).text


async def test_a_wrong_key_says_where_to_put_the_right_one(server: Assent) -> None:
    done = await command.run("pending", ASSENT_URL=server.url, ASSENT_API_KEY="wrong-key")
    assert done.status == 1
    assert "ASSENT_API_KEY" in done.err
    assert "wrong-key" not in done.err


async def test_the_key_may_stand_in_the_env_file_of_the_server(server: Assent, tmp_path: Any) -> None:
    (tmp_path / ".env").write_text(f"ASSENT_API_KEY={KEY}\nASSENT_URL={server.url}\n")
    assert (await command.run("pending", "--json")).json == []


async def test_a_wait_outlives_the_server(environ: dict[str, str]) -> None:
    async with serving(environ) as first:
        request = await submitted(first)
        client = AsyncClient(first.url, KEY)
        waiting = asyncio.create_task(client.wait(request["id"]))
        command_waiting = asyncio.create_task(assent(first, "wait", request["id"]))
        await client.get(request["id"])
    async with serving(environ), client:
        await client.approve(request["id"], reason="after the restart")
        assert (await asyncio.wait_for(waiting, 30)).reason == "after the restart"
        assert (await command_waiting).status == 0


async def test_a_port_in_use_is_explained(server: Assent, environ: dict[str, str]) -> None:
    slack = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "s",
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
    }
    done = await command.run("serve", **environ, **slack)
    assert done.status == 1
    assert environ["ASSENT_PORT"] in done.err
    assert "Traceback" not in done.err


async def test_serving_without_a_database_is_explained(environ: dict[str, str], mailbox: Mailbox) -> None:
    url = f"postgresql://assent:pa55@127.0.0.1:{environ['ASSENT_PORT']}/assent"
    done = await command.run("serve", **{**environ, "ASSENT_DATABASE_URL": url})
    assert done.status == 1
    assert "cannot be used" in done.err
    assert "pa55" not in done.err
    assert "Traceback" not in done.err
