"""`assent mcp`: the tools of an agent."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from bot.cli import display
from bot.cli.commands.server import Port
from bot.cli.common import SERVER, Failure, Server


def mcp(
    *,
    http: Port | None = None,
    prompt_timeout: Annotated[float, Parameter(validator=Number(gt=0))] = 600.0,
    server: Server = SERVER,
) -> None:
    """Serve the Model Context Protocol: tools with which an agent asks people, on standard input and output.

    ASSENT_DEFAULT_AUDIENCE names whom permission_prompt asks, and request_approval where it names nobody.

    Parameters
    ----------
    http
        Serve over HTTP on this port of 127.0.0.1 instead; 0 is any free one. Whoever reaches it asks with your key.
    prompt_timeout
        Seconds until nobody's answer to permission_prompt is a no.
    """
    try:
        from bot.adapters.mcp import serve_http, tools_server
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    # On standard input and output it is a child of the agent, which starts it where it works.
    folder = (os.environ.get("CLAUDE_PROJECT_DIR") or str(Path.cwd())) if http is None else None
    tools = tools_server(server.async_client("mcp"), prompt_timeout=prompt_timeout, folder=folder)
    if http is None:
        try:
            tools.run()
        except* BrokenPipeError:
            pass  # the agent has gone
        return
    try:
        listening = socket.create_server(("127.0.0.1", http))
    except OSError as error:
        raise Failure(f"cannot listen on --http {http}: {os.strerror(error.errno or errno.EIO)}") from None
    with listening:
        display.print_error(f"MCP at http://127.0.0.1:{listening.getsockname()[1]}/mcp")
        asyncio.run(serve_http(tools, listening))
