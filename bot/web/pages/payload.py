"""What will be done, as a page shows it: all of it, and what is beyond the first values folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.payload.parts import Section, shown_leaves
from bot.domain.policies import payload_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.model.request import Request
    from bot.domain.policies.payload_views import Views

PARTS = 60
"""Values, lists and tables that are not folded."""


@dataclass(frozen=True, slots=True)
class PayloadView:
    """`sections` stand open under `heading`; `more` has the others, of `count` values."""

    heading: str
    sections: tuple[Section, ...]
    more: tuple[Section, ...]

    @property
    def count(self) -> int:
        """How many values are folded."""
        return shown_leaves(self.more)


def payload_view(request: Request, views: Views) -> PayloadView:
    """The payload of `request` with every change so far."""
    sections = views.sections(request)
    return PayloadView(payload_views.heading(request.spec), *_halves(sections, PARTS))


def _halves(sections: Sequence[Section], most: int) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """The first parts and the others."""
    first: list[Section] = []
    rest: list[Section] = []
    for section in sections:
        keep = max(most, 0)
        most -= len(section.parts)
        if head := section.parts[:keep]:
            first.append(Section(section.heading, head))
        if tail := section.parts[keep:]:
            rest.append(Section(section.heading, tail))
    return tuple(first), tuple(rest)
