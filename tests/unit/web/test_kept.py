"""An answer is kept as long as it would be the same, and no longer."""

from __future__ import annotations

import time
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from manager.fleet import doing
from manager.fleet.bot_report import KeptReport
from manager.fleet.instance import Instance
from manager.fleet.status import Status
from manager.fleet.supervisor_state import Condition
from manager.i18n import Text
from manager.monitor.disk.usage import DiskUse
from manager.monitor.stats.instance_stats import InstanceStats
from manager.web.engine_side import answers, kept
from manager.web.engine_side import figures as figures_reader
from manager.web.engine_side.feed import QUIET, Feed
from manager.web.engine_side.figures import Figures, InstanceFigures
from manager.web.engine_side.kept import KeptAnswers
from manager.web.engine_side.observer import Alerts, PageSnapshot
from tests.builders import a_fleet
from tests.web.served import a_bot

FLEET = a_fleet()


def a_look(*rows: InstanceStats) -> PageSnapshot:
    return PageSnapshot(FLEET, rows, at=time.time())


def with_report(row: InstanceStats, **changes: Any) -> InstanceStats:
    """The row with another report."""
    assert row.view.report is not None
    report = row.report._replace(**changes)
    at = report.at or 0.0
    return row._replace(view=row.view._replace(report=KeptReport(report, at)), report=report, as_of=at)


def test_what_is_measured_is_new_and_the_rest_is_kept() -> None:
    answerer, row = KeptAnswers(), a_bot("one", pnl="1", quote="USDC")
    [first] = answerer.instances(a_look(row), Figures())
    [second] = answerer.instances(a_look(row._replace(disk=DiskUse(5, 1, is_whole=False))), Figures())
    assert second is first
    answerer.measure_anew()
    assert second["folders_bytes"] == 5
    [third] = answerer.instances(a_look(with_report(row, pnl=Decimal(2))), Figures())
    assert third is not first
    assert third["pnl"] == "2"


def test_what_a_bot_answers_between_its_reports_is_told() -> None:
    """The instance is the same then, and so is the file: only its answer is another."""
    answerer, row = KeptAnswers(), a_bot("one", pnl="1", quote="USDC")
    answerer.instances(a_look(row), Figures())
    answered = row._replace(report=row.report._replace(pnl=Decimal(2)))
    assert (answered.view, answered.as_of) == (row.view, row.as_of)
    [told] = answerer.instances(a_look(answered), Figures())
    assert told["pnl"] == "2"


def test_another_state_is_told_although_the_report_is_the_same() -> None:
    answerer, row = KeptAnswers(), a_bot("one", pnl="1", quote="USDC")
    answerer.instances(a_look(row), Figures())
    failed = row._replace(view=row.view._replace(status=Status("failed", why=Text("exit code 1"))))
    assert (failed.report, failed.as_of) == (row.report, row.as_of)
    [told] = answerer.instances(a_look(failed), Figures())
    assert told["state"] == "failed"


def test_a_bot_that_answers_no_more_has_figures_of_then() -> None:
    """The last report is the same one, and is not of now any more."""
    answerer, row = KeptAnswers(), a_bot("one", pnl="1", quote="USDC")
    [first] = answerer.instances(a_look(row), Figures())
    unanswered = row._replace(as_of=time.time() - 600)
    assert (unanswered.view, unanswered.report) == (row.view, row.report)
    [told] = answerer.instances(a_look(unanswered), Figures())
    assert told == answers.instance(unanswered, a_look(unanswered), answers.NO_FIGURES)
    assert told != first


@pytest.mark.parametrize("code", ["exchange_away", "orders_refused", "out_of_range", "paused"])
def test_a_reason_is_told_anew_because_it_says_how_long(code: str) -> None:
    row = a_bot("one", code=code, pnl="1", quote="USDC")
    row = with_report(row, condition=Condition(code, {"cause": "timeout"}, time.time() - 60))
    answerer = KeptAnswers()
    [first], [second] = answerer.instances(a_look(row), Figures()), answerer.instances(a_look(row), Figures())
    assert (first is second) == (not any(first[reason] for reason in kept.REASONS))
    assert first["doing"] != "trading"


def test_what_a_bot_is_doing_is_determined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was so nine times an instance and look, which was half of the cost."""
    calls, activity = [], doing.activity

    def counted(view: Instance, now: float | None = None) -> doing.Activity:
        calls.append(view.id)
        return activity(view, now)

    monkeypatch.setattr(doing, "activity", counted)
    KeptAnswers().instances(a_look(a_bot("one", pnl="1", quote="USDC")), Figures())
    assert calls == ["one"]


def test_how_long_a_container_is_up_makes_no_other_answer() -> None:
    """The engine's list says it in words, which are others after each minute."""
    answerer, row = KeptAnswers(), a_bot("one", pnl="1", quote="USDC")
    assert row.view.container is not None
    [first] = answerer.instances(a_look(row), Figures())
    container = row.view.container._replace(status="Up 4 minutes (healthy)")
    later = row._replace(view=row.view._replace(container=container))
    [second] = answerer.instances(a_look(later), Figures())
    assert second is first


def test_a_report_that_grows_old_is_no_longer_believed() -> None:
    row = a_bot("one", pnl="1", quote="USDC")
    answerer, look = KeptAnswers(), a_look(row)
    [fresh] = answerer.instances(look, Figures())
    old = time.time() + 3600
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: old)
        [late] = answerer.instances(look, Figures())
    assert (fresh["doing"], late["doing"]) == ("trading", "unknown")


def test_how_old_figures_are_is_told_anew_each_minute_and_kept_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, began = a_bot("one", pnl="1", quote="USDC"), time.time()
    row = with_report(row, at=began)
    answerer, look, told = KeptAnswers(), a_look(row), []
    for seconds in (3600, 3603, 3659, 3661, 3662):
        monkeypatch.setattr(time, "time", partial(float, began + seconds))
        [answer] = answerer.instances(look, Figures())
        assert answer["note"] == answers.instance(row, look, InstanceFigures())["note"]
        told.append(answer)
    assert told[0]["needs_person"]
    assert [later is before for before, later in pairwise(told)] == [True, True, False, True]


def test_a_clock_that_is_set_back_makes_figures_younger(monkeypatch: pytest.MonkeyPatch) -> None:
    answerer, row, present = KeptAnswers(), a_bot("one", pnl="1", quote="USDC"), time.time()
    row, ages = with_report(row, at=present), []
    for passed in (3_000, 600, 30):
        monkeypatch.setattr(time, "time", partial(float, present + passed))
        [told] = answerer.instances(a_look(row), Figures())
        assert told == answers.instance(row, a_look(row), answers.NO_FIGURES)
        ages.append(told["note"])
    assert ages == ["P&L and position: 50m ago", "P&L and position: 10m ago", ""]


def test_new_figures_are_told() -> None:
    row, answerer = a_bot("one", pnl="1", quote="USDC"), KeptAnswers()
    answerer.instances(a_look(row), Figures())
    of_one = InstanceFigures(trends={("live", "USDC"): ["1", "2"]})
    [told] = answerer.instances(a_look(row), Figures(instances={"one": of_one}))
    assert told["trend"] == ["1", "2"]


def test_a_bot_that_is_left_as_it_is_is_told_at_once() -> None:
    row, answerer = a_bot("one", pnl="1", quote="USDC"), KeptAnswers()
    for seen in (row, row._replace()):  # by itself, and with another look
        answerer.instances(a_look(row), Figures())
        left = a_look(seen)._replace(alerts={"one": Alerts(left_until=5.0)})
        [told] = answerer.instances(left, Figures())
        assert told["left_until"] == 5.0
        [told] = answerer.instances(a_look(row), Figures())
        assert told["left_until"] is None


def test_kept_or_not_a_reader_sees_the_same() -> None:
    rows = [a_bot("one", pnl="1", quote="USDC"), a_bot("two", "stopped", code=None), a_bot("three", "failed")]
    answerer, feed = KeptAnswers(), Feed()
    for _look in range(3):
        look = a_look(*rows)
        feed.put(answers.fleet(look, Figures()), answerer.instances(look, Figures()))
    assert feed.after(feed.last_id) == []
    now = answers.instances(look, Figures())
    assert [{k: v for k, v in members.items() if k not in QUIET} for members in feed.state()[1]] == [
        {k: v for k, v in members.items() if k not in QUIET} for members in now
    ]


def test_the_worst_comes_first_as_soon_as_it_is_the_worst() -> None:
    one, two, answerer = (
        a_bot("one", pnl="1", quote="USDC"),
        a_bot("two", pnl="1", quote="USDC"),
        KeptAnswers(),
    )
    first, again = (answerer.instances(a_look(one, two), Figures()) for _look in range(2))
    assert [told["id"] for told in first] == ["one", "two"]
    assert again is first, "nothing is put into order again"
    for failed, order in (("two", ["two", "one"]), ("one", ["one", "two"])):
        rows = [a_bot(row.id, "failed") if row.id == failed else row for row in (one, two)]
        assert [told["id"] for told in answerer.instances(a_look(*rows), Figures())] == order
    assert [told["id"] for told in answerer.instances(a_look(two), Figures())] == ["two"]


def test_the_sums_are_kept_while_every_answer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    summed, sum_up = [], answers.summed_up

    def counted(look: PageSnapshot, figures: Figures, told: Any) -> dict[str, Any]:
        summed.append(look)
        return sum_up(look, figures, told)

    monkeypatch.setattr(answers, "summed_up", counted)
    answerer, figures = KeptAnswers(), Figures()
    one, two = a_bot("one", pnl="1", quote="USDC"), a_bot("two", pnl="2", quote="USDC")

    def told(*rows: InstanceStats, of: Figures = figures) -> Any:
        look = a_look(*rows)
        return answerer.fleet(look, of, answerer.instances(look, of))["pnl"][0]["run"]

    assert [told(one, two), told(one, two)] == ["3", "3"]
    assert len(summed) == 1
    assert told(one, with_report(two, pnl=Decimal(5))) == "6"
    assert told(one) == "1"
    assert told(one, of=Figures(at=1.0)) == "1"
    assert len(summed) == 4


def test_figures_of_which_nothing_is_new_are_the_very_objects_of_before() -> None:
    """By which the answers stay, too: to put 200 together anew takes longer than all the rest of a look."""
    before = Figures(instances={"one": InstanceFigures(), "two": InstanceFigures()})
    new = InstanceFigures(trends={("live", "USDC"): ["1", "2"]})
    now = figures_reader._kept(before, Figures(at=1.0, instances={"one": InstanceFigures(), "two": new}))
    assert now.instances["one"] is before.instances["one"]
    assert now.instances["two"] is new
    assert now.at == 1.0
