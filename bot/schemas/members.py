"""JSON objects whose members have different names: which of two was meant, nobody can tell."""

from __future__ import annotations

from typing import Any


class RepeatedMember(ValueError):
    """An object has two members of one name."""


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these members, as an `object_pairs_hook`; raises `RepeatedMember`."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedMember(f"an object has the member {name[:100]!r} more than once; leave one")
            seen.add(name)
    return members
