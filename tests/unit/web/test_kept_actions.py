"""Which commands of the page are kept, and how much of what they print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.web.engine_side import actions
from manager.web.engine_side.actions import KEPT, MAX_LINES, Actions
from tests.fleet import eventually


class Command:
    """A command that has printed these lines, and runs until it is told to end."""

    def __init__(self, words: Sequence[str], lines: Sequence[str]) -> None:
        self.title = " ".join(["manager", *words])
        self.lines = list(lines)
        self.exit_code: int | None = None

    def new_lines(self) -> list[str]:
        new, self.lines = self.lines, []
        return new


class Commands:
    """Commands that the page begins, each of which prints the same lines."""

    def __init__(self, folder: Path) -> None:
        self.begun: list[Command] = []
        self.prints: Sequence[str] = ()
        self.actions = Actions(None, lambda: None)
        self.fleet = Fleet("desk", folder, folder / "volumes")

    def running(self, _folder: object, *words: str, **_options: object) -> Command:
        self.begun.append(Command(words, self.prints))
        return self.begun[-1]

    def begin(self, instance: str, by: str, key: str = "") -> int:
        return self.actions.begin("orders", instance, [], self.fleet, by, key=key).number


@pytest.fixture(name="commands")
def _commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    commands = Commands(tmp_path)
    monkeypatch.setattr(actions, "Running", commands.running)
    monkeypatch.setattr(actions, "POLL_S", 0.01)
    yield commands
    for command in commands.begun:
        command.exit_code = 0


def test_one_that_runs_is_not_forgotten_for_newer_ones(commands: Commands) -> None:
    """Who has halted everything asks until that has ended, however many buttons others press meanwhile."""
    first = commands.begin("bp_0", "anna", key="k")
    for number in range(1, KEPT + 2):
        commands.begin(f"bp_{number}", f"person {number}")
    assert commands.actions.find(first) is not None
    assert commands.actions.knows("k")
    assert commands.begin("bp_0", "anna", key="k") == first


def test_of_what_a_command_prints_the_end_is_kept(commands: Commands) -> None:
    """`logs` of a whole fleet would fill the memory of the process that watches it."""
    commands.prints = [f"line {number}" for number in range(MAX_LINES + 5)]
    number = commands.begin("bp_0", "anna")
    commands.begun[0].exit_code = 0

    def ended() -> bool:
        action = commands.actions.find(number)
        return action is not None and action.exit_code == 0

    eventually(ended, 60, "it has ended")
    action = commands.actions.find(number)
    assert action is not None
    assert len(action.lines) == MAX_LINES
    assert action.lines[-1] == f"line {MAX_LINES + 4}"
