"""`assent claude-hook`: what Claude Code runs before a tool."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from bot.cli import display
from bot.cli.common import SERVER, Server


def claude_hook(
    *,
    wait: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 5.0,
    pending: Literal["defer", "deny"] = "defer",
    check: bool = False,
    server: Server = SERVER,
) -> int:
    """Decide as a PreToolUse hook of Claude Code: reads its JSON from standard input, prints the decision.

    Asks whom ASSENT_DEFAULT_AUDIENCE names, once for each tool call. Approved is allow, with edited input;
    whatever else happens is deny, with the reason.

    Parameters
    ----------
    wait
        Seconds to wait for an answer, and for the server; must be less than the hook's own timeout in Claude Code's
        settings.
    pending
        What to answer while nobody has answered: "defer" ends `claude -p` so that it can be resumed later;
        "deny" withdraws the question, and is right for interactive sessions, which ignore a deferral.
    check
        Ask nobody: look at the installation, say what is unsafe and how to mend it, and exit with 1 where something is.
    """
    if check:
        return _check(server)
    from bot.adapters.claude_hook import decide

    event = sys.stdin.buffer.read()
    print(json.dumps(decide(server.client, event, wait=wait, pending=pending, spent=_age())))
    sys.stdout.flush()
    return 0


def _check(server: Server) -> int:
    from bot.adapters.claude_check import check as examine

    findings = list(examine(server.client))
    if server.json:
        display.print_json([finding._asdict() for finding in findings])
    else:
        display.print_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


def _age() -> float:
    """Seconds since this process was started, as far as the system tells: they are part of the hook's time."""
    try:
        started = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))
    except (AttributeError, OSError, ValueError, IndexError):
        return 0.0
