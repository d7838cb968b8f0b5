"""What root makes in a user's folder is the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.cli import main
from manager.config.fleet import Fleet
from manager.errors import OK
from manager.fleet import lock
from manager.ops.folders import instance_folders
from manager.util import atomic_file, ownership
from tests.builders import a_spec

USER = (1234, 2345)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is not its own")


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Path:
    os.chown(tmp_path, *USER)
    return tmp_path


def owner_of(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_uid, facts.st_gid


def test_everything_that_a_command_makes(home: Path) -> None:
    fleet = Fleet("desk", home, home / "deep" / "volumes")
    with lock.held(fleet.lock_file, "up"):
        instance_folders.prepare(a_spec(fleet=fleet), fleet, USER)
        instance_folders.write_env(a_spec(fleet=fleet), fleet, USER, {})
        atomic_file.write_atomically(fleet.state_file, {})
    made = list(home.rglob("*"))
    assert len(made) > 10
    assert {path: owner_of(path) for path in made if owner_of(path) != USER} == {}


def test_roots_own_folder_stays_roots(tmp_path: Path) -> None:
    ownership.make_folder(tmp_path / "a" / "b")
    atomic_file.write_atomically(tmp_path / "a" / "b" / "c.json", {})
    assert {owner_of(path) for path in tmp_path.rglob("*")} == {(0, 0)}


def test_a_link_is_given_away_and_not_what_it_leads_to(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("other") / "precious"
    target.touch()
    (home / "link").symlink_to(target)
    ownership.give_to_folder_owner(home / "link")
    assert (owner_of(home / "link"), owner_of(target)) == (USER, (0, 0))


def test_a_backup_that_root_makes(home: Path) -> None:
    (home / "config" / "active").mkdir(parents=True)
    for path in home.rglob("*"):
        os.chown(path, *USER)
    assert main.main(["--project-dir", str(home), "backup"]) == OK
    made = list((home / "volumes").rglob("*"))
    assert len(made) > 2
    assert {path: owner_of(path) for path in [home / "volumes", *made] if owner_of(path) != USER} == {}
