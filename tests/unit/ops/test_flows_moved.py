"""An instance that was moved to another machine: nothing starts it here, and nothing older replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import halt_mark, tombstone
from manager.fleet.tombstone import Generation, Tombstone
from tests.builders import FLEET_NAME
from tests.fakes.desk import Desk

INSTANCE = "bp_sol_01"
STONE = Tombstone(3, "tokyo", "m1", 1764529290.0)


def fleet_of(desk: Desk) -> Fleet:
    return Fleet(FLEET_NAME, desk.folder, desk.folder / "volumes")


@pytest.fixture
def moved(desk: Desk) -> Desk:
    """Two instances, of which one was halted and moved away."""
    desk.play("up", f"halt {INSTANCE}")
    tombstone.bury(fleet_of(desk), INSTANCE, STONE)
    return desk


@pytest.mark.parametrize(
    "command", ["start", "up", "restart", "resume", "upgrade", "rollback", "up --recreate", "start --wait"]
)
@pytest.mark.parametrize("name", ["", f" {INSTANCE}"])
def test_no_command_starts_it(moved: Desk, command: str, name: str) -> None:
    said = moved.play(command + name)
    assert moved.states()[INSTANCE] == "exited", said
    assert not any(INSTANCE in call and call.startswith("start") for call in moved.calls()), said


@pytest.mark.parametrize("command", ["start", "up", "restart", "resume"])
def test_who_names_it_is_told_where_it_is(moved: Desk, command: str) -> None:
    said = moved.play(f"{command} {INSTANCE}")
    assert "it was moved to tokyo (generation 3); only another move brings it back" in said
    assert "exit code 0" not in said
    assert (fleet_of(moved).secrets_dir(INSTANCE) / "halted").exists(), "supervisors of before look for it"


def test_the_others_start_and_ps_says_where_it_is(moved: Desk) -> None:
    assert "moved to tokyo" in moved.play("ps")
    moved.play("stop", "start")
    assert moved.states() == {"bp_eth_02": "running", INSTANCE: "exited"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"generation": "x"}', "\x00" * 9000])
def test_a_tombstone_that_cannot_be_read_counts(moved: Desk, content: str) -> None:
    fleet = fleet_of(moved)
    (fleet.secrets_dir(INSTANCE) / tombstone.MARK).write_text(content)
    found = tombstone.find(fleet, INSTANCE)
    assert found is not None
    assert found.generation == tombstone.newest(fleet, INSTANCE) == tombstone.UNKNOWN
    assert "moved" in moved.play(f"start {INSTANCE}")
    assert moved.states()[INSTANCE] == "exited"


def test_a_mark_is_not_lifted_while_there_is_a_tombstone(moved: Desk) -> None:
    fleet = fleet_of(moved)
    mark = halt_mark.find(fleet, INSTANCE)
    assert mark is not None
    assert mark.by == "moved"
    assert not halt_mark.lift(fleet, INSTANCE, mark)
    tombstone.settle(fleet, INSTANCE, Generation(4, "m2"))
    assert tombstone.find(fleet, INSTANCE) is None
    assert tombstone.newest(fleet, INSTANCE) == 4
    moved.play(f"start {INSTANCE}")
    assert moved.states()[INSTANCE] == "running"


def test_an_older_backup_is_refused_and_one_of_this_generation_is_not(moved: Desk, tmp_path: Path) -> None:
    fleet = fleet_of(moved)
    old, new = tmp_path / "old", tmp_path / "new"
    moved.play(f"backup {INSTANCE} --to {old}")
    tombstone.settle(fleet, INSTANCE, Generation(4, "m2"))
    moved.play(f"backup {INSTANCE} --to {new}")
    ((first,), (second,)) = (list(folder.glob("*.tar.gz")) for folder in (old, new))
    said = moved.play(f"restore {first} {INSTANCE}")
    assert "has generation 0, and this machine knows of generation 4" in said
    assert "knows of generation" not in moved.play(f"restore {second} {INSTANCE}")


def test_a_generation_that_cannot_be_read_is_newer_than_any(desk: Desk) -> None:
    fleet = fleet_of(desk)
    tombstone.settle(fleet, INSTANCE, Generation(1, "m"))
    assert tombstone.generation(fleet, INSTANCE) == Generation(1, "m")
    (fleet.secrets_dir(INSTANCE) / tombstone.GENERATION).write_text("?")
    assert tombstone.newest(fleet, INSTANCE) == tombstone.UNKNOWN


def test_it_has_no_generation_before_the_first_move(desk: Desk) -> None:
    assert tombstone.newest(fleet_of(desk), INSTANCE) == 0
    with pytest.raises(ManagerError):
        tombstone.bury(Fleet(FLEET_NAME, desk.folder, Path("/dev/null")), INSTANCE, STONE)
