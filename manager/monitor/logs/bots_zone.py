"""Read the local times and days of the bots' logs, which are those of the machine, whatever zone the reader's
TZ names.
"""

from __future__ import annotations

import os
from functools import cache

from manager.fleet.time_zone import time_zone
from manager.typed import TYPE_CHECKING
from manager.util import formatting, time_parse

if TYPE_CHECKING:
    from datetime import tzinfo


def zone() -> tzinfo | None:
    """Return the bots' time zone; None where it is this process's own."""
    return _zone(os.environ.get("TZ"))


@cache
def _zone(own: str | None) -> tzinfo | None:
    if own is None:
        return None
    from zoneinfo import ZoneInfo  # few readers set TZ

    try:
        return ZoneInfo(time_zone())
    except (ValueError, OSError, LookupError):  # a rule without a name, such as CST-8
        return None


def line_time(line: bytes) -> float | None:
    """Return the Unix time at the start of a log line; None if there is none."""
    return time_parse.parse_line_time(line, zone())


def start_of_day(day: str) -> float:
    """Return the Unix time at which a folder's day starts."""
    return time_parse.start_of_day(day, zone())


def day_of(moment: float) -> str:
    """Return the name of the folder of this moment."""
    return formatting.day(moment) if (there := zone()) is None else time_parse.day_in(there, moment)
