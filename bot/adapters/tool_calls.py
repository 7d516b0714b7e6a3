"""A tool call that a model wants to make, as a question to people, and their outcome as an answer to the model."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.client import AsyncClient, Outcome

LONGEST_FIELD = 3000
"""Characters of an argument that people may edit: what a text input in Slack holds."""

LONGEST_KEY = 255
"""Characters of an idempotency key that the API takes."""

TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def question(name: str, arguments: Mapping[str, Any], *, edit: bool) -> dict[str, Any]:
    """The fields of a request that asks whether the tool `name` may be called with these `arguments`.

    The payload is the arguments beside the tool's name, so that an approval is bound to both. With `edit`, people
    may change the arguments that are plain values.
    """
    tool = "tool"
    while tool in arguments:
        tool += "_"
    asked: dict[str, Any] = {"title": f"Tool call: {name}", "payload": {tool: name, **arguments}}
    fields = {key: {"type": TYPES[type(value)]} for key, value in arguments.items() if _editable(value)}
    return {**asked, "form": {"type": "object", "properties": fields}} if edit and fields else asked


async def ask(client: AsyncClient, questions: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Ask all of these (fields of `submit`) at once, and wait for every outcome, however long that takes."""
    asked = [await client.submit(**fields) for fields in questions]
    return await asyncio.gather(*(client.wait(request.id) for request in asked))


def approved(outcome: Outcome, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The `arguments` that were asked about, as they were approved: with the edits."""
    return {key: outcome.payload[key] for key in arguments}


def refusal(outcome: Outcome) -> str:
    """What to tell the model about a call that was not approved: by whom, and why."""
    return f"Not run. {outcome.text}"


def key(*parts: str) -> str:
    """An idempotency key of a framework's own ids, hashed where a header cannot carry them."""
    text = ":".join(parts)
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_KEY:
        return text
    return hashlib.sha256(text.encode()).hexdigest()


def default_audience() -> list[str] | None:
    """Whom ASSENT_DEFAULT_AUDIENCE names in this process; None leaves the choice to the server's setting."""
    names = os.environ.get("ASSENT_DEFAULT_AUDIENCE", "").split(",")
    return [name.strip() for name in names if name.strip()] or None


def _editable(value: Any) -> bool:
    return type(value) in TYPES and len(str(value)) <= LONGEST_FIELD
