"""The command watch: what happens, as it happens."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from bot.cli import display
from bot.cli.common import SERVER, Server
from bot.client import Event

Id = Annotated[str | None, Parameter(help="Only this request, until it is final.")]
After = Annotated[int | None, Parameter(help="The id of an event: begin with what came after it.")]


def watch(id: Id = None, /, *, after: After = None, server: Server = SERVER) -> int:
    """Show what happens, a line an event, through restarts of the server.

    Of one request everything from its beginning to its outcome; of all, what happens from now on, until Ctrl-C.
    """
    out = display.console()
    try:
        with server.client() as client:
            for event in client.events(id, after=after):
                if server.json:
                    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                    print(jsonlib.dumps(asdict(event) | {"at": at}), flush=True)
                else:
                    out.print(_line(event), soft_wrap=True)
                    out.file.flush()
    except KeyboardInterrupt:
        return 130
    return 0


def _line(event: Event) -> Text:
    kind = event.type.removeprefix("request.")
    return Text.assemble(
        f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}  {display.line(event.request_id)}  {display.line(kind):<9}  ",
        (f"{display.line(event.status):<9}", display.COLOURS.get(event.status, "")),
        "  ",
        " · ".join(map(display.line, _summary(event))),
    )


def _summary(event: Event) -> Iterator[str]:
    """What an event says beside its type: the title or the decision, who, why."""
    for name, form in (
        ("title", "{}"),
        ("decision", "{}"),
        ("name", "by {}"),
        ("by", "by {}"),
        ("reason", "{}"),
    ):
        if value := event.data.get(name):
            yield form.format(value)
