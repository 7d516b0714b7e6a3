"""`assent claude-hook`: what Claude Code runs before a tool."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from bot.cli.common import SERVER, Server


def claude_hook(
    *,
    wait: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 5.0,
    pending: Literal["defer", "deny"] = "defer",
    server: Server = SERVER,
) -> None:
    """Decide as a PreToolUse hook of Claude Code: reads its JSON from standard input, prints the decision.

    Asks whom ASSENT_DEFAULT_AUDIENCE names, once for each tool call. Approved is allow, with edited input;
    whatever else happens is deny, with the reason.

    Parameters
    ----------
    wait
        Seconds to wait for an answer; must be less than the hook's own timeout in Claude Code's settings.
    pending
        What to answer while nobody has answered: "defer" ends `claude -p` so that it can be resumed later;
        "deny" withdraws the question, and is right for interactive sessions, which ignore a deferral.
    """
    from bot.adapters.claude_hook import decide

    print(json.dumps(decide(server.client, sys.stdin.buffer.read(), wait=wait, pending=pending)))
