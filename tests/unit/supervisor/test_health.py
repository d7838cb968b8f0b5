from supervisor.health import Health
from supervisor.reasons import Reason
from supervisor.timings import Timings

START = 1000.0
REFUSED = Reason("connection_failed", error="connection refused")
UNAVAILABLE = Reason("http_status", status=503, phrase="Service Unavailable")


def health() -> Health:
    return Health(START, 30.0, Timings(start_phase=30.0, quick_probe=0.5))


def test_quick_probes_of_the_start_phase_are_no_failures() -> None:
    it = health()
    for step in range(59):
        now = START + 0.5 * step
        it.add(REFUSED, now)
        assert (it.state, it.ok, it.failures) == ("starting", False, 0)
        assert it.next_probe_in(now) == 0.5


def test_the_start_phase_ends_with_a_probe_that_counts() -> None:
    it = health()
    it.add(REFUSED, START + 29.8)
    assert abs(it.next_probe_in(START + 29.8) - 0.2) < 1e-6
    it.add(REFUSED, START + 30.0)
    assert (it.state, it.failures, it.reason) == ("unhealthy", 1, REFUSED)
    assert it.next_probe_in(START + 30.0) == 30.0


def test_once_healthy_the_interval_holds_and_failures_count_in_a_row() -> None:
    it = health()
    it.add(None, START + 1)
    assert (it.state, it.next_probe_in(START + 1)) == ("running", 30.0)
    it.add(UNAVAILABLE, START + 2)
    it.add(UNAVAILABLE, START + 3)
    assert (it.state, it.failures) == ("unhealthy", 2)
    it.add(None, START + 4)
    assert (it.state, it.failures, it.ok) == ("running", 0, True)


def test_a_failed_probe_breaks_the_healthy_spell() -> None:
    it = health()
    assert it.healthy_for(START + 5) == 0
    it.add(None, START + 10)
    it.add(None, START + 40)
    assert it.healthy_for(START + 70) == 60
    it.add(UNAVAILABLE, START + 70)
    assert it.healthy_for(START + 100) == 0
    it.add(None, START + 100)
    assert it.healthy_for(START + 110) == 10
