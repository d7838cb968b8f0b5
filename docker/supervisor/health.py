"""The health of one run of the bot, from its probes. Pure: times are passed in, in monotonic seconds."""

from supervisor.reasons import Reason
from supervisor.timings import Timings


class Health:
    """Counts failed probes and decides when to probe next."""

    def __init__(self, started: float, interval: float, timings: Timings) -> None:
        self._start_phase_ends = started + timings.start_phase
        self._quick = timings.quick_probe
        self._interval = interval
        self.state = "starting"
        self.ok: bool | None = None
        self.reason: Reason | None = None  # why the last probe failed
        self.failures = 0  # in a row; the quick probes of the start phase are not counted
        self._healthy_since: float | None = None

    def add(self, reason: Reason | None, now: float) -> None:
        """Add the result of a probe: None for a good one, else why it failed."""
        self.ok, self.reason = reason is None, reason
        if self.ok:
            self.state, self.failures = "running", 0
            if self._healthy_since is None:
                self._healthy_since = now
            return
        self._healthy_since = None
        if self.state == "starting" and now < self._start_phase_ends:
            return
        self.state = "unhealthy"
        self.failures += 1

    def next_probe_in(self, now: float) -> float:
        """Return the seconds until the next probe. Probes are quick until the first good one or the end of the start phase."""
        if self.state == "starting":
            return min(self._quick, max(0.0, self._start_phase_ends - now))
        return self._interval

    def healthy_for(self, now: float) -> float:
        """Return the seconds of unbroken health; 0 when the last probe failed."""
        return 0.0 if self._healthy_since is None else now - self._healthy_since
