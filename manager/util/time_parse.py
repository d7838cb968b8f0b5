"""Points in time as people write them, and as lines of a log begin with them. Pure but for the clock."""

from __future__ import annotations

import re
import time
from datetime import datetime

DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LATEST = 9e9
"""In the year 2255; what is later is a slip of the finger, or no date that computers can reckon with."""
DAY = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII)
EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?")
"""Seconds since 1970 have ten digits; a date without dashes has eight."""

OWN_STAMP = re.compile(rb"[\[(]?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
"""What most loggers begin a line with. A zone is read where it stands directly behind."""


def moment(text: str) -> float:
    """Seconds since the epoch of `10m`, `1h30m`, `3d` (ago), `2026-01-31`, `2026-01-31 08:00` (local) or RFC 3339.

    Nothing is before 1970. Raises ValueError.
    """
    try:
        found = max(0.0, _seconds(text))
    except (OverflowError, OSError) as error:
        raise ValueError(text) from error
    if found > LATEST:
        raise ValueError(text)
    return found


def _seconds(text: str) -> float:
    if DURATION.fullmatch(text):
        return time.time() - sum(float(count) * SECONDS[unit] for count, unit in PART.findall(text))
    return float(text) if EPOCH.fullmatch(text) else datetime.fromisoformat(text).timestamp()


def own_moment(line: bytes) -> float | None:
    """When a line says it was written; None where it does not begin with date and time."""
    found = OWN_STAMP.match(line)
    if found is None:
        return None
    zone = found[2] or b""
    try:
        return datetime.fromisoformat((found[1] + zone).decode()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def engine_moment(stamp: str) -> float:
    """The engine's RFC 3339 stamp (UTC, nine digits of fraction) as seconds since the epoch, rounded down."""
    return datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp()


def is_day(name: str) -> bool:
    """Whether it is a date as the folders of dated logs bear it: `2026-01-31`."""
    try:
        return DAY.fullmatch(name) is not None and start_of_day(name) > 0
    except ValueError:
        return False


def start_of_day(day: str) -> float:
    """The first moment of a local date, in seconds since the epoch. Raises ValueError for what is no date."""
    return datetime.fromisoformat(day).timestamp()
