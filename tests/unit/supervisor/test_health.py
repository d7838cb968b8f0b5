import pytest

from supervisor.health import Health, ProbeResult
from supervisor.reasons import Reason
from supervisor.timings import Timings

START = 1000.0
REFUSED = ProbeResult(Reason("connection_failed", error="connection refused"))
UNAVAILABLE = ProbeResult(Reason("http_status", status=503, detail="Service Unavailable"), is_refusal=True)
STARTING = ProbeResult(
    Reason("http_status", status=503, detail="starting"), is_refusal=True, is_starting=True
)
WELL = ProbeResult()


def health(first_answer: float = 0.0) -> Health:
    timings = Timings(start_phase=30.0, first_answer=first_answer, start_limit=900.0, quick_probe=0.5)
    return Health(START, 30.0, timings)


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
    assert (it.state, it.failures, it.reason) == ("unhealthy", 1, REFUSED.reason)
    assert it.next_probe_in(START + 30.0) == 30.0


def test_a_bot_that_has_answered_nothing_yet_is_unhealthy_and_left_alone_for_a_while() -> None:
    silent, closed = (ProbeResult(Reason(code)) for code in ("no_answer", "connection_closed"))
    it = health(first_answer=180.0)
    for passed, result in ((31.0, REFUSED), (60.0, silent), (90.0, closed), (179.0, REFUSED)):
        it.add(result, START + passed)
        assert (it.state, it.ok, it.failures, it.reason) == ("unhealthy", False, 0, result.reason)
        assert it.next_probe_in(START + passed) == 30.0
    it.add(REFUSED, START + 180.0)
    it.add(REFUSED, START + 210.0)
    assert it.failures == 2
    it.add(WELL, START + 240.0)
    assert (it.state, it.failures) == ("running", 0)


@pytest.mark.parametrize("answer", [WELL, UNAVAILABLE, ProbeResult(Reason("no_http"))])
def test_a_bot_that_has_answered_is_no_longer_loading(answer: ProbeResult) -> None:
    it = health(first_answer=180.0)
    it.add(answer, START + 1.0)
    it.add(REFUSED, START + 31.0)
    assert (it.state, it.failures) == ("unhealthy", 1)


def test_a_bot_that_says_that_it_is_starting_is_believed_up_to_a_limit() -> None:
    it = health()
    for passed in (5.0, 31.0, 100.0, 899.0):
        it.add(STARTING, START + passed)
        assert (it.state, it.ok, it.failures) == ("starting", False, 0)
    assert it.next_probe_in(START + 100.0) == 30.0
    it.add(STARTING, START + 900.0)
    assert (it.state, it.failures) == ("unhealthy", 1)


def test_a_bot_that_did_not_listen_in_time_may_still_say_that_it_is_starting() -> None:
    it = health()
    it.add(REFUSED, START + 31.0)
    assert (it.state, it.failures) == ("unhealthy", 1)
    it.add(STARTING, START + 32.0)
    assert (it.state, it.failures) == ("starting", 0)


@pytest.mark.parametrize("before", [[], [UNAVAILABLE]])
def test_a_bot_that_last_said_that_it_is_starting_may_be_silent_as_long_as_one_that_never_answered(
    before: list[ProbeResult],
) -> None:
    silent = ProbeResult(Reason("no_answer"))
    it = health(first_answer=180.0)
    for result in before:
        it.add(result, START + 1.0)
    for answered_at in (5.0, 184.0):  # the load takes the whole processor, and lets it answer now and then
        it.add(STARTING, START + answered_at)
        for passed in (30.0, 60.0, 90.0, 120.0, 179.0):
            it.add(silent, START + answered_at + passed)
            assert (it.state, it.failures) == ("unhealthy", 0)
    it.add(silent, START + 184.0 + 180.0)
    it.add(silent, START + 184.0 + 210.0)
    assert it.failures == 2


def test_once_healthy_a_bot_is_not_starting_again() -> None:
    it = health()
    it.add(WELL, START + 31.0)
    it.add(STARTING, START + 32.0)
    assert (it.state, it.failures) == ("unhealthy", 1)


def test_once_healthy_the_interval_holds_and_failures_count_in_a_row() -> None:
    it = health()
    it.add(WELL, START + 1)
    assert (it.state, it.next_probe_in(START + 1)) == ("running", 30.0)
    it.add(UNAVAILABLE, START + 2)
    it.add(UNAVAILABLE, START + 3)
    assert (it.state, it.failures) == ("unhealthy", 2)
    it.add(WELL, START + 4)
    assert (it.state, it.failures, it.ok) == ("running", 0, True)


def test_a_failed_probe_breaks_the_healthy_spell() -> None:
    it = health()
    assert it.healthy_for(START + 5) == 0
    it.add(WELL, START + 10)
    it.add(WELL, START + 40)
    assert it.healthy_for(START + 70) == 60
    it.add(UNAVAILABLE, START + 70)
    assert it.healthy_for(START + 100) == 0
    it.add(WELL, START + 100)
    assert it.healthy_for(START + 110) == 10


def test_a_degraded_bot_is_healthy_and_breaks_no_spell() -> None:
    it = health()
    it.add(WELL, START + 10)
    it.add(ProbeResult(condition={"code": "exchange_away", "params": {}}), START + 40)
    assert (it.state, it.ok, it.failures) == ("running", True, 0)
    assert it.condition == {"code": "exchange_away", "params": {}}
    assert it.healthy_for(START + 70) == 60
    it.add(WELL, START + 70)
    assert it.condition is None


def test_one_answer_among_the_failures_tells_that_the_bot_runs() -> None:
    it = health()
    it.add(WELL, START + 1)
    it.add(REFUSED, START + 2)
    assert not it.has_refused
    it.add(UNAVAILABLE, START + 3)
    it.add(REFUSED, START + 4)
    assert (it.failures, it.has_refused) == (3, True)
    it.add(WELL, START + 5)
    assert not it.has_refused
