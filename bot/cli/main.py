"""The commands, and what a person reads when one of them fails."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, Parameter
from rich.text import Text

from bot import __version__
from bot.cli import (
    answering,
    asking,
    audit,
    changing,
    claude_hook,
    display,
    doctor,
    keys,
    mcp,
    operating,
    policy,
    runs,
    watch,
)
from bot.cli.common import FAULTS, Failure, in_words

app = App(
    name="assent",
    help="Ask people for approval, in Slack and by email, and wait for their answer.",
    help_format="markdown",
    version=f"assent {__version__}",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    error_formatter=lambda error: Text(display.plain(f"assent: {error}")),
)
app.command(operating.demo)
app.command(operating.serve)
app.command(asking.submit)
app.command(asking.wait)
app.command(answering.pending)
app.command(answering.list_requests, name="list")
app.command(answering.show)
app.command(answering.approve)
app.command(answering.reject)
app.command(answering.skip)
app.command(answering.choose)
app.command(changing.escalate)
app.command(changing.delegate)
app.command(changing.withdraw)
app.command(changing.comment)
app.command(changing.remind)
app.command(changing.revise)
app.command(changing.groups)
app.command(watch.watch)
app.command(asking.cancel)
app.command(asking.notify)
app.command(keys.keys)
app.command(audit.audit)
app.command(policy.policy)
app.command(mcp.mcp)
app.command(claude_hook.claude_hook)
app.command(runs.run_automation, name="run")
app.command(runs.runs)
app.command(operating.db)
app.command(operating.manifest)
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
        display.print_error(in_words(error))
        return error.status if isinstance(error, Failure) else 1
    return status or 0
