"""Which parts of a message are live: whom it would ping and what it would link to in a real Slack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIVE = re.compile(r"<([@#!][^<>]*|(?:https?|mailto|tel):[^<>]*)>")
_BY_ITSELF = re.compile(r"(?<![\w@])@(?:here|channel|everyone)\b|(?<![\w/\"<|])https?://\S+")
_RICH = {"user": "@{user_id}", "channel": "#{channel_id}", "usergroup": "!subteam^{usergroup_id}"}


def live_parts(text: str, blocks: list[dict[str, Any]], *, parse: str = "none") -> list[str]:
    """Mentions and links in Slack's notation: `@U012`, `!here`, `https://…`; dates are left out.

    What links by itself counts too: `@here` and bare URLs, unless `verbatim` is true or `parse` is `none`.
    """
    found = list(_in_text(text, links_itself=parse != "none"))
    found += _in_blocks(blocks)
    return [part for part in found if not part.startswith("!date^")]


def _in_text(text: str, *, links_itself: bool) -> Iterator[str]:
    yield from (match.split("|")[0] for match in _LIVE.findall(text))
    if links_itself:
        yield from _BY_ITSELF.findall(_LIVE.sub(" ", text))


def _in_blocks(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _in_blocks(item)
    elif isinstance(value, dict):
        kind = value.get("type")
        if kind == "mrkdwn":
            yield from _in_text(value["text"], links_itself=not value.get("verbatim"))
        elif kind == "broadcast":
            yield f"!{value['range']}"
        elif kind == "link":
            yield value["url"]
        elif kind in _RICH:
            yield _RICH[kind].format(**value)
        else:
            for member in value.values():
                yield from _in_blocks(member)
