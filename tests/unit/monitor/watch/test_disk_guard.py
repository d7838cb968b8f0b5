"""The guard of the disk, on real folders: what it says, and whom it stops."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from manager.config.fleet import DiskRules, Fleet
from manager.errors import ManagerError
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.monitor.disk import growth
from manager.monitor.disk.growth import Sample
from manager.monitor.watch import change_detector, deleted_files, disk_guard
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.disk_guard import DiskGuard
from manager.monitor.watch.machine_rules import Disk
from manager.util.folder_size import FolderSize
from manager.util.formatting import GB, MB
from tests.unit.monitor.watch.test_alert_rules import a_view


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_guard, "MEASURE_EVERY_S", 0.0)


@pytest.fixture
def stopped() -> list[str]:
    return []


def a_fleet(folder: Path, **rules: int) -> Fleet:
    fleet = Fleet("desk", folder, folder / "volumes", disk=DiskRules(**rules))
    fleet.database_dir("bp_sol_01").mkdir(parents=True, exist_ok=True)
    fleet.state_dir.mkdir(exist_ok=True)
    return fleet


@contextmanager
def guarding(fleet: Fleet, stop: Callable[[str, Text], None]) -> Iterator[Callable[[], list[Alert]]]:
    """Yield a function that looks until the next measurement is done."""
    views: dict[str, Instance] = {"bp_sol_01": a_view()}

    def look() -> list[Alert]:
        deadline = time.monotonic() + 20
        before = guard._measured_at
        while True:
            alerts = guard.look(fleet, views)
            if guard._measured_at != before:
                return alerts
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with closing(DiskGuard(fleet, stop)) as guard:
        look.guard = guard  # type: ignore[attr-defined]
        look.views = views  # type: ignore[attr-defined]
        yield look


def write(fleet: Fleet, size: int) -> None:
    with (fleet.database_dir("bp_sol_01") / "data").open("ab") as stream:
        stream.write(os.urandom(size))


@pytest.mark.parametrize(
    ("size", "limit_mb", "text"),
    [
        (60_040_000, 60, "its folders take 60,040 kB, more than the limit of 60 MB"),
        (5_000_000_001, 5000, "its folders take 5,000,001 kB, more than the limit of 5 GB"),
        (95_420_416, 60, "its folders take 95.4 MB, more than the limit of 60 MB"),
    ],
)
def test_what_exceeds_a_limit_is_not_called_as_the_limit(size: int, limit_mb: int, text: str) -> None:
    samples = {"one": [Sample(0.0, size, 1)]}
    rules = DiskRules(instance_mb=limit_mb)
    [excess] = growth.excesses(samples, [], rules, ending=(False, False))
    assert str(disk_guard._why(excess)) == text


def test_a_bot_over_its_limit_is_stopped_once_and_named(tmp_path: Path, stopped: list[str]) -> None:
    fleet = a_fleet(tmp_path, instance_mb=3)
    with guarding(fleet, lambda instance, _why: stopped.append(instance)) as look:
        write(fleet, MB)
        assert look() == []
        write(fleet, 3 * MB)
        (alert,) = look()
        assert str(alert.text).startswith("bp_sol_01 was stopped, because its folders take 4")
        assert str(alert.text).endswith(
            "more than the limit of 3 MB; `manager start bp_sol_01` starts it again"
        )
        assert look() == [], "not twice within half a minute"
    assert stopped == ["bp_sol_01"]


def test_a_bot_that_does_not_run_is_not_stopped(tmp_path: Path, stopped: list[str]) -> None:
    fleet = a_fleet(tmp_path, instance_mb=1)
    write(fleet, 3 * MB)
    with guarding(fleet, lambda instance, _why: stopped.append(instance)) as look:
        look.views["bp_sol_01"] = a_view("stopped", "exited")  # type: ignore[attr-defined]
        assert look() == []
    assert stopped == []


def test_a_stop_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_guard, "AGAIN_S", 0.0)

    def stop(_instance: str, _why: Text) -> None:
        raise ManagerError("the engine is away")

    fleet = a_fleet(tmp_path, instance_files=2)
    for number in range(5):
        (fleet.database_dir("bp_sol_01") / str(number)).touch()
    with guarding(fleet, stop) as look:
        for _again in range(2):
            (alert,) = look()
            assert str(alert.text) == (
                "bp_sol_01 cannot be stopped, although its folders have 5 files, more than the limit of 2:"
                " the engine is away"
            )


def test_a_disk_that_ends_is_measured_at_once_and_its_bot_stopped(
    tmp_path: Path, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_guard, "MEASURE_EVERY_S", 3600.0)
    monkeypatch.setattr(disk_guard, "URGENT_EVERY_S", 0.0)
    free = 20 * GB
    monkeypatch.setattr(change_detector, "disk", lambda path: Disk(str(path), free, GB, 10**6, 2 * 10**6))
    fleet = a_fleet(tmp_path)
    with guarding(fleet, lambda instance, _why: stopped.append(instance)) as look:
        look()
        free = 10 * MB  # less than 5 % of a disk of a GB
        write(fleet, 12 * MB)
        (alert,) = look()
    assert stopped == ["bp_sol_01"]
    assert "its folders have grown by 12" in str(alert.text)
    assert "the disk has only 10 MB free" in str(alert.text)


def test_growth_is_a_condition_also_after_a_restart_of_watch(tmp_path: Path, stopped: list[str]) -> None:
    fleet = a_fleet(tmp_path, growth_mb=2, growth_files=100)
    with guarding(fleet, lambda instance, _why: stopped.append(instance)) as look:
        look()
    write(fleet, 3 * MB)
    with guarding(fleet, lambda instance, _why: stopped.append(instance)) as look:
        look()
        guard: DiskGuard = look.guard  # type: ignore[attr-defined]
        (condition,) = guard.conditions(fleet, look.views)  # type: ignore[attr-defined]
        assert str(condition.text).startswith("bp_sol_01: its folders have grown by 3")
        for number in range(200):
            (fleet.database_dir("bp_sol_01") / str(number)).touch()
        few = fleet._replace(disk=DiskRules(growth_mb=0, growth_files=100))
        look()
        (condition,) = guard.conditions(few, look.views)  # type: ignore[attr-defined]
        assert str(condition.text).startswith("bp_sol_01 has created 201 files within ")
        assert guard.conditions(fleet._replace(disk=DiskRules()), look.views) == []  # type: ignore[attr-defined]
    assert stopped == []


def test_of_a_large_fleet_deleted_files_are_looked_for_in_turns_and_all_at_once_as_the_disk_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[list[str]] = []
    closed: list[str] = []

    def of_instances(_fleet: Fleet, views: dict[str, Instance]) -> dict[str, FolderSize]:
        turns.append(list(views))
        return {"b": FolderSize(5 * MB, 1)} if "b" in views and "b" not in closed else {}

    monkeypatch.setattr(disk_guard, "DELETED_OF", 2)
    monkeypatch.setattr(deleted_files, "of_instances", of_instances)
    fleet = a_fleet(tmp_path)
    views = {name: a_view()._replace(id=name) for name in "abc"}
    with closing(DiskGuard(fleet, lambda *_: None)) as guard:
        sizes = [guard._measure(fleet, views)["b"].size // MB for _time in range(3)]
        closed.append("b")  # as by a restart
        assert guard._measure(fleet, views)["b"].size < MB
        guard._measure(fleet, views, is_urgent=True)
        guard._measure(fleet, {**views, "b": a_view("stopped", "exited")._replace(id="b")})
        assert guard._measure(fleet, {**views, "d": a_view()._replace(id="d")})["d"].size < MB
    assert turns[:3] == [["a", "b", "c"], ["a", "b"], ["c", "a", "b"]], "new ones at once, then in turns"
    assert sizes == [5, 5, 5]
    assert "b" in turns[3], "what had some is looked at each time"
    assert sorted(turns[4]) == ["a", "b", "c"]
    assert "b" not in turns[5]
    assert "d" in turns[6]
