"""How often a look measures what containers use, and what it puts together anew."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from manager.fleet.bot_report import Report
from manager.fleet.selection import EVERYTHING
from manager.monitor.top.source import Source
from tests.fakes.sandbox import a_sandbox


def test_usage_is_measured_when_it_is_due_or_a_container_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    measured: list[set[str]] = []

    def measure(_sampler: object, ids: Iterable[str]) -> dict[str, object]:
        measured.append(set(ids))
        return dict.fromkeys(measured[-1])

    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", measure)
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", lambda *_: {})
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up bp_eth_02")
        source = Source(Session(sandbox.folder), EVERYTHING, 3.0, usage_every=15.0)
        for _look in range(3):
            source.look()
        assert [len(ids) for ids in measured] == [1]
        sandbox.run("up")
        source.look()
        assert [len(ids) for ids in measured] == [1, 2]
        sandbox.clock.sleep(16.0)
        source.look()
        assert [len(ids) for ids in measured] == [1, 2, 2]


def test_an_instance_of_which_nothing_is_new_is_the_very_object_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also while its bot answers: the page compares each one with the last look's."""
    from manager.fleet.session import Session

    answers = {"bp_eth_02": Report(contract=2, pnl=Decimal(1))}
    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", lambda *_: {})
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", lambda *_: answers)
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        source = Source(Session(sandbox.folder), EVERYTHING, 3.0)
        source.look()
        sandbox.clock.sleep(3.0)
        first, second = source.look().rows, source.look().rows
        assert [row.id for row in first] == ["bp_eth_02", "bp_sol_01"]
        for before, after in zip(first, second, strict=True):
            assert after.view is before.view
        sandbox.run("stop bp_sol_01")
        eth, sol = source.look().rows
        assert eth.report.pnl == 1
        assert sol.view is not second[1].view
