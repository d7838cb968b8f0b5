from typing import Any

import pytest

from supervisor.policy import (
    Ending,
    crash_reason,
    decide,
    describe,
    ending_reason,
    healthy_spell,
    is_free,
    restart_delay,
)
from supervisor.reasons import Reason
from supervisor.settings import Settings
from supervisor.timings import Timings


def settings(**changes: Any) -> Settings:
    it = Settings()
    for name, value in changes.items():
        setattr(it, name, value)
    return it


def code(number: int, ran_s: float = 10.0) -> Ending:
    return Ending(number, None, ran_s=ran_s)


KILLED = Ending(None, "SIGKILL")
OOM = Ending(None, "SIGKILL", oom=True)
UNHEALTHY = Ending(
    0, None, cause=Reason("unhealthy", count=5, cause=Reason("http_status", status=503, detail=""))
)
NEVER_BEGAN = Ending(None, None, cause=Reason("cannot_start", error="No such file", path="/x"))


@pytest.mark.parametrize(
    ("ending", "unanswered", "expected"),
    [
        (code(1), 0, True),
        (code(1), 4, True),
        (code(1), 5, False),
        (UNHEALTHY, 4, True),
        (UNHEALTHY, 5, False),
        (KILLED, 0, False),
        (OOM, 0, False),
        (NEVER_BEGAN, 0, False),
    ],
)
def test_what_an_outage_may_have_caused(ending: Ending, unanswered: int, expected: bool) -> None:
    assert is_free(ending, unanswered, 5) is expected


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (code(1), "exit code 1"),
        (KILLED, "SIGKILL"),
        (OOM, "SIGKILL (out of memory)"),
        (UNHEALTHY, "unhealthy: 5 probes failed (503)"),
        (NEVER_BEGAN, "cannot start the bot: No such file (/x)"),
    ],
)
def test_the_end_in_words(ending: Ending, text: str) -> None:
    assert describe(ending) == text


@pytest.mark.parametrize(
    ("changes", "ending", "crash"),
    [
        ({}, code(0), None),
        ({}, code(1), "exit code 1"),
        ({}, KILLED, "SIGKILL"),
        ({}, UNHEALTHY, "unhealthy: 5 probes failed (503)"),
        ({}, NEVER_BEGAN, "cannot start the bot: No such file (/x)"),
        ({"crash_exit_codes": frozenset({1})}, code(1), "exit code 1"),
        ({"crash_exit_codes": frozenset({1})}, code(2), None),
        ({"crash_exit_codes": frozenset({0})}, code(0), "exit code 0"),
        ({"crash_exit_codes": frozenset({1})}, KILLED, "SIGKILL"),
        ({"completion": "never"}, code(0), "exit code 0, but this bot is meant never to end"),
        ({"completion": "never"}, code(1), "exit code 1"),
        ({"completion": "duration", "duration": 60.0}, code(0, 60.0), None),
        (
            {"completion": "duration", "duration": 60.0},
            code(0, 12.0),
            "exit code 0 after 12 s, before its duration of 60 s",
        ),
        ({"completion": "duration", "duration": 60.0}, code(1, 61.0), "exit code 1"),
        (
            {"completion": "duration"},
            code(0, 1e9),
            "exit code 0, but this bot has no duration after which it may end",
        ),
    ],
)
def test_what_is_a_crash(changes: dict[str, object], ending: Ending, crash: str | None) -> None:
    reason = crash_reason(settings(**changes), ending)
    assert (None if reason is None else str(reason)) == crash


@pytest.mark.parametrize(
    ("changes", "in_a_row", "decision"),
    [
        ({}, 0, ("restart", "exit code 1")),
        ({}, 2, ("restart", "exit code 1")),
        ({}, 3, ("failed", "exit code 1 (given up after 3 restarts in a row)")),
        ({"max_restarts": 1}, 1, ("failed", "exit code 1 (given up after 1 restart in a row)")),
        ({"max_restarts": 0}, 0, ("failed", "exit code 1 (given up after 0 restarts in a row)")),
        ({"auto_restart": False}, 0, ("failed", "exit code 1 (auto_restart is off)")),
    ],
)
def test_what_follows_from_a_crash(
    changes: dict[str, object], in_a_row: int, decision: tuple[str, str]
) -> None:
    action, reason = decide(settings(**changes), code(1), in_a_row)
    assert (action, str(reason)) == decision


def test_what_follows_from_a_good_end() -> None:
    for changes, in_a_row in (({}, 3), ({"auto_restart": False}, 0)):
        action, reason = decide(settings(**changes), code(0), in_a_row)
        assert (action, str(reason)) == ("completed", "exit code 0")


def test_codes_are_nested_as_the_sentences_are() -> None:
    _, reason = decide(settings(completion="never", max_restarts=2), code(0), 2)
    assert reason.as_json() == {
        "code": "restarts_exhausted",
        "params": {
            "cause": {
                "code": "never_completes",
                "params": {"cause": {"code": "exit_code", "params": {"code": 0}}},
            },
            "count": 2,
        },
    }
    assert ending_reason(OOM).as_json() == {"code": "out_of_memory", "params": {"signal": "SIGKILL"}}


@pytest.mark.parametrize(("delay", "spell"), [(0, 60), (12, 60), (60, 300), (3600, 18000)])
def test_the_healthy_spell(delay: float, spell: float) -> None:
    assert healthy_spell(delay, 60) == spell


def test_a_bot_that_said_that_it_cannot_work_is_restarted_without_end() -> None:
    assert decide(settings(), UNHEALTHY, 1000, spends_budget=False)[0] == "restart"
    assert decide(settings(max_restarts=0), code(1), 0, spends_budget=False)[0] == "restart"
    assert decide(settings(auto_restart=False), code(1), 0, spends_budget=False)[0] == "failed"
    assert decide(settings(), code(0), 0, spends_budget=False)[0] == "completed"


def test_the_delay_doubles_up_to_its_limit() -> None:
    for count in range(1, 100):
        plain = min(60 * 2 ** (count - 1), 900)
        assert plain <= restart_delay(60, count, 900, "bp_sol_01") < 1.5 * plain
    assert 3600 <= restart_delay(3600, 9, 900, "x") < 5400, "a longer first delay is kept"
    assert restart_delay(0, 5, 900, "x") == 0


@pytest.mark.parametrize("delay", [0, 0.2, 60])
def test_the_free_restarts_of_an_outage_outlast_a_day_with_any_delay(delay: float) -> None:
    timings = Timings()
    pauses = [
        restart_delay(delay, count, timings.restart_delay_max, "x", timings.outage_delay_min)
        for count in range(1, round(timings.outage_restarts) + 1)
    ]
    assert pauses[0] >= max(delay, 1)
    assert sum(pauses) > 86400


@pytest.mark.parametrize("count", [1, 2, 5])
def test_bots_that_fell_together_come_back_apart(count: int) -> None:
    for names in (
        [f"bp_sol_{number:02}" for number in range(1, 6)],
        ["bp_sol_01", "bp_eth_02", "aster_btc_01", "lighter_sol_01", "a"],
        ["a", "b", "c", "d", "e"],
    ):
        delays = sorted(restart_delay(60, count, 900, name) for name in names)
        assert delays[-1] - delays[0] > 5, delays
        assert restart_delay(60, count, 900, names[0]) in delays, "always the same for one instance"


def test_the_spread_of_many_is_even() -> None:
    delays = [restart_delay(60, 1, 900, f"bot_{number:03}") for number in range(300)]
    for tenth in range(10):
        share = sum(60 + 3 * tenth <= delay < 63 + 3 * tenth for delay in delays)
        assert 10 <= share <= 60, (tenth, share)
