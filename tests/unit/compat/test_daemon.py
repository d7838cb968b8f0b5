"""The old daemon's class and command line: which commands they carry out, and what they make of the
answers.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from manager.cli import carry_out
from manager.cli import main as cli
from manager.compat import daemon
from manager.daemon_manager import TradingBotDaemon, main
from manager.engine.containers import observe
from manager.engine.labels import COMPOSE_PROJECT, COMPOSE_WORKING_DIR
from manager.errors import ConfigError, EngineUnreachable, UsageError
from manager.fleet import observe as observing
from manager.fleet import project
from manager.fleet.session import Session
from manager.ops.actions.action import Change
from tests.builders import a_row

CONFIG = "config/active/bp_sol_01.json"


class Commands:
    """What was run, and what it answers."""

    def __init__(self) -> None:
        self.run: list[list[str]] = []
        self.codes: dict[str, int] = {}
        self.options: list[dict[str, Any]] = []

    def main(self, argv: Sequence[str]) -> int:
        """The command line, for what only looks."""
        words = list(argv)
        self.run.append(words)
        return next((code for command, code in self.codes.items() if command in words), 0)

    def carry_out(self, session: Session, change: Change, **options: Any) -> int:
        """What changes something, as the words that a person would type."""
        files = [word for file in change.selection.files for word in ("--config", file)]
        new_id = ["--instance-id", options["new_id"]] if options["new_id"] else []
        words = [
            "--project-dir",
            str(session.chosen_dir),
            change.command,
            *change.selection.ids,
            *files,
            *new_id,
        ]
        self.options.append(options)
        self.run.append(words)
        return self.codes.get(change.command, 0)


@pytest.fixture
def commands(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    recorded = Commands()
    monkeypatch.setattr(cli, "main", recorded.main)
    monkeypatch.setattr(carry_out, "run", recorded.carry_out)
    return recorded


def pretend(monkeypatch: pytest.MonkeyPatch, sandbox: Path, *engine_states: str | None) -> None:
    """What each look at the fleet finds of bp_sol_01's container; the last one for ever.

    None: no engine answers.
    """
    left = list(engine_states)

    def look(_session: Session) -> observing.FleetSnapshot:
        state = left.pop(0) if len(left) > 1 else left[0]
        if state is None:
            raise EngineUnreachable("away")
        own = {COMPOSE_PROJECT: "desk", COMPOSE_WORKING_DIR: str(sandbox)}
        rows = [a_row(state=state, labels=own, Names=["/desk-bp_sol_01"], Mounts=[])] if state else []
        return observing.assemble(project.read(sandbox), observe(rows, "desk"), observing.NO_IMAGE)

    monkeypatch.setattr(Session, "observe", look)


@pytest.mark.parametrize("method", ["start", "stop", "restart"])
def test_a_method_is_a_command(sandbox: Path, commands: Commands, method: str) -> None:
    assert getattr(TradingBotDaemon(CONFIG), method)() is True
    assert commands.run == [["--project-dir", str(sandbox), method, "--config", CONFIG]]
    assert commands.options[0]["lock_wait"] == daemon.LOCK_WAIT_S
    for code in (1, 4, 5, 6, 7):
        commands.codes = {method: code}
        assert getattr(TradingBotDaemon(CONFIG), method)() is False


def test_the_project_is_the_config_files(
    sandbox: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert TradingBotDaemon(sandbox / CONFIG).stop()
    assert commands.run[0][:2] == ["--project-dir", str(sandbox)]


def test_an_instance_id_goes_with_its_config_or_alone(sandbox: Path, commands: Commands) -> None:
    TradingBotDaemon(CONFIG, "other").start()
    assert commands.run[0][2:7] == ["start", "--config", CONFIG, "--instance-id", "other"]
    TradingBotDaemon(instance_id="bp_sol_01").stop()
    TradingBotDaemon(instance_id="bp_sol_01").start()
    TradingBotDaemon(CONFIG, "bp_sol_01").stop()
    TradingBotDaemon(CONFIG, "bp_sol_01").restart()
    assert [words[2:] for words in commands.run[1:]] == [
        ["stop", "bp_sol_01"],
        ["start", "bp_sol_01"],
        ["stop", "bp_sol_01"],
        ["restart", "--config", CONFIG, "--instance-id", "bp_sol_01"],
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["start", "--config", CONFIG, "--daemon"], ["start", "--config", CONFIG]),
        (["start", "-c", CONFIG, "-d"], ["start", "--config", CONFIG]),
        (["stop", "--config", CONFIG], ["stop", "--config", CONFIG]),
        (["restart", "--config", CONFIG, "--log-dir", "logs"], ["restart", "--config", CONFIG]),
        (["status", "--config", CONFIG], ["status", "--config", CONFIG]),
        (["status", "--instance-id", "bp_sol_01"], ["status", "--instance-id", "bp_sol_01"]),
        (["list"], ["list"]),
    ],
)
def test_the_old_command_line(sandbox: Path, commands: Commands, argv: list[str], words: list[str]) -> None:
    assert main(argv) == 0
    [run] = commands.run
    assert run[2 : 2 + len(words)] == words
    for code in (1, 3, 4, 5, 6, 7, 130):
        commands.codes = {argv[0]: code}
        assert main(argv) == 1


def test_without_a_config_it_is_the_old_default(sandbox: Path, commands: Commands) -> None:
    main(["stop"])
    assert commands.run[0][2:5] == ["stop", "--config", "config/daemon_config.json"]


def test_usage_errors_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["dance"], ["start", "--no-such-flag"]):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 2
    assert "usage: python -m manager.daemon_manager" in capsys.readouterr().err


def test_failures_are_said_and_exit_1(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real command line, with no engine and no such config."""
    for argv, why in (
        (["stop", "--config", CONFIG], "no Docker Engine answers"),
        (["list"], "no Docker Engine answers"),
        (["status", "--config", CONFIG], "no Docker Engine answers"),
    ):
        assert main(argv) == 1
        printed = capsys.readouterr()
        assert (printed.out, why in printed.err) == ("", True), argv


def test_it_runs_as_a_module(sandbox: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "manager.daemon_manager", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(root), "MANAGER_LANG": "en"},
    )
    assert done.returncode == 0
    for word in ("start", "stop", "restart", "status", "list", "--config", "--daemon", "--instance-id"):
        assert word in done.stdout


# Status


def test_status_is_what_the_command_prints(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, sandbox, "running")
    answer = TradingBotDaemon(CONFIG).status()
    assert answer["running"] is True
    assert answer["config"]["web_port"] == 5001
    assert {"timestamp", "pid", "process_info"} <= set(answer)
    pretend(monkeypatch, sandbox, "exited")
    assert TradingBotDaemon(CONFIG).status()["running"] is False
    pretend(monkeypatch, sandbox, "")
    assert TradingBotDaemon(CONFIG, "bp_sol_01").status()["running"] is False


def test_status_of_what_is_not_there(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnreachable):
        TradingBotDaemon(CONFIG).status()
    pretend(monkeypatch, sandbox, "running")
    with pytest.raises(ConfigError, match="no such file"):
        TradingBotDaemon("config/active/none.json").status()
    with pytest.raises(UsageError, match="there is no instance nobody"):
        TradingBotDaemon(CONFIG, "nobody").status()


def test_the_list_is_printed_and_returned(
    sandbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, sandbox, "running")
    assert [instance["instance_id"] for instance in TradingBotDaemon(CONFIG).list_instances()] == [
        "bp_sol_01"
    ]
    daemon.list_instances()
    assert capsys.readouterr().out.count("bp_sol_01 ") == 2


# In the foreground


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "POLL_S", 0.01)
    monkeypatch.setattr(daemon, "_follow", lambda _session, _instance: None)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("seen", "result"),
    [
        (["running", "running", "exited"], True),
        (["running", "exited", "running", None, "exited"], True),  # a restart and an engine that was away
        (["running", "dead"], False),
        (["running", ""], True),
    ],
)
def test_the_foreground_ends_with_the_instance(
    sandbox: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, seen: list[str | None], result: bool
) -> None:
    pretend(monkeypatch, sandbox, *seen)
    assert TradingBotDaemon(CONFIG).start(daemonize=False) is result
    assert [run[2] for run in commands.run] == ["start"]


@pytest.mark.usefixtures("quick")
def test_a_failed_start_follows_nothing(sandbox: Path, commands: Commands) -> None:
    commands.codes = {"start": 1}
    assert TradingBotDaemon(CONFIG).start(daemonize=False) is False
    assert main(["start", "--config", CONFIG]) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_instance(
    sandbox: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, signal_name: str
) -> None:
    import os
    import signal

    pretend(monkeypatch, sandbox, "running")
    before = signal.getsignal(signal.SIGTERM)
    number = getattr(signal, signal_name)
    monkeypatch.setattr(daemon, "_follow", lambda *_: os.kill(os.getpid(), number))
    assert TradingBotDaemon(CONFIG).start(daemonize=False) is True
    assert [run[2] for run in commands.run] == ["start", "stop"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("quick")
def test_the_foreground_in_a_thread(
    sandbox: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, sandbox, "running", "exited")
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(TradingBotDaemon(CONFIG).start(daemonize=False)))
    thread.start()
    thread.join(30)
    assert results == [True]


def test_what_scripts_read_of_the_old_class(sandbox: Path) -> None:
    bot_daemon = TradingBotDaemon(sandbox / CONFIG)
    assert bot_daemon.instance_id == "bp_sol_01"
    assert bot_daemon.config["web_port"] == 5001
    assert bot_daemon.log_dir == sandbox / "volumes" / "logs" / "bp_sol_01"
    assert str(bot_daemon.log_dir) == bot_daemon.config["log_dir"]
    assert bot_daemon.registry.list_instances() == []
    assert TradingBotDaemon(sandbox / CONFIG, "mine").instance_id == "mine"


def test_of_a_file_that_is_no_config_they_read_its_name(sandbox: Path) -> None:
    (sandbox / "config/active/bad.json").write_text("{")
    bot_daemon = TradingBotDaemon(sandbox / "config/active/bad.json")
    assert (bot_daemon.instance_id, bot_daemon.config) == ("bad", {})


def test_the_errors_have_the_old_modules_name() -> None:
    from manager import config_manager, exceptions

    assert exceptions.ConfigLoadError is config_manager.ConfigLoadError
    assert set(exceptions.__all__) <= set(config_manager.__all__)
