import gzip
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor import dated
from supervisor.clock import LocalDate
from supervisor.dated import DatedFile
from supervisor.day_budget import DayBudget


class Disk:
    """Stands in for os.write: takes so many more bytes, then is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 60
        self._write = os.write
        monkeypatch.setattr("os.write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(28, "No space left on device")
        count = self._write(fd, data[: self.room])
        self.room -= count
        return count


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def turns() -> list[str | None]:
    return []


@pytest.fixture
def file(tmp_path: Path, turns: list[str | None]) -> DatedFile:
    return DatedFile(str(tmp_path), "bot_stdout.log", LocalDate(), turns.append)


def content(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("*/bot_stdout.log"))}


def test_it_rolls_over_with_the_date_and_appends(
    tmp_path: Path, file: DatedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    for now, data in [(86399.0, b"a"), (86399.9, b"b"), (86400.0, b"c"), (86398.0, b"d")]:
        monkeypatch.setattr("time.time", lambda now=now: now)
        file.write(data)
    assert content(tmp_path) == {"1970-01-01": b"abd", "1970-01-02": b"c"}
    assert file.dropped == 0
    monkeypatch.undo()
    time.tzset()


def test_a_gap_joins_no_two_halves(
    tmp_path: Path, file: DatedFile, disk: Disk, turns: list[str | None]
) -> None:
    disk.room = 6
    file.write(b"one\ntwo\nthree\nfo")  # full in the middle of "two"
    assert file.dropped == 2
    file.write(b"ur\nfive\n")
    assert file.dropped == 4
    disk.room = 1000
    file.write(b"six\nseven\n")
    assert list(content(tmp_path).values()) == [b"one\ntw\nsix\nseven\n"]
    assert file.dropped == 4
    assert turns == ["No space left on device", None]


def test_the_rest_of_a_line_whose_beginning_is_lost_is_lost_too(
    tmp_path: Path, file: DatedFile, disk: Disk
) -> None:
    file.write(b"one\n")
    disk.room = 0
    file.write(b"two\nthr")
    disk.room = 1000
    file.write(b"ee")
    file.write(b"eee\nfour\n")
    assert list(content(tmp_path).values()) == [b"one\nfour\n"]
    assert file.dropped == 2


def test_every_line_is_written_or_counted_at_any_fill(tmp_path: Path, disk: Disk) -> None:
    data = b"".join(b"line %d\n" % n for n in range(20))
    for room in range(len(data) + 3):
        folder = tmp_path / str(room)
        folder.mkdir()
        file = DatedFile(str(folder), "bot_stdout.log", LocalDate(), lambda _: None)
        disk.room = room
        for start in range(0, len(data), 7):
            file.write(data[start : start + 7])
        written = b"".join(content(folder).values())
        assert data.startswith(written)
        assert written.count(b"\n") + file.dropped == 20
        file.close()


def test_a_folder_that_cannot_be_made_is_not_tried_at_each_write(
    tmp_path: Path, turns: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def refuse(folder: str, name: str) -> int:
        nonlocal tries
        tries += 1
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(dated, "_open_regular", refuse)
    file = DatedFile(str(tmp_path / "no"), "bot_stdout.log", LocalDate(), turns.append)
    for _ in range(1000):
        file.write(b"x\n")
    assert tries < 5
    assert file.dropped == 1000
    assert turns == ["No such file or directory"]


def test_a_removed_file_is_made_again(tmp_path: Path, file: DatedFile) -> None:
    file.write(b"one\n")
    file.check()
    file.write(b"two\n")
    (path,) = tmp_path.glob("*/bot_stdout.log")
    assert path.read_bytes() == b"one\ntwo\n"
    path.unlink()
    path.parent.rmdir()
    file.write(b"lost with the file\n")
    file.check()
    file.write(b"three\n")
    assert path.read_bytes() == b"three\n"


# the limit of a day

LINE = b"x" * 99 + b"\n"
MARKED = re.compile(
    rb"\[supervisor\] +([0-9]+) lines dropped: these logs have reached their limit of 1 MB a day\n"
)
GZIP = ("/usr/bin/env", "gzip", "-1", "-f", "--")


@pytest.fixture
def messages() -> list[str]:
    return []


def limited(folder: Path, messages: list[str], name: str = "bot_stdout.log", **changes: Any) -> DatedFile:
    budget = changes.get("budget") or DayBudget(1, messages.append, tuple, changes.get("program", ()))
    return DatedFile(str(folder), name, LocalDate(), lambda _: None, budget)


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_tidy(budget: DayBudget) -> bool:
    budget.tidy()
    return budget._pid is None


def files_of(folder: Path) -> dict[str, int]:
    (day,) = folder.iterdir()
    return {path.name: path.stat().st_size for path in sorted(day.iterdir())}


def flood(file: DatedFile, size: int) -> int:
    """Write so many bytes in chunks that end in the middle of lines; returns how many lines they were."""
    data = LINE * (size // len(LINE))
    for start in range(0, len(data), 65_536):
        file.write(data[start : start + 65_536])
    return data.count(b"\n")


def test_a_day_has_a_limit_and_one_last_line_says_what_it_cost(tmp_path: Path, messages: list[str]) -> None:
    file = limited(tmp_path, messages)
    lines = flood(file, 5_000_000)
    file.check()
    sizes = files_of(tmp_path)
    assert sorted(sizes) == ["bot_stdout.log", *(f"bot_stdout.log.{number}" for number in (1, 2, 3, 4))]
    assert 850_000 < sum(sizes.values()) < 1_000_000
    (day,) = tmp_path.iterdir()
    text = b"".join((day / name).read_bytes() for name in [*sorted(sizes)[1:], "bot_stdout.log"])
    kept, marker = text[: text.index(b"[")], text[text.index(b"[") :]
    assert kept == LINE * (len(kept) // len(LINE)), "whole lines only, in every file"
    match = MARKED.fullmatch(marker)
    assert match
    assert int(match[1]) == lines - len(kept) // len(LINE) == file.over_limit
    assert messages == [
        "bot_stdout.log has reached the limit of 1 MB a day: its lines are dropped until midnight"
    ]
    file.write(LINE)
    file.close()
    match = MARKED.search((day / "bot_stdout.log").read_bytes())
    assert match
    assert int(match[1]) == file.over_limit


def test_a_supervisor_that_is_started_again_goes_on_counting(tmp_path: Path, messages: list[str]) -> None:
    first = limited(tmp_path, messages)
    flood(first, 2_000_000)
    first.close()
    second = limited(tmp_path, messages)
    second.write(LINE * 3)
    second.check()
    assert second.over_limit == first.over_limit + 3
    (day,) = tmp_path.iterdir()
    (count,) = MARKED.findall((day / "bot_stdout.log").read_bytes())
    assert int(count) == second.over_limit


def test_the_next_day_begins_anew(
    tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = limited(tmp_path, messages)
    flood(file, 2_000_000)
    tomorrow = time.time() + 86400
    monkeypatch.setattr("time.time", lambda: tomorrow)
    file.write(LINE)
    assert file.over_limit == 0
    _first, second = sorted(tmp_path.iterdir())
    assert (second / "bot_stdout.log").read_bytes() == LINE
    assert len(messages) == 1


@pytest.mark.parametrize(("limit_mb", "segment"), [(1, 250_000), (256, 64_000_000), (100_000, 128_000_000)])
def test_a_segment_is_never_so_large_that_a_reader_has_to_wait(
    limit_mb: int, segment: int, messages: list[str]
) -> None:
    assert DayBudget(limit_mb, messages.append, tuple, ()).segment == segment


def test_a_flood_leaves_room_for_a_traceback(tmp_path: Path, messages: list[str]) -> None:
    budget = DayBudget(1, messages.append, tuple, ())
    flood(limited(tmp_path, messages, budget=budget), 3_000_000)
    other = limited(tmp_path, messages, "bot_stderr.log", budget=budget)
    other.write(b"Traceback\n")
    flood(other, 3_000_000)
    other.close()
    (day,) = tmp_path.iterdir()
    assert (day / "bot_stderr.log").read_bytes().startswith(b"Traceback\n")
    assert sum(files_of(tmp_path).values()) <= 1_000_000 + 200


def test_full_files_are_compressed_and_make_room(tmp_path: Path, messages: list[str]) -> None:
    budget = DayBudget(1, messages.append, tuple, GZIP)
    file = limited(tmp_path, messages, budget=budget)
    lines = 0
    for _round in range(20):
        lines += flood(file, 200_000)
        wait_until(lambda: is_tidy(budget))
    assert messages == []
    assert file.over_limit == 0
    (day,) = tmp_path.iterdir()
    names = sorted(files_of(tmp_path))
    assert [name for name in names if not name.endswith(".gz")] == ["bot_stdout.log"]
    text = b"".join(gzip.decompress((day / name).read_bytes()) for name in names[1:])
    assert (text + (day / "bot_stdout.log").read_bytes()).count(LINE) == lines


def test_without_a_program_nothing_is_compressed_and_that_is_said_once(
    tmp_path: Path, messages: list[str]
) -> None:
    flood(limited(tmp_path, messages, program=("/nothing/gzip",)), 3_000_000)
    assert messages[0].startswith("full log files are not compressed: cannot start /nothing/gzip")
    assert len(messages) == 2


def test_a_program_that_fails_is_not_tried_for_ever(tmp_path: Path, messages: list[str]) -> None:
    budget = DayBudget(1, messages.append, tuple, ("/usr/bin/env", "false"))
    file = limited(tmp_path, messages, budget=budget)
    flood(file, 300_000)
    wait_until(lambda: is_tidy(budget))
    assert [text.partition(": ")[0] for text in messages] == ["full log files are not compressed"]
    flood(file, 500_000)
    assert (len(messages), budget._pid) == (1, None)


def test_lines_without_an_end_are_bounded_too(tmp_path: Path, messages: list[str]) -> None:
    file = limited(tmp_path, messages)
    for _chunk in range(40):
        file.write(b"y" * 65_536)
    file.close()
    assert sum(files_of(tmp_path).values()) <= 1_000_000 + 200


def test_room_that_a_person_has_made_is_used(tmp_path: Path, messages: list[str]) -> None:
    file = limited(tmp_path, messages)
    flood(file, 2_000_000)
    (day,) = tmp_path.iterdir()
    for path in day.iterdir():
        path.unlink()
    file.check()
    file.write(LINE)
    assert (day / "bot_stdout.log").read_bytes() == LINE


def test_room_that_a_person_has_made_before_the_limit_moves_it(tmp_path: Path, messages: list[str]) -> None:
    file = limited(tmp_path, messages)
    flood(file, 800_000)
    (day,) = tmp_path.iterdir()
    for path in day.glob("*.log.[0-9]*"):
        path.unlink()
    flood(file, 400_000)
    assert (file.over_limit, messages) == (0, [])


def test_the_oldest_full_file_is_compressed_first(tmp_path: Path, messages: list[str]) -> None:
    for number in (2, 10, 3):
        (tmp_path / f"bot_stdout.log.{number}").touch()
    budget = DayBudget(1, messages.append, tuple, ("/usr/bin/env", "rm", "--"))
    compressed = []
    budget.use(str(tmp_path))
    while budget._pid is not None:
        compressed.append(Path(budget._compressing).suffix)
        os.waitid(os.P_PID, budget._pid, os.WEXITED | os.WNOWAIT)
        budget.tidy()
    assert compressed == [".2", ".3", ".10"]
