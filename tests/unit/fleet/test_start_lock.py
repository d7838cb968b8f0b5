"""Starts that are under way hold a lock that whoever makes marks can wait for."""

from __future__ import annotations

import os
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet import lock, start_lock


def test_a_start_under_way_is_seen_and_its_end_too(tmp_path: Path) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path)
    fleet.state_dir.mkdir()
    assert start_lock.have_ended(fleet)
    with start_lock.under_way(fleet), start_lock.under_way(fleet):
        assert not start_lock.have_ended(fleet)
    assert start_lock.have_ended(fleet)
    assert (fleet.state_dir / ".starts.lock").stat().st_mode & 0o777 == 0o600


def test_without_the_folder_nothing_is_under_way(tmp_path: Path) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path / "none")
    with start_lock.under_way(fleet):
        assert start_lock.have_ended(fleet)


def test_a_manager_of_this_version_knows_marks(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    with lock.held(path, "up"):
        opened = lock._opened_by(Path("/proc/self"))
    for name in ("fleet.lock", ".starts.lock"):
        found = (tmp_path / name).stat()
        assert (found.st_dev, found.st_ino) in opened
    assert os.getpid() not in lock.unaware_of_marks(path)
