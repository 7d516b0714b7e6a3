"""Makes the reference pages from the code when the documents are built, so that they cannot say anything else.

`{{ name }}` alone on a line of a page is replaced by what the function of that name below gives. What needs words that
the code does not have (what a variable means, where an event leads) has them here, and the build fails where they are
missing. So does a page that would load anything from elsewhere.
"""

from __future__ import annotations

import ast
import inspect
import re
from html import escape
from typing import TYPE_CHECKING, Any

from bot import client, workflows
from bot.client import testing
from bot.domain import errors
from bot.domain.errors import AssentError
from bot.domain.lifecycle.lifecycle import TRANSITIONS
from bot.domain.model.request import Status
from bot.email import context
from bot.web.openapi.document import document
from bot.web.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLACEHOLDER = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)


LOADED = re.compile(
    r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholders of a page; an unknown one ends the build."""
    return PLACEHOLDER.sub(lambda found: GENERATED[found[1]](), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that would load something from elsewhere when it is read."""
    if found := LOADED.search(output):
        told = f"{page.file.src_uri} would load {found[1]}"
        raise ValueError(told)
    return output


def http_calls() -> str:
    """Every call of the API, by its tag or first segment, from the OpenAPI document."""
    api = document("https://assent.example.com", OPERATIONS)
    lines: list[str] = []
    for path, methods in api["paths"].items():
        for method, call in methods.items():
            lines += [
                f"### `{method.upper()} {path}`",
                "",
                f"**{call['summary']}.** {call['description']}",
                "",
                *_parameters(call.get("parameters", [])),
            ]
            if "requestBody" in call:
                [content] = call["requestBody"]["content"].values()
                lines += [f"Body: {_shape(content['schema'])}.", ""]
            lines += ["| status | answer |", "|---|---|"]
            lines += [
                f"| {status} | {_cell(answer)} |" for status, answer in sorted(call["responses"].items())
            ]
            lines.append("")
    return "\n".join(lines)


def http_schemas() -> str:
    """Every body and answer, member by member."""
    api = document("https://assent.example.com", OPERATIONS)
    lines: list[str] = []
    for name, schema in sorted(api["components"]["schemas"].items()):
        lines += [f"### {name}", "", _sentence(schema.get("description", "")), ""]
        members = schema.get("properties")
        if members:
            required = schema.get("required", [])
            lines += ["| member | type | meaning |", "|---|---|---|"]
            lines += [
                f"| `{key}`{' (required)' if key in required else ''} | {_shape(value)} "
                f"| {_sentence(value.get('description', ''))} |"
                for key, value in members.items()
            ]
        elif "enum" in schema:
            lines.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
        lines.append("")
    return "\n".join(lines)


def error_codes() -> str:
    """Every refusal: its code, its status, and what it means."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AssentError) and kind is not AssentError
    ]
    rows = [
        f"| `{kind.code}` | {kind.status} | {kind.title} | {_sentence(inspect.getdoc(kind) or '')} |"
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code))
    ]
    return "\n".join(["| code | status | title | meaning |", "|---|---|---|---|", *rows])


def python_api() -> str:
    """The public names of the client, its test kit and durable workflows, with their signatures and docstrings."""
    return "\n".join(line for module in (client, testing, workflows) for line in _module(module))


def command_line() -> str:
    """Every command with its options."""
    from bot.cli.main import app  # noqa: PLC0415 - brings every command, which only this page needs

    text = app.generate_docs(output_format="markdown", recursive=True, heading_level=2)
    return re.sub(r"\n## Table of Contents\n.*?(?=\n\*\*Commands\*\*)", "\n", text, count=1, flags=re.DOTALL)


ENDS_BY_QUORUM = (Status.APPROVED, Status.REJECTED, Status.SKIPPED)

LEADS_TO: Mapping[str, tuple[Status, ...]] = {
    "Respond": ENDS_BY_QUORUM,
    "Operate": ENDS_BY_QUORUM,
    "Timer": (*ENDS_BY_QUORUM, Status.EXPIRED),
    "Escalate": ENDS_BY_QUORUM,
    "AudienceResolved": ENDS_BY_QUORUM,
    "Revise": (Status.APPROVED, Status.REJECTED),
    "Cancel": (Status.CANCELLED,),
    "Withdraw": (),
    "AddComment": (),
    "Remind": (),
    "Delegate": (),
    "DeliveryFailed": (),
}
"""The final states that an event of a pending request may lead to; it may always leave it pending, but for Operate and
Cancel. A held decision (`grace_seconds`) becomes final by a Timer."""


def transitions() -> str:
    """The diagram of a request's life, and the table of what happens at which event."""
    events = {event.__name__: event for event, final in TRANSITIONS if not final}
    if events.keys() != LEADS_TO.keys():
        told = f"LEADS_TO does not say what {sorted(events.keys() ^ LEADS_TO.keys())} leads to"
        raise ValueError(told)
    refused = TRANSITIONS[events["Respond"], True]
    rows = [
        f"| `{name}` | {_sentence(inspect.getdoc(event) or '')} "
        f"| {', '.join(f'`{s}`' for s in LEADS_TO[name]) or '—'} "
        f"| {'refused' if TRANSITIONS[event, True] is refused else 'taken'} |"
        for name, event in events.items()
    ]
    table = ["| event | meaning | may end it as | once it is final |", "|---|---|---|---|", *rows]
    return _diagram() + "\n\n" + "\n".join(table)


def _diagram() -> str:
    """An SVG of its own: nothing is loaded to show it."""
    final = [status for status in Status if status.final]
    stay = [name for name, ends in LEADS_TO.items() if not ends]
    parts = [
        (
            f'<svg viewBox="0 0 860 350" role="img" aria-label="pending becomes one of {", ".join(final)}" '
            'xmlns="http://www.w3.org/2000/svg" style="max-width:100%">'
        ),
        '<g fill="none" stroke="currentColor" font-family="inherit" font-size="14">',
        _box(10, 135, Status.PENDING),
        '<path d="M40 180 C 30 230, 110 230, 100 184 m -6 7 l 6 -7 l 7 6"/>',
    ]
    parts += [_text(14, 246 + 18 * row, name) for row, name in enumerate(stay)]
    for row, status in enumerate(final):
        y = 10 + 62 * row
        by = [name for name, ends in LEADS_TO.items() if status in ends]
        parts.append(f'<path d="M130 157 C 170 157, 170 {y + 22}, 218 {y + 22} m -8 -5 l 8 5 l -8 5"/>')
        parts.append(_box(220, y, status))
        parts.append(_text(352, y + 27, ", ".join(by)))
    return "".join([*parts, "</g></svg>"])


def _box(x: int, y: int, text: str) -> str:
    return f'<rect x="{x}" y="{y}" width="120" height="44" rx="8"/>{_text(x + 60, y + 27, text, anchor="middle")}'


def _text(x: int, y: int, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" stroke="none" fill="currentColor">{escape(text)}</text>'


VARIABLES: Mapping[str, str] = {
    "request_id": "id of the request, `req_…`",
    "link": "the reader's personal link; none in mails to the requester",
    "zone": "the reader's time zone, for the filters `local_time` and `time_tag`",
    "tag": "what is wanted, as it begins the subject: `Approve?`, `Choose`, `Fill in`, `Feedback?`, `FYI`",
    "title": "the title, in one line",
    "subject_title": "the title, or a notification's first line, short enough for a subject",
    "by": "the deadline in a few letters, for the subject; none where steps have their own",
    "requester": "who asks, in words; none where nobody was named",
    "asks": "`asks for your approval`, `asks you to choose`, …",
    "news": "what happened, in a sentence; empty in the first mail",
    "message": "the message in Markdown: an excerpt with `text`, `total`, `shortened` and `long`",
    "source_url": "where the question comes from, or none",
    "details": "pairs of name and value, at most 40",
    "details_total": "how many there are",
    "payload_heading": "`What will be done`, or `Data` at level `info`",
    "payload": "the sections of the payload that there is room for; include `email/_base/payload.html`",
    "payload_text": "the same sections as text",
    "payload_missing": "what there was no room for, such as `12 more values`; else empty",
    "digest": "`sha256:…` of the payload, edits merged in",
    "deadline": "the moment of the deadline, or none",
    "no_deadline": "that there is no deadline, in a sentence; empty where there is one",
    "without_answer": "what happens if nobody answers, in a sentence",
    "step": "the name of the open step; empty with one step",
    "progress": "how far the quorum is, in words",
    "waiting": "who is still awaited, such as `you, Ana and 3 others`; empty once it is final",
    "held": "that a decision is held by `grace_seconds`, in a sentence, or none",
    "held_until": "until when",
    "fields": "the form's fields: pairs of title and value, at most 20",
    "changes": "what people changed: title, old value, new value, by whom; the last 5",
    "trail": "what happened: pairs of moment and sentence, the last 5",
    "comments": "questions and replies: pairs of name and text, the last 5",
    "course_shortened": "whether there is more of these than is shown",
    "final": "whether it is decided",
    "outcome": "the outcome in a sentence; empty while it is pending",
    "reason": "the reasons that were given",
    "recorded": "the reader's own answer in a sentence, or none",
    "own_reason": "the reason that came with it",
    "own_values": "the values that came with it: pairs of title and value",
    "own_changes": "the values that it changed, as `changes`",
}


def mail_variables() -> str:
    """Every name that the templates of mails know, and what it is."""
    made = (context.request_context, context._done, context._own)  # noqa: SLF001 - their names are public
    about_requests = [name for function in made for name in _keys(function)]
    if missing := {*about_requests, *_keys(context.notification_context)} ^ VARIABLES.keys():
        told = f"VARIABLES does not say what {sorted(missing)} is"
        raise ValueError(told)
    rows = [f"| `{name}` | {VARIABLES[name]} |" for name in dict.fromkeys(about_requests)]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def notification_variables() -> str:
    """The names in the template of a message without a question."""
    return ", ".join(f"`{name}`" for name in _keys(context.notification_context))


def _keys(function: Any) -> list[str]:
    """The names of the dict that a function returns, in their order."""
    returned = [
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(node, ast.Return)
    ]
    names = (key.value for value in returned if isinstance(value, ast.Dict) for key in value.keys if key)  # type: ignore[attr-defined]
    return list(dict.fromkeys(names))


def _module(module: Any) -> Iterator[str]:
    yield f"## `{module.__name__}`\n\n{inspect.getdoc(module) or ''}\n"
    for name in module.__all__:
        thing = getattr(module, name)
        yield f"### `{name}`\n\n{_signature(name, thing)}{inspect.getdoc(thing) or ''}\n"
        if inspect.isclass(thing):
            yield from _members(name, thing)


def _members(name: str, thing: type) -> Iterator[str]:
    """The public methods of a class of ours; the clients' are written once for both, as what carries them out knows."""
    for member, value in inspect.getmembers(thing, inspect.isroutine):
        ours = str(getattr(value, "__module__", "")).startswith("bot.")
        signature = _signature(member, getattr(value, "flow", value))
        if member.startswith("_") or not ours or not inspect.getdoc(value) or CARRIES.search(signature):
            continue
        yield f"#### `{name}.{member}`\n\n{signature}{inspect.getdoc(value)}\n"


CARRIES = re.compile(r"\bfl?ow(?:ing)?: (?:Flow\[T\]|Following)|following: Following")
"""The signature of what carries out the other methods, and is not called by anybody."""
QUOTED = re.compile(r"(?<=: )'([^']+)'|(?<=-> )'([^']+)'")
RETURNED = re.compile(r"-> (?:Flow\[(.+)\]|Following)$")
LONGEST = 100
"""Characters of a signature in one line."""


def _signature(name: str, thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    signature = signature.replace(parameters=[p for p in signature.parameters.values() if p.name != "self"])
    text = name + _plain(str(signature))
    if len(text) > LONGEST:
        text = (
            f"{name}(\n" + "".join(f"    {line},\n" for line in _split(signature)) + text[text.rindex(")") :]
        )
    return f"```python\n{text}\n```\n\n"


def _split(signature: inspect.Signature) -> Iterator[str]:
    """The parameters of a signature, each on a line of its own."""
    before = None
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and before not in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}:
            yield "*"
        before = one.kind
        yield _plain(str(one))


def _plain(signature: str) -> str:
    """A signature without quotes around types, and with what a caller gets."""
    unquoted = QUOTED.sub(lambda found: found[1] or found[2], signature)
    return RETURNED.sub(lambda found: f"-> {found[1] or 'Iterator[Event]'}", unquoted)


def _parameters(parameters: list[dict[str, Any]]) -> list[str]:
    """The parameters of a call in its address and its headers, as a table."""
    if not parameters:
        return []
    rows = [
        f"| `{one['name']}` | {one['in']} | {_shape(one.get('schema', {}))} | {_sentence(one.get('description', ''))} |"
        for one in parameters
    ]
    return ["| parameter | in | type | meaning |", "|---|---|---|---|", *rows, ""]


def _shape(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            return " or ".join(dict.fromkeys(_shape(one) for one in schema[many]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    return str(schema.get("type", "any JSON value"))


def _cell(answer: dict[str, Any]) -> str:
    shapes = [_shape(c["schema"]) for c in answer.get("content", {}).values() if "schema" in c]
    text = _sentence(answer["description"])
    return f"{text} {shapes[0]}" if shapes and "allOf" not in str(answer) else text


def _sentence(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


GENERATED = {
    f.__name__: f
    for f in (
        http_calls,
        http_schemas,
        error_codes,
        python_api,
        command_line,
        transitions,
        mail_variables,
        notification_variables,
    )
}
