"""Starts that are under way hold a lock that whoever makes marks can wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.fleet import lock, start_lock
from manager.ops.halt import stop_for_good
from tests.unit.test_fleet_lock import a_holder


def test_a_start_under_way_is_seen_and_its_end_too(tmp_path: Path) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path)
    fleet.state_dir.mkdir()
    assert start_lock.have_ended(fleet)
    with start_lock.under_way(fleet), start_lock.under_way(fleet):
        assert not start_lock.have_ended(fleet)
    assert start_lock.have_ended(fleet)
    assert (fleet.state_dir / ".starts.lock").stat().st_mode & 0o777 == 0o600


def test_who_holds_it_for_long_keeps_no_start_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path)
    fleet.state_dir.mkdir()
    path = fleet.state_dir / ".starts.lock"
    path.touch(0o644)
    path.chmod(0o644)
    monkeypatch.setattr(start_lock, "SHARED_WITHIN_S", 0.1)
    with a_holder(path, 60) as pid:
        with start_lock.under_way(fleet):
            assert not start_lock.have_ended(fleet)
        monkeypatch.setattr(stop_for_good, "STARTS_END_WITHIN_S", -1.0)
        starts = stop_for_good.Starts(fleet)
        assert starts.are_too_slow
        assert f"process {pid} may still start bots" in str(starts.error())
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_the_folder_nothing_is_under_way(tmp_path: Path) -> None:
    fleet = Fleet("desk", tmp_path, tmp_path / "none")
    with start_lock.under_way(fleet):
        assert start_lock.have_ended(fleet)


def test_a_manager_of_this_version_knows_marks(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    with lock.held(path, "up"):
        opened = lock._opened_by(Path("/proc/self"))
    for name in ("fleet.lock", ".starts.lock"):
        facts = (tmp_path / name).stat()
        assert (facts.st_dev, facts.st_ino) in opened


OPENS = "import sys; kept = [open(path) for path in sys.argv[2:]]; print('open', flush=True); input()"


@pytest.mark.parametrize(
    ("program", "files", "is_unaware"),
    [
        ("manager", ("fleet.lock",), True),
        ("manager", ("fleet.lock", ".starts.lock"), False),
        ("manager", (), False),
        ("vi", ("fleet.lock",), False),
    ],
    ids=["an earlier version", "this version", "another fleet's", "no manager"],
)
def test_a_manager_of_an_earlier_version_is_known_by_the_files_that_it_has_open(
    tmp_path: Path, program: str, files: tuple[str, ...], is_unaware: bool
) -> None:
    for name in ("fleet.lock", ".starts.lock"):
        (tmp_path / name).touch()
    line = [sys.executable, "-c", OPENS, program, *(str(tmp_path / name) for name in files)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        pids = lock.unaware_of_marks(tmp_path / "fleet.lock")
        process.kill()
    assert pids == ([process.pid] if is_unaware else [])
