"""A Model Context Protocol server: an agent asks people through its tools, and Claude Code for its permissions.

No tool answers a request, and none shows a personal link: an agent that could approve would approve itself.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bot import __version__
from bot.adapters import needs
from bot.adapters.tool_calls import approved, default_audience, key, question, refusal
from bot.client import AssentError, Outcome
from bot.client.binding import held_against

with needs("mcp"):
    import uvicorn
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    from bot.adapters.mcp_tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from socket import socket

    from bot.client import AsyncClient, Request

LONGEST_WAIT = 50.0
"""Seconds one call waits: common clients give up after 60."""

SPARE_SECONDS = 8.0
"""How much longer a call may take where the server is slow, or is away: still less than those 60."""

PROMPT_TIMEOUT = 600.0
"""Seconds until nobody's answer to a permission prompt is a no."""

INSTRUCTIONS = """Ask people before you do anything consequential: call request_approval, and do it only when \
`approved` is true, with the payload that comes back, which people may have edited. While the status is pending, \
call wait_for_approval with the id. When it was not approved, do not try another way: say why."""

Wait = Annotated[float, Field(ge=0, le=LONGEST_WAIT)]
Limit = Annotated[int, Field(ge=1, le=200)]


class Tools:
    """The tools; their docstrings are what the model reads."""

    def __init__(self, client: AsyncClient, prompt_timeout: float, folder: str | None) -> None:
        self._client = client
        self._prompt_timeout = prompt_timeout
        self._folder = folder

    async def request_approval(
        self,
        *,
        title: str,
        message: str | None = None,
        audience: list[str] | str | None = None,
        payload: dict[str, Any] | None = None,
        details: dict[str, str] | None = None,
        quorum: int | str | None = None,
        form: dict[str, Any] | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        wait_seconds: Wait = LONGEST_WAIT,
    ) -> dict[str, Any]:
        """Ask people for approval, and wait up to 50 seconds for their decision.

        title: what is to be decided, in one line. message: why, in Markdown. payload: exactly what will be done.
        audience: whom to ask, such as "email:ana@example.com", "slack:C0123456789" (a channel) or
        "group:finance"; without it the configured default. details: a table of facts. quorum: how many must
        approve, "all" or "majority". form: a JSON Schema of the payload's fields that people may edit.
        timeout_seconds: when the question expires. idempotency_key: the same key asks only once.
        """
        async with _as_tool_errors(wait_seconds):
            request = await self._client.submit(
                title=title,
                message=message,
                audience=[audience] if isinstance(audience, str) else audience or default_audience(),
                payload=payload,
                details=details,
                quorum=quorum,
                form=form,
                timeout_seconds=timeout_seconds,
                idempotency_key=idempotency_key,
            )
            return await self._state(request, wait_seconds)

    async def wait_for_approval(self, id: str, wait_seconds: Wait = LONGEST_WAIT) -> dict[str, Any]:
        """Wait up to 50 seconds for the decision on a request; call it again while the status is pending."""
        async with _as_tool_errors(wait_seconds):
            return await self._state(await self._client.get(id), wait_seconds)

    async def list_pending(self, limit: Limit = 20) -> dict[str, Any]:
        """List the requests that wait for people, newest first."""
        shown = ("id", "title", "requester", "audience", "created_at", "timeout_at")
        async with _as_tool_errors(0):
            waiting = await self._client.pending(limit)
        return {"items": [{name: r[name] for name in shown} | {"quorum": r.quorum["text"]} for r in waiting]}

    async def permission_prompt(
        self,
        tool_name: str,
        input: dict[str, Any],  # noqa: A002 - the name Claude Code sends
        tool_use_id: str | None = None,
    ) -> str:
        """Decide whether a tool may be used: for Claude Code's --permission-prompt-tool, not for models."""
        try:
            async with asyncio.timeout(self._prompt_timeout + SPARE_SECONDS):
                outcome = await self._prompted(tool_name, input, tool_use_id)
            answer: dict[str, Any] = {"behavior": "deny", "message": refusal(outcome)}
            if outcome:
                answer = {"behavior": "allow", "updatedInput": approved(outcome, input)}
        except TimeoutError:
            answer = {"behavior": "deny", "message": "Not run. Assent did not answer in time."}
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the tool must not run
            answer = {"behavior": "deny", "message": f"Assent could not ask anybody: {error}"}
        return json.dumps(answer)

    async def _prompted(self, tool: str, arguments: dict[str, Any], call: str | None) -> Outcome:
        asked = question(tool, arguments, edit=True)
        request = await self._client.submit(
            **asked,
            details={"Folder": self._folder} if self._folder else {},
            requester="Claude Code",
            audience=default_audience(),
            timeout_seconds=self._prompt_timeout,
            idempotency_key=key("permission-prompt", call) if call else None,
        )
        return held_against(await self._client.wait(request.id), asked["payload"])

    async def _state(self, request: Request, seconds: float) -> dict[str, Any]:
        """What became of the request by then; where the server does not say, what is known of it."""
        try:
            async with asyncio.timeout(seconds + SPARE_SECONDS / 2):
                return told((await self._client.wait(request.id, seconds)).request)
        except TimeoutError:
            return told(request)


def told(request: Request) -> dict[str, Any]:
    """What an agent learns of a request."""
    state: dict[str, Any] = {"id": request.id, "status": request.status, "approved": False}
    if request.status == "pending":
        return {**state, "quorum": request.quorum["text"], "next": "Call wait_for_approval with this id."}
    outcome = Outcome.of(request)
    members = ("decision", "choice", "reason", "payload", "values", "edited", "by")
    return {**state, "approved": bool(outcome), **{name: getattr(outcome, name) for name in members}}


def tools_server(
    client: AsyncClient, *, prompt_timeout: float = PROMPT_TIMEOUT, folder: str | None = None
) -> MCPServer:
    """The MCP server that asks through `client`, to run on any transport of the SDK.

    `folder` is where the agent works, if that is known: people see it with what a permission prompt asks.
    """
    tools = Tools(client, prompt_timeout, folder)
    mcp: MCPServer = MCPServer(
        "assent",
        title="Assent",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        extensions=[Tasks(client, told)],
    )
    for tool in (tools.request_approval, tools.wait_for_approval, tools.list_pending):
        mcp.add_tool(tool)
    mcp.add_tool(tools.permission_prompt, structured_output=False)
    return mcp


async def serve_http(mcp: MCPServer, listening: socket) -> None:
    """Serve the streamable HTTP transport on `/mcp` of a listening socket, until a signal."""
    config = uvicorn.Config(mcp.streamable_http_app(), log_level="warning", timeout_graceful_shutdown=5)
    await uvicorn.Server(config).serve(sockets=[listening])


@asynccontextmanager
async def _as_tool_errors(wait_seconds: float) -> AsyncIterator[None]:
    """Tell the model what was wrong with its call, without a traceback in the log, and in time."""
    try:
        async with asyncio.timeout(wait_seconds + SPARE_SECONDS):
            yield
    except AssentError as error:
        raise ToolError(str(error)) from None
    except TimeoutError:
        raise ToolError("Assent did not answer in time; call again with the same idempotency_key") from None
