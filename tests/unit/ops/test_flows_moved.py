"""An instance that was moved to another machine: nothing starts it here, and nothing older replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import halt_mark, tombstone
from manager.fleet.tombstone import Generation, Tombstone
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import Sandbox

INSTANCE = "bp_sol_01"
STONE = Tombstone(3, "tokyo", "m1", 1764529290.0)


def fleet_of(sandbox: Sandbox) -> Fleet:
    return Fleet(FLEET_NAME, sandbox.folder, sandbox.folder / "volumes")


@pytest.fixture
def moved(sandbox: Sandbox) -> Sandbox:
    """Two instances, of which one was halted and moved away."""
    sandbox.transcript("up", f"halt {INSTANCE}")
    tombstone.bury(fleet_of(sandbox), INSTANCE, STONE)
    return sandbox


@pytest.mark.parametrize(
    "command", ["start", "up", "restart", "resume", "upgrade", "rollback", "up --recreate", "start --wait"]
)
@pytest.mark.parametrize("name", ["", f" {INSTANCE}"])
def test_no_command_starts_it(moved: Sandbox, command: str, name: str) -> None:
    output = moved.transcript(command + name)
    assert moved.states()[INSTANCE] == "exited", output
    assert not any(INSTANCE in call and call.startswith("start") for call in moved.calls()), output


@pytest.mark.parametrize("command", ["start", "up", "restart", "resume"])
def test_who_names_it_is_told_where_it_is(moved: Sandbox, command: str) -> None:
    output = moved.transcript(f"{command} {INSTANCE}")
    assert "it was moved to tokyo (generation 3); only another move brings it back" in output
    assert "exit code 0" not in output
    assert (fleet_of(moved).secrets_dir(INSTANCE) / "halted").exists(), "supervisors of before look for it"


def test_the_others_start_and_ps_says_where_it_is(moved: Sandbox) -> None:
    assert "moved to tokyo" in moved.transcript("ps")
    moved.transcript("stop", "start")
    assert moved.states() == {"bp_eth_02": "running", INSTANCE: "exited"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"generation": "x"}', "\x00" * 9000])
def test_a_tombstone_that_cannot_be_read_counts(moved: Sandbox, content: str) -> None:
    fleet = fleet_of(moved)
    (fleet.secrets_dir(INSTANCE) / tombstone.MARK).write_text(content)
    stone = tombstone.find(fleet, INSTANCE)
    assert stone is not None
    assert stone.generation == tombstone.newest(fleet, INSTANCE) == tombstone.UNKNOWN
    assert "moved" in moved.transcript(f"start {INSTANCE}")
    assert moved.states()[INSTANCE] == "exited"


def test_a_mark_is_not_lifted_while_there_is_a_tombstone(moved: Sandbox) -> None:
    fleet = fleet_of(moved)
    mark = halt_mark.find(fleet, INSTANCE)
    assert mark is not None
    assert mark.by == "moved"
    assert not halt_mark.lift(fleet, INSTANCE, mark)
    tombstone.settle(fleet, INSTANCE, Generation(4, "m2"))
    assert tombstone.find(fleet, INSTANCE) is None
    assert tombstone.newest(fleet, INSTANCE) == 4
    moved.transcript(f"start {INSTANCE}")
    assert moved.states()[INSTANCE] == "running"


def test_an_older_backup_is_refused_and_one_of_this_generation_is_not(moved: Sandbox, tmp_path: Path) -> None:
    fleet = fleet_of(moved)
    old, new = tmp_path / "old", tmp_path / "new"
    moved.transcript(f"backup {INSTANCE} --to {old}")
    tombstone.settle(fleet, INSTANCE, Generation(4, "m2"))
    moved.transcript(f"backup {INSTANCE} --to {new}")
    ((first,), (second,)) = (list(folder.glob("*.tar.gz")) for folder in (old, new))
    output = moved.transcript(f"restore {first} {INSTANCE}")
    assert "has generation 0, and this machine knows of generation 4" in output
    assert "knows of generation" not in moved.transcript(f"restore {second} {INSTANCE}")


def test_a_generation_that_cannot_be_read_is_newer_than_any(sandbox: Sandbox) -> None:
    fleet = fleet_of(sandbox)
    tombstone.settle(fleet, INSTANCE, Generation(1, "m"))
    assert tombstone.generation(fleet, INSTANCE) == Generation(1, "m")
    (fleet.secrets_dir(INSTANCE) / tombstone.GENERATION).write_text("?")
    assert tombstone.newest(fleet, INSTANCE) == tombstone.UNKNOWN


def test_it_has_no_generation_before_the_first_move(sandbox: Sandbox) -> None:
    assert tombstone.newest(fleet_of(sandbox), INSTANCE) == 0
    with pytest.raises(ManagerError):
        tombstone.bury(Fleet(FLEET_NAME, sandbox.folder, Path("/dev/null")), INSTANCE, STONE)
