"""Time zones as people's profiles name them, which the tz database may not know."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_OFFSET = re.compile(r"UTC([+-])(\d\d):(\d\d)")
_MOST = 14 * 3600
"""Seconds: no clock on Earth is further from UTC."""


def named(name: str | None) -> tzinfo | None:
    """The zone of an IANA name, or of an offset such as `UTC+05:30`; None where there is none."""
    if not name:
        return None
    if found := _OFFSET.fullmatch(name):
        sign, hours, minutes = found.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-offset if sign == "-" else offset) if offset < timedelta(days=1) else None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def of_profile(name: object, offset: object) -> str | None:
    """A name that `named` knows: the profile's own, else one of its offset in seconds, else None."""
    if isinstance(name, str) and named(name):
        return name
    if not isinstance(offset, int) or isinstance(offset, bool) or abs(offset) > _MOST:
        return None
    hours, seconds = divmod(abs(offset), 3600)
    return f"UTC{'-' if offset < 0 else '+'}{hours:02}:{seconds // 60:02}"
