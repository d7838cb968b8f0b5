"""Return local dates from the wall clock, without `datetime` (0.6 MB)."""

import os
import time


def days_before(wall: float, days: int) -> str:
    """Return the local date `days` days before that of `wall` (seconds since the epoch), as a folder name.

    Counts from noon, so that daylight saving shifts nothing.
    """
    now = time.localtime(wall)
    noon = (now.tm_year, now.tm_mon, now.tm_mday - days, 12, 0, 0, 0, 0, -1)
    return time.strftime("%Y-%m-%d", time.localtime(time.mktime(noon)))


class LocalDate:
    """Cache the current local date, since it is needed for each chunk of output."""

    def __init__(self) -> None:
        self._start = self._end = 0.0
        self._name = ""
        self._zone: str | None = None

    def name(self, wall: float) -> str:
        """Return the local date of `wall`. Stays correct when the clock steps or TZ changes."""
        zone = os.environ.get("TZ")
        if not self._start <= wall < self._end or zone != self._zone:
            self._zone = zone
            now = time.localtime(wall)
            day = (now.tm_year, now.tm_mon, now.tm_mday)
            self._start = time.mktime((*day, 0, 0, 0, 0, 0, -1))
            self._end = time.mktime((*day[:2], day[2] + 1, 0, 0, 0, 0, 0, -1))
            self._name = time.strftime("%Y-%m-%d", now)
        return self._name
