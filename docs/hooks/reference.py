"""Makes the reference pages from the code when the documents are built, so that they cannot say anything else.

`{{ name }}` alone on a line of a page is replaced by what the function of that name below gives.
"""

from __future__ import annotations

import inspect
import re
from html import escape
from typing import TYPE_CHECKING, Any

from bot import client
from bot.client import testing
from bot.domain import errors
from bot.domain.errors import AssentError
from bot.domain.lifecycle.lifecycle import TRANSITIONS
from bot.web.openapi.document import document

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACEHOLDER = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholders of a page; an unknown one ends the build."""
    return PLACEHOLDER.sub(lambda found: GENERATED[found[1]](), markdown)


def http_calls() -> str:
    """Every call of the API, by its tag or first segment, from the OpenAPI document."""
    api = document("https://assent.example.com")
    lines: list[str] = []
    for path, methods in api["paths"].items():
        for method, call in methods.items():
            lines += [
                f"### `{method.upper()} {path}`",
                "",
                f"**{call['summary']}.** {call['description']}",
                "",
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
    api = document("https://assent.example.com")
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
    """The public names of the client and of its test kit, with their signatures and docstrings."""
    return "\n".join(line for module in (client, testing) for line in _module(module))


def command_line() -> str:
    """Every command with its options."""
    from bot.cli.main import app  # noqa: PLC0415 - brings every command, which only this page needs

    text = app.generate_docs(output_format="markdown", recursive=True, heading_level=2)
    return re.sub(r"\n## Table of Contents\n.*?(?=\n\*\*Commands\*\*)", "\n", text, count=1, flags=re.DOTALL)


def transitions() -> str:
    """The diagram of a request's life, and the table of what happens at which event."""
    rows = [
        f"| {event.__name__} | {_sentence(inspect.getdoc(event) or '')} "
        f"| {'yes' if (event, True) in TRANSITIONS else 'no'} |"
        for event, final in TRANSITIONS
        if not final
    ]
    table = ["| event | meaning | taken by a final request too |", "|---|---|---|", *rows]
    return _diagram() + "\n\n" + "\n".join(table)


FINAL = {
    "approved": "the quorum is reached; a policy, an operator or the deadline approves",
    "rejected": "the reject quorum is reached, or approval can no longer be reached",
    "skipped": "everybody who could decide it skipped, or the deadline skips",
    "expired": "the deadline passes",
    "cancelled": "the requester or an operator takes the question back",
}


def _diagram() -> str:
    """Drawn by hand as SVG: nothing is loaded to show it."""
    parts = [
        (f'<svg viewBox="0 0 860 320" role="img" aria-label="pending becomes one of {", ".join(FINAL)}" '
        f'xmlns="http://www.w3.org/2000/svg" style="max-width:100%">'),
        '<g fill="none" stroke="currentColor" font-family="inherit" font-size="15">',
        _box(10, 135, "pending"),
    ]
    for row, (status, why) in enumerate(FINAL.items()):
        y = 10 + 62 * row
        parts.append(f'<path d="M130 157 C 170 157, 170 {y + 22}, 218 {y + 22} m -8 -5 l 8 5 l -8 5"/>')
        parts.append(_box(220, y, status))
        parts.append(f'<text x="352" y="{y + 27}" stroke="none" fill="currentColor">{escape(why)}</text>')
    return "".join([*parts, "</g></svg>"])


def _box(x: int, y: int, text: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="120" height="44" rx="8"/>'
        f'<text x="{x + 60}" y="{y + 27}" text-anchor="middle" stroke="none" fill="currentColor">{text}</text>'
    )


def _module(module: Any) -> Iterator[str]:
    yield f"## `{module.__name__}`\n\n{inspect.getdoc(module) or ''}\n"
    for name in module.__all__:
        thing = getattr(module, name)
        yield f"### `{name}`\n\n{_signature(name, thing)}{inspect.getdoc(thing) or ''}\n"
        if inspect.isclass(thing):
            for member, value in inspect.getmembers(thing, inspect.isroutine):
                if not member.startswith("_") and inspect.getdoc(value) and _ours(value):
                    yield f"#### `{name}.{member}`\n\n{_signature(member, value)}{inspect.getdoc(value)}\n"


def _ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("bot.")


def _signature(name: str, thing: Any) -> str:
    try:
        text = re.sub(r"'([\w.\[\], |*]+)'", r"\1", str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return ""
    return f"```python\n{name}{text}\n```\n\n"


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
    f.__name__: f for f in (http_calls, http_schemas, error_codes, python_api, command_line, transitions)
}
