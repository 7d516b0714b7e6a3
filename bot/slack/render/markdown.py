"""A requester's Markdown as Slack `rich_text`: every word literal, no mention, no link in disguise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bot.domain.messages.markdown_budget import READ_DEPTH, is_too_deep, is_too_much
from bot.rendering import plain
from bot.slack.render.text import Block, paragraph, preformatted, rich_text, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ELEMENTS = 500
"""Text with more changes of style than this is shown as it was written."""
DEEPEST = 8
"""Slack's deepest indentation of a list."""

_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}


def _parser() -> MarkdownIt:
    """CommonMark without raw HTML, pictures, and references, whose targets stand somewhere else."""
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": READ_DEPTH})
    parser.normalizeLink = str  # type: ignore[method-assign, assignment]  # markdown-it is configured so
    return parser.enable("strikethrough").disable(["image", "reference", "html_block", "html_inline"])


_PARSER = _parser()


def markdown(source: str) -> Block | None:
    """`source` as one block, or None where nothing of it is visible."""
    text = plain(source).strip()
    parts = _read(text)
    if parts is None or sum(len(part["elements"]) for part in parts) > MAX_ELEMENTS:
        parts = [paragraph(*run(text))]
    return rich_text(*parts) if parts else None


def _read(text: str) -> list[Block] | None:
    """What is read of `text`; None where that is too much."""
    tokens = None if is_too_much(text) else _PARSER.parse(text)
    if tokens is None or is_too_deep(tokens):
        return None
    return _joined(_blocks(SyntaxTreeNode(tokens).children))


def _blocks(nodes: Sequence[SyntaxTreeNode], depth: int = 0) -> Iterator[Block]:
    for node in nodes:
        match node.type:
            case "paragraph":
                yield paragraph(*_inlines(node))
            case "heading":
                yield paragraph(*_inlines(node, bold=True))
            case "fence" | "code_block":
                yield preformatted(node.content.rstrip("\n"))
            case "hr":
                yield paragraph(*run("———"))
            case "blockquote":
                yield from (_quoted(part) for part in _blocks(node.children, depth))
            case "bullet_list" | "ordered_list":
                yield from _list(node, depth)


def _quoted(part: Block) -> Block:
    return part | {"type": "rich_text_quote"} if part["type"] == "rich_text_section" else part


def _list(node: SyntaxTreeNode, depth: int) -> Iterator[Block]:
    first = int(node.attrs.get("start", 1))
    for offset, item in enumerate(node.children, first - 1):
        head, *rest = [*_blocks(item.children, depth + 1)] or [paragraph()]
        shape: Block = {"type": "rich_text_list", "indent": min(depth, DEEPEST)}
        shape |= {"style": "bullet"} if node.type == "bullet_list" else {"style": "ordered", "offset": offset}
        if head["type"] != "rich_text_section":
            head, rest = paragraph(), [head, *rest]
        yield shape | {"elements": [head]}
        yield from rest


def _inlines(node: SyntaxTreeNode, **style: bool) -> list[Block]:
    return [element for child in node.children for element in _inline(child, style)]


def _inline(node: SyntaxTreeNode, style: dict[str, bool]) -> Iterator[Block]:
    match node.type:
        case "softbreak" | "hardbreak":
            yield from run("\n")
        case "code_inline":
            yield from run(node.content, **style, code=True)
        case "link":
            yield from _inlines(node, **style)
            url = str(node.attrs["href"])
            if node.info != "auto":
                yield from run(f" ({url})")
        case kind if kind in _STYLES:
            yield from _inlines(node, **{**style, _STYLES[kind]: True})
        case _ if node.children:
            yield from _inlines(node, **style)
        case _:
            yield from run(node.content, **style)


def _joined(parts: Iterator[Block]) -> list[Block]:
    """Paragraphs with a blank line between them, as Slack itself stores them; nothing that is empty."""
    joined: list[Block] = []
    for part in parts:
        if not part["elements"]:
            continue
        last = joined[-1] if joined else None
        if last and last["type"] == part["type"] and part["type"] in {"rich_text_section", "rich_text_quote"}:
            last["elements"] += [*run("\n\n"), *part["elements"]]
        else:
            joined.append(part)
    return joined
