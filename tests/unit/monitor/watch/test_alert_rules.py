"""What is wrong with a fleet, by what is seen of it: views in, sentences out."""

from __future__ import annotations

from typing import Any

import pytest

from manager import i18n
from manager.config.fleet import Alerts
from manager.engine import labels
from manager.errors import Problem
from manager.fleet import bot_report, status, supervisor_state
from manager.fleet.bot_report import KeptReport
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.i18n import Text
from manager.monitor.stats.senders import Group, Sender
from manager.monitor.watch import alert_cases, alert_rules, machine_rules
from manager.monitor.watch.alert_rules import Condition, Progress
from manager.monitor.watch.egress_keeper import EgressKeeper
from manager.monitor.watch.history import NO_HISTORY, History
from manager.monitor.watch.machine_rules import Disk
from manager.util.formatting import MB
from tests.builders import UPTIME, a_container, a_spec, a_supervisor_file

NOW = 1_764_500_100.0
RULES = Alerts()
SILENT = Progress()
EXIT = {
    "code": 1,
    "signal": None,
    "oom": False,
    "killed": False,
    "at": NOW - 5,
    "why": "exit code 1",
    "stderr_tail": ["", *[f"line {number}" for number in range(1, 8)]],
}
CANCELLED = {"state": "confirmed", "tries": 1}


def a_view(
    state: str | None = "running",
    engine: str | None = "running",
    *,
    remembered: InstanceState | None = None,
    configured: bool = True,
    **changes: Any,
) -> Instance:
    """A view as `survey` makes it.

    `state`: the supervisor's, None for one that has said nothing; `engine`: None for no container.
    """
    container = a_container("bp_sol_01", engine) if engine else None
    word = supervisor_state._decoded(a_supervisor_file(state, **changes)) if state else None
    derived = status.derive_status(container, word, configured=configured, uptime=UPTIME)
    spec = a_spec() if configured else None
    seen = remembered or InstanceState(registered_at="2025-11-30T19:00:00")
    return Instance("bp_sol_01", derived, (), spec, container, word, seen)


def conditions_of(
    view: Instance, history: History = NO_HISTORY, progress: Progress = SILENT
) -> list[Condition]:
    return alert_rules.of_instances({view.id: view}, history, {view.id: progress}, RULES, NOW)


def text(*args: Any) -> str:
    return "; ".join(f"{condition.kind}: {condition.text}" for condition in conditions_of(*args))


def restarted(*ago: float) -> History:
    """A history of restarts so many seconds ago."""
    history = NO_HISTORY.after([a_view()], NOW - 90_000)
    for number, seconds in enumerate(sorted(ago, reverse=True), 1):
        counts = {"in_a_row": 1, "total": number, "max": 3, "next_at": None}
        history = history.after([a_view(restarts=counts)], NOW - seconds)
    return history


def reported(view: Instance, code: str, **changes: Any) -> Instance:
    """The view of a bot that has said so as its last word."""
    condition = {"code": code, "params": changes.pop("params", {})}
    raw = {"contract": 2, "at": NOW, "final": True, "condition": condition, **changes}
    return view._replace(report=KeptReport(bot_report.parse_report(raw), NOW, has_ended=True))


def live(view: Instance) -> Instance:
    """The same one with real money."""
    return view._replace(container=a_container("bp_sol_01", labels={labels.MODE: "live"}))


def degraded(code: str, /, **params: Any) -> Instance:
    """The view of a bot that runs, and cannot trade."""
    condition = {"code": code, "params": params, "since": NOW - 60}
    return a_view(health={"ok": True, "detail": "200", "checked_at": NOW, "condition": condition})


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (a_view(), ""),
        (a_view("starting"), ""),
        (a_view("starting", why="waiting its turn", bot_pid=None), ""),
        (
            a_view("starting", why="503 loading the markets"),
            "unhealthy: bp_sol_01 has not become healthy yet: 503 loading the markets",
        ),
        (a_view("restarting", why="exit code 1", last_exit=EXIT), ""),
        (
            a_view("failed", why="exit code 1 (given up after 3 restarts in a row)", last_exit=EXIT),
            "failed: bp_sol_01 failed: exit code 1 (given up after 3 restarts in a row)",
        ),
        (
            a_view("completed", why="exit code 0 (no report)"),
            "completed: bp_sol_01 has ended by itself, for an unknown reason (exit code 0 (no report))",
        ),
        (
            reported(a_view("completed"), "finished", position="0", params={"by": "duration", "limit": "60"}),
            "completed: bp_sol_01 has finished as planned: its duration of 60 s is over; no position is left",
        ),
        (
            reported(
                a_view("completed"),
                "stopped_out",
                position="4.5",
                params={"by": "stop_loss", "limit": "50", "value": "-51"},
            ),
            "stopped_out: bp_sol_01 has stopped out: stop loss 50 reached: -51; position left: 4.5",
        ),
        (
            a_view(
                "failed",
                why="exit code 1",
                last_exit=EXIT,
                cancel={"state": "failing", "tries": 3, "why": "exit code 1"},
            ),
            "failed: bp_sol_01 failed: exit code 1; cancel: bp_sol_01: its orders are NOT cancelled yet:"
            " exit code 1 (try 3)",
        ),
        (
            degraded("exchange_away", cause="maintenance"),
            "exchange_away: bp_sol_01 cannot reach its exchange: the exchange is under maintenance, for 1m",
        ),
        (
            live(degraded("out_of_range", side="above", price="157", bound="156")),
            "out_of_range: bp_sol_01 is out of its range, where nothing fills: price 157 is above 156",
        ),
        (
            degraded("orders_refused", cause="insufficient_funds"),
            "orders_refused: bp_sol_01 cannot trade: the exchange refuses every order: the funds do not"
            " suffice, for 1m",
        ),
        (
            degraded("ledger_differs", account="2", ledger="1"),
            "ledger_differs: bp_sol_01 has stopped placing orders: the account holds 2, but its trades make"
            " 1",
        ),
        (
            degraded("ledger_differs", cause="unreadable", error="no size", closing="stop_loss"),
            "ledger_differs: bp_sol_01 has stopped placing orders: its stop loss is reached and ITS POSITION"
            " IS NOT CLOSED: what the account holds cannot be read: no size; stopped_out: bp_sol_01 stops"
            " out: its stop loss is reached and ITS POSITION IS NOT CLOSED: what the account holds cannot be"
            " read: no size",
        ),
        (
            a_view(
                "restarting",
                restarts={"in_a_row": 0, "total": 7, "max": 3, "next_at": None, "since_healthy": 6},
                last_exit=EXIT,
            ),
            "restart_loop: bp_sol_01 does not become healthy: 6 restarts since it last was: exit code 1:"
            " line 7",
        ),
        (a_view("unhealthy", why="no HTTP answer"), "unhealthy: bp_sol_01 is unhealthy: no HTTP answer"),
        (
            a_view("running", updated_uptime=UPTIME - 500),
            "unhealthy: bp_sol_01 is unhealthy: its supervisor has not reported for 500 s",
        ),
        (
            a_view("running", "paused"),
            "unhealthy: bp_sol_01 is unhealthy: paused: its processes are suspended",
        ),
        (
            a_view("stopped", "exited"),
            "down: bp_sol_01 was stopped, but not by the manager: container exit code 137",
        ),
        (
            a_view("stopped", "created"),  # a start that failed, as at a port in use: nobody stopped it
            "down: bp_sol_01 does not run: created but never started",
        ),
        (a_view("stopped", "exited", remembered=InstanceState("stopped")), ""),
        (a_view("stopped", "exited", remembered=InstanceState(halted="ran")), ""),
        (a_view(None, None), "down: bp_sol_01 has no container any more"),
        (a_view(None, None, remembered=InstanceState("stopped")), ""),
        (a_view(None, None, remembered=InstanceState()), ""),  # a config that nobody has started yet
        (
            a_view("running", last_exit={**EXIT, "oom": True}),
            "oom: bp_sol_01 was killed: it exceeded its memory limit (2048 MiB)",
        ),
        (a_view("running", last_exit={**EXIT, "oom": True, "at": NOW - 3700}), ""),
        (a_view("running", last_exit={**EXIT, "oom": True, "at": NOW + 3700}), ""),  # the clock was set back
        (
            a_view(logs_over_limit={"stdout": 7, "stderr": 0}),
            "logs: bp_sol_01: its log files of today have reached their limit; further lines are dropped and"
            " counted",
        ),
        (a_view(logs_over_limit={"stdout": 0, "stderr": 0}), ""),
        (
            a_view("failed", configured=False, why="exit code 1"),
            "failed: bp_sol_01 failed: exit code 1",
        ),
    ],
)
def test_each_state_and_what_is_wrong_with_it(view: Instance, expected: str) -> None:
    assert text(view) == expected


def test_a_failure_comes_with_the_bots_last_lines() -> None:
    (fault,) = conditions_of(a_view("failed", why="exit code 1", last_exit=EXIT))
    assert fault.details == ("line 3", "line 4", "line 5", "line 6", "line 7")


def test_the_position_of_a_live_bot_that_has_ended_without_a_word_is_said() -> None:
    raw = {"contract": 2, "at": NOW, "position": "0.4", "base": "SOL"}
    view = live(a_view("completed", why="exit code 0 (no report)"))
    view = view._replace(report=KeptReport(bot_report.parse_report(raw), NOW, has_ended=True))
    (condition,) = conditions_of(view)
    assert str(condition.text).startswith(
        "bp_sol_01 has ended by itself, for an unknown reason (exit code 0 (no report));"
        " last known position: 0.4 SOL; it did not report its orders"
    )
    assert condition.left == "0.4"


@pytest.mark.parametrize(
    ("left", "mode", "expected"),
    [
        (0, "live", ""),
        (2, "live", "; it reported 2 open orders left: check backpack, SOL_USDC_PERP"),
        (None, "live", "; it did not report its orders: check backpack, SOL_USDC_PERP"),
        (None, "paper", ""),
    ],
)
def test_what_a_live_bot_may_have_left_in_the_market_is_said_with_its_end(
    left: int | None, mode: str, expected: str
) -> None:
    own = {labels.MODE: mode, labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    for view, what in (
        (a_view("failed", why="SIGKILL"), "bp_sol_01 failed: SIGKILL"),
        (a_view("completed"), "bp_sol_01 has ended by itself, for an unknown reason (completed)"),
        (
            a_view("stopped", "exited"),
            "bp_sol_01 was stopped, but not by the manager: container exit code 137",
        ),
        (a_view("unhealthy", why="no HTTP answer"), "bp_sol_01 is unhealthy: no HTTP answer"),
    ):
        state = view.container.engine_state if view.container else ""
        seen = view._replace(container=a_container("bp_sol_01", state, labels=own))
        (fault,) = alert_rules.of_instances({seen.id: seen}, NO_HISTORY, {}, RULES, NOW, {seen.id: left})
        assert str(fault.text) == what + (expected if fault.kind != "unhealthy" else "")


def test_what_creates_a_removed_container_is_said() -> None:
    (condition,) = conditions_of(a_view(None, None))
    assert str(condition.text) == "bp_sol_01 has no container any more"
    assert condition.details == ("no container; `manager up bp_sol_01` creates it",)


def test_how_a_paused_bot_is_resumed_is_said() -> None:
    (condition,) = conditions_of(a_view("running", "paused"))
    assert condition.details == ("`docker unpause desk-bp_sol_01` resumes it",)
    (condition,) = conditions_of(a_view("unhealthy", why="no HTTP answer"))
    assert condition.details == ()


def test_the_position_of_a_live_bot_that_was_killed_or_removed_is_said() -> None:
    raw = {"contract": 2, "at": NOW, "position": "-0.3", "base": "SOL"}
    view = live(a_view("stopped", why="container exit code 137"))
    view = view._replace(report=KeptReport(bot_report.parse_report(raw), NOW))
    (condition,) = conditions_of(view)
    assert str(condition.text).startswith(
        "bp_sol_01 was stopped, but not by the manager: container exit code 137;"
        " last known position: -0.3 SOL; it did not report its orders"
    )


@pytest.mark.parametrize(
    ("position", "cancel", "expected"),
    [
        (
            "0.4",
            None,
            "last known position: 0.4 SOL; it did not report its orders: check backpack, SOL_USDC_PERP",
        ),
        ("0", None, "it did not report its orders: check backpack, SOL_USDC_PERP"),
        ("0.4", CANCELLED, "position left: 0.4 SOL; its orders are cancelled"),
        ("0", CANCELLED, "no position is left; its orders are cancelled"),
    ],
)
def test_a_failed_bot_comes_with_its_position_once_it_is_one_or_its_orders_are_cancelled(
    position: str, cancel: dict[str, Any] | None, expected: str
) -> None:
    raw = {"contract": 2, "at": NOW, "position": position, "base": "SOL"}
    view = live(a_view("failed", why="exit code 1", cancel=cancel))
    view = view._replace(report=KeptReport(bot_report.parse_report(raw), NOW, has_ended=True))
    (condition,) = conditions_of(view)
    assert str(condition.text) == f"bp_sol_01 failed: exit code 1; {expected}"


def test_the_last_lines_are_those_that_say_something() -> None:
    tail = [*(f"line {number}" for number in range(1, 6)), "", "  ", ""]
    (condition,) = conditions_of(a_view("failed", why="exit code 1", last_exit={**EXIT, "stderr_tail": tail}))
    assert condition.details == ("line 1", "line 2", "line 3", "line 4", "line 5")


def test_a_live_bot_that_stopped_out_with_orders_left_says_so() -> None:
    view = reported(a_view("completed"), "stopped_out", position="0", params={"by": "lower_bound"})
    own = {labels.MODE: "live", labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    view = view._replace(container=a_container("bp_sol_01", labels=own))
    (condition,) = alert_rules.of_instances({view.id: view}, NO_HISTORY, {}, RULES, NOW, {view.id: 2})
    assert condition.kind == "stopped_out"
    assert str(condition.text).endswith("it reported 2 open orders left: check backpack, SOL_USDC_PERP")


@pytest.mark.parametrize(
    ("state", "tries", "expected"), [("running", 2, False), ("running", 3, True), ("confirmed", 3, False)]
)
def test_a_further_try_is_no_end_of_that_condition(state: str, tries: int, expected: bool) -> None:
    """Otherwise each try that fails would be told as if it were new."""
    view = a_view("failed", why="exit code 1", cancel={"state": state, "tries": tries, "why": "SIGKILL"})
    assert ("cancel" in [condition.kind for condition in conditions_of(view)]) is expected


@pytest.mark.parametrize(("tries", "expected"), [(1, ["failed"]), (2, ["failed", "cancel"])])
def test_orders_that_two_tries_have_not_cancelled_are_a_condition(tries: int, expected: list[str]) -> None:
    view = a_view("failed", why="exit code 1", cancel={"state": "failing", "tries": tries, "why": "SIGKILL"})
    assert [condition.kind for condition in conditions_of(view)] == expected


def test_rules_that_are_off_make_no_condition() -> None:
    endless = {"in_a_row": 0, "total": 7, "max": 3, "next_at": None, "since_healthy": 6}
    for view, rules in (
        (a_view("restarting", restarts=endless, last_exit=EXIT), RULES._replace(endless_restarts=0)),
        (degraded("exchange_away", cause="maintenance"), RULES._replace(exchange_away_after=0)),
        (live(degraded("out_of_range", side="above")), RULES._replace(out_of_range_after=0)),
    ):
        assert conditions_of(view)
        assert alert_rules.of_instances({view.id: view}, NO_HISTORY, {}, rules, NOW) == []


def test_who_waits_out_of_its_range_for_real_money_is_told_after_a_while() -> None:
    (condition,) = conditions_of(live(degraded("out_of_range", side="below")))
    assert (condition.kind, condition.after) == ("out_of_range", RULES.out_of_range_after)
    assert conditions_of(degraded("out_of_range", side="below")) == [], "paper"


def test_what_is_stopped_missing_or_not_seen_any_more_is_away() -> None:
    views = {"up": a_view(), "stopped": a_view("stopped", "exited"), "missing": a_view(None, None)}
    assert alert_rules.away(views, [*views, "forgotten"]) == {"stopped", "missing", "forgotten"}


def test_restarts_within_the_window_are_a_crash_loop() -> None:
    counts = {"in_a_row": 2, "total": 2, "max": 3, "next_at": None}
    view = a_view("restarting", why="exit code 1", last_exit=EXIT, restarts=counts)
    assert text(view, restarted(10)) == ""
    assert text(view, restarted(10, 1000)) == ""
    expected = "restarting: bp_sol_01 keeps crashing: 2 restarts within 15 min: exit code 1: line 7"
    assert text(view, restarted(10, 800)) == expected


def test_what_somebody_has_started_again_does_not_keep_crashing() -> None:
    assert text(a_view("starting"), restarted(10, 20, 800)) == ""
    unheard = a_view("starting")._replace(supervisor=None)  # its state was cleared, and is not written yet
    assert text(unheard, restarted(10, 20, 800)) == ""


def test_restarts_from_before_the_first_look_are_not_counted() -> None:
    view = a_view(restarts={"in_a_row": 3, "total": 40, "max": 100, "next_at": None})
    assert NO_HISTORY.after([view], NOW).restarts_within("bp_sol_01", 86400, NOW) == 0


def test_a_start_by_a_person_begins_the_count_anew() -> None:
    fresh = a_view(restarts={"in_a_row": 1, "total": 1, "max": 3, "next_at": None})
    assert restarted(10, 800).after([fresh], NOW).restarts_within("bp_sol_01", 86400, NOW) == 3


def test_what_the_manager_took_down_is_not_missing() -> None:
    born = float(a_container("bp_sol_01").created)
    history = NO_HISTORY.after([a_view()], NOW)
    down = InstanceState(registered_at="2025-11-30T19:00:00", taken_down_at=born + 60)
    assert text(a_view(None, None, remembered=down), history) == ""
    long_ago = down._replace(taken_down_at=born - 60)
    missing = "down: bp_sol_01 has no container any more"
    assert text(a_view(None, None, remembered=long_ago), history) == missing


@pytest.mark.parametrize(
    ("progress", "rules", "expected"),
    [
        (Progress(tick_age=299), RULES, ""),
        (
            Progress(tick_age=301),
            RULES,
            "bp_sol_01 is healthy, but has stopped trading: its loop has not run for 5m",
        ),
        (Progress(tick_age=301, is_paused=True), RULES, ""),
        (Progress(trade_age=90_000, log_age=90_000), RULES, ""),
        (
            Progress(trade_age=90_000),
            RULES._replace(no_trade_after=86400),
            "bp_sol_01 is healthy, but has stopped trading: no trade for 25h00m",
        ),
        (
            Progress(log_age=700),
            RULES._replace(no_log_after=600),
            "bp_sol_01 is healthy, but has stopped trading: it has logged nothing for 11m",
        ),
    ],
)
def test_a_healthy_bot_that_does_not_trade(progress: Progress, rules: Alerts, expected: str) -> None:
    view = a_view()
    conditions = alert_rules.of_instances({view.id: view}, NO_HISTORY, {view.id: progress}, rules, NOW)
    assert "; ".join(str(condition.text) for condition in conditions) == expected


def test_a_disk_that_runs_full_and_recovers_only_well_above_the_limit() -> None:
    def kinds(free_mb: int, inodes_free: int, *, is_low: bool = False) -> list[str]:
        disk = Disk("/srv", free_mb * MB, 100_000 * MB, inodes_free, 100)
        return [condition.kind for condition in machine_rules.of_disk(disk, RULES, is_low=is_low)]

    assert kinds(2049, 5) == []
    assert kinds(2047, 4) == ["disk", "inodes"]
    assert kinds(2049, 50, is_low=True) == ["disk"]
    assert kinds(3000, 50, is_low=True) == []
    without_inodes = Disk("/srv", 5000 * MB, 100_000 * MB, 0, 0)
    assert machine_rules.of_disk(without_inodes, RULES, is_low=False) == []
    assert machine_rules.of_disk(None, RULES, is_low=False) == [], "there is no data folder yet"
    full = Disk("/srv", 0, 100_000 * MB, 0, 100)
    off = RULES._replace(disk_free_mb=0, inodes_free_percent=0)
    assert [condition.kind for condition in machine_rules.of_disk(full, RULES, is_low=True)] == [
        "disk",
        "inodes",
    ]
    assert machine_rules.of_disk(full, off, is_low=True) == [], "0 turns a rule off"


def test_a_config_that_cannot_be_loaded_is_told_while_its_bot_runs() -> None:
    own, other, shared = (
        Problem.at(file, "", "is not JSON")
        for file in ("config/active/bp_sol_01.json", "config/active/new.json", ".env")
    )
    running, ended = a_view(), a_view("completed", bot_pid=None)

    def told(problems: list[Problem], view: Instance, fault: str = "") -> str:
        blocking = [problem for problem in problems if problem is shared]
        conditions = machine_rules.of_configs(problems, blocking, fault, [view], RULES)
        assert all(condition.after == RULES.unhealthy_after for condition in conditions)
        return "; ".join(str(condition.text) for condition in conditions)

    goes_on = (
        "what runs goes on as it was started, but the manager cannot start it again until this is mended:"
        " bp_sol_01"
    )
    assert told([other, own], running) == f"config/active/bp_sol_01.json: is not JSON; {goes_on}"
    assert told([shared], running) == f".env: is not JSON; {goes_on}"
    assert told([other], running) == "", "nothing runs with it; whoever starts it is told"
    assert told([own, shared], ended) == ""
    conflict = Problem.at("config/active/new.json", "", "collides", other="config/active/bp_sol_01.json")
    assert told([conflict], running) == f"config/active/new.json: collides; {goes_on}"
    assert told([], running, "config/fleet.toml: is not TOML\nat all") == (
        "config/fleet.toml: is not TOML at all; `manager watch` goes on with the settings from before,"
        " and nothing can be started"
    )


def test_an_outage_is_told_after_a_while_and_is_no_stop_of_trading() -> None:
    (fault,) = conditions_of(
        degraded("exchange_away", cause="unreachable"), NO_HISTORY, Progress(tick_age=1e6)
    )
    assert (fault.kind, fault.after) == ("exchange_away", RULES.exchange_away_after)
    assert alert_rules.well([degraded("exchange_away"), degraded("ledger_differs")]) == frozenset()
    assert alert_rules.well([a_view()]) == {"bp_sol_01"}
    assert alert_rules.well([degraded("out_of_range")]) == {"bp_sol_01"}, "it works, and the market is away"
    assert alert_rules.well([a_view("starting"), a_view("failed", why="x")]) == frozenset()


def test_a_bot_that_is_stopping_out_has_not_left_its_orders_yet() -> None:
    live = a_container("bp_sol_01", labels={labels.MODE: "live"})
    (fault,) = conditions_of(
        degraded("stopped_out", by="stop_loss", limit="50", value="-51")._replace(container=live)
    )
    assert str(fault.text).startswith("bp_sol_01 stops out: ")
    assert "orders" not in str(fault.text)


def test_an_unhealthy_bot_may_restart_without_end_too() -> None:
    endless = {"in_a_row": 0, "total": 7, "max": 3, "next_at": None, "since_healthy": 6}
    view = a_view("unhealthy", why="no HTTP answer", restarts=endless, last_exit=EXIT)
    assert [condition.kind for condition in conditions_of(view)] == ["unhealthy", "restart_loop"]


def test_a_failed_live_bots_orders_are_known_to_be_cancelled() -> None:
    view = a_view(
        "failed", why="exit code 1", cancel={"state": "confirmed", "open_orders_left": 0, "tries": 1}
    )
    container = a_container("bp_sol_01", labels={labels.MODE: "live"})
    (fault,) = conditions_of(view._replace(container=container))
    assert str(fault.text) == "bp_sol_01 failed: exit code 1; its orders are cancelled"
    held = reported(view, "trading", position="-0.3", base="SOL")._replace(container=container)
    (fault,) = conditions_of(held)
    assert str(fault.text) == (
        "bp_sol_01 failed: exit code 1; position left: -0.3 SOL; its orders are cancelled"
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("confirmed", "; its orders are cancelled"),
        ("running", "; its orders are being cancelled"),
        ("failing", ""),  # its last word was that none is left
    ],
)
def test_that_its_orders_are_cancelled_is_said_although_its_report_has_it_by_then(
    state: str, expected: str
) -> None:
    """What the program has confirmed is in the report's copy before the end of its run is told."""
    view = live(a_view("failed", why="SIGKILL", cancel={**CANCELLED, "state": state}))
    (fault,) = alert_rules.of_instances({view.id: view}, NO_HISTORY, {}, RULES, NOW, {view.id: 0})
    assert str(fault.text) == f"bp_sol_01 failed: SIGKILL{expected}"


ENDED = {**EXIT, "at": NOW - 500}
STATUS_503 = {"code": "http_status", "params": {"status": 503, "detail": ""}}
NO_ANSWER = {"code": "no_answer", "params": {"seconds": 5}}
KILLED = {**EXIT, "code": None, "signal": "SIGKILL"}
ENDLESS = {"in_a_row": 0, "total": 7, "max": 3, "next_at": None, "since_healthy": 6}
STOP_LOSS = {"by": "stop_loss", "limit": "50", "value": "-51"}
DIFFERS = {"ledger": "0", "account": "2"}
UNREADABLE = {**DIFFERS, "account": "?", "cause": "unreadable", "error": "x"}


def cancelling(name: str, **params: Any) -> Instance:
    cancel = {"state": "failing", "tries": 3, "why": name, "reason": {"code": name, "params": params}}
    return a_view("failed", why="x", last_exit=EXIT, cancel=cancel)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (degraded("ledger_differs", **DIFFERS), degraded("ledger_differs", **UNREADABLE)),
        (degraded("exchange_away", cause="unreachable"), degraded("exchange_away", cause="banned")),
        (
            degraded("orders_refused", cause="insufficient_funds"),
            degraded("orders_refused", cause="unauthorized"),
        ),
        (
            degraded("orders_refused", cause="other", error="x (A)", code="A"),
            degraded("orders_refused", cause="other", error="y (B)", code="B"),
        ),
        (
            a_view("running", last_exit={**EXIT, "oom": True, "at": NOW - 3000}),
            a_view("running", last_exit={**EXIT, "oom": True, "at": NOW + 650}),
        ),
        (
            live(degraded("out_of_range", side="above", price="1", bound="1")),
            live(degraded("out_of_range", side="below", price="1", bound="1")),
        ),
        (
            degraded("orders_refused", cause="other", error="x", closing="stop_loss"),
            degraded("stopped_out", **STOP_LOSS),
        ),
        (
            degraded("stopped_out", **STOP_LOSS),
            reported(a_view("completed", last_exit=EXIT), "stopped_out", position="1", params=STOP_LOSS),
        ),
        (
            reported(a_view("completed", last_exit=ENDED), "stopped_out", position="1", params=STOP_LOSS),
            reported(a_view("completed", last_exit=EXIT), "stopped_out", position="1", params=STOP_LOSS),
        ),
        (a_view("failed", why="x", last_exit=ENDED), a_view("failed", why="x", last_exit=EXIT)),
        (a_view("completed", why="x", last_exit=ENDED), a_view("completed", why="x", last_exit=EXIT)),
        (
            a_view("unhealthy", why="503", reason=STATUS_503),
            a_view("unhealthy", why="no answer", reason=NO_ANSWER),
        ),
        (
            a_view("unhealthy", why="x", restarts=ENDLESS, last_exit=EXIT),
            a_view("unhealthy", why="x", restarts=ENDLESS, last_exit=KILLED),
        ),
        (cancelling("exit_code", code=1), cancelling("orders_left", count=2)),
        (a_view(None, "exited"), a_view(None, None)),
        (a_view(None, None), a_view(None, None, configured=False)),
    ],
)
def test_what_a_condition_turns_into_is_another_case(before: Instance, after: Instance) -> None:
    """What was said of the first is not what is the case then, so that it is said."""
    cases = [{fault.kind: fault.case for fault in conditions_of(view)} for view in (before, after, after)]
    kinds = cases[0].keys() & cases[1].keys()
    changed = [(cases[0][kind], cases[1][kind]) for kind in kinds if cases[0][kind] != cases[1][kind]]
    assert changed
    assert all(None not in pair for pair in changed)
    assert cases[1] == cases[2], "and only once"


def test_a_bot_that_reports_no_more_has_not_recovered() -> None:
    trading = reported(a_view(), "trading", final=False)
    silent = trading._replace(
        report=trading.report and trading.report._replace(at=NOW - 1e6, has_ended=False)
    )
    assert alert_rules.well([silent]) == frozenset()
    assert alert_rules.well([a_view()]) == {"bp_sol_01"}, "one of contract 1 never reports"


def test_what_keeps_the_engine_or_the_firewall_from_work_is_another_case_each() -> None:
    """An engine that is gone may hang when it is back, and a firewall's rules may fail for another reason."""
    why = ("Connection refused", "no answer within 20 s", "no answer within 5 s", "500: database 0xc0ffee12")
    cases = [machine_rules.of_engine(reason, RULES).case for reason in why]
    assert cases[1] == cases[2], "what varies is no other case"
    assert len({*cases}) == 3
    keeper, firewall_cases = EgressKeeper(), list[str | None]()
    for text in (
        Text("{program} is not installed", program="iptables"),
        Text("{program}: {why}", program="iptables", why="line 7 failed"),
        Text("{program}: {why}", program="iptables", why="line 8 failed"),
    ):
        keeper._why = text
        firewall_cases += [condition.case for condition in keeper.conditions()]
    assert None not in firewall_cases
    assert firewall_cases[0] != firewall_cases[1] == firewall_cases[2]


def test_the_same_cause_is_the_same_case_in_each_language(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Text("{program} is not installed", program="iptables")
    before = alert_cases.of_text(text)
    monkeypatch.setattr(i18n, "_language", "zh_TW")
    assert alert_cases.of_text(text) == before


def test_a_disk_that_is_full_is_another_case_than_one_that_fills_up() -> None:
    cases = [
        [condition.case for condition in machine_rules.of_disk(disk, RULES, is_low=True)]
        for disk in (
            Disk("/srv", 500 * MB, 100_000 * MB, 2, 100),
            Disk("/srv", 1 * MB, 100_000 * MB, 0, 100),
        )
    ]
    assert cases == [["low", "low"], ["full", "full"]]


def test_who_sends_most_from_a_refused_address_is_named() -> None:
    refused = Condition("a", "exchange_away", Text("a cannot reach its exchange"), case="rate_limited")
    assert alert_rules.with_senders(refused, None) == refused
    group = Group("x", (Sender("b", "x", 900, 90_000), Sender("a", "x", 20, 2000)), 300)
    named = alert_rules.with_senders(refused, group)
    assert str(named.text) == (
        "a cannot reach its exchange; probably because of b, which sends 98 % of all from this address (900"
        " packets a minute)"
    )
    assert named.details == (
        "sent from this address within 5m:",
        "b (x): 900 packets a minute, 90 kB",
        "a (x): 20 packets a minute, 2 kB",
    )
    assert (named.subject, named.kind, named.case) == ("a", "exchange_away", "rate_limited b")


def test_a_bot_that_is_unhealthy_for_a_moment_is_no_alert() -> None:
    (condition,) = conditions_of(a_view("unhealthy"))
    assert (condition.kind, condition.after) == ("unhealthy", RULES.unhealthy_after)


def test_what_a_bot_on_paper_has_left_is_not_followed() -> None:
    """Nothing is open at its exchange, so that a later look would find it gone."""
    (condition,) = conditions_of(reported(a_view("completed"), "stopped_out"))
    assert condition.left is None
    (condition,) = conditions_of(live(reported(a_view("completed"), "stopped_out")))
    assert condition.left == alert_rules.UNKNOWN
