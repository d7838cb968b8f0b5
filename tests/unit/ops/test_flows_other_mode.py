"""A config whose mode was changed: what the run on paper earned is no real money, in no row and in no sum."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from manager.fleet import display, doing, leftovers
from manager.fleet.bot_report import KeptReport, Report, for_mode, parse_report
from manager.fleet.instance import Instance
from manager.fleet.supervisor_state import REPORT_FILE
from manager.monitor.history import sampling
from manager.monitor.stats import instance_stats
from manager.monitor.watch.bot_poller import BotPoller
from tests.builders import a_fleet, some_figures
from tests.fakes.sandbox import Sandbox

NOW = 1_764_530_000.0
PAPER: dict[str, Any] = {
    "contract": 2,
    "at": NOW - 60,
    "mode": "paper",
    "market": "synthetic",
    "pnl": "99.5",
    "realized": "99",
    "unrealized": "0.5",
    "fees": "1",
    "quote": "USDC",
    "position": "1.4",
    "base": "SOL",
    "open_orders": 7,
    "trades": 12,
    "maker_share": "1",
    "run_began": NOW - 6000,
    "final": True,
    "condition": {"code": "stopped_out", "params": {"by": "stop_loss"}},
}


def live_view(**kept: Any) -> Instance:
    """A live instance whose kept report is of an earlier run on paper."""
    view = some_figures(mode="live").view
    report = for_mode(parse_report(PAPER), view.mode)
    return view._replace(report=KeptReport(report, NOW - 60, **kept))


@pytest.mark.parametrize("is_up", [False, True])
def test_no_command_shows_the_profit_on_paper_for_a_live_bot(sandbox: Sandbox, is_up: bool) -> None:
    sandbox.transcript("up")
    reported_at = sandbox.clock.time()
    sandbox.clock.sleep(60)
    sandbox.transcript("down bp_sol_01")
    sandbox.config("bp_sol_01", 5002, mode="live")
    kept = {"run_ended": True, "open_orders_left": 7, "report": {**PAPER, "at": reported_at}}
    file = sandbox.folder / "volumes/state/bp_sol_01" / REPORT_FILE
    if is_up:
        sandbox.transcript("up")
        kept["previous_run"] = True
    file.write_text(json.dumps(kept))
    for command in ("ps", "list", "status bp_sol_01", "ps --json"):
        output = sandbox.transcript(command)
        for told in ("99", "1.4", "synthetic", "orders left", "the bot reports paper"):
            assert told not in output, command
    rows = {row["id"]: row for row in json.loads(sandbox.transcript("ps --json").partition("\n")[2])}
    assert (rows["bp_sol_01"]["mode"], rows["bp_sol_01"]["last_pnl"]) == ("live", None)
    assert rows["bp_sol_01"]["severity"] != "bad"


def test_it_is_in_no_live_sum() -> None:
    for kept in ({"has_ended": True}, {"is_previous": True, "has_ended": True}):
        row = instance_stats.with_best_report(live_view(**kept), None, None)
        assert (row.report.pnl, row.report.position, row.report.market) == (None, None, None)
        assert not row.has_mode_mismatch
        assert instance_stats.sum_up([row]).pnl == {}
    answer = parse_report(PAPER)
    row = instance_stats.with_best_report(some_figures(mode="live").view, None, answer)
    assert row.report.pnl is None
    assert row.has_mode_mismatch  # this one runs


def test_history_and_daily_report_do_not_have_it() -> None:
    sample = sampling.sample(live_view(has_ended=True)._replace(), None, NOW)
    assert (sample.pnl, sample.run, sample.kind) == (None, None, "live")
    answer = parse_report({key: value for key, value in PAPER.items() if key != "contract"})
    view = some_figures(mode="live").view
    assert sampling.sample(view, answer, NOW).pnl is None
    assert BotPoller()._progress(view, answer, a_fleet(), NOW, logs=False).pnl is None


def test_what_it_left_is_no_real_money() -> None:
    stopped = live_view(has_ended=True)
    stopped = stopped._replace(status=stopped.status._replace(state="completed"))
    assert not leftovers.has_left_money(stopped)
    assert doing.severity(stopped, NOW) != "bad"
    assert display.doing_object(stopped)["last_position"] is None


def test_what_a_live_run_has_left_is_told_when_it_trades_on_paper_now() -> None:
    live = parse_report({**PAPER, "mode": "live", "market": "live"})
    shown = for_mode(live, "paper")
    assert (shown.pnl, shown.realized, shown.position) == (None, None, Decimal("1.4"))


@pytest.mark.parametrize("mode", ["live", "paper", None])
@pytest.mark.parametrize("reported", ["live", "paper", None])
def test_a_report_of_the_same_mode_or_of_none_stays_as_it_is(mode: str | None, reported: str | None) -> None:
    report = Report(pnl=Decimal(1), mode=reported)
    assert (for_mode(report, mode) is report) == (None in (mode, reported) or mode == reported)
