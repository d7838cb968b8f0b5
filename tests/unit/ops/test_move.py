"""What a move refuses before it does anything, what it writes to .env, and what it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manager.config import dotenv
from manager.config.fleet import Fleet
from manager.errors import Locked, ManagerError
from manager.fleet.tombstone import Tombstone
from manager.ops.hosts.registry import Host
from manager.ops.move import dotenv_lines, journal, moving, staging
from manager.ops.move.bound import Move
from manager.ops.move.journal import Journal
from manager.ops.move.sides import Side

ID = "bp_sol_01"
TOKYO = Side(Path("/srv/desk"), Host("tokyo", "tokyo.example", None, None, "/srv/desk"))
HERE: dict[str, Any] = {
    "here": 0,
    "newest": 0,
    "is_known": True,
    "problems": [],
    "pinned": None,
    "config": "config/active/a.json",
    "port": 5001,
    "bytes": 1 << 20,
}
THERE: dict[str, Any] = {
    "here": 0,
    "newest": 0,
    "stone": None,
    "is_up": False,
    "is_known": False,
    "bytes": 0,
    "has_image": True,
    "unlike": [],
    "ports": {"5002": "other"},
    "free": 1 << 40,
}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet("desk", tmp_path, tmp_path / "volumes")


@pytest.mark.parametrize(
    ("here", "there", "why"),
    [
        ({}, {}, None),
        ({"is_known": False}, {}, "no valid config"),
        ({"problems": ["a.json: web_port: bad"]}, {}, "web_port: bad"),
        ({"pinned": "osaka"}, {}, "pins it to osaka"),
        ({}, {"is_up": True}, "it runs on tokyo"),
        ({}, {"is_known": True}, "of its own (generation 0)"),
        ({}, {"bytes": 7}, "of its own (generation 0)"),
        ({"here": 3}, {"here": 3, "newest": 3}, "of its own (generation 3)"),
        ({"here": 2}, {"here": 1, "newest": 3, "stone": {}}, "knows of generation 3"),
        ({"here": 3}, {"here": 1, "newest": 3, "stone": {}, "bytes": 7, "is_known": True}, None),
        ({}, {"has_image": False}, "no image"),
        ({}, {"unlike": ["BACKPACK_KEY"]}, "BACKPACK_KEY in .env of tokyo"),
        ({}, {"ports": {"5001": "other"}}, "port 5001 belongs to other"),
        ({}, {"free": 1 << 20}, "of disk space"),
        ({}, {"free": None}, None),
    ],
)
def test_it_is_refused_before_anything_is_done(
    fleet: Fleet, here: dict[str, Any], there: dict[str, Any], why: str | None
) -> None:
    move = Move(fleet, ID, Side(fleet.project_dir), TOKYO, lambda _text: None)
    found = moving._why_not(move, {**HERE, **here}, {**THERE, **there}, None)
    assert (found is None) if why is None else (why in str(found))


def test_what_went_away_is_not_moved_again(fleet: Fleet) -> None:
    move = Move(fleet, ID, Side(fleet.project_dir), TOKYO, lambda _text: None)
    found = moving._why_not(move, HERE, THERE, Tombstone(2, "osaka", "m"))
    assert "moved to osaka (generation 2)" in str(found)


def test_env_keeps_what_is_there_and_gets_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nA=1\nEMPTY=\nLAST='x y'")
    path.chmod(0o644)
    added = dotenv_lines.add(path, {"A": "1", "KEY": "a$b 'c' # d", "EMPTY": "now"})
    assert added == ["EMPTY", "KEY"]
    assert path.read_text().startswith("# mine\nA=1\nEMPTY=\nLAST='x y'\n")
    assert dotenv.read(path).variables == {"A": "1", "LAST": "x y", "KEY": "a$b 'c' # d", "EMPTY": "now"}
    assert not dotenv.read(path).faults
    assert path.stat().st_mode & 0o777 == 0o600
    assert dotenv_lines.add(path, {"A": "1"}) == []
    with pytest.raises(ManagerError, match="no form"):
        dotenv_lines.add(path, {"BAD": "a\x01b"})


def test_other_values_are_found_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nB=2\n")
    prints = {
        name: dotenv_lines.fingerprint("s", value) for name, value in {"A": "1", "B": "3", "C": "4"}.items()
    }
    assert dotenv_lines.unlike(path, "s", prints) == ["B"]
    assert prints["B"] != "3"
    assert dotenv_lines.unlike(path, "another salt", prints) == ["A", "B"]


def test_a_journal_comes_back_as_it_was_written_and_a_broken_one_is_not_passed_over(fleet: Fleet) -> None:
    assert journal.load(fleet, ID) is None
    kept = Journal("m", "here", "tokyo", 2, did_run=True, step="put")
    journal.save(fleet, ID, kept)
    assert journal.load(fleet, ID) == kept
    assert kept.has_reached("bury")
    assert not kept.has_reached("arrive")
    path = staging.folder(fleet, ID).with_name(f"{ID}.json")
    for broken in ("", "{}", '{"step": "jump"}', "[]"):
        path.write_text(broken)
        with pytest.raises(ManagerError, match="cannot read"):
            journal.load(fleet, ID)


def test_two_moves_of_one_instance_are_refused(fleet: Fleet) -> None:
    with staging.locked(fleet, ID, "caller", 0.0):
        with pytest.raises(Locked), staging.locked(fleet, ID, "caller", 0.0):
            pass
        with staging.locked(fleet, "another", "caller", 0.0):
            pass
