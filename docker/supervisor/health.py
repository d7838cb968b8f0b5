"""Derive the health of one run of the bot from its probes. Pure: times are arguments (monotonic seconds)."""

from supervisor.reasons import Reason
from supervisor.timings import Timings

SILENT = ("connection_failed", "connection_closed", "no_answer")  # codes of probes that nothing answered


class ProbeResult:
    """Hold the result of one probe: well, degraded with a condition, or failed with a reason."""

    def __init__(
        self,
        reason: Reason | None = None,
        condition: dict[str, object] | None = None,
        *,
        is_refusal: bool = False,
        is_starting: bool = False,
    ) -> None:
        self.reason = reason  # why the probe failed
        self.condition = condition  # code and params of a degraded bot
        self.is_refusal = is_refusal  # failed, but the bot answered: it runs, and says that it cannot work
        self.is_starting = is_starting  # failed, and the bot said that its start is still getting on


class Health:
    """Count failed probes and decides when to probe next."""

    def __init__(self, started: float, interval: float, timings: Timings) -> None:
        self._start_phase_ends = started + timings.start_phase
        self._start_limit_ends = started + timings.start_limit
        self._first_answer = timings.first_answer
        self._silence_ends = started + timings.first_answer
        self._quick = timings.quick_probe
        self._interval = interval
        self.state = "starting"
        self.ok: bool | None = None
        self.reason: Reason | None = None  # why the last probe failed
        self.condition: dict[str, object] | None = None  # of the last probe
        self.failures = 0  # in a row; those of the start that are forgiven are not counted
        self.has_refused = False  # whether one of these failures was an answer
        self.is_starting = False  # whether the last probe met a bot that says so, and may still be
        self._healthy_since: float | None = None
        self._was_ok = False
        self._has_answered = False  # anything else than that it is starting, or since it last said so

    def add(self, result: ProbeResult, now: float) -> None:
        """Add the result of a probe. A degraded bot counts as healthy: a restart would not help it.

        Nor would it help one that is still starting, up to a limit: it would begin from nothing. One that
        has not answered anything yet, or last that it is starting, may be loading: without an answer it is
        unhealthy, and its failures are counted only after a while.
        """
        self.ok, self.reason, self.condition = result.reason is None, result.reason, result.condition
        is_silent = result.reason is not None and result.reason.code in SILENT
        self.is_starting = not self._was_ok and now < self._start_limit_ends and result.is_starting
        if self.is_starting:
            self._has_answered, self._silence_ends = False, now + self._first_answer
        elif not is_silent:
            self._has_answered = True
        if self.ok:
            self.state, self.failures, self.has_refused = "running", 0, False
            self._was_ok = True
            if self._healthy_since is None:
                self._healthy_since = now
            return
        self._healthy_since = None
        if self.is_starting:
            self.state, self.failures, self.has_refused = "starting", 0, False
            return
        if self.is_early(now):
            return
        self.state = "unhealthy"
        if not self._has_answered and now < self._silence_ends:
            return
        self.failures += 1
        self.has_refused = self.has_refused or result.is_refusal

    def is_early(self, now: float) -> bool:
        """Return whether the bot has not been well yet, and need not be."""
        return self.state == "starting" and now < self._start_phase_ends

    def next_probe_in(self, now: float) -> float:
        """Return the seconds until the next probe.

        Probes are quick until the first good one or the end of the start phase.
        """
        if self.is_early(now):
            return min(self._quick, max(0.0, self._start_phase_ends - now))
        return self._interval

    def healthy_for(self, now: float) -> float:
        """Return the seconds of unbroken health; 0 when the last probe failed."""
        return 0.0 if self._healthy_since is None else now - self._healthy_since
