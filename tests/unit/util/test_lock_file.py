"""Files that are locked can be opened by no other user, whoever has made them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.fleet import lock, start_lock, state_file
from manager.ops.backup import make
from manager.ops.move import staging
from manager.util.lock_file import open_lock


def _fleet_lock(fleet: Fleet) -> Path:
    with lock.held(fleet.lock_file, "up"):
        return fleet.lock_file


def _starts(fleet: Fleet) -> Path:
    fleet.state_dir.mkdir(parents=True, exist_ok=True)
    with start_lock.under_way(fleet):
        return fleet.lock_file.with_name(start_lock.NAME)


def _state(fleet: Fleet) -> Path:
    state_file.update(fleet, lambda state: state)
    return fleet.state_file.with_name(state_file.LOCK)


def _backups(fleet: Fleet) -> Path:
    folder = fleet.data_dir / "backups"
    with make._folder_lock(folder, fleet.name):
        return folder / f".{fleet.name}.lock"


def _move(fleet: Fleet) -> Path:
    with staging.locked(fleet, "a", "move", 0):
        return staging.folder(fleet, "a").parent / ".a.move.lock"


@pytest.mark.parametrize("used", [_fleet_lock, _starts, _state, _backups, _move])
def test_an_existing_file_that_others_can_open_is_mended(
    tmp_path: Path, used: Callable[[Fleet], Path]
) -> None:
    """A copy of the folder, or an earlier version, has left it so."""
    fleet = Fleet("desk", tmp_path, tmp_path / "volumes")
    path = used(fleet)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    assert used(fleet) == path
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "else")
    with pytest.raises(OSError, match="symbolic links"):
        os.close(open_lock(tmp_path / "lock"))
    assert not (tmp_path / "else").exists()
