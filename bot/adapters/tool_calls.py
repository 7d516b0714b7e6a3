"""A tool call that a model wants to make, as a question to people, and their outcome as an answer to the model."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

from bot.client.binding import held_against

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.client import AsyncClient, Outcome

LONGEST_FIELD, MOST_FIELDS = 3000, 50
"""Characters of an argument that people may edit, and how many of them: what a form of Assent holds."""

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
    names = [name for name, value in arguments.items() if edit and _editable(value)][:MOST_FIELDS]
    fields = {name: {"type": TYPES[type(arguments[name])]} for name in names}
    form = {"type": "object", "properties": fields, "required": names}
    return {**asked, "form": form} if names else asked


async def ask(client: AsyncClient, questions: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Ask all of these (fields of `submit`) at once, and wait for every outcome, however long that takes.

    One about another payload than was asked about here, since it was revised, is a refusal.
    """
    asked = [await client.submit(**fields) for fields in questions]
    outcomes = await asyncio.gather(*(client.wait(request.id) for request in asked))
    return [
        held_against(outcome, fields.get("payload"))
        for outcome, fields in zip(outcomes, questions, strict=True)
    ]


def approved(outcome: Outcome, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The `arguments` that were asked about, as they were approved: with the edits."""
    return {name: outcome.payload[name] for name in arguments if name in outcome.payload}


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
    """Whether a form can show a value as it is: an empty text or white space around one would not survive it."""
    if isinstance(value, str):
        return bool(value) and value == value.strip() and len(value) <= LONGEST_FIELD
    return type(value) in TYPES
