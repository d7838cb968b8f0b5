"""Parse times as users write them, and as log lines start with them."""

from __future__ import annotations

import re
import time

from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo
else:
    from _datetime import datetime, timedelta, tzinfo  # without the same in Python: 2 ms

DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LATEST = 9e9
"""In the year 2255. Later times are rejected as typing errors, before they overflow."""
DAY = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII)
TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?")
"""Seconds since 1970 have ten digits; a date without dashes has eight."""

LINE_STAMP = re.compile(rb"[\[(]?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
"""The timestamp with which most loggers start a line. A time zone directly behind it counts."""


def parse_time(text: str) -> float:
    """Return `10m`, `1h30m`, `3d` (ago), `2026-01-31`, `2026-01-31 08:00` (local) or RFC 3339 as Unix time.

    Times before 1970 become 0. Raises ValueError.
    """
    try:
        timestamp = max(0.0, _seconds(text))
    except (OverflowError, OSError) as error:
        raise ValueError(text) from error
    if timestamp > LATEST:
        raise ValueError(text)
    return timestamp


def parse_later(text: str) -> float:
    """Return `30m`, `8h`, `2d` (from now), `08:00` (the next one), or a date and time to come, as Unix time.

    Raises ValueError, also for what is past.
    """
    now = time.time()
    if DURATION.fullmatch(text):
        return 2 * now - parse_time(text)
    if match := TIME_OF_DAY.fullmatch(text):
        at = datetime.fromtimestamp(now).replace(
            hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0
        )
        return (at if at.timestamp() > now else at + timedelta(days=1)).timestamp()
    at_unix = parse_time(text)
    if at_unix <= now:
        raise ValueError(text)
    return at_unix


def _seconds(text: str) -> float:
    if DURATION.fullmatch(text):
        return time.time() - sum(float(count) * SECONDS[unit] for count, unit in PART.findall(text))
    return float(text) if EPOCH.fullmatch(text) else datetime.fromisoformat(text).timestamp()


def parse_line_time(line: bytes, zone: tzinfo | None = None) -> float | None:
    """Return the Unix time at the start of a log line; None if there is none.

    `zone`: of a time that names none; None for the local one.
    """
    match = LINE_STAMP.match(line)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat((match[1] + (match[2] or b"")).decode())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def parse_engine_time(stamp: str) -> float:
    """Return the engine's RFC 3339 timestamp (UTC, nine decimals) as Unix time, rounded down."""
    return datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp()


def is_day(name: str) -> bool:
    """Return whether the name is a date such as `2026-01-31`."""
    try:
        return DAY.fullmatch(name) is not None and start_of_day(name) > 0
    except ValueError:
        return False


def start_of_day(day: str, zone: tzinfo | None = None) -> float:
    """Return the Unix time at which a date starts, a local one by default. Raises ValueError for an invalid
    date.
    """
    return datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()


def day_in(zone: tzinfo, moment: float) -> str:
    """Return the date of a Unix time in this zone: `2026-01-31`."""
    return f"{datetime.fromtimestamp(moment, zone):%F}"
