"""What this person was shown of requests by commands before: an answer is to that, not to what came after.

A small file in the user's state folder has the revision of each request that was shown last, by server. Where it cannot
be read or written, nothing was shown.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 2000
"""Requests remembered; the one shown longest ago goes first."""


def remember(url: str, requests: Iterable[Mapping[str, Any]]) -> None:
    """These requests of the server at `url` were shown."""
    seen = {_name(url, r["id"]): r["revision"] for r in requests if "revision" in r}
    if not seen:
        return
    known = {name: revision for name, revision in _load().items() if name not in seen} | seen
    with suppress(OSError):
        _save(dict(list(known.items())[-MOST:]))


def recall(url: str, request_id: str) -> int | None:
    """The revision of a request that was shown last, if any."""
    revision = _load().get(_name(url, request_id))
    return revision if isinstance(revision, int) else None


def _name(url: str, request_id: str) -> str:
    return f"{url} {request_id}"


def _file() -> Path:
    folder = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(folder) / "assent" / "shown.json"


def _load() -> dict[str, Any]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # the last where there is no home
        return {}
    return known if isinstance(known, dict) else {}


def _save(known: dict[str, Any]) -> None:
    try:
        file = _file()
    except RuntimeError:
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as new:
        json.dump(known, new)
    Path(new.name).replace(file)
