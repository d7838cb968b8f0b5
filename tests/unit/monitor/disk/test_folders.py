"""What folders take, also when a bot fills them on purpose; and what is kept of it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.monitor.disk import record, usage
from manager.monitor.disk.growth import Sample
from manager.monitor.stats import columns
from manager.monitor.stats.instance_stats import InstanceStats, stats_object
from manager.util import folder_size
from tests.faults.engines import needs_root
from tests.unit.monitor.watch.test_alert_rules import a_view

FAR = 10**6


def measured(*folders: Path, most: int = FAR, within: float = 60.0) -> folder_size.FolderSize:
    return folder_size.measure(folders, time.monotonic() + within, most)


def test_blocks_and_entries_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    with (tmp_path / "a" / "b" / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    (tmp_path / "a" / "link").symlink_to("/")
    disk_usage = measured(tmp_path / "a", tmp_path / "missing", tmp_path / "a" / "file")
    assert 100_000 <= disk_usage.size < 200_000
    assert (disk_usage.files, disk_usage.is_whole) == (4, True)


def test_whoever_makes_files_without_end_is_counted_in_part(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / str(number)).touch()
    assert measured(tmp_path, most=500) == folder_size.FolderSize(0, 500, False)
    assert not measured(tmp_path, within=-1.0).is_whole


def test_a_file_of_many_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    for number in range(300):
        os.link(tmp_path / "one", tmp_path / "b" / str(number))
    disk_usage = measured(tmp_path)
    assert 100_000 <= disk_usage.size < 200_000
    assert (disk_usage.files, disk_usage.is_whole) == (2, True)
    assert not measured(tmp_path, most=200).is_whole, "but it is read as often as it is there"


@needs_root
def test_another_disk_that_is_mounted_in_a_folder_does_not_count(tmp_path: Path) -> None:
    own, inside = tmp_path / "a", tmp_path / "a" / "cache"
    inside.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(inside)], check=True)
    try:
        (inside / "large").write_bytes(b"x" * 1_000_000)
        assert measured(own).size < 100_000
        assert measured(inside).size >= 1_000_000, "an instance's own folder may be a disk of its own"
    finally:
        subprocess.run(["umount", "--lazy", str(inside)], check=True)


def test_a_folder_deeper_than_anybody_needs_is_not_followed(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"d" * (folder_size.MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    assert not measured(tmp_path).is_whole


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet("desk", tmp_path, tmp_path / "volumes")
    made.database_dir("bp_sol_01").mkdir(parents=True)
    made.state_dir.mkdir()
    (made.database_dir("bp_sol_01") / "bp_sol_01.db").write_bytes(os.urandom(1 << 20))
    return made


def test_without_a_watch_the_size_is_measured(fleet: Fleet) -> None:
    use = usage.read(fleet, [a_view()])["bp_sol_01"]
    assert use.size >= 1 << 20
    assert (use.growth, use.is_whole) == (None, True)


def test_with_a_watch_its_record_is_used(fleet: Fleet) -> None:
    now = time.time()
    record.save(fleet.disk_file, {"bp_sol_01": [Sample(now - 600, 1 << 20, 2), Sample(now - 5, 3 << 20, 2)]})
    use = usage.read(fleet, [a_view()])["bp_sol_01"]
    assert (use.size, use.growth) == (3 << 20, 2 << 20)
    record.save(fleet.disk_file, {"bp_sol_01": [Sample(now - 600, 1 << 19, 2)]})
    use = usage.read(fleet, [a_view()])["bp_sol_01"]
    assert use.growth == use.size - (1 << 19), "of a watch that has ended, the time before counts"


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', '{"schema": 1, "instances": {"a": [[1]]}}'])
def test_a_record_that_cannot_be_used_is_none(fleet: Fleet, content: str) -> None:
    fleet.disk_file.write_text(content)
    assert record.load(fleet.disk_file) == {}
    assert usage.read(fleet, [a_view()])["bp_sol_01"].growth is None


def test_a_fleet_that_takes_too_long_to_measure_leaves_blanks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MEASURE_S", -1.0)
    assert usage.read(fleet, [a_view()]) == {}


def test_stats_show_size_and_growth() -> None:
    row = InstanceStats(a_view(), disk=usage.DiskUse(3 << 20, 7, False, -(1 << 20)))
    (cells,) = columns.cells([row])
    assert (cells["size"], cells["growth"]) == (">3.1M", "-1.0M")
    shown = stats_object(row)
    assert (shown["folders_bytes"], shown["folders_files"], shown["folders_growth_bytes"]) == (
        3 << 20,
        7,
        -(1 << 20),
    )
    (cells,) = columns.cells([InstanceStats(a_view())])
    assert (cells["size"], cells["growth"]) == ("", "")
