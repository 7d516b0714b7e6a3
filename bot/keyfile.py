"""`ASSENT_API_KEY`, or `ASSENT_API_KEY_FILE`: a key in a file is not handed on to every program that is started."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY, KEY_FILE = "ASSENT_API_KEY", "ASSENT_API_KEY_FILE"

MAX_BYTES = 4096
"""A longer file is no key."""

log = logging.getLogger(__name__)


def api_key(values: Mapping[str, str | None]) -> str | None:
    """The key that `values` name, or None; raises ValueError, which says what to mend and never the key."""
    key, file = values.get(KEY), values.get(KEY_FILE)
    if key and file:
        raise ValueError(f"{KEY} and {KEY_FILE} are both set: set one of them")
    return read_key(file) if file else key or None


def read_key(name: str) -> str:
    """The key in a file, without white space around it; raises ValueError."""
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{KEY_FILE}: {name} cannot be read: {error.strerror}") from None
    key = content.decode("ascii", errors="replace").strip()
    if not key or len(content) > MAX_BYTES or not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            f"{KEY_FILE}: {name} holds no key: it must have one line with the key, and nothing else"
        )
    if stat.S_ISREG(mode) and mode & 0o077 and os.name == "posix":
        log.warning("%s: %s can be read by other users of this machine; chmod 600 it", KEY_FILE, name)
    return key
