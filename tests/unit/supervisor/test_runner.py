"""What the runner does at once, and in which order, where a bot that runs would be too late to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from supervisor import runner
from supervisor.paths import Paths
from supervisor.settings import Settings
from supervisor.state import Record
from supervisor.timings import Timings
from tests.unit.supervisor.journals import RecordedJournal


class Timers:
    """A loop that only keeps its timers."""

    def __init__(self) -> None:
        self.due: dict[str, Callable[[], None]] = {}
        self.results: list[int] = []

    def after(self, name: str, _seconds: float, action: Callable[[], None]) -> None:
        self.due[name] = action

    def cancel(self, name: str) -> None:
        self.due.pop(name, None)

    def stop(self, result: int) -> None:
        self.results.append(result)


class Box:
    """A runner whose bot is never started: its environment cannot be read until a test says otherwise."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(*(str(folder / name) for name in ("logs", "state", "secrets", "run", "cgroup")))
        for name in ("logs", "state", "secrets", "run"):
            (folder / name).mkdir()
        self.timers, self.record, self.events = Timers(), Record("bp_sol_01", "c"), list[str]()
        anchor = Mock(pid=7)
        monkeypatch.setattr(runner, "Anchor", lambda _journal: anchor)
        status: Any = Mock(record=self.record, dated_files={})
        status.enter = self._enter
        self.runner = runner.BotRunner(
            self.timers,  # type: ignore[arg-type]
            Settings(),
            self.paths,
            Timings(),
            {},
            Mock(),
            status,
            RecordedJournal(),  # type: ignore[arg-type]
            {},
            lambda: None,
        )

    def _enter(self, state: str, reason: Any = None) -> None:
        self.record.enter(state, reason)
        self.events.append(state)

    def halt(self) -> None:
        mark = {"nonce": "n1", "at": 1764529290.0, "by": "halt"}
        Path(self.paths.halt_mark).write_text(json.dumps(mark))


@pytest.fixture(name="box")
def _box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


def test_a_halted_bot_has_no_restart_left_that_starts_it_once_the_mark_is_gone(box: Box) -> None:
    """`resume` removes the mark and starts the container anew; the old supervisor must start nothing."""
    Path(box.paths.env_file).write_text("{")
    box.runner.begin(None)
    assert "restart" in box.timers.due
    box.halt()
    box.timers.due["files"]()
    assert box.record.state == "stopped"
    assert "restart" not in box.timers.due


def test_a_bot_is_told_to_stop_before_its_state_is_written(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has orders to cancel, and a full or slow disk is no reason to have it wait."""
    process = Mock(told_to_stop=False, terminate=lambda: box.events.append("SIGTERM"))
    monkeypatch.setattr(runner.BotRunner, "_spawn", lambda _self: Mock(started=0.0, started_wall=0.0, pid=8))
    monkeypatch.setattr(runner, "Run", lambda *_: Mock(process=process, has_exited=False))
    box.runner.begin(None)
    assert box.events == ["starting"]
    box.runner.stop()
    assert box.events == ["starting", "SIGTERM", "stopping"]


def test_what_a_dead_bot_waited_for_is_not_said_of_the_next_one(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Mock(told_to_stop=False, killed=False)
    runs: list[Mock] = []

    def run(*given: Any) -> Mock:
        runs.append(Mock(process=process, exit_code=1, ran_s=3.0, finish=given[-1]))
        runs[-1].stderr_tail.lines.return_value = []
        return runs[-1]

    monkeypatch.setattr(runner.BotRunner, "_spawn", lambda _self: Mock(started=0.0, started_wall=0.0, pid=8))
    monkeypatch.setattr(runner, "Run", run)
    box.runner.begin(None)
    vars(box.record).update(condition={"code": "rate_limited"}, condition_since=1.0)
    runs[0].finish()
    assert box.record.state == "restarting"
    assert (box.record.condition, box.record.condition_since) == (None, None)


def test_a_halt_while_it_stops_changes_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be said to stop because of the halt, though a person had stopped it."""
    process = Mock(told_to_stop=False)
    monkeypatch.setattr(runner.BotRunner, "_spawn", lambda _self: Mock(started=0.0, started_wall=0.0, pid=8))
    monkeypatch.setattr(runner, "Run", lambda *_: Mock(process=process, has_exited=False))
    box.runner.begin(None)
    box.runner.stop()
    box.halt()
    box.timers.due["files"]()
    assert box.events == ["starting", "stopping"]
    assert box.record.reason is None
