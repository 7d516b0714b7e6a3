"""MCP's tasks extension: a request for approval as a durable task, whose id is the request's.

Source: SEP-2663, https://modelcontextprotocol.io/seps/2663-tasks-extension (protocol 2026-07-28).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp.server import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, RequestParams, TextContent
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from bot.client import AssentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp.server.context import CallNext, HandlerResult
    from mcp_types import CallToolRequestParams

    from bot.client import AsyncClient, Request

POLL_MS = 5000
"""How often clients are asked to look."""

VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
Context = ServerRequestContext[Any, Any]


class TaskParams(RequestParams):
    """Which task is meant; further members, as of `tasks/update`, change nothing."""

    task_id: str


class Tasks(Extension):
    """Clients that know tasks get one from `request_approval` at once, instead of waiting in the call."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, client: AsyncClient, told: Callable[[Request], dict[str, Any]]) -> None:
        """`told` is what the tool itself would answer about a request."""
        self._client = client
        self._told = told

    def methods(self) -> Sequence[MethodBinding]:
        handlers = {"tasks/get": self._get, "tasks/update": self._update, "tasks/cancel": self._cancel}
        return [MethodBinding(name, TaskParams, handler, VERSIONS) for name, handler in handlers.items()]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        if params.name != "request_approval" or not self._known_to(ctx):
            return await call_next(ctx)
        params.arguments = {**(params.arguments or {}), "wait_seconds": 0}
        result = await call_next(ctx)
        told = (result.structured_content if isinstance(result, CallToolResult) else None) or {}
        if told.get("status") != "pending":
            return result
        return {**_task(await self._client.get(told["id"])), "resultType": "task"}

    async def _get(self, _ctx: Context, params: TaskParams) -> HandlerResult:
        request = await self._found(params)
        if request.status in {"pending", "cancelled"}:
            return _task(request)
        told = self._told(request)
        text = TextContent(type="text", text=json.dumps(told, ensure_ascii=False))
        result = CallToolResult(content=[text], structured_content=told)
        return {**_task(request), "result": result.model_dump(by_alias=True, mode="json", exclude_none=True)}

    async def _update(self, _ctx: Context, params: TaskParams) -> HandlerResult:
        await self._found(params)
        return {}

    async def _cancel(self, _ctx: Context, params: TaskParams) -> HandlerResult:
        request = await self._found(params)
        if request.status == "pending":
            await self._client.cancel(request.id, reason="The agent withdrew it")
        return {}

    async def _found(self, params: TaskParams) -> Request:
        try:
            return await self._client.get(params.task_id)
        except AssentError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None

    def _known_to(self, ctx: Context) -> bool:
        capabilities = ctx.session.client_capabilities
        declared = (capabilities.extensions if capabilities else None) or {}
        return self.identifier in declared and ctx.protocol_version in VERSIONS


def _task(request: Request) -> dict[str, Any]:
    status = {"pending": "working", "cancelled": "cancelled"}.get(request.status, "completed")
    return {
        "taskId": request.id,
        "status": status,
        "statusMessage": request.quorum["text"],
        "createdAt": request.created_at,
        "lastUpdatedAt": request.resolved_at or request.created_at,
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }
