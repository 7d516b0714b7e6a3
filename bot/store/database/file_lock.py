"""Whether a server is the only one on its SQLite file: then leases found in it are of one that has ended."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.private_files import private
from bot.store.database.engine import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone(url: str) -> Iterator[bool]:
    """Tell whether no other server works on the SQLite file behind `url`; False for PostgreSQL, where others may.

    The lock is on a file beside it and ends with the process. Clients and commands do without it. Raises `OSError`
    where the file cannot be made.
    """
    file = sqlite_file(url)
    if file is None:
        yield False
        return
    private(beside := Path(f"{file}.lock"))
    with beside.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
