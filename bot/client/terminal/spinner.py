"""A line on standard error that says what a program waits for, and for how long; only terminals show it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class Waiting:
    """The line of one wait, from the first `say` to the end of the block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._line: tuple[Progress, TaskID] | None = None

    def say(self, text: str) -> None:
        """Show `text` beside the time that has passed; no text at all leaves the line as it is."""
        if self._line:
            display, task = self._line
            display.update(task, description=text or None)
        elif text and sys.stderr.isatty():
            self._line = self._start(text)

    def _start(self, text: str) -> tuple[Progress, TaskID]:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - seldom

        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        # Where standard output is a file, what the program prints belongs there and not above this line.
        to_terminal = sys.stdout.isatty()
        display = Progress(*columns, console=_console(), transient=True, redirect_stdout=to_terminal)
        self._stack.enter_context(display)
        return display, display.add_task(text, total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@cache
def _console() -> Console:
    """One console for all lines, so that they stand below each other."""
    from rich.console import Console  # noqa: PLC0415 - seldom needed, and slow to import

    return Console(stderr=True)
