"""Working hours: when people may be reminded or called."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from bot.domain.model.zones import named

if TYPE_CHECKING:
    from bot.domain.model.spec import Hours


def working(hours: Hours | None, at: datetime, zone: str | None) -> datetime:
    """`at`, or the next instant within `hours` where it is outside of them, by the clock of the reader's `zone`."""
    if hours is None:
        return at
    local = at.astimezone(named(zone) or named(hours.zone))
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    for ahead in range(8):
        day = local.date() + timedelta(days=ahead)
        opens, closes = (datetime.combine(day, t, local.tzinfo) for t in (start, end))
        if day.weekday() in hours.days and local < closes:
            return at if local >= opens else opens.astimezone(at.tzinfo)
    return at


def hours_fault(hours: Hours) -> str | None:
    """What is wrong with configured working hours, in words."""
    try:
        start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    except ValueError:
        return "start and end must be times of day such as 09:00"
    if start >= end:
        return "start must be before end"
    if not hours.days or not set(hours.days) <= set(range(7)):
        return "days must name at least one weekday"
    return None if named(hours.zone) else f"{hours.zone!r} is no time zone; write one such as Europe/Berlin"
