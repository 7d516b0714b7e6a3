"""Which call of a turn waits for people: Claude Code brings back only one deferred call when it is resumed.

Seen with 2.1.197 and 2.1.332: of several calls of one turn that are deferred, `--resume` runs the last, and neither
people nor the model learn of the others. Where one is deferred and the others are denied, it runs that one, and the
model reads the denials. So the first that defers is noted in a file of its turn, made by whoever comes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

KEPT_SECONDS = 30 * 86400.0
"""After this, notes of turns that nobody resumed are removed."""

UNNAMED_SECONDS = 60.0
"""How long a note holds where Claude Code does not name the prompt: calls of one turn come close together."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A tool call within the prompt of a session."""

    session: str
    prompt: str
    call: str

    @property
    def _note(self) -> Path:
        name = hashlib.sha256(f"{self.session}\n{self.prompt}".encode()).hexdigest()[:32]
        return _folder() / name

    def taken(self) -> bool:
        """Whether another call of this turn waits for people."""
        try:
            holder = self._note.read_text(encoding="utf-8")
            old = not self.prompt and time.time() - self._note.stat().st_mtime > UNNAMED_SECONDS
        except FileNotFoundError:
            return False
        return holder != self.call and not old

    def claim(self) -> bool:
        """Be the call that waits; False where another is. Raises OSError where that cannot be noted."""
        note = self._note
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget_old(note.parent)
        if not self.taken():
            with contextlib.suppress(FileNotFoundError):
                if note.read_text(encoding="utf-8") != self.call:
                    note.unlink()
        try:
            with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(self.call)
        except FileExistsError:
            return not self.taken()
        return True

    def release(self) -> None:
        """Wait no longer: it is decided."""
        with contextlib.suppress(OSError):
            if not self.taken():
                self._note.unlink()


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "assent" / "claude-hook"


def _forget_old(folder: Path) -> None:
    before = time.time() - KEPT_SECONDS
    for note in folder.iterdir():
        with contextlib.suppress(OSError):
            if note.stat().st_mtime < before:
                note.unlink()
