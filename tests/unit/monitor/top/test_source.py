"""How often a look measures what containers use, and what it puts together anew."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from manager.engine import labels
from manager.engine.containers import Container
from manager.fleet.bot_report import Report
from manager.fleet.container_folder import ForeignFolder
from manager.fleet.selection import EVERYTHING
from manager.fleet.supervisor_state import REPORT_FILE, STATE_FILE
from manager.monitor.stats.usage import Sample, Usage
from manager.monitor.top.source import IDLE_EVERY_S, Source, ask_every, due
from manager.monitor.watch.shared_look import Answers, SharedLook
from tests.builders import FLEET_NAME
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


def test_a_report_without_a_container_is_read_when_it_is_time_and_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another engine may run the bot, and its supervisor writes once and ends."""
    from manager.fleet.session import Session

    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        source = Source(Session(sandbox.folder), EVERYTHING, 3.0)
        folder = source._session.project().fleet.instance_state_dir("bp_eth_02")
        folder.mkdir(parents=True, exist_ok=True)
        source.look()
        source.look()
        now = sandbox.clock.time()
        content = {"report": {"contract": 2, "at": now, "pnl": "7"}, "written_at": now}
        (folder / REPORT_FILE).write_text(json.dumps(content))
        assert source.look().rows[0].view.report is None, "it is not time"
        sandbox.clock.sleep(IDLE_EVERY_S)
        kept_report = source.look().rows[0].view.report
        assert kept_report is not None
        assert kept_report.report.pnl == 7


def test_what_watch_has_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    measured: list[None] = []

    def measure(_sampler: object, ids: Iterable[str]) -> dict[str, object]:
        measured.append(None)
        return dict.fromkeys(ids)

    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", measure)
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", lambda *_: {})
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up bp_eth_02")
        used = Usage(None, Sample(0.0, 1.0, 4096, None, None, None, None, None, None))
        of_watch = {
            str(row["Id"]): used for row in sandbox.engine.containers(labels.fleet_filter(FLEET_NAME))
        }
        source = Source(Session(sandbox.folder), EVERYTHING, 3.0, 15.0, usage_of_watch=lambda: of_watch)
        assert [row.usage for row in source.look().rows if row.usage] == [used]
        assert not measured
        sandbox.run("up")
        source.look()
        assert measured, "watch has not seen it yet"


def bots_asked(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Report]) -> list[str]:
    """Note which bots are asked, and let them answer so; the others not at all. Nothing is measured."""
    asked: list[str] = []

    def fetch(addresses: Iterable[str], _within: float) -> dict[str, Report]:
        asked.extend(addresses)
        # each answer is an object of its own
        return {instance: answers[instance]._replace() for instance in addresses if instance in answers}

    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", lambda *_: {})
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", fetch)
    return asked


def test_a_bot_whose_report_was_just_copied_is_not_asked_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    asked = bots_asked(monkeypatch, {})
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        fleet = Session(sandbox.folder).project().fleet
        file = fleet.instance_state_dir("bp_eth_02") / REPORT_FILE
        now = sandbox.clock.time()
        file.write_text(json.dumps({"report": {"contract": 2, "at": now, "pnl": "7"}, "written_at": now}))
        source = Source(Session(sandbox.folder), EVERYTHING, 3.0)
        eth, _sol = source.look().rows
        assert asked == ["bp_sol_01"]
        assert (eth.report.pnl, eth.as_of) == (Decimal(7), None), "it is the present"
        sandbox.clock.sleep(11.0)
        for _look in range(2):  # one has its turn in each
            source.look()
        assert "bp_eth_02" in asked, "the copy is older than an answer may be"


def test_a_bot_of_a_large_fleet_is_asked_less_often_and_shown_until_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    assert (ask_every(100), ask_every(200)) == (10.0, 20.0)
    assert len(due(map(str, range(200)), dict.fromkeys(map(str, range(200)), 0.0), 1.0, 3.0)) == 30
    monkeypatch.setattr("manager.monitor.top.source.ASKED_A_SECOND", 2 / 60)  # of two: each once a minute
    asked = bots_asked(monkeypatch, dict.fromkeys(("bp_eth_02", "bp_sol_01"), Report(pnl=Decimal(1))))
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        source = Source(Session(sandbox.folder), EVERYTHING, 30.0)
        before = source.look().rows
        for _look in range(5):
            sandbox.clock.sleep(11.0)
            assert [row.report.pnl for row in source.look().rows] == [1, 1], "it is not its turn"
        assert len(asked) == 2
        sandbox.clock.sleep(6.0)
        after = source.look().rows
        assert len(asked) == 3
        assert [row.report for row in after] == [row.report for row in before]
        assert all(new.report is old.report for new, old in zip(after, before, strict=True)), "nothing is new"


def test_a_bot_that_says_nothing_is_asked_less_often_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    answers = {"bp_eth_02": Report(), "bp_sol_01": Report(pnl=Decimal(1))}
    asked = bots_asked(monkeypatch, answers)
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        source = Source(Session(sandbox.folder), EVERYTHING, 10.0)

        def looks(count: int) -> dict[str, int]:
            asked.clear()
            for _look in range(count):
                rows = source.look().rows
                sandbox.clock.sleep(11.0)
            assert [row.report for row in rows] == list(answers.values()), "it is shown until its turn"
            return {instance: asked.count(instance) for instance in answers}

        assert looks(3) == {"bp_eth_02": 3, "bp_sol_01": 3}
        assert looks(6) == {"bp_eth_02": 1, "bp_sol_01": 6}
        answers["bp_eth_02"] = Report(pnl=Decimal(2))
        for _look in range(6):
            source.look()
            sandbox.clock.sleep(11.0)
        assert looks(4) == {"bp_eth_02": 4, "bp_sol_01": 4}


def test_a_bot_that_says_nothing_is_not_asked_while_watch_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    answers = {"bp_eth_02": Report(), "bp_sol_01": Report()}
    asked = bots_asked(monkeypatch, answers)
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        share = SharedLook()
        source = Source(Session(sandbox.folder), EVERYTHING, 10.0, share=share)

        def looks(count: int) -> list[str]:
            asked.clear()
            for _look in range(count):
                rows = source.look().rows
                assert [row.report for row in rows] == list(answers.values()), "it is shown until its turn"
                sandbox.clock.sleep(11.0)
            return sorted(asked)

        def watch_hears(eth: Report) -> None:
            containers = [row.view.container for row in source.look().rows]
            ids = [container.id for container in containers if container is not None]
            share.answers = Answers(time.monotonic(), dict(zip(ids, (eth, Report()), strict=True)))

        looks(3)
        for _minute in range(4):
            watch_hears(Report())
            assert looks(6) == []
        watch_hears(Report())
        answers["bp_eth_02"] = Report(pnl=Decimal(2))
        watch_hears(answers["bp_eth_02"])
        asked.clear()
        eth, _sol = source.look().rows
        assert (asked, eth.report.pnl) == (["bp_eth_02"], Decimal(2)), "at once"
        sandbox.clock.sleep(11.0)
        assert looks(7).count("bp_sol_01") == 1, "watch asks no longer"


def test_whose_a_container_is_is_looked_at_where_something_is_new_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manager.fleet.session import Session

    bots_asked(monkeypatch, {})
    looked_at: list[str] = []

    def foreign_folder(container: Container, *_: object) -> ForeignFolder | None:
        looked_at.append(container.instance)
        return ForeignFolder("/there", "/here") if is_foreign else None

    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        sandbox.run("up")
        source, is_foreign = Source(Session(sandbox.folder), EVERYTHING, 3.0), False
        monkeypatch.setattr("manager.fleet.container_folder.foreign_folder", foreign_folder)
        assert not source.look().problems
        for _look in range(2):
            looked_at.clear()
            sandbox.clock.sleep(3.0)
            assert (source.look().problems, looked_at) == ([], []), "both say that they are ours"
        file = Session(sandbox.folder).project().fleet.instance_state_dir("bp_eth_02") / STATE_FILE
        file.write_text(json.dumps({**json.loads(file.read_text()), "container": "f" * 64}))
        is_foreign = True
        [problem] = source.look().problems
        assert "bp_eth_02" in str(problem), "the only one about which something is new"
