"""A wrong id ends every command that takes one with a clear error, before it does anything."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from manager.cli import main, parsers
from manager.cli.command_table import COMMANDS
from manager.engine.containers import observe
from manager.errors import BUG, FAILED, USAGE
from manager.fleet import observe as observing
from manager.fleet import session
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from tests.builders import a_config, write_config
from tests.fakes.engine import FakeEngine

WRONG = "bp_none_01"
TAKE_AN_ID = {"ids", "instance", "id", "config_file"}
WORDS = {
    "exec": [WRONG, "true"],
    "backtest": [WRONG, "prices.csv"],
    "close": [WRONG, "--yes"],
}
"""Whole command lines, where the id alone is none."""
OTHERS = {"new", "restore", "import", "move", "top"}
"""`new` names a new one; these look at a backup, a folder, a host or a terminal first, and have tests of
their own.
"""


class Empty(session.Session):
    """A session whose engine answers and has no containers."""

    def observe(self, *_args: Any, **_options: Any) -> FleetSnapshot:
        return observing.assemble(self.project(), observe([], "desk"), NO_IMAGE)

    def engine(self, *_args: Any, **_options: Any) -> Any:
        return FakeEngine()


def with_an_id() -> list[str]:
    """Return the commands that have an argument for an id."""
    root = parsers.parser()
    [commands] = [action for action in root._actions if isinstance(action, argparse._SubParsersAction)]
    return [
        name
        for name in COMMANDS
        if TAKE_AN_ID & {action.dest for action in commands.choices[name]._actions} and name not in OTHERS
    ]


@pytest.mark.parametrize("command", with_an_id())
def test_a_wrong_id_is_a_clear_error(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path, a_config())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "Session", Empty)
    code = main.main(["--lang", "en", *command.split(), *WORDS.get(command, [WRONG])])
    output = capsys.readouterr().err
    assert code != BUG, output
    assert code in {USAGE, FAILED}
    assert f"there is no instance {WRONG}" in output


def test_the_commands_are_found() -> None:
    assert {"up", "halt", "stats", "config", "exec", "backtest", "backup"} <= set(with_an_id())
