"""Domain values ↔ what the tables hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from bot.domain.access.visibility import rooms
from bot.domain.model.request import Request

if TYPE_CHECKING:
    from sqlalchemy import Row

_REQUEST = TypeAdapter(Request)


def millis(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded up so that nothing is due too early."""
    return -int(-at.timestamp() * 1000 // 1)


def instant(ms: int) -> datetime:
    """The instant of `ms`."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def dump_spec(request: Request) -> str:
    """The JSON of what was asked."""
    return orjson.dumps(request.spec, default=list).decode()


def dump_state(request: Request) -> str:
    """The JSON of everything else."""
    return orjson.dumps({k: v for k, v in vars(request).items() if k != "spec"}, default=list).decode()


def load(row: Row[Any, Any] | tuple[str, str]) -> Request:
    """A request from its `spec` and `state`."""
    spec, state = row
    return _REQUEST.validate_json(f'{{"spec":{spec},{state[1:]}')


def of_json(fields: dict[str, Any]) -> Request:
    """A request from its fields as JSON values; raises `ValueError` where they make none."""
    return _REQUEST.validate_python(fields)


def searched(request: Request) -> dict[str, Any]:
    """The columns beside the JSON, by which requests are found."""
    return {
        "status": str(request.status),
        "version": request.version,
        "title": request.spec.title.lower(),
        "due_at": millis(request.due_at) if request.due_at else None,
        "unresolved": bool(request.lookups) or not (request.status.final or request.requester_known),
    }


def terms(request: Request) -> frozenset[str]:
    """Everything a request can be found by."""
    people = {f"respondent:{key}" for r in request.respondents for key in r.keys}
    channels = {f"respondent:{c}" for c in request.channels}
    asked = {f"room:{room}" for room in rooms(request)}
    asked_by = {f"requester:{key}" for key in request.requester_keys}
    if request.spec.requester:
        asked_by.add(f"requester:{request.spec.requester.lower()}")
    if request.spec.submitted_by:
        asked_by.add(f"key:{request.spec.submitted_by}")
    labels = {f"label:{name}:{value}" for name, value in request.spec.labels.items()}
    return frozenset(people | channels | asked | asked_by | labels)
