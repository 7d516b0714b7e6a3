"""Runs that wait for people, kept in files so that they outlive their process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> str | None:
    """What was saved there, if a run waits."""
    return path.read_text("utf-8") if path.exists() else None


def save(path: Path, text: str) -> None:
    """Save; a crash leaves what was there before, or all of this."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def forget(path: Path) -> None:
    """The run has ended."""
    path.unlink(missing_ok=True)
