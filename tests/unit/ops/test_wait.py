"""A start is over when the supervisor has said which process the bot is, or a moment later."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from manager.cli.report import Reporter
from manager.engine import labels
from manager.fleet import supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.fleet.supervisor_state import STATE_FILE
from manager.ops.execution import wait
from tests.builders import a_container, a_fleet, a_supervisor_file


def say(data_dir: Path, instance: str, **words: Any) -> None:
    folder = data_dir / "state" / instance
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE_FILE).write_text(json.dumps(a_supervisor_file(**words)))


def test_it_waits_for_every_bot(tmp_path: Path) -> None:
    say(tmp_path, "a")
    say(tmp_path, "b", state="stopped", bot_pid=None)
    timer = threading.Timer(0.2, say, args=(tmp_path, "b"))
    started = time.monotonic()
    timer.start()
    wait.until_heard(a_fleet(data_dir=tmp_path), ["a", "b"])
    assert 0.2 <= time.monotonic() - started < wait.HEARD_WITHIN_S


@pytest.mark.parametrize("state", ["restarting", "failed", "completed"])
def test_a_bot_that_is_gone_already_is_not_waited_for(tmp_path: Path, state: str) -> None:
    say(tmp_path, "a", state=state, bot_pid=None)
    started = time.monotonic()
    wait.until_heard(a_fleet(data_dir=tmp_path), ["a"])
    assert time.monotonic() - started < 1


def test_silence_is_waited_out_only_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "HEARD_WITHIN_S", 0.1)
    started = time.monotonic()
    wait.until_heard(a_fleet(data_dir=tmp_path), ["a"])
    assert time.monotonic() - started >= 0.1


def test_nobody_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "HEARD_WITHIN_S", 3600.0)
    wait.until_heard(a_fleet(data_dir=tmp_path), [])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, "a: healthy, http://127.0.0.1:5001"),
        (
            {"code": "exchange_away", "params": {"cause": "unreachable"}},
            "a: running, http://127.0.0.1:5001: the exchange does not answer",
        ),
        ({"code": "exchange_away", "params": {}}, "a: running, http://127.0.0.1:5001: the exchange is away"),
    ],
)
def test_a_running_bot_that_cannot_trade_is_not_called_healthy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], condition: object, expected: str
) -> None:
    health = {
        "ok": True,
        "checked_at": 1_764_500_060.0,
        "failures": 0,
        "detail": "200",
        "condition": condition,
    }
    (tmp_path / STATE_FILE).write_text(json.dumps(a_supervisor_file(health=health)))
    supervisor = supervisor_state.read(tmp_path)
    container = a_container(instance="a", labels={labels.WEB_PORT: "5001"})
    view = Instance("a", Status("running"), (), None, container, supervisor, InstanceState())
    Reporter()(wait._healthy(a_fleet(data_dir=tmp_path), view))
    assert capsys.readouterr().out.startswith(expected)
