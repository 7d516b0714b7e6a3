"""Which call is under way, where it has a key: whatever it changes is then changed once, however often it comes.

A client repeats a call whose answer got lost. The edge names the call (`under_way`), and each change that is stored
for it remembers it in the same transaction; the same call again finds that, and is answered as the first was.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.ports.store import Idempotency

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALL = ContextVar[Idempotency | None]("idempotency", default=None)


@contextmanager
def under_way(call: Idempotency | None) -> Iterator[None]:
    """Name the call that is carried out within the block, if it has a key."""
    before = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(before)


def this_call(about: str) -> Idempotency | None:
    """The call under way, if it has a key, for one of the things that it is `about`: a request's id."""
    call = _CALL.get()
    return replace(call, key=f"{call.key}:{about}") if call else None
