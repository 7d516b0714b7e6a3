"""Parameters of the HTTP API, and refusals that several operations share, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any

from bot.domain import errors

JsonObject = dict[str, Any]


def query(name: str, text: str, **schema: Any) -> JsonObject:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": text, "schema": schema}


def part(name: str, text: str) -> JsonObject:
    """A part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": text,
        "schema": {"type": "string"},
    }


def header(name: str, text: str, **schema: Any) -> JsonObject:
    """A header."""
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string", **schema}}


ID = part("id", "The request's id, `req_…`.")
MANAGED = "For the key that submitted the request, or one with the scope `operate`."

FINAL = (errors.NotFound, errors.AlreadyResolved)
"""Whatever changes a request that waits."""
AS_RESPONDENT = (
    errors.NotInAudience,
    errors.SelfApproval,
    errors.AlreadyResponded,
    errors.StepClosed,
    errors.StaleRevision,
)
"""Whatever is done for a respondent."""
