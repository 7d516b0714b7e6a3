"""How things look in a terminal.

Requesters write much of what is shown. It is printed as plain text: no control sequence reaches the terminal,
and no markup is interpreted.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.client import Request
from bot.domain.forms.forms import merged
from bot.domain.payload.parts import Section
from bot.domain.payload.plain_text import lines
from bot.domain.payload.views import payload_view
from bot.domain.people.naming import apart

COLOURS = {
    "approved": "green",
    "rejected": "red",
    "skipped": "yellow",
    "expired": "yellow",
    "cancelled": "yellow",
    "pending": "cyan",
    "unreachable": "red",
    "retrying": "yellow",
    "failed": "red",
    "lost": "red",
}
TROUBLE = frozenset({"retrying", "failed", "lost"})
"""States of a delivery that did not arrive, or not yet."""

# Control characters, line separators, and those that turn the direction of text.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_PIPE_WIDTH = 160


def console() -> Console:
    """Make a console on standard output; wide where nobody looks at it directly."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def plain(value: Any) -> str:
    """Return text that is safe to print, with what is unsafe in it made visible."""
    return _UNSAFE.sub(_visible, str(value).replace("\r\n", "\n").replace("\t", "    "))


def line(value: Any) -> str:
    """Return safe text on one line."""
    return plain(value).replace("\n", " ⏎ ")


def _visible(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def print_json(data: Any) -> None:
    # JSON allows each unsafe character as an escape, so this changes how it looks and not what it says.
    print(_UNSAFE.sub(_visible, json.dumps(data, ensure_ascii=False, indent=2)))


def print_error(message: str) -> None:
    print(f"assent: {plain(message)}", file=sys.stderr)


def status(name: str) -> Text:
    return Text(name, style=COLOURS.get(name, ""))


def instant(at: str, now: datetime | None = None) -> str:
    """Show an RFC 3339 instant in the local time zone, and how far away it is."""
    moment = datetime.fromisoformat(at)
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z} ({_distance(moment - (now or datetime.now(UTC)))})"


def _distance(ahead: timedelta) -> str:
    seconds = abs(round(ahead.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            text = f"{seconds // size} {unit}"
            break
    else:
        text = f"{seconds} s"
    return f"in {text}" if ahead > timedelta(0) else f"{text} ago"


def print_brief(request: Request, *, as_json: bool) -> None:
    """Show one request as it stands now."""
    if as_json:
        print_json(request)
    else:
        print_list([request], more=False)


def print_list(requests: Sequence[Request], *, more: bool, links: bool = False) -> None:
    """Show requests in brief; `more` says that there are others."""
    out = console()
    if not requests:
        out.print("Nothing.")
    for request in requests:
        out.print(Text.assemble(line(request.id), "  ", status(request.status)))
        if "title" not in request:  # the key may not read it
            continue
        out.print(_indented(Text(line(request.title), style="bold")))
        out.print(_indented(Text(" · ".join(_summary(request)), style="dim")))
        for link in request.get("links", ()) if links else ():
            out.print(line(f"  {link['respondent']}: {link['url']}"), soft_wrap=True)
        out.print()
    if more:
        out.print("There are more: see --limit.", style="dim")


def _summary(request: Request) -> Iterable[str]:
    yield f"asked {instant(request.created_at)}" + (
        f" by {line(request.requester)}" if request.requester else ""
    )
    if request.outcome:
        yield line(outcome(request))
        return
    yield line(request.quorum["text"])
    yield f"waits for {_waiting(request)}"
    if request.timeout_at:
        yield f"{request.on_timeout}s {instant(request.timeout_at)}"


def _waiting(request: Request) -> str:
    named = _names(request)
    names = [named[person["id"]] for person in request.respondents if person["state"] == "waiting"]
    return ", ".join(names) or ", ".join(map(line, request.audience))


def _names(request: Request) -> dict[str, str]:
    """What each respondent is called beside the others, by id."""
    return {person: line(name) for person, name in apart(request.respondents).items()}


def print_request(request: Request, deliveries: Iterable[Mapping[str, Any]]) -> None:
    """Show everything there is to know of a request; of its deliveries those that are in trouble."""
    out = console()
    out.print(Text(line(request.title), style="bold"))
    if request.message:
        out.print("\n", Text(plain(request.message)), "\n", sep="")
    out.print(_table(_facts(request)))
    if request.details:
        out.print("\nDetails", style="bold")
        out.print(_indented(_table(request.details.items())))
    if sections := _payload(request):
        out.print("\nData" if request.get("level") == "info" else "\nWhat will be done", style="bold")
        print_sections(sections)
    for heading, rows in _sections(request):
        if rows:
            out.print(f"\n{heading}", style="bold")
            out.print(_indented(_table(rows)))
    out.print("\nRespondents", style="bold")
    out.print(_indented(_table(_people(request))))
    if troubled := [_troubled(delivery) for delivery in deliveries if delivery["state"] in TROUBLE]:
        out.print("\nDeliveries in trouble", style="bold")
        out.print(_indented(_table(troubled)))


def _payload(request: Request) -> Sequence[Section]:
    """The payload with every change so far; in full, since a terminal has room."""
    changed = merged(request.payload, request.get("values") or {})
    properties = (request.get("form") or {}).get("properties", {}).items()
    titles = {name: s["title"] for name, s in properties if isinstance(s, dict) and s.get("title")}
    return () if changed is None else payload_view(changed, titles=titles)


def print_sections(sections: Sequence[Section]) -> None:
    """What will be done: each value isolated, so that it does not turn what stands beside it."""
    out = console()
    for line_ in lines(sections):
        out.print(_indented(Padding.indent(Text(line_.text), 2 * line_.depth)))


def _facts(request: Request) -> Iterable[tuple[str, Any]]:
    yield "Request", request.id
    yield "Status", status(request.status)
    yield ("Outcome", outcome(request)) if request.outcome else ("Progress", request.quorum["text"])
    yield "Asked", instant(request.created_at) + (f" by {request.requester}" if request.requester else "")
    yield "Audience", ", ".join(request.audience)
    if request["step"]["count"] > 1:
        steps = [step["name"] or f"step {number}" for number, step in enumerate(request["steps"], 1)]
        yield "Step", f"{request['step']['index'] + 1} of {len(steps)}: {' → '.join(steps)}"
    if escalation := request["escalation"]:
        levels = [
            f"{name} (asked)" if n < escalation["level"] else name
            for n, name in enumerate(escalation["levels"])
        ]
        yield "Escalation", " → ".join(levels)
    if held := request["held"]:
        yield "Held", f"{held['decision']}, final {instant(held['until'])}; until then `withdraw` undoes it"
    if request.timeout_at and not request.outcome:
        yield "Deadline", f"{instant(request.timeout_at)}, then: {request.on_timeout}"
    if request.labels:
        yield "Labels", ", ".join(f"{key}={value}" for key, value in request.labels.items())
    if request.source_url:
        yield "Source", request.source_url
    if request.payload_digest:
        yield "Fingerprint", request.payload_digest
    for missed in request.unreachable:
        yield "Unreachable", f"{missed['target']}: {missed['reason']}"


def _sections(request: Request) -> Iterable[tuple[str, list[tuple[Any, ...]]]]:
    """What only some requests have, each with its heading."""
    yield "Choices", [(c["id"], c["label"]) for c in request["choices"]]
    yield "Fields", list(_fields(request))
    yield (
        "Changed",
        [(e["field"], _value(e["from"]), "→", _value(e["to"]), f"by {e['by']}") for e in request["edits"]],
    )
    yield "Comments", [(instant(c["at"]), c["by"], c["text"]) for c in request["comments"]]
    yield "Trail", [(instant(e["at"]), e["text"]) for e in request["trail"]]


def _fields(request: Request) -> Iterable[tuple[Any, ...]]:
    """The fields of a form that may be changed, with what they hold now."""
    form, payload = request["form"] or {"properties": {}}, request["payload"]
    current = (payload if isinstance(payload, dict) else {}) | request["values"]
    for name, schema in form["properties"].items():
        title = schema.get("title", name) if isinstance(schema, dict) else name
        yield name, title, _value(current.get(name))


def _value(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def outcome(request: Request) -> str:
    """Say in one sentence how a final request ended."""
    ended, when = request["outcome"], instant(request["resolved_at"])
    choice = f" ({ended['choice']})" if ended["choice"] else ""
    reason = f": {ended['reason']}" if ended["reason"] else ""
    return f"{request.status}{choice} by {ended['by']}, {when}{reason}"


def _people(request: Request) -> Iterable[tuple[Any, ...]]:
    answers = {response["respondent"]: response for response in request.responses}
    named = _names(request)
    for person in request.respondents:
        said = person.get("trouble") or ""
        if answer := answers.get(person["id"]):
            said = f"{instant(answer['at'])} by {answer['surface']}  {answer['reason'] or ''}"
        yield named[person["id"]], status(person["state"]), said


def print_results(results: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Show what came of the same answer to several requests, one a line."""
    if as_json:
        print_json(results)
        return
    rows = [
        (r["id"], status("refused"), r["problem"]["detail"])
        if r["problem"]
        else (r["id"], status(r["request"]["status"]), r["request"].get("title", ""))
        for r in results
    ]
    console().print(_table(rows))


def print_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    """Show groups and who is in them, one a line."""
    rows = [
        (
            f"group:{g['name']}",
            "computed for each request" if g["members"] is None else ", ".join(g["members"]),
        )
        for g in groups
    ]
    console().print(_table(rows) if rows else "Nothing.")


def print_keys(keys: Sequence[Mapping[str, Any]]) -> None:
    """Show API keys, one a line."""
    rows = [(k["id"], k["name"], ", ".join(k["scopes"]), _key_state(k)) for k in keys]
    console().print(_table(rows) if rows else "Nothing.")


def _key_state(key: Mapping[str, Any]) -> Text:
    if key["revoked_at"]:
        return Text(f"revoked {instant(key['revoked_at'])}", style="red")
    return Text(f"made {instant(key['created_at'])}")


def _troubled(delivery: Mapping[str, Any]) -> tuple[Any, ...]:
    where = f"{delivery['surface']} {delivery['address']}"
    return where, delivery["notice"], status(delivery["state"]), delivery["error"] or ""


def _table(rows: Iterable[tuple[Any, ...]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(line(cell)) for cell in row]
        for cell in cells:
            cell.overflow = "fold"
        table.add_row(*cells)
    return table


def _indented(body: RenderableType) -> Padding:
    return Padding.indent(body, 2)


def print_findings(findings: Iterable[tuple[str, bool, str]]) -> None:
    """What was looked at, whether it is as it should be, and what was found."""
    out = console()
    for check, ok, text in findings:
        mark = Text("ok   ", style="green") if ok else Text("fault", style="red")
        out.print(Text.assemble(mark, f"  {check}: {line(text)}"))
