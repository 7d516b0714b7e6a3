"""Templates, the filters that mails and pages share, and what both show of a request's course.

One Jinja environment: `.html` escapes, a name that is not there is an error, and a folder of one's own may
override any template by its path (`email/ask/body.html`). No filter reads a clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import regex
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from markupsafe import Markup

from bot.domain.forms import forms
from bot.domain.messages import phrases
from bot.domain.messages.markdown_budget import READ_DEPTH, is_too_deep, is_too_much
from bot.domain.model.zones import named
from bot.resources import resource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

    from bot.domain.model.request import Edit, Json, Request

_SAFE_SCHEMES = {"http", "https", "mailto"}
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = regex.compile(rf"[\p{{Cc}}\p{{Cs}}\u2028\u2029\ufeff{_BIDI}--[\n\t]]", flags=regex.VERSION1)
_DISGUISED = regex.compile(r"[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}--[\n]]", flags=regex.VERSION1)


def templates(overrides: Path | None = None, *, root: str = "") -> Environment:
    """The environment over `templates/`, with `overrides` searched first.

    `root` is the path under which a proxy publishes the server, such as `/assent`.
    """
    folders = [overrides, resource("templates")] if overrides else [resource("templates")]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": cut,
        "local_time": local_time,
        "markdown": markdown,
        "markdown_text": markdown_text,
        "plain": plain,
        "pretty_json": pretty_json,
        "readable": readable,
        "time_tag": time_tag,
    }
    environment.globals["root"] = root
    return environment


def plain(text: str) -> str:
    """`text` without control characters, except line breaks and tabs, and without marks that reverse it."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n"))


def cut(text: str, length: int) -> str:
    """At most `length` characters as people count them; what is cut off shows as `…`."""
    if len(text) <= length:
        return text
    characters = regex.findall(r"\X", text[: length * 16])
    return text if len(characters) <= length else "".join(characters[: length - 1]).rstrip() + "…"


# Time


def zone(name: str | None) -> tzinfo:
    """The time zone, or UTC where there is none by that name."""
    return named(name) or UTC


def local_time(at: datetime, zone_name: str | None) -> str:
    """`Fri 21 Nov 2025, 17:00 (UTC+01:00)`."""
    local = at.astimezone(zone(zone_name))
    offset = local.strftime("%z")
    where = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} ({where})"


def time_tag(at: datetime, zone_name: str | None) -> Markup:
    """The same in a `<time>` element with the exact instant."""
    exact = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{}</time>').format(exact, local_time(at, zone_name))


# JSON


def pretty_json(value: Json) -> str:
    """Indented JSON in which invisible and direction-changing characters show as their escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _DISGUISED.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    utf16 = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{utf16[i : i + 4]}" for i in range(0, len(utf16), 4))


def readable(value: Json) -> str:
    """A value of a form as people read it: `yes`, `Red, blue`, `nothing`; a text as it is."""
    match value:
        case None | "" | []:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
    return pretty_json(value)


# Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a request's history: what happened, and the reason its doer gave."""

    at: datetime
    text: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One changed value, as people read it."""

    title: str
    old: str
    new: str
    by: str
    at: datetime


def history(request: Request) -> list[Line]:
    """The answers that stand and the trail, in the order they came."""
    answers = [
        Line(
            at=r.at,
            text=f"{phrases.names(request, [r.respondent])} {phrases.answered(r, request)} ({r.surface})",
            reason=r.reason,
        )
        for r in request.responses
    ]
    return sorted([*answers, *(Line(at=e.at, text=e.text) for e in request.trail)], key=lambda line: line.at)


def differences(request: Request, edits: Sequence[Edit]) -> list[Difference]:
    """`edits` under the titles of the form's fields."""
    fields = {field.name: field for field in forms.fields(request)}

    def words(name: str, value: Json) -> str:
        return field_value(fields[name], value) if name in fields else readable(value)

    return [
        Difference(
            title=fields[e.field].title if e.field in fields else e.field or "The payload",
            old=words(e.field, e.old),
            new=words(e.field, e.new),
            by=e.by,
            at=e.at,
        )
        for e in edits
    ]


def field_value(field: forms.Field, value: Json) -> str:
    """A value of one field as people read it: an option by its label."""
    picked = value if isinstance(value, list) else [value]
    labels = {str(known): label for known, label in field.options}
    if value not in (None, []) and all(str(each) in labels for each in picked):
        return ", ".join(labels[str(each)] for each in picked)
    return readable(value)


def step_title(request: Request, index: int | None = None) -> str | None:
    """`Step 2 of 3: Finance`, of the open step unless `index` names another; None where there is only one."""
    steps = request.spec.steps
    number = request.step if index is None else index
    if len(steps) == 1:
        return None
    name = steps[number].name
    return f"Step {number + 1} of {len(steps)}" + (f": {name}" if name else "")


def held(request: Request) -> str | None:
    """What counts from `request.held.until` on, unless it is taken back before: `Approved by Ana`."""
    if request.held is None:
        return None
    outcome = request.held.outcome
    return f"{outcome.decision.value.capitalize()} by {outcome.by}"


# Markdown


def markdown(source: str) -> Markup:
    """CommonMark with tables as safe HTML: no raw HTML, no images, links to http, https and mailto only."""
    text = plain(source)
    if (tokens := _tokens(text)) is None:
        return Markup("<p>{}</p>\n").format(Markup("<br>\n").join(text.split("\n")))
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - it escapes, raw HTML is off


def markdown_text(source: str) -> str:
    """The same for a text mail: without the marks, links spelled out."""
    text = plain(source)
    return text if (tokens := _tokens(text)) is None else _text_blocks(SyntaxTreeNode(tokens).children)


def _tokens(text: str) -> list[Token] | None:
    """What is read of `text`; None where that is too much, so that it is shown as it was written."""
    tokens = None if is_too_much(text) else _MARKDOWN.parse(text)
    return None if tokens is None or is_too_deep(tokens) else tokens


def _is_safe_link(url: str) -> bool:
    try:
        return urlsplit(url).scheme.lower() in _SAFE_SCHEMES
    except ValueError:
        return False


def _demote_headings(state: StateCore) -> None:
    """The heading of a page or mail is the title, so those of a message start two levels below."""
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


def _link_open(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)  # type: ignore[attr-defined, no-any-return]  # the protocol leaves it out


def _markdown_it() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": READ_DEPTH})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]  # markdown-it is configured so
    parser.core.ruler.push("demote_headings", _demote_headings)
    parser.add_render_rule("link_open", _link_open)
    return parser


_MARKDOWN = _markdown_it()


def _text_blocks(nodes: Sequence[SyntaxTreeNode], *, gap: str = "\n\n") -> str:
    return gap.join(text for node in nodes if (text := _text_block(node)))


def _text_block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "inline":
            text = "".join(_text_inline(child) for child in node.children)
        case "fence" | "code_block":
            text = _indent(node.content.rstrip("\n"), "    ", "    ")
        case "hr":
            text = "---"
        case "blockquote":
            text = _indent(_text_blocks(node.children), "> ", "> ")
        case "bullet_list":
            text = _text_list([("- ", item) for item in node.children])
        case "ordered_list":
            first = int(node.attrs.get("start", 1))
            text = _text_list([(f"{number}. ", item) for number, item in enumerate(node.children, first)])
        case "tr":
            text = " | ".join(_text_blocks(cell.children) for cell in node.children)
        case "table" | "thead" | "tbody":
            text = _text_blocks(node.children, gap="\n")
        case _:
            text = _text_blocks(node.children)
    return text


def _text_list(items: Sequence[tuple[str, SyntaxTreeNode]]) -> str:
    tight = any(child.hidden for _, item in items for child in item.children if child.type == "paragraph")
    gap = "\n" if tight else "\n\n"
    return gap.join(
        _indent(_text_blocks(item.children, gap=gap), mark, " " * len(mark)) for mark, item in items
    )


def _text_inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            text, url = "".join(_text_inline(child) for child in node.children), str(node.attrs["href"])
            return text if text in {url, url.removeprefix("mailto:")} else f"{text} ({url})"
        case _ if node.children:
            return "".join(_text_inline(child) for child in node.children)
        case _:
            return node.content


def _indent(text: str, first: str, rest: str) -> str:
    return first + "\n".join((rest + line).rstrip() for line in text.split("\n")).removeprefix(rest)
