"""Canonical JSON (RFC 8785) and the digests made of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import rfc8785

from bot.domain.errors import Fault, Invalid

if TYPE_CHECKING:
    from bot.domain.model.request import Json

MAX_DEPTH = 64
"""Nesting beyond this is refused: nobody can read it on a card, and no canonicaliser need recurse that deep."""

MAX_VALUES = 20_000
"""Values of one payload, each object and list among them: more takes long to look at, and nobody reads it."""

SAFE_INTEGER = 2**53 - 1
"""RFC 8785 numbers are IEEE doubles: a larger integer would be signed as another number (RFC 7493 §2.2)."""


def canonical(value: Json) -> bytes:
    """RFC 8785 bytes of `value`; raises `rfc8785.CanonicalizationError` for what has none."""
    return rfc8785.dumps(value)


def payload_digest(value: Json) -> str:
    """`sha256:` and the hex SHA-256 of the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def check_canonical(value: Json, pointer: str) -> None:
    """Raise `Invalid`, naming every place, where `value` cannot be signed exactly."""
    if faults := canonical_faults(value, pointer):
        raise Invalid(faults)


def canonical_faults(value: Json, pointer: str) -> list[Fault]:
    """Every place under `pointer` where `value` cannot be signed exactly, or that it is too much to look at."""
    if _holds_more_than(MAX_VALUES, value):
        return [Fault(pointer, f"has more than {MAX_VALUES:,} values; send fewer, or a link to them")]
    faults: list[Fault] = []
    pending: list[tuple[Json, str, int]] = [(value, pointer, 0)]
    while pending:
        item, where, depth = pending.pop()
        if depth > MAX_DEPTH:
            faults.append(Fault(where, f"is nested more than {MAX_DEPTH} levels deep; send it flatter"))
        elif isinstance(item, dict):
            pending += [(v, f"{where}/{escape_pointer(k)}", depth + 1) for k, v in item.items()]
        elif isinstance(item, list):
            pending += [(v, f"{where}/{i}", depth + 1) for i, v in enumerate(item)]
        elif isinstance(item, int | float) and not isinstance(item, bool) and _beyond_exact(item):
            faults.append(
                Fault(
                    where,
                    "is an integer that JSON numbers cannot carry exactly; send a text, or stay below 2^53",
                )
            )
    return faults


def _holds_more_than(most: int, value: Json) -> bool:
    """Whether there are more than so many values in `value`, itself included; told without looking at all of them."""
    values, pending = 1, [value]
    while pending and values <= most:
        item = pending.pop()
        if isinstance(item, dict | list):
            values += len(item)
            pending += item.values() if isinstance(item, dict) else item
    return values > most


def _beyond_exact(number: float) -> bool:
    return abs(number) > SAFE_INTEGER and (
        isinstance(number, int) or (number.is_integer() and abs(number) < 1e21)
    )


def escape_pointer(key: str) -> str:
    """`key` as one token of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
