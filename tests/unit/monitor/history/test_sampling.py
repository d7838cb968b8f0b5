"""Which samples are kept: at once, and with age."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from manager import i18n
from manager.fleet import bot_report, status, supervisor_state
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.exits import Exit
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.i18n import Text
from manager.monitor.history import curve, sampling, summary
from manager.monitor.history.model import Sample, Span
from tests.builders import UPTIME, a_container, a_spec, a_supervisor_file

NOW = datetime(2026, 3, 20, 18, 0).timestamp()
WATCHED = (Span(1.0, NOW),)
REPORT = Report(
    pnl=Decimal("1.5"),
    quote="USDC",
    position=Decimal(2),
    base="SOL",
    contract=2,
    market="synthetic",
    run_began=NOW - 500,
)


def a_view(state: str = "running", kept: KeptReport | None = None, **changes: Any) -> Instance:
    container = a_container("bp_sol_01", "running")
    word = supervisor_state._decoded(a_supervisor_file(state, **changes))
    verdict = status.derive_status(container, word, configured=True, uptime=UPTIME)
    return Instance("bp_sol_01", verdict, (), a_spec(), container, word, InstanceState(), report=kept)


def test_a_sample_has_what_the_bot_reports_and_says_whose_prices_they_are() -> None:
    sample = sampling.sample(a_view(kept=KeptReport(REPORT, NOW)), None, NOW)
    assert (sample.state, sample.kind, sample.pnl, sample.position) == (
        "running",
        "synthetic",
        Decimal("1.5"),
        Decimal(2),
    )
    assert (sample.run, sample.start) == (NOW - 500, 1_764_500_001.0)


def test_the_report_of_an_earlier_run_is_not_the_starting_ones() -> None:
    kept = KeptReport(REPORT, NOW - 900, has_ended=True, is_previous=True)
    assert sampling.sample(a_view("starting", kept), None, NOW).pnl is None
    assert sampling.sample(a_view("stopped", kept), None, NOW).pnl == Decimal("1.5")


def test_a_bot_of_contract_1_is_sampled_by_what_its_page_says() -> None:
    answer = Report(pnl=Decimal(3), quote="USDC")
    assert sampling.sample(a_view(), answer, NOW).pnl == Decimal(3)
    assert sampling.sample(a_view(kept=KeptReport(REPORT, NOW)), answer, NOW).pnl == Decimal("1.5")


def test_a_change_is_kept_at_once_and_what_goes_on_once_a_minute() -> None:
    first = Sample(NOW, "running", "trading")
    assert sampling.is_due(None, first)
    assert not sampling.is_due(first, first._replace(at=NOW + 59))
    assert sampling.is_due(first, first._replace(at=NOW + 60))
    assert sampling.is_due(first, first._replace(at=NOW + 1, doing="paused"))
    still = Sample(NOW, "stopped")
    assert not sampling.is_due(still, still._replace(at=NOW + 3600))
    assert sampling.is_due(still, still._replace(at=NOW + 86400))


def test_an_exit_is_an_event_once() -> None:
    last: dict[str, Any] = {
        "code": 1,
        "signal": None,
        "oom": False,
        "killed": False,
        "at": NOW - 5,
        "why": "exit code 1",
        "stderr_tail": [],
        "reason": {"code": "exit_code", "params": {"code": 1}},
    }
    view = a_view("restarting", last_exit=last)
    now = sampling.sample(view, None, NOW)
    exits = sampling.exit_events(view.id, sampling.exits(view.supervisor, ()))
    assert [(run_end.at, run_end.text, run_end.reason) for run_end in exits] == [
        (NOW - 5, "exit code 1", last["reason"])
    ]
    assert sampling.events(view, now, now) == []
    kept = (Exit(NOW - 9, "exit code 2"), Exit(NOW - 5, "exit code 1"))
    assert sampling.exits(view.supervisor, kept) == kept, "the last one is among those that are kept"


def a_long_life(days: int) -> list[Sample]:
    """A sample every two minutes, with a P&L that wanders, and some restarts."""
    random, pnl, start = Random(7), Decimal(0), NOW - days * 86400
    samples = []
    for number in range(days * 720):
        pnl += Decimal(random.randint(-100, 100)) / 100
        samples.append(
            Sample(
                start + 120 * number,
                "running",
                "trading",
                "paper",
                start,
                start + 120 * 9999 * (number // 9999),
                "USDC",
                "SOL",
                pnl,
            )
        )
    return samples


def test_old_samples_are_thinned_out_and_days_and_drawdown_stay_what_they_were() -> None:
    whole = a_long_life(130)
    dropped = set(sampling.superfluous(whole, NOW))
    kept = [sample for sample in whole if sample.at not in dropped]
    assert len(kept) < len(whole) / 6
    assert kept[-1] == whole[-1]
    assert [sample for sample in kept if NOW - sample.at < 2 * 86400] == [
        sample for sample in whole if NOW - sample.at < 2 * 86400
    ]

    def figures(samples: list[Sample]) -> tuple[Any, ...]:
        days = [(day.day, day.pnl) for day in curve.days(samples, WATCHED, NOW)]
        return days, curve.drawdown(curve.points(samples, curve.steps(samples, ())))

    assert figures(kept) == figures(whole)


def test_where_something_changes_both_samples_stay() -> None:
    """A run's last P&L would else be lost, with what it has earned."""
    old = NOW - 10 * 86400
    begin = old - old % 3600  # within one day in every zone
    samples = [
        Sample(begin + 60 * minute, "running", run=float(minute >= 35), quote="USDC", pnl=Decimal(1))
        for minute in range(55)
    ]
    dropped = set(sampling.superfluous(samples, NOW))
    kept = {round((sample.at - begin) / 60) for sample in samples if sample.at not in dropped}
    assert {34, 35, 54} <= kept
    assert len(kept) < len(samples) / 3


@pytest.mark.parametrize("days", [3, 40])
def test_thinning_out_again_drops_nothing_and_makes_no_gap(days: int) -> None:
    whole = a_long_life(days)
    dropped = set(sampling.superfluous(whole, NOW))
    kept = [sample for sample in whole if sample.at not in dropped]
    assert sampling.superfluous(kept, NOW) == []
    assert not any(day.gaps for day in curve.days(kept, WATCHED, NOW))


def test_a_state_has_no_other_states_reason() -> None:
    failure: dict[str, Any] = {
        "why": "exit code 1",
        "reason": {"code": "exit_code", "params": {"code": 1}},
    }
    before = Sample(NOW - 9, "running", "trading")
    restarting = a_view("restarting", **failure)
    (told,) = sampling.events(restarting, before, Sample(NOW, "restarting"))
    assert told.text == "restarting: exit code 1"
    (told,) = sampling.events(restarting, before, Sample(NOW, "missing"))
    assert told.text == "missing"
    degraded = {"code": "degraded", "params": {"condition": "exchange_away"}}
    away = a_view("running", why="degraded: exchange_away", reason=degraded)
    (told,) = sampling.events(away, before, Sample(NOW, "running", "exchange away"))
    assert told.text == "running, exchange away"


def test_a_stop_by_somebody_else_is_told_in_the_readers_language() -> None:
    ended = Status("stopped", why=Text("container exit code {code}", code=137))
    view = a_view("running")._replace(
        status=ended,
        container=a_container("bp_sol_01", "exited"),
        saved=InstanceState(registered_at="2026-03-20T08:00:00"),
    )
    (told,) = sampling.events(view, Sample(NOW - 9, "running", "trading"), Sample(NOW, "stopped"))
    assert told.text == "stopped: not stopped by the manager: container exit code 137"
    with i18n.speaking("zh_TW"):
        assert "不是由管理程式停止的" in summary.event_text(told)


def test_a_state_has_the_bots_own_reason_in_the_readers_language() -> None:
    """An exit code of 0 tells nothing of a bound that was reached, nor `exchange away` of a ban."""
    report = {"contract": 2, "at": NOW, "mode": "live"}
    bound = {"by": "upper_bound", "limit": "152", "value": "153"}
    over = {**report, "final": True, "condition": {"code": "stopped_out", "params": bound}}
    away = {**report, "condition": {"code": "exchange_away", "params": {"cause": "banned", "open_orders": 6}}}
    for state, doing, content, shown in (
        ("completed", "stopped out", over, "completed, stopped out: price 153 is above the upper bound 152"),
        (
            "running",
            "exchange away",
            away,
            "running, exchange away: the exchange has banned this address for a time; 6 orders rest there",
        ),
    ):
        view = a_view(state, why="exit code 0")._replace(
            report=KeptReport(bot_report.parse_report(content), NOW, has_ended=state == "completed")
        )
        before = Sample(NOW - 9, "running", "trading")
        (told,) = sampling.events(view, before, Sample(NOW, state, doing))
        assert told.text == shown
        kept = told._replace(reason=json.loads(json.dumps(told.reason)))
        assert summary.event_text(kept) == shown
        with i18n.speaking("zh_TW"):
            assert not set(summary.event_text(kept)) & set("abcdefghijklmnopqrstuvwxyz")
