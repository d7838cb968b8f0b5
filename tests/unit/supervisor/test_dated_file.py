import os
import time
from pathlib import Path

import pytest

from supervisor import dated
from supervisor.clock import LocalDate
from supervisor.dated import DatedFile


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
