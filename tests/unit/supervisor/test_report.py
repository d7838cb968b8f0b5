"""The copy of the bot's report."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor.report import MAX_BYTES, ReportKeeper, keep_confirmed
from tests.unit.supervisor.journals import RecordedJournal


class Folder:
    """A keeper with its two files."""

    def __init__(self, root: Path) -> None:
        self.journal = RecordedJournal()
        self.source, self.target = root / "report.json", root / "copy.json"
        self.keeper = ReportKeeper(str(self.source), str(self.target), self.journal)  # type: ignore[arg-type]
        self.keeper.begin_run(1000.0)

    @property
    def copy(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.target.read_text())
        return content


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_copy_has_the_report_and_when_it_was_read(folder: Folder) -> None:
    folder.source.write_text('{"contract": 2, "final": false, "condition": {"code": "trading"}}')
    os.utime(folder.source, (1234.5, 1234.5))
    folder.keeper.collect()
    copy = folder.copy
    assert copy.pop("read_at") > 1e9
    assert copy == {
        "schema": 1,
        "written_at": 1234.5,
        "run_started_at": 1000.0,
        "run_ended": False,
        "previous_run": False,
        "report": {"contract": 2, "final": False, "condition": {"code": "trading"}},
    }


def test_an_unchanged_report_is_not_copied_again(folder: Folder) -> None:
    folder.source.write_text("{}")
    folder.keeper.collect()
    folder.target.unlink()
    folder.keeper.collect()
    assert not folder.target.exists()
    folder.keeper.collect(ended=True)
    assert folder.copy["run_ended"] is True


@pytest.mark.parametrize(
    ("value", "is_shown"), [("0", True), ("3", True), ("-1", False), ("true", False), ('"1"', False)]
)
def test_open_orders_left_are_those_of_an_ended_run(folder: Folder, value: str, is_shown: bool) -> None:
    folder.source.write_text('{"open_orders_left": ' + value + "}")
    folder.keeper.collect()
    assert "open_orders_left" not in folder.copy
    folder.keeper.collect(ended=True)
    assert ("open_orders_left" in folder.copy) is is_shown


def test_the_next_run_keeps_the_report_but_not_its_open_orders(folder: Folder) -> None:
    folder.source.write_text('{"open_orders_left": 0, "pnl": "1"}')
    folder.keeper.collect(ended=True)
    folder.keeper.begin_run(2000.0)
    assert not folder.source.exists()
    copy = folder.copy
    assert (copy["previous_run"], copy["run_started_at"], copy["report"]["pnl"]) == (True, 1000.0, "1")
    assert "open_orders_left" not in copy
    assert not folder.keeper.explains_end
    folder.keeper.collect(ended=True)
    assert folder.copy["previous_run"] is True


def test_a_report_that_an_old_supervisor_left_is_removed(folder: Folder) -> None:
    folder.target.write_text('{"open_orders_left": 0}')
    folder.keeper.begin_run(2000.0)
    assert not folder.target.exists()


@pytest.mark.parametrize(
    ("content", "explains"),
    [
        ('{"open_orders_left": 0}', True),
        ('{"contract": 2, "final": true}', True),
        ('{"contract": 2, "final": false}', False),
        ('{"contract": 2, "final": "no"}', False),
        ('{"contract": 2}', False),
    ],
)
def test_what_explains_an_end(folder: Folder, content: str, explains: bool) -> None:
    folder.source.write_text(content)
    folder.keeper.collect(ended=True)
    assert folder.keeper.explains_end is explains


def big(path: Path) -> None:
    path.write_text('{"x": "' + "x" * MAX_BYTES + '"}')


BAD: list[Callable[[Path], object]] = [
    lambda path: path.write_text("[]"),
    lambda path: path.write_text("{"),
    lambda path: path.write_bytes(b"\xff"),
    lambda path: path.write_text('{"x": NaN}'),
    lambda path: path.write_text('{"x": ' + "[" * 20000),
    lambda path: path.write_text('{"x": ' + "1" * 6000 + "}"),
    lambda path: path.symlink_to("/etc/passwd"),
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    big,
]


@pytest.mark.parametrize("make", BAD)
def test_what_is_no_report_is_said_once_and_leaves_the_last_one(
    folder: Folder, make: Callable[[Path], object]
) -> None:
    folder.source.write_text('{"pnl": "1"}')
    folder.keeper.collect()
    folder.source.unlink()
    make(folder.source)
    folder.keeper.collect()
    folder.keeper.collect()
    assert folder.copy["report"] == {"pnl": "1"}
    assert len(folder.journal.lines) == 1
    assert folder.journal.lines[0].startswith("cannot keep the bot's report: ")
    folder.keeper.begin_run(2000.0)
    folder.source.write_text('{"pnl": "2"}')
    folder.keeper.collect()
    assert folder.copy["report"] == {"pnl": "2"}


def test_what_a_given_up_bot_has_left_replaces_what_it_had(folder: Folder) -> None:
    journal: Any = folder.journal
    keep_confirmed(str(folder.target), {"position": "1"}, journal)
    assert not folder.target.exists(), "there is no report whose figures these could be"
    folder.source.write_text('{"contract": 2, "final": false, "position": "0", "pnl": "3", "base": "SOL"}')
    folder.keeper.collect()
    keep_confirmed(str(folder.target), {}, journal)
    assert folder.copy["report"]["position"] == "0"
    keep_confirmed(str(folder.target), {"position": "0.2", "base": "X", "trades": 7}, journal)
    copy = folder.copy
    report = copy["report"]
    assert (copy["run_ended"], report["final"], report["base"]) == (True, False, "SOL")
    assert (report["position"], report["trades"], report["pnl"]) == ("0.2", 7, None), "unknown, no longer 3"
    assert report["at"] == copy["read_at"]


def test_too_deep_a_nesting_is_said_once_wherever_the_limit_is_met(folder: Folder) -> None:
    def collect_from(calls: int) -> None:
        if calls:
            collect_from(calls - 1)
        else:
            folder.keeper.collect()

    folder.source.write_text('{"a": ' * 900 + "1" + "}" * 900)
    for calls in (0, 1, 2, 50):
        collect_from(calls)
    assert folder.journal.lines == ["cannot keep the bot's report: it is nested too deeply"]


def test_a_report_that_is_nested_too_deeply_does_not_end_what_cancels_orders(folder: Folder) -> None:
    journal: Any = folder.journal
    folder.target.write_text('{"report": ' + '{"a": ' * 900 + "1" + "}" * 900 + "}")
    keep_confirmed(str(folder.target), {"position": "1"}, journal)
    assert folder.journal.lines == ["cannot keep what the bot has left: its report is nested too deeply"]


def test_a_bot_that_could_not_begin_leaves_the_figures_of_the_run_before(folder: Folder) -> None:
    run = {"maker_share": 1.0, "reject_rate": 0.1, "max_drawdown": 2.5, "profit_per_grid": 0.2, "apr": 0.3}
    figures = {"position": "0.1", "base": "SOL", "pnl": "3", "at": 1000.0, "market": "live", **run}
    before = {"contract": 2, "final": True, "reason": "SIGTERM", "position_at_exchange": "0.1", **figures}
    folder.source.write_text(json.dumps(before))
    folder.keeper.collect(ended=True)
    folder.keeper.begin_run(2000.0)
    report = {"contract": 2, "final": True, "condition": None, "reason": "keys refused", "at": 2001.0}
    folder.source.write_text(json.dumps(report))
    for ended in (False, True):
        folder.keeper.collect(ended=ended)
        assert folder.copy["report"] == {**report, **figures}
    assert not folder.copy["previous_run"]
    folder.keeper.begin_run(3000.0)
    folder.source.write_text(json.dumps({**report, "position": None}))
    folder.keeper.collect(ended=True)
    assert folder.copy["report"]["position"] is None, "unknown is said, and stays unknown"
