"""Rules that decide without asking anybody: the first that matches rules, and says why."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.request import Level, Spec


@dataclass(frozen=True)
class Ruling:
    """Approved by policy, with the reason in words. `tell`: people are still informed."""

    reason: str
    tell: bool


def rule(spec: Spec, *, auto_approve: bool) -> Ruling | None:
    """The policy's ruling on a new request, or None where people must decide."""
    if auto_approve:
        return Ruling("ASSENT_AUTO_APPROVE is on: nobody was asked.", tell=False)
    if spec.level is Level.INFO:
        return Ruling("For information only: nobody had to decide.", tell=True)
    return None
