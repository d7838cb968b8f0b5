"""Dates and the clean-up by date, in time zones that are hard on them."""

import calendar
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.clock import LocalDate, days_before
from supervisor.retention import clean, expired


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


def use_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()


def utc(*when: int) -> float:
    return float(calendar.timegm((*when, *[0] * (6 - len(when)), 0, 0, 0)))


def test_the_date_turns_at_local_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    use_zone(monkeypatch, "CST-8")  # 8 h east, as Taipei
    today = LocalDate()
    assert today.name(utc(2025, 11, 30, 15, 59, 59)) == "2025-11-30"
    assert today.name(utc(2025, 11, 30, 16, 0, 0)) == "2025-12-01"


def test_a_clock_that_steps_gives_the_right_date_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    use_zone(monkeypatch, "UTC0")
    today = LocalDate()
    assert today.name(utc(2025, 11, 30, 12)) == "2025-11-30"
    assert today.name(utc(2031, 1, 1, 0)) == "2031-01-01"
    assert today.name(utc(2025, 11, 30, 12)) == "2025-11-30"
    assert today.name(0.0) == "1970-01-01"


def test_days_of_23_and_25_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_zone(monkeypatch, "CET-1CEST,M3.5.0,M10.5.0/3")
    today = LocalDate()
    for month, day, first, last in [(3, 30, 23, 22), (10, 26, 22, 23)]:  # UTC hours
        start, end = utc(2025, month, day - 1, first), utc(2025, month, day, last)
        assert today.name(start - 1) == f"2025-{month:02}-{day - 1}"
        assert today.name(start) == f"2025-{month:02}-{day}"
        assert today.name(end - 1) == f"2025-{month:02}-{day}"
        assert today.name(end) == f"2025-{month:02}-{day + 1}"
        assert days_before(end - 1, 1) == f"2025-{month:02}-{day - 1}"


def test_a_changed_zone_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use_zone(monkeypatch, "UTC0")
    today = LocalDate()
    noon = utc(2025, 11, 30, 20)
    assert today.name(noon) == "2025-11-30"
    use_zone(monkeypatch, "CST-8")
    assert today.name(noon) == "2025-12-01"


NAMES = ["2025-11-27", "2025-11-28", "2025-11-29", "2025-11-30", "2025-12-01", "2099-01-01"]


@pytest.mark.parametrize(("days", "gone"), [(2, 1), (1, 2), (0, 3), (3, 0), (36500, 0)])
def test_kept_days_do_not_count_today(monkeypatch: pytest.MonkeyPatch, days: int, gone: int) -> None:
    use_zone(monkeypatch, "UTC0")
    assert expired(NAMES, utc(2025, 11, 30, 12), days) == NAMES[:gone]


def test_only_dates_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    use_zone(monkeypatch, "UTC0")
    others = [
        "2001-13-01",
        "2001-01-32",
        "2001-1-1",
        "2001-01-01.gz",
        "x2001-01-01",
        "2001-01-01\n",
        "..",
        "bot.pid",
    ]
    assert expired([*others, "2001-01-01"], utc(2025, 11, 30), 2) == ["2001-01-01"]


def test_clean_removes_the_tree_and_follows_no_link(tmp_path: Path) -> None:
    outside, logs = tmp_path / "outside", tmp_path / "logs"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/precious").write_text("x")
    (logs / "2001-01-01/sub").mkdir(parents=True)
    (logs / "2001-01-01/sub/file").write_text("x")
    (logs / "2001-01-01/to-folder").symlink_to(outside)
    (logs / "2001-01-01/to-file").symlink_to(outside / "deep/precious")
    os.mkfifo(logs / "2001-01-01/fifo")
    (logs / "2001-01-02").symlink_to(outside)
    (logs / "2001-01-03").write_text("a file of that name")
    assert clean(str(logs), time.time(), 2) == (["2001-01-01"], [])
    assert sorted(path.name for path in logs.iterdir()) == ["2001-01-02", "2001-01-03"]
    assert (outside / "deep/precious").read_text() == "x"


def test_clean_tells_what_it_cannot_do(tmp_path: Path) -> None:
    removed, faults = clean(str(tmp_path / "nowhere"), time.time(), 2)
    assert removed == []
    assert faults == [f"cannot clean up {tmp_path}/nowhere: No such file or directory"]


def test_what_is_nested_too_deeply_is_said_and_left(tmp_path: Path) -> None:
    (tmp_path / "2001-01-01" / "/".join("a" * 150)).mkdir(parents=True)
    (tmp_path / "2001-01-02").mkdir()
    removed, faults = clean(str(tmp_path), time.time(), 2)
    assert removed == ["2001-01-02"]
    assert faults == ["cannot remove the log folder 2001-01-01: more than 100 folders lie in each other"]


def test_a_folder_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: int) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listdir", fail)
    assert clean(str(tmp_path), time.time(), 2) == ([], [f"cannot clean up {tmp_path}: Input/output error"])
