"""Assent inside agent frameworks: one file each, on top of the client; what a file imports, its extra brings."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import what an optional extra brings; raises ModuleNotFoundError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"this needs the extra {extra!r} ({error.name} is missing): pip install 'assent[{extra}]'",
            name=error.name,
        ) from None
