"""Files that only their owner may read, whatever the umask: databases, and the secrets beside them."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import tempfile
from pathlib import Path

MAGIC = b"SQLite format 3\0"

log = logging.getLogger(__name__)

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; it makes these with the rights of the database's own file."""


def private(path: Path) -> None:
    """Make an empty file that only its owner may read and write, or take others' rights from the one that is there.

    A folder that is not there is made, and told. Raises `OSError` where that cannot be.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.warning("there was no folder %s: made it", path.parent)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(handle, 0o600)
        os.close(handle)
        return
    tighten(path)


def private_database(path: Path) -> None:
    """The same for the file of a SQLite database and what stands beside it; a file of anything else is left alone."""
    if path.is_file() and not _is_database(path):
        return
    private(path)
    for suffix in BESIDE:
        tighten(Path(f"{path}{suffix}"))


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) in {MAGIC, b""}


def tighten(path: Path) -> None:
    """Take the rights of everybody but its owner from a file, if it is there, and tell of it."""
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if not path.is_file() or not mode & 0o077:
            return
        try:
            path.chmod(mode & 0o700)
        except OSError as error:
            log.warning(
                "others may read %s (mode %03o), and it cannot be changed: %s", path, mode, error.strerror
            )
        else:
            log.warning("others could read %s (mode %03o): only its owner can now", path, mode)


def keep(path: Path, text: str) -> bool:
    """Write a file that only its owner may read, whole or not at all; False, and nothing, where it is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = _whole(path, text)
    try:
        path.hardlink_to(whole)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
    return True


def replace(path: Path, text: str) -> None:
    """Write a file that only its owner may read in place of the one that is there; a crash leaves one of the two."""
    _whole(path, text).replace(path)


def _whole(path: Path, text: str) -> Path:
    """A file of its own beside `path`, complete and on disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        os.fchmod(handle, 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
