"""The commands, and what a person reads when one of them fails."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, Parameter
from rich.text import Text

from bot import __version__
from bot.cli import display
from bot.cli.commands import (
    actions,
    audit,
    claude_hook,
    doctor,
    keys,
    mcp,
    policy,
    requester,
    respondent,
    runs,
    server,
    view,
    watch,
)
from bot.cli.common import FAULTS, Failure, error_text

app = App(
    name="assent",
    help="Ask people for approval, in Slack and by email, and wait for their answer.",
    help_format="markdown",
    version=f"assent {__version__}",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    error_formatter=lambda error: Text(display.plain(f"assent: {error}")),
)
app.command(server.demo)
app.command(server.serve)
app.command(requester.submit)
app.command(requester.wait)
app.command(respondent.pending)
app.command(respondent.list_requests, name="list")
app.command(respondent.show)
app.command(respondent.approve)
app.command(respondent.reject)
app.command(respondent.skip)
app.command(respondent.choose)
app.command(actions.escalate)
app.command(actions.delegate)
app.command(actions.withdraw)
app.command(actions.comment)
app.command(actions.remind)
app.command(actions.revise)
app.command(actions.groups)
app.command(watch.watch)
app.command(requester.cancel)
app.command(requester.notify)
app.command(keys.keys)
app.command(audit.audit)
app.command(policy.policy)
app.command(view.view)
app.command(mcp.mcp)
app.command(claude_hook.claude_hook)
app.command(runs.run_automation, name="run")
app.command(runs.runs)
app.command(server.db)
app.command(server.manifest)
app.command(doctor.doctor)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; whatever goes wrong is said in words on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone; the flush at exit must not fail on it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except FAULTS as error:
        display.print_error(error_text(error))
        return error.status if isinstance(error, Failure) else 1
    return status or 0
