"""Today's P&L and that of the run stand side by side: they are of the same moment."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from manager.monitor.history import curve
from manager.monitor.history.model import Sample
from manager.monitor.history.summary import Line
from manager.web.engine_side import answers
from manager.web.engine_side.figures import Figures, InstanceFigures
from manager.web.engine_side.observer import PageSnapshot
from tests.builders import a_fleet
from tests.web.served import a_bot

KEY = ("live", "USDC")


def figures_of(pnl: str, run: float, at: float) -> Figures:
    last = Sample(at, "running", "trading", "live", run, run, "USDC", "SOL", Decimal(pnl))
    line = Line("a", *KEY, today=Decimal("3"))
    return Figures(at, instances={"a": InstanceFigures([line], {KEY: Decimal("50")}, {}, {KEY: last}, last)})


@pytest.mark.parametrize(
    ("pnl", "run", "quote", "today", "in_all"),
    [
        ("12.5", 1000.0, "USDC", "0.5", "47.5"),  # of the same run: it has lost 2.5 since
        ("4", 2000.0, "USDC", "7", "54"),  # of a new one, which began at 0
        ("4", 1000.0, "USDT", "3", "50"),  # another currency
        (None, 1000.0, "USDC", "3", "50"),
    ],
)
def test_what_was_earned_since_the_history_was_read_is_counted(
    pnl: str | None, run: float, quote: str, today: str, in_all: str
) -> None:
    reported = {"pnl": pnl} if pnl else {}
    row = a_bot("a", quote=quote, run_began=run, **reported)
    figures = figures_of("15", 1000.0, time.time() - 0.5)
    [told] = answers.instances(PageSnapshot(a_fleet(), [row]), figures)
    assert [figure["pnl"] for figure in told["today"]] == [today]
    assert [figure["pnl"] for figure in told["in_all"]] == [in_all]
    sums = {
        figure["quote"]: (figure["today"], figure["in_all"])
        for figure in answers.fleet(PageSnapshot(a_fleet(), [row]), figures)["pnl"]
    }
    assert sums["USDC"] == (today, in_all)


def test_a_report_that_is_in_the_history_is_not_counted_again() -> None:
    row = a_bot("a", quote="USDC", pnl="12.5", run_began=1000.0)
    figures = figures_of("15", 1000.0, time.time() + 60)
    [told] = answers.instances(PageSnapshot(a_fleet(), [row]), figures)
    assert [figure["pnl"] for figure in told["today"]] == ["3"]


def test_what_was_earned_since_a_sample_of_yesterday_is_not_all_todays() -> None:
    """A part of it was earned before midnight: the history tells how much when it is read next."""
    yesterday = curve.day_start(time.time()) - 60
    row = a_bot("a", quote="USDC", pnl="12.5", run_began=1000.0)
    [told] = answers.instances(PageSnapshot(a_fleet(), [row]), figures_of("15", 1000.0, yesterday))
    assert [figure["pnl"] for figure in told["today"]] == ["3"]
    assert [figure["pnl"] for figure in told["in_all"]] == ["47.5"]
