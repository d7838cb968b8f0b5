"""Another version of the manager on another machine: it is said, with the command that ends it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from manager import __version__
from manager.cli.main import main
from manager.errors import FAILED, OK, USAGE
from manager.ops.hosts import everywhere, registry, ssh, versions
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult
from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_account_check import Tokyo, tokyo

__all__ = ["tokyo"]

EARLIER = f"host tokyo has manager 0.21.0, and here is {__version__}: `manager host deploy tokyo` brings"
LATER = f"host tokyo has manager 99.0.0, and here is the earlier {__version__}: update this one"


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("0.21.0", EARLIER),
        ("99.0.0", LATER),
        ("0.9.0", "0.9.0, and here is"),
        ("next", "has manager next"),
        (versions.EARLIER, "has an earlier manager"),
    ],
)
def test_the_earlier_one_is_the_one_to_update(there: str, says: str) -> None:
    assert says in str(versions.difference("tokyo", there))
    assert versions.difference("tokyo", __version__) is None


@pytest.mark.parametrize(
    ("version", "says"), [("0.21.0", EARLIER), ("99.0.0", LATER), ("", "an earlier manager")]
)
def test_who_asks_other_machines_tells_it(
    sandbox: Sandbox, tokyo: Tokyo, monkeypatch: pytest.MonkeyPatch, version: str, says: str
) -> None:
    def answered(host: Host, words: Iterable[str], timeout: float, stdin: bytes = b"") -> CommandResult:
        answer: dict[str, Any] = json.loads(tokyo(host, words, timeout, stdin).out)
        told = {**answer, "version": version} if host.name == "tokyo" else answer
        return CommandResult(OK, json.dumps(told), "")

    rows = everywhere.Answer(registry.HERE, CommandResult(OK, "[]", ""))
    monkeypatch.setattr(everywhere, "run", lambda *_args: [rows])
    commands = ("doctor", "ps --hosts", "up")
    assert not any("manager host deploy" in sandbox.transcript(command) for command in commands)
    sandbox.transcript("down")
    monkeypatch.setattr(ssh, "run", answered)
    for command in commands:
        assert says in sandbox.transcript(command), command
    assert sandbox.exit_code == OK, "it works all the same"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["halt", "--hosts"], USAGE),
        (["stats", "--hosts"], USAGE),
        (["move", "bp_sol_01", "--from", "tokyo"], FAILED),
    ],
)
def test_a_machine_that_does_not_know_a_command_is_asked_for_its_version(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
) -> None:
    """It said `unrecognized arguments`, or `install the same version`, and neither which nor how."""

    def run(_host: Host, asked: Iterable[str], *_more: object) -> CommandResult:
        is_asked = [*asked] == ["--version"]
        return CommandResult(OK, "botfleet 0.21.0\n", "") if is_asked else CommandResult(USAGE, "", "unknown")

    (tmp_path / "config" / "active").mkdir(parents=True)
    (tmp_path / "config" / "hosts.toml").write_text('tokyo = "ssh://trader@tokyo/srv/desk"\n')
    monkeypatch.setattr(ssh, "run", run)
    monkeypatch.setattr(ssh, "command", lambda *_args, **_options: ["sh", "-c", "echo unknown >&2; exit 1"])
    monkeypatch.setattr(everywhere, "_run_here", lambda *_more: CommandResult(OK, "[]", ""))
    assert main(["--project-dir", str(tmp_path), *words]) == code
    assert EARLIER in capsys.readouterr().err


def test_so_is_the_one_machine_that_a_command_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config" / "active").mkdir(parents=True)
    (tmp_path / "config" / "hosts.toml").write_text('tokyo = "ssh://trader@tokyo/srv/desk"\n')
    monkeypatch.setattr(ssh, "command", lambda *_args, **_options: ["sh", "-c", "exit 2"])
    monkeypatch.setattr(ssh, "run", lambda *_args: CommandResult(OK, f"botfleet {__version__}\n", ""))
    line = ["--project-dir", str(tmp_path), "--host", "tokyo", "status"]
    assert main(line) == USAGE
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(ssh, "run", lambda *_args: CommandResult(OK, "botfleet 0.21.0\n", ""))
    assert main(line) == USAGE
    assert EARLIER in capfd.readouterr().err
