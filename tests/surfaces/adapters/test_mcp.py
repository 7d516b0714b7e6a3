"""`assent mcp` as agents see it: the SDK's own client, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, Literal

import pytest
from mcp.client import Client, ClientExtension, ResultClaim
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, EmptyResult, Request, RequestParams, Result

from bot.adapters.mcp import tools_server
from bot.client import AsyncClient
from tests.support import command
from tests.support.documents import blocks
from tests.support.person import run_example

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from mcp.client import ClaimContext, ClientSession

    from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALL = {"customer": "8841", "amount": 1250}
QUESTION = {"title": "Refund €1,250", "payload": CALL}


def over_stdio() -> Client:
    """An agent that starts the server itself, as the documents configure it, and speaks to its standard streams."""
    [block] = blocks("json", "MCP")
    configured = json.loads(block)["mcpServers"]["assent"]
    assert configured["command"] == "assent"
    arguments = ["-m", "bot", *configured["args"]]
    env = {**configured["env"], **command.environment()}
    return Client(StdioServerParameters(command=sys.executable, args=arguments, env=env))


@asynccontextmanager
async def over_http() -> AsyncIterator[Client]:
    process = await command.start("mcp", "--http", "0")
    assert process.stderr
    said = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
    found = re.search(r"http://\S+", said)
    assert found, said
    try:
        async with Client(found[0]) as client:
            yield client
    finally:
        process.terminate()
        done = await command.finish(process)
    assert done.err == ""


@asynccontextmanager
async def in_process(*, prompt_timeout: float = 20.0, **options: Any) -> AsyncIterator[Client]:
    async with (
        AsyncClient(surface="mcp") as assent,
        Client(tools_server(assent, prompt_timeout=prompt_timeout), **options) as client,
    ):
        yield client


def told(result: CallToolResult) -> Any:
    """The JSON that a tool answered, which is the same as text and as structure."""
    assert not result.is_error, result.content
    [text] = result.content
    assert json.loads(text.text) == result.structured_content
    return result.structured_content


async def test_an_agent_asks_waits_and_learns_the_outcome(ana: Person) -> None:
    async with over_stdio() as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        pending = told(await client.call_tool("request_approval", {**QUESTION, "wait_seconds": 0}))
        waiting = told(await client.call_tool("list_pending", {}))
        answered = asyncio.create_task(ana.answers("approve", reason="Checked"))
        outcome = told(await client.call_tool("wait_for_approval", {"id": pending["id"]}))
        await answered
    assert tools == {"request_approval", "wait_for_approval", "list_pending", "permission_prompt"}
    assert (pending["status"], pending["approved"]) == ("pending", False)
    assert [item["id"] for item in waiting["items"]] == [pending["id"]]
    assert (outcome["approved"], outcome["payload"], outcome["reason"]) == (True, CALL, "Checked")
    assert "/r/" not in str([pending, waiting, outcome])  # nobody's personal link


async def test_an_agent_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    process = await command.start("mcp", stdout=writing)
    os.close(writing)
    os.close(reading)
    done = await command.finish(process, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) + "\n")
    assert (done.status, done.err) == (0, "")


async def test_over_http_a_rejection_comes_with_its_reason(ana: Person) -> None:
    async with over_http() as client:
        asking = asyncio.create_task(client.call_tool("request_approval", QUESTION))
        await ana.answers("reject", reason="Ask for photos")
        outcome = told(await asking)
    assert (outcome["approved"], outcome["status"]) == (False, "rejected")
    assert (outcome["reason"], outcome["by"]) == ("Ask for photos", ana.address)


async def test_an_agent_gets_the_payload_as_people_edited_it(ana: Person) -> None:
    form = {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 2000}}}
    async with in_process() as client:
        asking = asyncio.create_task(client.call_tool("request_approval", {**QUESTION, "form": form}))
        await ana.answers("approve", values={"amount": 900})
        outcome = told(await asking)
    assert (outcome["approved"], outcome["edited"]) == (True, True)
    assert outcome["payload"] == {**CALL, "amount": 900}


async def test_a_bad_call_is_explained_to_the_model(ana: Person) -> None:
    async with in_process() as client:
        unknown = await client.call_tool("wait_for_approval", {"id": "req_none"})
        refused = await client.call_tool("request_approval", {**QUESTION, "audience": ["nobody"]})
    assert (unknown.is_error, refused.is_error) == (True, True)
    assert "not_found" in str(unknown.content)
    assert "/audience/0" in str(refused.content)


async def prompted(client: Client, **members: Any) -> Any:
    """What Claude Code is told about a call of the tool `refund`."""
    arguments = {"tool_name": "refund", "input": CALL, **members}
    result = await client.call_tool("permission_prompt", arguments)
    [text] = result.content
    assert result.structured_content is None
    return json.loads(text.text)


async def test_the_permission_prompt_asks_once_for_each_call(ana: Person) -> None:
    async with in_process() as client:
        asking = asyncio.create_task(prompted(client, tool_use_id="toolu_1"))
        request = await ana.answers("approve")
        assert await asking == {"behavior": "allow", "updatedInput": CALL}
        assert await prompted(client, tool_use_id="toolu_1") == {"behavior": "allow", "updatedInput": CALL}
        asking = asyncio.create_task(prompted(client, tool_use_id="toolu_edited"))
        await ana.answers("approve", values={"amount": 900})
        assert await asking == {"behavior": "allow", "updatedInput": {**CALL, "amount": 900}}
        asking = asyncio.create_task(prompted(client, tool_use_id="toolu_2"))
        await ana.answers("reject", reason="Not on Fridays")
        denied = await asking
    assert request["payload"] == {"tool": "refund", **CALL}
    assert denied["behavior"] == "deny"
    assert "Not on Fridays" in denied["message"]
    assert len(await ana.requests()) == 3


async def test_the_permission_prompt_denies_and_says_why(
    ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_process(prompt_timeout=0.05) as client:
        nobody_answers = await prompted(client)
        monkeypatch.delenv("ASSENT_DEFAULT_AUDIENCE")
        nobody_to_ask = await prompted(client)
    assert (nobody_to_ask["behavior"], nobody_answers["behavior"]) == ("deny", "deny")
    assert "set ASSENT_DEFAULT_AUDIENCE" in nobody_to_ask["message"]
    assert "expired" in nobody_answers["message"]


async def test_people_see_the_folder_that_the_agent_works_in(ana: Person, tmp_path: Path) -> None:
    async with (
        AsyncClient(surface="mcp") as assent,
        Client(tools_server(assent, folder="/srv/shop")) as client,
    ):
        asking = asyncio.create_task(prompted(client))
        request = await ana.answers("approve")
        await asking
    assert request["details"] == {"Folder": "/srv/shop"}
    async with over_stdio() as client:
        asking = asyncio.create_task(prompted(client))
        request = await ana.answers("approve")
        await asking
    assert request["details"] == {"Folder": str(tmp_path)}


async def test_tools_end_in_their_time_where_the_server_says_nothing(
    ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await over.wait()

    over = asyncio.Event()
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    monkeypatch.setenv("ASSENT_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    monkeypatch.setattr("bot.adapters.mcp.SPARE_SECONDS", 0.5)
    async with in_process(prompt_timeout=0.5) as client, asyncio.timeout(10):
        denied = await prompted(client)
        asked = await client.call_tool("request_approval", {**QUESTION, "wait_seconds": 0.5})
    over.set()
    server.close()
    assert denied == {"behavior": "deny", "message": "Not run. Assent did not answer in time."}
    assert asked.is_error
    assert "did not answer in time" in str(asked.content)


class Handle(Result):
    """The answer of a tool that goes on as a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class State(Result):
    """The answer of `tasks/get`."""

    task_id: str
    status: str
    result: dict[str, Any] | None = None


class TaskParams(RequestParams):
    task_id: str


async def send(session: ClientSession, method: str, task_id: str) -> State:
    answer = State if method == "tasks/get" else EmptyResult
    return await session.send_request(Request(method=method, params=TaskParams(task_id=task_id)), answer)


class KnowsTasks(ClientExtension):
    """A client that knows tasks: looks, does something about it, and looks again."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, act: Callable[[ClientSession, str], Awaitable[Any]]) -> None:
        self.act = act
        self.seen: list[tuple[str, str]] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Handle, resolve=self.resolve)]

    async def resolve(self, task: Handle, context: ClaimContext) -> CallToolResult:
        first = await send(context.session, "tasks/get", task.task_id)
        await self.act(context.session, task.task_id)
        last = await send(context.session, "tasks/get", task.task_id)
        self.seen = [(each.task_id, each.status) for each in (task, first, last)]
        return CallToolResult.model_validate(last.result or {"content": [], "isError": True})


async def test_a_client_that_knows_tasks_gets_one_with_the_id_of_the_request(ana: Person) -> None:
    async def act(session: ClientSession, task_id: str) -> None:
        await send(session, "tasks/update", task_id)
        await ana.answers("approve")

    knows = KnowsTasks(act)
    async with in_process(extensions=[knows]) as client:
        outcome = told(await client.call_tool("request_approval", QUESTION))
        refused = await client.call_tool("request_approval", {**QUESTION, "audience": "nobody"})
        await send(client.session, "tasks/cancel", outcome["id"])  # too late: changes nothing
        with pytest.raises(MCPError, match="not_found"):
            await send(client.session, "tasks/get", "req_none")
    [request] = await ana.requests(status="approved")
    assert refused.is_error
    assert knows.seen == [(request["id"], status) for status in ("working", "working", "completed")]
    assert (outcome["approved"], outcome["payload"]) == (True, CALL)


async def test_cancelling_the_task_withdraws_the_request(ana: Person) -> None:
    knows = KnowsTasks(lambda session, task_id: send(session, "tasks/cancel", task_id))
    async with in_process(extensions=[knows]) as client:
        await client.call_tool("request_approval", QUESTION)
    [request] = await ana.requests()
    assert request["status"] == "cancelled"
    assert knows.seen[-1] == (request["id"], "cancelled")


async def test_the_example(ana: Person, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.create_task(asyncio.to_thread(run_example, "mcp_client.py"))
    await ana.answers("approve")
    await running
    assert "refunding 1250 to 8841" in capsys.readouterr().out
